package state

import (
	"cmp"
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger/record"
)

// gap is a run of unused numbers below a stream's mark. The zero gap is none.
type gap struct{ first, last uint64 }

// gaps are what a block changed of the open gaps of a stream. Those that it left as they
// were stay in the base, and are looked up one by one: a stream has up to a thousand, and
// a block may name any number of streams.
type gaps struct {
	// open are those that the block opened, or left of one that it cut; by first number.
	open []gap
	// gone are the rows of the base that the block cut or filled, by first number: from
	// which number on to look down for one that is not gone; 0: there is none.
	gone map[uint64]uint64
}

// search is the place of the first open gap above n.
func (g *gaps) search(n uint64) int {
	i, found := slices.BinarySearchFunc(g.open, n, func(o gap, n uint64) int { return cmp.Compare(o.first, n) })
	if found {
		i++
	}
	return i
}

// below returns the greatest open gap that the block made, of those that begin at or below n.
func (g *gaps) below(n uint64) gap {
	if i := g.search(n); i > 0 {
		return g.open[i-1]
	}
	return gap{}
}

// gapBelow returns the open gap of a stream with the greatest first number at or below n.
// Gaps are apart, so no other gap reaches further up. It reads a row or two of the base,
// and each row that is gone once in all.
func (v *View) gapBelow(id crypto.ID, s *stream, n uint64) gap {
	made := s.gaps.below(n)
	if made.last >= n || s.Gaps == uint64(len(s.gaps.open)) {
		return made
	}
	if kept := v.keptGap(id, s, n); kept.first > made.first {
		return kept
	}
	return made
}

// keptGap is gapBelow for the gaps of the base that the block left as they are.
func (v *View) keptGap(id crypto.ID, s *stream, n uint64) (g gap) {
	var passed []uint64
	for n > 0 {
		if next, gone := s.gaps.gone[n]; gone {
			passed = append(passed, n)
			n = next
			continue
		}
		g = v.baseGap(id, n)
		if _, gone := s.gaps.gone[g.first]; !gone {
			break
		}
		n, g = g.first, gap{}
	}
	for _, p := range passed { // so that nobody goes this way again
		s.gaps.gone[p] = g.first
	}
	return g
}

// baseGap returns the gap of the base with the greatest first number at or below n.
func (v *View) baseGap(id crypto.ID, n uint64) gap {
	lo := record.GapRow(id, 0)
	k, value, err := v.base.Predecessor(lo, record.GapRow(id, n))
	if err != nil || value == nil {
		v.fail(err)
		return gap{}
	}
	row, err := record.ParseGap(value)
	v.fail(err)
	return gap{record.NumberOf(k), row.Last}
}

// openGap adds a gap.
func (v *View) openGap(id crypto.ID, s *stream, g gap) {
	v.put(record.GapRow(id, g.first), record.Gap{Last: g.last}.Encode())
	s.gaps.open = slices.Insert(s.gaps.open, s.gaps.search(g.first), g)
	s.Gaps++
}

// closeGap takes away a gap, which is open.
func (v *View) closeGap(id crypto.ID, s *stream, g gap) {
	v.remove(record.GapRow(id, g.first))
	s.Gaps--
	if i := s.gaps.search(g.first); i > 0 && s.gaps.open[i-1] == g {
		s.gaps.open = slices.Delete(s.gaps.open, i-1, i)
		return
	}
	if s.gaps.gone == nil {
		s.gaps.gone = make(map[uint64]uint64)
	}
	s.gaps.gone[g.first] = g.first - 1
}

// holds tells whether the numbers first to last of a stream, which exists, are all used.
func (v *View) holds(id crypto.ID, s *stream, first, last uint64) bool {
	return last <= s.Mark && v.gapBelow(id, s, last).last < first
}
