package proof

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"mtmledger/crypto"
)

var update = flag.Bool("update", false, "write testdata/vectors/certificate*.json anew")

const vectorFolder = "../../testdata/vectors"

// certificateVector is one case of certificate.json.
type certificateVector struct {
	Name        string          `json:"name"`
	Why         string          `json:"why,omitempty"`
	Trust       TrustRoot       `json:"trust"`
	Certificate []byte          `json:"certificate"` // base64
	Accepted    bool            `json:"accepted"`
	Check       Check           `json:"check,omitempty"`
	Finding     json.RawMessage `json:"finding,omitempty"`
}

type certificateVectors struct {
	About string              `json:"about"`
	Cases []certificateVector `json:"cases"`
}

// TestCertificateVectors makes the vectors, which must be those in the file, and
// verifies those in the file.
func TestCertificateVectors(t *testing.T) {
	made := certificateVectors{About: "Certificates (docs/spec/certificate.md), each with the trust root to check it " +
		"against: accepted with this finding, or refused; check names the check that fails in the order of the specification."}
	for _, v := range allVariants() {
		file, root := v.build(t)
		out := certificateVector{Name: v.name, Why: v.why, Trust: root, Certificate: file, Check: v.check, Accepted: v.check == ""}
		if out.Accepted {
			out.Finding = findingOf(t, file, root)
		}
		made.Cases = append(made.Cases, out)
	}
	var stored certificateVectors
	checkVectors(t, "certificate.json", made, &stored)
	for _, v := range stored.Cases {
		if got := failing(t, v.Certificate, v.Trust); got != v.Check || v.Accepted != (got == "") {
			t.Errorf("%s: check %q, want %q", v.Name, got, v.Check)
		}
		if !v.Accepted {
			continue
		}
		var want bytes.Buffer
		if err := json.Compact(&want, v.Finding); err != nil {
			t.Fatal(err)
		}
		if got := findingOf(t, v.Certificate, v.Trust); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: finding\n%s, want\n%s", v.Name, got, want.Bytes())
		}
	}
}

