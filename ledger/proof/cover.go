package proof

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

var (
	errCoverHole    = errors.New("numbers are accounted for by nothing")
	errCoverOverlap = errors.New("numbers are accounted for twice")
	errCoverBeside  = errors.New("a part lies outside of the range")
)

// tile sorts the parts, checks that each number of first..last is in exactly one
// of them and that each has such a number, and clips them to the range.
func tile(parts []CoverPart, first, last uint64) error {
	slices.SortFunc(parts, func(a, b CoverPart) int { return cmp.Compare(a.First, b.First) })
	next := first
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Last < first || p.First > last:
			return fmt.Errorf("%d to %d: %w", p.First, p.Last, errCoverBeside)
		case i > 0 && p.First < next:
			return fmt.Errorf("%d to %d: %w", p.First, next-1, errCoverOverlap)
		case p.First > next:
			return fmt.Errorf("%d to %d: %w", next, p.First-1, errCoverHole)
		}
		next = p.Last + 1
		p.First, p.Last = max(p.First, first), min(p.Last, last)
	}
	if next <= last {
		return fmt.Errorf("%d to %d: %w", next, last, errCoverHole)
	}
	return nil
}
