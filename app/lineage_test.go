package app

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// derived signs readings first..last of a device's stream, computed from inputs.
func derived(d *ledgertest.Device, first, last uint64, inputs ...ledger.Input) []byte {
	d.L.T.Helper()
	s, err := ledger.SignStatement(d.Key, ledger.Statement{
		Device: d.ID, Stream: d.Stream, First: first, Readings: make([]ledger.Reading, last-first+1), Inputs: inputs,
	})
	if err != nil {
		d.L.T.Fatal(err)
	}
	return s.Bytes()
}

func from(d *ledgertest.Device, first, last uint64) ledger.Input {
	return ledger.Input{Stream: d.Stream, First: first, Last: last}
}

// asker asks for verified answers in pages of limit rows.
func (s signer) asker(limit uint64) proof.AskLineage {
	return func(queries ...proof.Query) (*proof.Answered, error) {
		q := &query.AnswerRequest{Limit: limit}
		for _, x := range queries {
			q.Questions = append(q.Questions, query.Question{Query: x})
		}
		return s.answer(q), nil
	}
}

// lineageChain has streams a -> b -> c, b's statements 1..2 and 3..4 from a, c from
// both, and c's number 5 twice from b's 9, which was committed late. Whatever c is computed
// from is there before it, so there are no circles.
func lineageChain(t *testing.T) (s signer, a, b, c *ledgertest.Device) {
	l := ledgertest.New(t)
	ch := newChain(t, l)
	s = ch.sign()
	a, b, c = ch.device("a"), ch.device("b"), ch.device("c")
	ch.block(l.Batch(a.StatementAt(1, 10)))
	ch.block(l.Batch(derived(b, 1, 2, from(a, 1, 3)), derived(b, 3, 4, from(a, 4, 6), from(a, 9, 9)), derived(b, 10, 10, from(a, 10, 10))))
	ch.block(l.Batch(derived(c, 1, 1, from(b, 2, 3)), derived(c, 5, 5, from(b, 9, 9), from(b, 9, 9))))
	res := ch.block(l.Batch(derived(b, 9, 9, from(c, 5, 5)), derived(b, 9, 9, from(a, 10, 10)), derived(c, 5, 5, from(b, 9, 9), from(b, 9, 9))))
	if !slices.Equal(res[0].Codes, []ledger.Code{ledger.CodeOutOfRange, ledger.CodeOK, ledger.CodeOK}) {
		t.Fatal(res)
	}
	ch.block()
	return s, a, b, c
}

