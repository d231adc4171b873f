package proof

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// fixture is a small ledger under four validators, made without package state:
// a test changes a field, and the validators then sign what follows from it.
type fixture struct {
	t         testing.TB
	chain     string
	signers   []signer // that sign Light, sorted as the set is
	device    crypto.PrivateKey
	org       crypto.ID
	stream    crypto.ID
	statement *ledger.Statement
	entries   [][]byte // of the log; the statement is entry index
	index     uint64
	height    uint64 // at which the statement was committed
	rows      map[merkle.Key][]byte
	queries   []merkle.Query
	header    Header // the template of all headers
	commit    Commit // the template of all commits
	path      []PathStep
	pinned    []signer // the set of the trust root
}

// signer is a validator with its private key.
type signer struct {
	key   crypto.PrivateKey
	power int64
}

func (s signer) validator() Validator { return Validator{s.key.Public(), s.power} }

// testKey returns the key of a name, always the same.
func testKey(name string) crypto.PrivateKey {
	return crypto.KeyFromSeed(sha256.Sum256([]byte("proof fixture " + name)))
}

func testHash(name string) merkle.Hash { return sha256.Sum256([]byte("proof fixture " + name)) }

// newSigners returns validators with the given powers, sorted as a set.
func newSigners(name string, powers ...int64) []signer {
	out := make([]signer, len(powers))
	for i, p := range powers {
		out[i] = signer{testKey(fmt.Sprintf("%s %d", name, i)), p}
	}
	slices.SortFunc(out, func(a, b signer) int { return compareValidators(a.validator(), b.validator()) })
	return out
}

func validators(set []signer) []Validator {
	out := make([]Validator, len(set))
	for i, s := range set {
		out[i] = s.validator()
	}
	return out
}

// second is in nanoseconds. The fixture's blocks are a second apart.
const second = 1_000_000_000

// blockTime is the time of the block at a height, in nanoseconds.
func blockTime(height uint64) int64 { return 1_790_000_000*second + int64(height)*second + 123_456_789 }

// newFixture returns a sound ledger: the statement, of three readings, is entry
// 5 of 7 and was committed at height 4, of which height 6 is the newest.
func newFixture(t testing.TB) *fixture {
	f := &fixture{
		t: t, chain: "mtm-test-1", device: testKey("device"), org: ledger.OrganisationID(testKey("admin").Public()),
		index: 5, height: 4, rows: make(map[merkle.Key][]byte),
	}
	f.signers = newSigners("validator", 10, 10, 10, 10)
	f.pinned = f.signers
	device := ledger.DeviceID(f.device.Public())
	f.stream = ledger.StreamID(f.chain, device, "temperature")
	f.sign(17, "21.5", "21.25", "\x00\xff")
	for i := range 7 {
		f.entries = append(f.entries, fmt.Appendf(nil, "entry %d", i))
	}
	f.rows[record.KeyRow(device, f.device.Public().KeyID())] = record.Key{Public: f.device.Public(), Opens: 3}.Encode()
	f.rows[record.OwnerRow(f.stream, 3)] = record.Owner{Organisation: f.org}.Encode()
	f.addBlock(1, 0, 2)
	f.addBlock(3, 2, 2)
	f.addBlock(4, 4, 2)
	f.addBlock(6, 6, 1)
	f.queries = RecordQueries(device, f.device.Public().KeyID(), f.stream, f.height)
	f.header = f.headerAt(7)
	f.commit = Commit{PartsTotal: 1, PartsHash: testHash("parts")}
	return f
}

// sign makes the statement anew, with readings from a number on.
func (f *fixture) sign(first uint64, contents ...string) {
	s := ledger.Statement{
		Device: ledger.DeviceID(f.device.Public()), Stream: f.stream, First: first, Media: ledger.Media{Text: "text/plain"},
	}
	for i, c := range contents {
		at := blockTime(4)/1000 - 300_000 + int64(i)*100_000
		s.Readings = append(s.Readings, ledger.Reading{Time: at, Content: []byte(c)})
	}
	var err error
	if f.statement, err = ledger.SignStatement(f.device, s); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) addBlock(height, first, count uint64) {
	f.rows[record.BlockRow(height)] = record.Block{First: first, Count: count, Time: blockTime(height) / 1000}.Encode()
}

func (f *fixture) headerAt(height uint64) Header {
	return Header{
		BlockVersion: BlockProtocol, AppVersion: 1, Chain: f.chain, Height: height, Time: blockTime(height),
		LastBlockID:        BlockID{testHash("last block"), 1, testHash("last parts")},
		LastCommitHash:     testHash("last commit"),
		DataHash:           testHash("data"),
		ValidatorsHash:     ValidatorsHash(validators(f.signers)),
		NextValidatorsHash: ValidatorsHash(validators(f.signers)),
		ConsensusHash:      testHash("consensus"),
		LastResultsHash:    testHash("last results"),
		EvidenceHash:       sha256.Sum256(nil),
		Proposer:           f.signers[min(1, len(f.signers)-1)].validator().Address(),
	}
}

