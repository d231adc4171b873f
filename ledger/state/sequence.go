package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
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
		v.put(record.GapRow(id, next), record.Gap{Last: first - 1}.Encode())
		s.Gaps++
	}
	s.Mark = last
	s.changed = true
	return ledger.CodeOK
}

func (v *View) admitInside(id crypto.ID, s *stream, first, last, maxGaps uint64) ledger.Code {
	if s.Gaps == 0 {
		return ledger.CodeUsed
	}
	from, to, ok := v.gapAt(id, first)
	if !ok || last > to {
		return ledger.CodeUsed
	}
	left, right := from < first, last < to
	if left && right && s.Gaps >= maxGaps {
		return ledger.CodeTooManyGaps
	}
	if left {
		v.put(record.GapRow(id, from), record.Gap{Last: first - 1}.Encode())
	} else {
		v.remove(record.GapRow(id, from))
		s.Gaps--
	}
	if right {
		v.put(record.GapRow(id, last+1), record.Gap{Last: to}.Encode())
		s.Gaps++
	}
	s.changed = true
	return ledger.CodeOK
}

// gapAt returns the open gap that holds number n.
func (v *View) gapAt(id crypto.ID, n uint64) (from, to uint64, ok bool) {
	k, value := v.last(record.GapRow(id, 0), record.GapRow(id, n))
	if value == nil {
		return 0, 0, false
	}
	gap, err := record.ParseGap(value)
	if err != nil {
		v.fail(err)
		return 0, 0, false
	}
	return record.NumberOf(k), gap.Last, n <= gap.Last
}