func walked(t *testing.T, s signer, limit uint64, d *ledgertest.Device, number uint64, direction string, depth int) *proof.Lineage {
	t.Helper()
	l, err := proof.WalkLineage(proof.LineageQuery{Stream: d.Stream, Number: number, Direction: direction, Depth: depth}, s.asker(limit))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLineage(t *testing.T) {
	s, a, b, c := lineageChain(t)
	for _, limit := range []uint64{0, 1, 2} {
		l := walked(t, s, limit, c, 1, proof.LineageInputs, 3)
		next := l.Inputs.Next
		if l.Edges != 4 || len(next) != 1 || len(next[0].Next) != 3 || len(l.Cut) != 0 || l.Uses != nil {
			t.Fatalf("pages of %d: inputs\n%s", limit, l)
		}
		if e := next[0].Next[2]; e.Derived != (proof.Claim{Stream: b.Stream, First: 3, Last: 4}) || e.Input != (proof.Claim{Stream: a.Stream, First: 9, Last: 9}) {
			t.Errorf("pages of %d: edge %+v", limit, e)
		}
		l = walked(t, s, limit, a, 3, proof.LineageUses, 3)
		if l.Edges != 2 || l.Uses.Next[0].Next[0].Derived != (proof.Claim{Stream: c.Stream, First: 1, Last: 1}) || len(l.Cut) != 0 {
			t.Errorf("pages of %d: uses\n%s", limit, l)
		}
		l = walked(t, s, limit, b, 2, proof.LineageBoth, 1)
		if l.Edges != 2 || l.Cut[proof.CutDepth] != 2 || !strings.Contains(l.String(), "the depth asked for ends there") {
			t.Errorf("pages of %d: both\n%s", limit, l)
		}
		l = walked(t, s, limit, a, 7, proof.LineageBoth, 16)
		if l.Edges != 0 || !strings.Contains(l.String(), "nothing is left out") {
			t.Errorf("pages of %d: of nothing\n%s", limit, l)
		}
	}
}

// TestLineageAgain: what was met before is named, and not walked from again.
func TestLineageAgain(t *testing.T) {
	s, _, b, c := lineageChain(t)
	l := walked(t, s, 0, c, 5, proof.LineageInputs, proof.MaxLineageDepth)
	again := l.Inputs.Next[1].Again
	if l.Edges != 4 || len(again) != 1 || again[0] != (proof.Claim{Stream: b.Stream, First: 9, Last: 9}) || len(l.Cut) != 0 {
		t.Errorf("inputs\n%s", l)
	}
	l = walked(t, s, 0, b, 9, proof.LineageUses, proof.MaxLineageDepth)
	if l.Edges != 2 || !strings.Contains(l.String(), "elsewhere in this tree") || len(l.Cut) != 0 {
		t.Errorf("uses\n%s", l)
	}
}

// TestLineageBounds: a walk has at most so many edges, and says where it was cut.
func TestLineageBounds(t *testing.T) {
	l := ledgertest.New(t)
	ch := newChain(t, l)
	s := ch.sign()
	a, b := ch.device("a"), ch.device("b")
	ch.block(l.Batch(a.StatementAt(1, 10)))
	var statements [][]byte
	for i := range uint64(proof.MaxLineageEdges + 1) {
		statements = append(statements, derived(b, i+1, i+1, from(a, i%2+1, 2)))
	}
	ch.block(l.Batch(statements...))
	ch.block()
	got := walked(t, s, 0, a, 2, proof.LineageUses, 1)
	if got.Edges != proof.MaxLineageEdges || len(got.Uses.Next) != proof.MaxLineageEdges || got.Cut[proof.CutEdges] != 1 || got.Uses.Cut != proof.CutEdges {
		t.Errorf("%d edges, cut %v", got.Edges, got.Cut)
	}
	if got = walked(t, s, 0, a, 1, proof.LineageUses, 1); got.Edges != proof.MaxLineageEdges/2+1 || got.Cut[proof.CutEdges] != 0 {
		t.Errorf("%d edges, cut %v", got.Edges, got.Cut)
	}
}

// TestLineageRefused: answers to other questions, at other heights, and no questions.
func TestLineageRefused(t *testing.T) {
	s, a, b, c := lineageChain(t)
	q := proof.LineageQuery{Stream: c.Stream, Number: 1, Direction: proof.LineageBoth, Depth: 3}
	lo, hi := record.Range(record.FamilyUse, a.Stream)
	other := func(change func([]proof.Query) []proof.Query) proof.AskLineage {
		return func(queries ...proof.Query) (*proof.Answered, error) { return s.asker(0)(change(queries)...) }
	}
	asks := map[string]proof.AskLineage{
		"another list":    other(func([]proof.Query) []proof.Query { return []proof.Query{proof.ListQuery(lo, hi)} }),
		"nothing":         other(func([]proof.Query) []proof.Query { return nil }),
		"more":            other(func(q []proof.Query) []proof.Query { return append(q, proof.RowQuery(merkle.Key(lo))) }),
		"another kind":    other(func(q []proof.Query) []proof.Query { q[0].Kind = proof.QueryList; return q }),
		"a narrower list": other(func(q []proof.Query) []proof.Query { q[len(q)-1].Hi = q[len(q)-1].Lo; return q }),
		"another height": func(queries ...proof.Query) (*proof.Answered, error) {
			s.c.block(s.c.l.Batch(b.StatementAt(uint64(s.c.height)*100, 1)))
			return s.asker(0)(queries...)
		},
	}
	for name, ask := range asks {
		if _, err := proof.WalkLineage(q, ask); !errors.Is(err, proof.ErrOtherQuestion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []proof.LineageQuery{
		{Stream: c.Stream, Direction: proof.LineageBoth, Depth: 3},
		{Stream: c.Stream, Number: 1, Direction: proof.LineageBoth},
		{Stream: c.Stream, Number: 1, Direction: proof.LineageBoth, Depth: proof.MaxLineageDepth + 1},
		{Stream: c.Stream, Number: 1, Direction: "sideways", Depth: 3},
	} {
		if _, err := proof.WalkLineage(bad, s.asker(0)); !errors.Is(err, proof.ErrLineage) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