// root is the trust root that fits the fixture.
func (f *fixture) root() TrustRoot {
	return TrustRoot{Chain: f.chain, Validators: validators(f.pinned)}
}

// certificate proves readings first..last of the statement.
func (f *fixture) certificate(first, last uint64) *Certificate {
	c := &Certificate{Claim: Claim{f.stream, first, last}, Entry: f.statement.Bytes(), Height: f.height, Index: f.index}
	entries := slices.Clone(f.entries)
	entries[f.index] = c.Entry
	leaves := make([]merkle.Hash, len(entries))
	for i, e := range entries {
		leaves[i] = merkle.LeafHash(e)
	}
	c.Size = uint64(len(leaves))
	var logRoot merkle.Hash
	c.LogPath, logRoot = provePath(f.t, leaves, f.index)
	var recordsRoot merkle.Hash
	c.Records, recordsRoot = proveRows(f.t, f.rows, f.queries)
	h := f.header
	h.AppHash = merkle.AppHash(c.Size, logRoot, recordsRoot)
	c.Light = signLight(h, f.commit, f.signers)
	c.Path = f.path
	return c
}

// signLight lets the validators sign a header, and takes the fewest signatures.
func signLight(h Header, c Commit, set []signer) LightBlock {
	hash := h.Hash()
	for i, s := range set {
		at := h.Time + int64(i+1)*1_000_000
		c.Signatures = append(c.Signatures, CommitSig{uint32(i), at, s.key.Sign(c.SignBytes(h.Chain, h.Height, hash, at))})
	}
	if chosen, err := SelectSignatures(validators(set), c.Signatures); err == nil {
		c.Signatures = chosen
	}
	return LightBlock{h, c}
}

// step is a change of the validator set at a height, signed by the set before.
func (f *fixture) step(height uint64, from, to []signer) PathStep {
	h := f.headerAt(height)
	h.AppHash = testHash("app")
	h.ValidatorsHash, h.NextValidatorsHash = ValidatorsHash(validators(from)), ValidatorsHash(validators(to))
	h.Proposer = from[0].validator().Address()
	return PathStep{signLight(h, Commit{Round: 1, PartsTotal: 2, PartsHash: testHash("parts")}, from), validators(to)}
}

// changeSet lets the validator set change at a height. The new one signs Light.
func (f *fixture) changeSet(height uint64, to []signer) {
	f.path = append(f.path, f.step(height, f.signers, to))
	f.signers = to
	f.header = f.headerAt(f.header.Height)
}

type tileMap map[[2]uint64][]merkle.Hash

func (m tileMap) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	return m[[2]uint64{uint64(level), index}], nil
}

// provePath returns the inclusion path of a leaf, and the root.
func provePath(t testing.TB, leaves []merkle.Hash, index uint64) ([]merkle.Hash, merkle.Hash) {
	t.Helper()
	tiles, err := merkle.NewTiles(0, tileMap{}, leaves)
	if err != nil {
		t.Fatal(err)
	}
	stored := make(tileMap)
	for _, tile := range tiles {
		stored[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
	path, err := merkle.InclusionProof(stored, uint64(len(leaves)), index)
	if err != nil {
		t.Fatal(err)
	}
	root, err := merkle.VerifyInclusion(leaves[index], index, uint64(len(leaves)), path)
	if err != nil {
		t.Fatal(err)
	}
	return path, root
}

// trieMap is a stored trie.
type trieMap struct {
	nodes  map[merkle.NodeID]merkle.Node
	values map[merkle.Key][]byte
	root   merkle.Ref
}

func (m *trieMap) Node(id merkle.NodeID) (merkle.Node, error) {
	n, ok := m.nodes[id]
	if !ok {
		return n, fmt.Errorf("no node %v", id)
	}
	return n, nil
}

func (m *trieMap) Value(k merkle.Key) ([]byte, error) {
	v, ok := m.values[k]
	if !ok {
		return nil, fmt.Errorf("no row %v", k)
	}
	return v, nil
}

func newTrie(t testing.TB, rows map[merkle.Key][]byte) *trieMap {
	t.Helper()
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b merkle.Key) int { return slices.Compare(a[:], b[:]) })
	changes := make([]merkle.Change, len(keys))
	for i, k := range keys {
		changes[i] = merkle.Change{Key: k, Value: rows[k]}
	}
	m := &trieMap{nodes: make(map[merkle.NodeID]merkle.Node), values: rows}
	root, writes, err := merkle.Update(m, merkle.Ref{}, changes)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writes {
		m.nodes[w.ID] = *w.Node
	}
	m.root = root
	return m
}

func proveRows(t testing.TB, rows map[merkle.Key][]byte, queries []merkle.Query) ([]byte, merkle.Hash) {
	t.Helper()
	m := newTrie(t, rows)
	tree, err := merkle.Prove(m, m, m.root, queries...)
	if err != nil {
		t.Fatal(err)
	}
	return tree, m.root.RootHash()
}
