package proof

import (
	"errors"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// lineageWorld is a ledger with streams a, b and c: b's statements 1..2, 3..4 and
// 10 are computed from a, c's 1 from the first two; and in a circle b's 9 from c's 5
// and c's 5 from b's 9.
type lineageWorld struct {
	*world
	a, b, c crypto.ID
	q       LineageQuery
	page    int // rows of a list; 0: all
	answer  func(w *lineageWorld, a *Answer)
}

func newLineageWorld(t testing.TB) *lineageWorld {
	w := &lineageWorld{
		world: newWorld(t), a: crypto.DeriveID("test", []byte("a")), b: crypto.DeriveID("test", []byte("b")), c: crypto.DeriveID("test", []byte("c")),
	}
	w.cover, w.places = nil, nil
	w.derive(10, Claim{w.b, 1, 2}, Claim{w.a, 1, 3})
	w.derive(11, Claim{w.b, 3, 4}, Claim{w.a, 4, 6}, Claim{w.a, 9, 9})
	w.derive(12, Claim{w.b, 10, 10}, Claim{w.a, 10, 10})
	w.derive(13, Claim{w.c, 1, 1}, Claim{w.b, 2, 3})
	w.derive(14, Claim{w.c, 5, 5}, Claim{w.b, 9, 9})
	w.derive(15, Claim{w.b, 9, 9}, Claim{w.c, 5, 5})
	w.q = LineageQuery{w.c, 1, LineageInputs, LineageDepth}
	return w
}

// derive writes the rows of a derived statement at an index of the log.
func (w *lineageWorld) derive(index uint64, statement Claim, inputs ...Claim) {
	var list []ledger.Input
	for place, in := range inputs {
		list = append(list, ledger.Input{Stream: in.Stream, First: in.First, Last: in.Last, Digest: testHash("input")})
		last := max(in.First, in.Last) // where the row would stand if it was sound
		w.rows[record.UseRow(in.Stream, in.First, last, index, uint64(place))] = record.Use{
			First: in.First, Last: in.Last, Stream: statement.Stream, DerivedFirst: statement.First, DerivedLast: statement.Last,
		}.Encode()
		k := record.UseLengthsRow(in.Stream)
		var lengths record.UseLengths
		if w.rows[k] != nil {
			lengths = must(record.ParseUseLengths(w.rows[k]))
		}
		lengths.Classes |= 1 << record.LengthClass(in.First, last)
		w.rows[k] = lengths.Encode()
	}
	w.rows[record.DerivedRow(statement.Stream, statement.First)] = record.Derived{Last: statement.Last, Inputs: list}.Encode()
}

// paged returns a query as a node answers it: a list may end early.
func (w *lineageWorld) paged(q Query) Query {
	if q.Kind != QueryList || w.page == 0 {
		return q
	}
	if keys := sortedKeys(w.rows, q.Lo, q.Hi); len(keys) > w.page {
		q.Hi = keys[w.page-1]
	}
	return q
}

// walkQueries returns the queries that the walk asks; of one that fails, those until then.
func (w *lineageWorld) walkQueries() []Query {
	var all []Query
	_, _ = WalkLineage(w.q, func(queries ...Query) (*Answered, error) {
		for i := range queries {
			queries[i] = w.paged(queries[i])
		}
		all = append(all, queries...)
		w.queries = queries
		return VerifyAnswer(w.world.answer().Encode(), w.root())
	})
	return all
}

// file makes the lineage's file; the validators sign the state.
func (w *lineageWorld) file() *LineageFile {
	w.queries = w.walkQueries()
	a := w.world.answer()
	if w.answer != nil {
		w.answer(w, a)
	}
	return &LineageFile{w.q, a.Encode()}
}

// lineageVariant is one way to make a lineage that differs from the sound one.
type lineageVariant struct {
	name, why string
	check     Check
	world     func(w *lineageWorld)                    // changes the ledger or the question
	queries   func(w *lineageWorld, q []Query) []Query // changes what the answer answers
	lineage   func(w *lineageWorld, f *LineageFile)    // changes what the answer is said to answer
	file      func(file []byte) []byte
	root      func(r *TrustRoot)
}

func (v lineageVariant) build(t testing.TB) ([]byte, TrustRoot) {
	w := newLineageWorld(t)
	if v.world != nil {
		v.world(w)
	}
	f := w.file()
	if v.queries != nil {
		w.queries = v.queries(w, slices.Clone(w.queries))
		f.Answer = w.world.answer().Encode()
	}
	if v.lineage != nil {
		v.lineage(w, f)
	}
	file, root := f.Encode(), w.root()
	if v.file != nil {
		file = v.file(file)
	}
	if v.root != nil {
		v.root(&root)
	}
	return file, root
}

// lineageFails returns the check that refuses a lineage, "" if it is accepted.
func lineageFails(t testing.TB, file []byte, root TrustRoot) Check {
	t.Helper()
	l, err := VerifyLineage(file, root)
	if err == nil {
		return ""
	}
	var r *Refusal
	if l != nil || !errors.As(err, &r) || r.Check == "" || r.Err == nil {
		t.Fatalf("not a proper refusal: %v, %v", l, err)
	}
	return r.Check
}
