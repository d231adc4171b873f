package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// lyingNode answers truly, with proofs, unless it is told to answer another question, or
// to leave something out. What needs no proof it invents.
type lyingNode struct {
	t         *testing.T
	validator crypto.PrivateKey
	rows      map[merkle.Key][]byte
	log       [][]byte // entry i was committed at height i+1
	height    uint64   // of the proven state
	signed    time.Time
	page      int // rows of a list in an answer

	another func(q *client.AnswerRequest) // the question that is answered instead
	leave   func(a *proof.Answer)         // what is left out

	dir, address string
}

const lyingChain = "lying"

func lyingKey(name string) crypto.PrivateKey {
	var seed [32]byte
	copy(seed[:], name)
	return crypto.KeyFromSeed(seed)
}

func newLyingNode(t *testing.T) *lyingNode {
	n := &lyingNode{
		t: t, validator: lyingKey("validator"), rows: make(map[merkle.Key][]byte), log: [][]byte{[]byte("genesis")},
		height: 20, signed: time.Now(), page: 1000, dir: t.TempDir(),
	}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.address = strings.TrimPrefix(server.URL, "http://")
	n.rows[record.HistoryRow(record.FamilyMembers, crypto.ID{}, 0)] = record.Members{}.Encode()
	if err := os.WriteFile(n.file("trust.json"), n.root().Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *lyingNode) file(name string) string { return filepath.Join(n.dir, name) }

func (n *lyingNode) root() proof.TrustRoot {
	return proof.TrustRoot{Chain: lyingChain, Validators: []proof.Validator{{Key: n.validator.Public(), Power: 1}}}
}

// mtm runs a command that asks the node.
func (n *lyingNode) mtm(args ...string) (code int, stdout, stderr string) {
	n.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--home", n.file("none"), "--node", n.address, "--trust", n.file("trust.json"))
	code = run(n.t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// key writes a key file.
func (n *lyingNode) key(name string) string {
	n.t.Helper()
	path := n.file(name + ".pem")
	if err := crypto.SaveKey(path, lyingKey(name)); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// organisation records an organisation from a height on.
func (n *lyingNode) organisation(name, key string, height uint64) crypto.ID {
	id := ledger.OrganisationID(lyingKey(key).Public())
	n.rows[record.OrganisationRow(id, height)] = record.Organisation{Name: name, Threshold: 1}.Encode()
	return id
}

// stream records a stream with a statement for each number, with proofs of each.
func (n *lyingNode) stream(name string, contents ...string) (stream crypto.ID, digests [][32]byte) {
	n.t.Helper()
	key := lyingKey(name)
	device := ledger.DeviceID(key.Public())
	stream = ledger.StreamID(lyingChain, device, name)
	n.rows[record.KeyRow(device, key.Public().KeyID())] = record.Key{Public: key.Public(), Opens: 1}.Encode()
	n.rows[record.StreamRow(stream)] = record.StreamHead{Device: device, Mark: uint64(len(contents))}.Encode()
	for i, content := range contents {
		s, err := ledger.SignStatement(key, ledger.Statement{
			Device: device, Stream: stream, First: uint64(i + 1), Readings: []ledger.Reading{{Content: []byte(content)}},
		})
		if err != nil {
			n.t.Fatal(err)
		}
		index := uint64(len(n.log))
		n.rows[record.BlockRow(index+1)] = record.Block{First: index, Count: 1, Time: 5}.Encode()
		n.log = append(n.log, s.Bytes())
		digests = append(digests, s.Digest())
	}
	return stream, digests
}

func (n *lyingNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var reply query.Message
	switch strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(client.PathQuery, "/")) {
	case query.PathStatus:
		reply = &query.Status{Chain: lyingChain, Height: n.height + 1, SignedHeight: n.height}
	case query.PathPin:
		reply = &query.Pin{ID: crypto.ID{7}, Height: n.height, Expires: time.Now().Add(time.Minute).UnixMicro()}
	case query.PathUnpin:
		reply = &query.Empty{}
	case query.PathOrganisations:
		reply = &query.OrganisationList{Height: n.height, List: []query.OrganisationInfo{{Organisation: crypto.ID{0x66}, Name: "Works B"}}}
	case query.PathKey:
		reply = &query.KeyInfo{Height: n.height, Key: lyingKey("a").Public()}
	case query.PathAnswer:
		var q query.AnswerRequest
		if err := query.Decode(request, &q); err != nil {
			n.t.Error(err)
			return
		}
		reply = &query.File{Bytes: n.answer(q)}
	default:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"code":%d,"name":"not_found","text":"%s"}`, uint64(ledger.CodeNotFound), r.URL.Path)
		return
	}
	w.Write(query.Encode(reply))
}

// answer answers the question, or another one.
func (n *lyingNode) answer(q client.AnswerRequest) []byte {
	if n.another != nil {
		n.another(&q)
	}
	a := &proof.Answer{Size: uint64(len(n.log))}
	for i := range q.Questions {
		n.question(&q.Questions[i], a)
	}
	for _, index := range q.Entries {
		a.Entries = append(a.Entries, proof.AnswerEntry{Index: index, Height: index + 1, Bytes: n.log[index]})
	}
	if c := q.Cover; c != nil {
		a.Cover = &proof.Claim{Stream: c.Stream, First: c.First, Last: c.Last}
		for i, raw := range n.log[1:] {
			s, err := ledger.ParseStatement(raw)
			if err == nil && s.Stream == c.Stream && s.Last() >= c.First && s.First <= c.Last {
				a.Entries = append(a.Entries, proof.AnswerEntry{Index: uint64(i + 1), Height: uint64(i + 2), Bytes: raw})
			}
		}
	}
	if n.leave != nil {
		n.leave(a)
	}
	n.prove(a)
	return a.Encode()
}

// question adds the queries of a question: a list ends with the page.
func (n *lyingNode) question(q *client.Question, a *proof.Answer) {
	if q.Kind != proof.QueryList {
		a.Queries = append(a.Queries, q.Query)
		return
	}
	query, about := q.Query, []proof.Query(nil)
	count := 0
	for _, k := range n.keys() {
		if string(k[:]) < string(q.Lo[:]) || string(k[:]) > string(q.Hi[:]) {
			continue
		}
		if count++; count > n.page {
			break
		}
		if count == n.page {
			query.Hi = k
		}
		if q.Follow != 0 {
			about = append(about, q.About(record.ChildOf(k)))
		}
	}
	if count <= n.page {
		query.Hi = q.Hi
	}
	a.Queries = append(append(a.Queries, query), about...)
}

func (n *lyingNode) keys() []merkle.Key {
	return slices.SortedFunc(maps.Keys(n.rows), func(a, b merkle.Key) int { return slices.Compare(a[:], b[:]) })
}

// prove adds the proofs, and the validator's signature.
func (n *lyingNode) prove(a *proof.Answer) {
	n.t.Helper()
	leaves, tiles := make([]merkle.Hash, len(n.log)), make(memoryTiles)
	frontier, err := merkle.NewFrontier(0, nil)
	must(n.t, err)
	for i, entry := range n.log {
		leaves[i] = merkle.LeafHash(entry)
		frontier.Append(leaves[i])
	}
	made, err := merkle.NewTiles(0, tiles, leaves)
	must(n.t, err)
	for _, tile := range made {
		tiles[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
	if a.LogPath = []merkle.Hash{frontier.Root()}; len(a.Entries) > 0 {
		var indexes []uint64
		for _, e := range a.Entries {
			indexes = append(indexes, e.Index)
		}
		a.LogPath, err = merkle.MultiProof(tiles, a.Size, indexes)
		must(n.t, err)
	}
	trie := memoryTrie{make(map[merkle.NodeID]merkle.Node), n.rows}
	var changes []merkle.Change
	for _, k := range n.keys() {
		changes = append(changes, merkle.Change{Key: k, Value: n.rows[k]})
	}
	records, writes, err := merkle.Update(trie, merkle.Ref{}, changes)
	must(n.t, err)
	for _, w := range writes {
		trie.nodes[w.ID] = *w.Node
	}
	queries, err := a.RecordQueries()
	must(n.t, err)
	a.Records, err = merkle.Prove(trie, trie, records, queries...)
	must(n.t, err)
	set := n.root().Validators
	h := proof.Header{
		BlockVersion: proof.BlockProtocol, Chain: lyingChain, Height: n.height + 1, Time: n.signed.UnixNano(),
		ValidatorsHash: proof.ValidatorsHash(set), Proposer: set[0].Address(), LastBlockID: proof.BlockID{PartsTotal: 1},
		AppHash: merkle.AppHash(a.Size, frontier.Root(), records.RootHash()),
	}
	c := proof.Commit{PartsTotal: 1}
	c.Signatures = []proof.CommitSig{{Time: h.Time, Signature: n.validator.Sign(c.SignBytes(h.Chain, h.Height, h.Hash(), h.Time))}}
	a.Light = proof.LightBlock{Header: h, Commit: c}
}

// lie is a command, and a way to answer another question than its own.
type lie struct {
	name    string
	args    []string
	another func(q *client.AnswerRequest)
	leave   func(a *proof.Answer)
}

// refused runs commands that the node answers with lies: each ends with an error that says
// so, prints nothing and writes no file.
func (n *lyingNode) refused(lies []lie) {
	n.t.Helper()
	for _, l := range lies {
		saved := n.file("saved")
		_ = os.Remove(saved)
		n.another, n.leave = l.another, l.leave
		code, stdout, stderr := n.mtm(l.args...)
		n.another, n.leave = nil, nil
		if _, err := os.Stat(saved); code != exitFailed || stdout != "" || err == nil ||
			!strings.Contains(stderr, "the node's answer is refused: it is to another question: ") || !strings.Contains(stderr, "\ntry: ") {
			n.t.Errorf("%s: exit code %d, %s%s", l.name, code, stdout, stderr)
		}
	}
}

// accepted runs a command that the node answers truly.
func (n *lyingNode) accepted(want string, args ...string) (stdout, stderr string) {
	n.t.Helper()
	code, stdout, stderr := n.mtm(args...)
	if code != exitOK || !strings.Contains(stdout, want) {
		n.t.Errorf("%v: exit code %d, %s%s", args, code, stdout, stderr)
	}
	return stdout, stderr
}

// first cuts all but the first queries of an answer.
func first(queries int) func(*proof.Answer) {
	return func(a *proof.Answer) { a.Queries = a.Queries[:queries] }
}

// instead puts another query in place of the first one.
func instead(query proof.Query) func(*client.AnswerRequest) {
	return func(q *client.AnswerRequest) {
		if len(q.Questions) > 0 {
			q.Questions[0].Query = query
		}
	}
}

// TestAnotherProposal: a member is shown the proposal that it asked for, with all who agreed.
func TestAnotherProposal(t *testing.T) {
	n := newLyingNode(t)
	asked, other := crypto.ID{1}, crypto.ID{2}
	for id, body := range map[crypto.ID]ledger.Body{asked: ledger.Remove{Organisation: crypto.ID{9}}, other: ledger.CloseStream{Stream: crypto.ID{8}}} {
		n.rows[record.ProposalRow(id)] = record.Proposal{Proposer: crypto.ID{3}, Expires: 1 << 40, Body: ledger.EncodeBody(body)}.Encode()
		for by := range 2 {
			n.rows[record.ApprovalRow(id, crypto.ID{byte(by)})] = record.Approvals{List: []record.Approval{{Height: 4}}}.Encode()
		}
	}
	show := []string{"vote", "show", "--proposal", asked.String()}
	if out, _ := n.accepted("remove by", show...); strings.Count(out, "approved by") != 2 {
		t.Error(out)
	}
	n.refused([]lie{
		{"another proposal", show, instead(proof.RowQuery(record.ProposalRow(other))), nil},
		{"another's approvals", show, func(q *client.AnswerRequest) {
			q.Questions[1].Query = proof.ListQuery(record.Range(record.FamilyApproval, other))
		}, nil},
		{"a list without its end", show, func(q *client.AnswerRequest) { q.Questions[1].Hi = record.ApprovalRow(asked, crypto.ID{}) }, nil},
		{"no approvals", show, nil, first(1)},
		{"nothing", show, nil, first(0)},
		{"a cover", show, func(q *client.AnswerRequest) { *q = client.AnswerRequest{} }, nil},
		{"all proposals, of another family", []string{"vote", "list"}, instead(proof.ListQuery(record.FamilyRange(record.FamilyGrant))), nil},
		{"no proposals", []string{"vote", "list"}, nil, first(0)},
	})
}

// TestAnotherDelivery: what is signed as received is of the stream and the numbers that were
// asked for.
func TestAnotherDelivery(t *testing.T) {
	n := newLyingNode(t)
	stream, digests := n.stream("press", "a", "b", "c")
	other, _ := n.stream("pump", "d", "e", "f")
	grant, foreign := crypto.ID{1}, crypto.ID{2}
	n.rows[record.GrantRow(grant)] = record.Grant{Stream: stream, Last: 9}.Encode()
	n.rows[record.GrantRow(foreign)] = record.Grant{Stream: other, Last: 9}.Encode()
	sign := []string{"delivery", "sign", "--grant", grant.String(), "--first", "1", "--last", "3", "--as", crypto.ID{5}.String(),
		"--key", n.key("consumer"), "--save-body", n.file("saved")}
	covering := func(change func(c *query.RangeRequest)) func(*client.AnswerRequest) {
		return func(q *client.AnswerRequest) {
			if q.Cover != nil {
				change(q.Cover)
			}
		}
	}
	n.refused([]lie{
		{"another grant", sign, instead(proof.RowQuery(record.GrantRow(foreign))), nil},
		{"no grant", sign, nil, first(0)},
		{"another stream", sign, covering(func(c *query.RangeRequest) { c.Stream = other }), nil},
		{"later numbers", sign, covering(func(c *query.RangeRequest) { c.First = 2 }), nil},
		{"more numbers", sign, covering(func(c *query.RangeRequest) { c.Last = 4 }), nil},
		{"no cover", sign, nil, func(a *proof.Answer) {
			if a.Cover != nil {
				a.Cover, a.Entries = nil, nil
			}
		}},
		{"entries without a cover", sign, nil, func(a *proof.Answer) { a.Cover = nil }},
	})
	// The cover may come in parts.
	n.another = covering(func(c *query.RangeRequest) { c.Last = c.First })
	n.accepted("deliver", sign...)
	b, err := os.ReadFile(n.file("saved"))
	must(t, err)
	body, err := ledger.ParseBody(b)
	if d, ok := body.(ledger.Deliver); err != nil || !ok || d.Digest != ledger.DeliveryDigest(digests...) {
		t.Errorf("%+v, %v", body, err)
	}
}

// TestAnotherState: who the members and the validators are is said as of the height that was
// asked for.
func TestAnotherState(t *testing.T) {
	n := newLyingNode(t)
	a := n.organisation("Works A", "a", 0)
	n.rows[record.MembersRow(0)] = record.Members{Organisations: []crypto.ID{a}}.Encode()
	n.rows[record.MembersRow(9)] = record.Members{}.Encode()
	n.rows[record.AdminsRow(a, 0)] = record.Admins{Keys: []crypto.KeyID{lyingKey("a").Public().KeyID()}}.Encode()
	set := record.ValidatorSet{Validators: []record.Validator{{Organisation: a, Key: lyingKey("v").Public(), Power: 3}}}
	n.rows[record.ValidatorSetRow(0)] = set.Encode()
	n.rows[record.ValidatorSetRow(9)] = record.ValidatorSet{}.Encode()
	org, status := []string{"org", "show", "--organisation", a.String()}, []string{"validator", "status"}
	n.accepted("member false", org...)
	n.accepted("member true", append(org, "--height", "8")...)
	n.accepted("power 3 of 3", append(status, "--height", "8")...)
	before := func(q *client.AnswerRequest) {
		for i := range q.Questions {
			q.Questions[i].Hi = record.HistoryRow(record.FamilyOf(q.Questions[i].Lo), record.IDOf(q.Questions[i].Lo), 8)
		}
	}
	n.refused([]lie{
		{"members before", org, before, nil},
		{"no members", org, nil, first(0)},
		{"an organisation without its keys", org, nil, func(a *proof.Answer) {
			if len(a.Queries) > 1 {
				a.Queries = a.Queries[:1]
			}
		}},
		{"validators before", status, before, nil},
		{"no validators", status, nil, first(0)},
		{"another family", status, instead(proof.AtQuery(record.FamilyMembers, crypto.ID{}, 0)), nil},
	})
}

// TestAnotherHeight: what follows a list is about the height that was asked for.
func TestAnotherHeight(t *testing.T) {
	n := newLyingNode(t)
	org, device := n.organisation("Works A", "a", 0), crypto.ID{4}
	n.rows[record.OrganisationDeviceRow(org, device)] = record.Spans{{From: 2}}.Encode()
	n.rows[record.DeviceRow(device, 2)] = record.Device{Organisation: org}.Encode()
	n.rows[record.DeviceRow(device, 5)] = record.Device{Organisation: org, Status: record.StatusRetired}.Encode()
	devices := []string{"query", "devices", "--org", org.String()}
	n.accepted("retired", devices...)
	n.accepted("active", append(devices, "--at", "4")...)
	at := func(height uint64) func(*client.AnswerRequest) {
		return func(q *client.AnswerRequest) { q.Questions[0].At = height }
	}
	n.refused([]lie{
		{"as it was", devices, at(3), nil},
		{"as it is", append(devices, "--at", "4"), at(0), nil},
		{"the device's list", devices, func(q *client.AnswerRequest) { q.Questions[0].Follow = record.FamilyOwner }, nil},
		{"nothing about the device", devices, nil, first(1)},
	})
}

type memoryTiles map[[2]uint64][]merkle.Hash

func (m memoryTiles) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	return m[[2]uint64{uint64(level), index}], nil
}

// memoryTrie is a stored trie.
type memoryTrie struct {
	nodes  map[merkle.NodeID]merkle.Node
	values map[merkle.Key][]byte
}

func (m memoryTrie) Node(id merkle.NodeID) (merkle.Node, error) { return m.nodes[id], nil }
func (m memoryTrie) Value(k merkle.Key) ([]byte, error)         { return m.values[k], nil }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