func findingOf(t *testing.T, file []byte, root TrustRoot) []byte {
	t.Helper()
	f, err := Verify(file, root)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkVectors compares made vectors with a file, or writes them with -update,
// and reads the file into stored.
func checkVectors(t *testing.T, name string, made, stored any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(made); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(vectorFolder, name)
	if *update {
		if err := os.MkdirAll(vectorFolder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, b.Bytes()) {
		t.Fatalf("%s is not what this code makes: run go test ./ledger/proof -update and look at the difference", name)
	}
	if err := json.Unmarshal(file, stored); err != nil {
		t.Fatal(err)
	}
}

// lightVectors are the steps between a light block and what its validators sign.
type lightVectors struct {
	About      string            `json:"about"`
	Validators []validatorVector `json:"validator_sets"`
	Headers    []headerVector    `json:"headers"`
	Votes      []voteVector      `json:"votes"`
}

type validatorVector struct {
	Set       []Validator `json:"set"`
	Addresses []string    `json:"addresses"`
	Leaves    []string    `json:"leaves"`
	Hash      string      `json:"hash"`
	Total     int64       `json:"power"`
}

type blockIDVector struct {
	Hash       string `json:"hash"`
	PartsTotal uint32 `json:"parts_total"`
	PartsHash  string `json:"parts_hash"`
}

type headerVector struct {
	Name               string        `json:"name"`
	BlockVersion       uint64        `json:"block_version"`
	AppVersion         uint64        `json:"app_version"`
	Chain              string        `json:"chain"`
	Height             uint64        `json:"height"`
	Time               int64         `json:"time_ns"`
	LastBlockID        blockIDVector `json:"last_block_id"`
	LastCommitHash     string        `json:"last_commit_hash"`
	DataHash           string        `json:"data_hash"`
	ValidatorsHash     string        `json:"validators_hash"`
	NextValidatorsHash string        `json:"next_validators_hash"`
	ConsensusHash      string        `json:"consensus_hash"`
	AppHash            string        `json:"app_hash"`
	LastResultsHash    string        `json:"last_results_hash"`
	EvidenceHash       string        `json:"evidence_hash"`
	Proposer           string        `json:"proposer_address"`
	Leaves             []string      `json:"leaves"`
	Hash               string        `json:"hash"`
}

type voteVector struct {
	Chain     string           `json:"chain"`
	Height    uint64           `json:"height"`
	Round     uint32           `json:"round"`
	Block     blockIDVector    `json:"block_id"`
	Time      int64            `json:"time_ns"`
	SignBytes string           `json:"sign_bytes"`
	Key       crypto.PublicKey `json:"key"`
	Signature crypto.Signature `json:"signature"`
}

func hexes(leaves [][]byte) []string {
	out := make([]string, len(leaves))
	for i, l := range leaves {
		out[i] = hex.EncodeToString(l)
	}
	return out
}

func TestLightVectors(t *testing.T) {
	made := lightVectors{About: "Hashes and sign bytes of CometBFT v0.40 (docs/spec/certificate.md). Bytes are hexadecimal, " +
		"keys and signatures base64; leaves are the leaves of the tree whose root is hash."}
	for _, powers := range [][]int64{{1}, {10, 10, 10, 10}, {1, 300, 70_000, 1 << 40, 5}, {127, 128}} {
		made.Validators = append(made.Validators, makeValidatorVector(t, powers))
	}
	f := newFixture(t)
	genesis := f.headerAt(1)
	genesis.LastBlockID, genesis.AppVersion, genesis.Time = BlockID{}, 0, 1_700_000_000*second
	large := f.headerAt(1<<62 + 3)
	large.Time, large.LastBlockID.PartsTotal, large.AppHash = 999_999_999, 1<<32-1, testHash("app")
	headers := []Header{genesis, f.headerAt(7), large}
	for i, name := range []string{"first block", "usual", "large numbers"} {
		made.Headers = append(made.Headers, makeHeaderVector(name, &headers[i]))
	}
	for i, round := range []uint32{0, 1, 1<<31 - 1} {
		made.Votes = append(made.Votes, makeVoteVector(&headers[i], round, f.signers[i]))
	}
	var stored lightVectors
	checkVectors(t, "certificate-light.json", made, &stored)
}

func makeValidatorVector(t *testing.T, powers []int64) validatorVector {
	set := validators(newSigners("validator", powers...))
	total, err := totalPower(set)
	if err != nil {
		t.Fatal(err)
	}
	hash := ValidatorsHash(set)
	v := validatorVector{Set: set, Hash: hex.EncodeToString(hash[:]), Total: total}
	for _, val := range set {
		address := val.Address()
		v.Addresses = append(v.Addresses, hex.EncodeToString(address[:]))
		v.Leaves = append(v.Leaves, hex.EncodeToString(val.append(nil)))
	}
	return v
}

func makeBlockIDVector(id BlockID) blockIDVector {
	if id == (BlockID{}) {
		return blockIDVector{}
	}
	return blockIDVector{hex.EncodeToString(id.Hash[:]), id.PartsTotal, hex.EncodeToString(id.PartsHash[:])}
}

func makeHeaderVector(name string, h *Header) headerVector {
	text := func(b [32]byte) string { return hex.EncodeToString(b[:]) }
	return headerVector{
		Name: name, BlockVersion: h.BlockVersion, AppVersion: h.AppVersion, Chain: h.Chain, Height: h.Height, Time: h.Time,
		LastBlockID: makeBlockIDVector(h.LastBlockID), LastCommitHash: text(h.LastCommitHash), DataHash: text(h.DataHash),
		ValidatorsHash: text(h.ValidatorsHash), NextValidatorsHash: text(h.NextValidatorsHash),
		ConsensusHash: text(h.ConsensusHash), AppHash: text(h.AppHash), LastResultsHash: text(h.LastResultsHash),
		EvidenceHash: text(h.EvidenceHash), Proposer: hex.EncodeToString(h.Proposer[:]),
		Leaves: hexes(h.leaves()), Hash: text(h.Hash()),
	}
}

func makeVoteVector(h *Header, round uint32, s signer) voteVector {
	c := Commit{Round: round, PartsTotal: 3, PartsHash: testHash("parts")}
	hash := h.Hash()
	at := h.Time + 5*second + 7
	msg := c.SignBytes(h.Chain, h.Height, hash, at)
	return voteVector{
		Chain: h.Chain, Height: h.Height, Round: round, Time: at,
		Block:     makeBlockIDVector(BlockID{hash, c.PartsTotal, c.PartsHash}),
		SignBytes: hex.EncodeToString(msg), Key: s.key.Public(), Signature: s.key.Sign(msg),
	}
}
