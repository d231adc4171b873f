package record

import (
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// manyParts are n parts, of two organisations in turn.
func manyParts(n int) (p Parts) {
	for i := range n {
		p = append(p, Part{uint64(1 + 10*i), id(byte(1 + i%2))})
	}
	return p
}

func TestMostParts(t *testing.T) {
	want := manyParts(ledger.MaxParts)
	if got, err := ParseParts(want.Encode()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d parts, %v", len(got), err)
	}
}

// TestPartsChange: what sales and gifts make of parts.
func TestPartsChange(t *testing.T) {
	a, b, c := id(1), id(2), id(3)
	for _, tt := range []struct {
		name      string
		got, want Parts
	}{
		{"sold", Whole(a).Sold(10, b), Parts{{1, a}, {11, b}}},
		{"sold before it began", Whole(a).Sold(0, b), Parts{{1, b}}},
		{"sold on", Parts{{1, a}, {11, b}}.Sold(20, c), Parts{{1, a}, {11, b}, {21, c}}},
		{"sold on at once", Parts{{1, a}, {11, b}}.Sold(10, c), Parts{{1, a}, {11, c}}},
		{"sold back at once", Parts{{1, a}, {11, b}}.Sold(10, a), Parts{{1, a}}},
		{"sold back later", Parts{{1, a}, {11, b}}.Sold(11, a), Parts{{1, a}, {11, b}, {12, a}}},
		{"sold at the end of numbers", Whole(a).Sold(MaxNumber, b), Parts{{1, a}}},
		{"sold before the last number", Whole(a).Sold(MaxNumber-1, b), Parts{{1, a}, {MaxNumber, b}}},
		{"given", Whole(a).Given(a, b), Parts{{1, b}}},
		{"given back", Parts{{1, a}, {11, b}}.Given(b, a), Parts{{1, a}}},
		{"given on", Parts{{1, a}, {11, b}, {21, a}}.Given(a, c), Parts{{1, c}, {11, b}, {21, c}}},
		{"given to who has the middle", Parts{{1, a}, {11, b}, {21, a}}.Given(a, b), Parts{{1, b}}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

// TestPartsHeld compares with asking for each number.
func TestPartsHeld(t *testing.T) {
	p := Parts{{1, id(1)}, {3, id(2)}, {4, id(1)}, {8, id(3)}}
	of := func(n uint64) (o crypto.ID) {
		for _, part := range p {
			if part.First <= n {
				o = part.Organisation
			}
		}
		return o
	}
	for o := range byte(5) {
		for first := uint64(1); first <= 10; first++ {
			for last := first - 1; last <= 12; last++ {
				end := last
				if last < first { // no end
					last, end = 0, 12
				}
				all, some := true, false
				for n := first; n <= end; n++ {
					all, some = all && of(n) == id(o), some || of(n) == id(o)
				}
				if gotAll, gotSome := p.Held(id(o), first, last); gotAll != all || gotSome != some {
					t.Errorf("%d of %d..%d: %v %v, want %v %v", o, first, last, gotAll, gotSome, all, some)
				}
				last = max(last, first-1)
			}
		}
	}
}
