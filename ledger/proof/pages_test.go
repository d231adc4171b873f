package proof

import (
	"errors"
	"testing"

	"mtmledger/ledger/record"
)

// pagesOf returns verified pages of the devices, cut at the given places.
func pagesOf(t *testing.T, w *world, cuts ...int) []*Answered {
	t.Helper()
	lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
	keys := sortedKeys(w.rows, lo, hi)
	var pages []*Answered
	for _, c := range cuts {
		end := hi
		if c < len(keys) {
			end = keys[c-1]
		}
		w.queries, w.cover, w.places = []Query{ListQuery(lo, end)}, nil, nil
		pages = append(pages, mustAnswer(t, w))
		lo, _ = record.Successor(end)
	}
	return pages
}

func TestJoinLists(t *testing.T) {
	w := newWorld(t)
	lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
	p := pagesOf(t, w, 2, 4, 5)
	rows, heights, err := JoinLists(lo, hi, p...)
	if err != nil || len(rows) != 5 || !heights.One() {
		t.Fatalf("%d rows, %+v, %v", len(rows), heights, err)
	}
	if _, _, err := JoinLists(lo, hi, pagesOf(t, w, 5)...); err != nil {
		t.Error(err)
	}
	later := newWorld(t)
	later.header = later.headerAt(9)
	q := pagesOf(t, later, 2, 4, 5)
	if rows, heights, err := JoinLists(lo, hi, p[0], q[1], p[2]); err != nil || heights != (Heights{6, 8}) || heights.One() || len(rows) != 5 {
		t.Errorf("pages of two heights: %+v %v", heights, err)
	}
	forked := newWorld(t)
	forked.rows[record.GapRow(w.stream, 3)] = record.Gap{Last: 3}.Encode()
	f := pagesOf(t, forked, 2, 4, 5)
	if _, _, err := JoinLists(lo, hi, p[0], f[1], p[2]); !errors.Is(err, ErrForked) {
		t.Errorf("a fork: %v", err)
	}
	for name, pages := range map[string][]*Answered{
		"the first is missing": p[1:], "the last is missing": p[:2], "the second is missing": {p[0], p[2]},
		"out of order": {p[1], p[0], p[2]}, "twice": {p[0], p[0], p[1], p[2]}, "one after the end": {p[0], p[1], p[2], p[2]},
		"another list": {mustAnswer(t, newWorld(t)), p[1]},
	} {
		if _, _, err := JoinLists(lo, hi, pages...); !errors.Is(err, ErrPageHole) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := JoinLists(lo, hi); !errors.Is(err, ErrNoPages) {
		t.Errorf("no page: %v", err)
	}
	if _, _, err := JoinLists(lo, p[0].Results[0].Query.Lo, p[0]); !errors.Is(err, ErrPageHole) {
		t.Errorf("a page beyond the end: %v", err)
	}
}

func TestJoinCovers(t *testing.T) {
	w := newWorld(t)
	cover := func(first, last uint64, places ...place) *Answered {
		w.queries, w.cover, w.places = nil, &Claim{w.stream, first, last}, places
		return mustAnswer(t, w)
	}
	a, b := cover(1, 12, place{3, 3}), cover(13, 30, place{5, 4})
	parts, heights, err := JoinCovers(w.stream, 1, 30, a, b)
	if err != nil || len(parts) != 5 || !heights.One() {
		t.Errorf("%+v %+v %v", parts, heights, err)
	}
	for name, pages := range map[string][]*Answered{"first": {a}, "second": {b}, "swapped": {b, a}, "overlap": {a, a, b}} {
		if _, _, err := JoinCovers(w.stream, 1, 30, pages...); !errors.Is(err, ErrPageHole) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := JoinCovers(w.stream, 1, 20, a, b); !errors.Is(err, ErrPageHole) {
		t.Errorf("beyond the end: %v", err)
	}
}
