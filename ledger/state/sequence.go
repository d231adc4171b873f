package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// admit takes the numbers first to last of a stream, or refuses them and changes nothing.
//
// A stream's numbers are all at or below its mark or above it. Those at or below are used,
// but for the open gaps. A run above the mark moves the mark, and opens a gap if it leaves
// numbers out; a run inside one open gap fills it, in whole, at an end, or in the middle;
// any other run touches a used number.
func (v *View) admit(id crypto.ID, s *stream, first, last, maxGaps uint64) ledger.Code {
	if first > s.Mark {
		return v.admitAhead(id, s, first, last, maxGaps)
	}
	return v.admitInside(id, s, first, last, maxGaps)
}

func (v *View) admitAhead(id crypto.ID, s *stream, first, last, maxGaps uint64) ledger.Code {
	if next := s.Mark + 1; first > next {
		if s.Gaps >= maxGaps {
			return ledger.CodeTooManyGaps
		}
		v.openGap(id, s, gap{next, first - 1})
	}
	s.Mark = last
	s.changed = true
	return ledger.CodeOK
}

func (v *View) admitInside(id crypto.ID, s *stream, first, last, maxGaps uint64) ledger.Code {
	g := v.gapBelow(id, s, first)
	if first > g.last || last > g.last {
		return ledger.CodeUsed
	}
	left, right := g.first < first, last < g.last
	if left && right && s.Gaps >= maxGaps {
		return ledger.CodeTooManyGaps
	}
	v.closeGap(id, s, g)
	if left {
		v.openGap(id, s, gap{g.first, first - 1})
	}
	if right {
		v.openGap(id, s, gap{last + 1, g.last})
	}
	s.changed = true
	return ledger.CodeOK
}
