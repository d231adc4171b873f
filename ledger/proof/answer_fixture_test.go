package proof

import (
	"errors"
	"fmt"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// world is a small ledger that answers are made about. Its stream has statements
// with the numbers 1..10 (entry 3) and 17..19 (entry 5), the gap 11..16, and the
// mark 19.
type world struct {
	*fixture
	queries []Query
	cover   *Claim
	places  []place // of the entries in the answer
}

// place is where an entry stands.
type place struct{ index, height uint64 }

func newWorld(t testing.TB) *world {
	w := &world{fixture: newFixture(t)}
	device := ledger.DeviceID(w.device.Public())
	w.entries[0] = genesisEntry(w.chain)
	w.entries[2] = w.operation().Bytes()
	w.entries[5] = w.statement.Bytes()
	contents := make([]string, 10)
	for i := range contents {
		contents[i] = fmt.Sprintf("20.%d", i)
	}
	late := *w.fixture
	late.sign(1, contents...)
	w.entries[3] = late.statement.Bytes()
	w.addBlock(0, 0, 1)
	w.addBlock(1, 1, 1)
	w.rows[record.StreamRow(w.stream)] = record.StreamHead{Device: device, Mark: 19, Gaps: 1}.Encode()
	w.rows[record.GapRow(w.stream, 11)] = record.Gap{Last: 16}.Encode()
	w.rows[record.OwnerRow(w.stream, 6)] = record.Owner{Organisation: ledger.OrganisationID(other().Public()), Since: 6}.Encode()
	admin := testKey("admin").Public()
	w.rows[record.KeyRow(w.org, admin.KeyID())] = record.Key{Public: admin, Opens: 1}.Encode()
	w.rows[record.OrganisationRow(w.org, 0)] = record.Organisation{Name: "Test Works", Threshold: 1}.Encode()
	for i := range 5 {
		w.addDevice(i)
	}
	w.places = []place{{3, 3}, {5, 4}}
	w.cover = &Claim{w.stream, 5, 25}
	w.queries = []Query{
		childrenQuery(record.FamilyOrganisationDevice, w.org),
		AtQuery(record.FamilyOwner, w.stream, 5),
		RowQuery(record.StreamRow(w.stream)),
		RowQuery(record.StreamRow(crypto.ID{1})),
	}
	return w
}

func childrenQuery(f record.Family, of crypto.ID) Query { return ListQuery(record.Range(f, of)) }

func genesisEntry(chain string) []byte {
	g := ledger.Genesis{}
	return g.Entry(chain)
}

func (w *world) addDevice(i int) {
	id := ledger.DeviceID(testKey(fmt.Sprint("device ", i)).Public())
	w.rows[record.OrganisationDeviceRow(w.org, id)] = record.Spans{{From: 1, To: uint64(i + 2)}, {From: uint64(i + 4)}}.Encode()
}

func (w *world) operation() *ledger.Operation {
	o, err := ledger.SignOperation(testKey("admin"), ledger.Operation{
		Chain: w.chain, Actor: w.org, NotAfter: 1_800_000_000,
		Body: ledger.OpenStream{Device: ledger.DeviceID(w.device.Public()), Name: "temperature"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// answer makes the answer; the validators sign the state.
func (w *world) answer() *Answer {
	w.t.Helper()
	a := &Answer{Queries: w.queries, Cover: w.cover, Size: uint64(len(w.entries))}
	for _, p := range w.places {
		a.Entries = append(a.Entries, AnswerEntry{p.index, p.height, w.entries[p.index]})
	}
	leaves := make([]merkle.Hash, len(w.entries))
	for i, e := range w.entries {
		leaves[i] = merkle.LeafHash(e)
	}
	var logRoot merkle.Hash
	a.LogPath, logRoot = proveMany(w.t, leaves, w.places)
	questions, err := a.RecordQueries()
	if err != nil {
		questions = nil
		for _, q := range w.queries {
			questions = append(questions, q.merkle())
		}
	}
	var recordsRoot merkle.Hash
	a.Records, recordsRoot = proveRows(w.t, w.rows, questions)
	h := w.header
	h.AppHash = merkle.AppHash(a.Size, logRoot, recordsRoot)
	a.Light = signLight(h, w.commit, w.signers)
	a.Path = w.path
	return a
}

// proveMany returns the multi-proof of leaves, and the root.
func proveMany(t testing.TB, leaves []merkle.Hash, places []place) ([]merkle.Hash, merkle.Hash) {
	t.Helper()
	frontier, err := merkle.NewFrontier(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		frontier.Append(l)
	}
	if len(places) == 0 {
		return []merkle.Hash{frontier.Root()}, frontier.Root()
	}
	tiles, err := merkle.NewTiles(0, tileMap{}, leaves)
	if err != nil {
		t.Fatal(err)
	}
	stored := make(tileMap)
	for _, tile := range tiles {
		stored[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
	indexes := make([]uint64, len(places))
	for i, p := range places {
		indexes[i] = p.index
	}
	path, err := merkle.MultiProof(stored, uint64(len(leaves)), indexes)
	if err != nil {
		t.Fatal(err)
	}
	return path, frontier.Root()
}

// answerFails returns the check that refuses an answer, "" if it is accepted.
func answerFails(t testing.TB, file []byte, root TrustRoot) Check {
	t.Helper()
	a, err := VerifyAnswer(file, root)
	if err == nil {
		return ""
	}
	var r *Refusal
	if a != nil || !errors.As(err, &r) || r.Check == "" || r.Err == nil {
		t.Fatalf("not a proper refusal: %v, %v", a, err)
	}
	return r.Check
}
