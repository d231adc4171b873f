package proof

import (
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// Errors of joined pages.
var (
	ErrNoPages  = errors.New("there are no pages")
	ErrPageHole = errors.New("the pages leave a hole, overlap or are out of order")
	ErrForked   = errors.New("two states of one height: the validators signed a fork")
)

// Heights are those at which joined pages were true. If From is below To, the whole
// was true at no one height perhaps: each page was at its own.
type Heights struct{ From, To uint64 }

// One tells whether all pages were true at the same height.
func (h Heights) One() bool { return h.From == h.To }

// join checks that answers fit together, and returns their heights.
func join(pages []*Answered) (Heights, error) {
	if len(pages) == 0 {
		return Heights{}, ErrNoPages
	}
	h := Heights{pages[0].AsOfHeight, pages[0].AsOfHeight}
	states := make(map[uint64]merkle.Hash)
	for _, p := range pages {
		if p.Chain != pages[0].Chain {
			return h, fmt.Errorf("%w: of ledgers %s and %s", ErrPageHole, pages[0].Chain, p.Chain)
		}
		if state, seen := states[p.AsOfHeight]; seen && state != p.AppHash {
			return h, fmt.Errorf("%w: height %d", ErrForked, p.AsOfHeight)
		}
		states[p.AsOfHeight] = p.AppHash
		h.From, h.To = min(h.From, p.AsOfHeight), max(h.To, p.AsOfHeight)
	}
	return h, nil
}

// JoinLists returns the rows of a whole list lo..hi from its verified pages in
// order. The first page begins with lo, each other with the key that follows the
// last of the one before, and the last ends with hi.
func JoinLists(lo, hi merkle.Key, pages ...*Answered) ([]Row, Heights, error) {
	heights, err := join(pages)
	if err != nil {
		return nil, heights, err
	}
	var rows []Row
	next, ended := lo, false
	for i, p := range pages {
		r, found := p.page(next)
		if !found || ended || string(r.Query.Hi[:]) > string(hi[:]) {
			return nil, heights, fmt.Errorf("%w: page %d has no list from %s", ErrPageHole, i+1, next)
		}
		rows = append(rows, r.Rows...)
		ended = r.Query.Hi == hi
		next, _ = record.Successor(r.Query.Hi)
	}
	if !ended {
		return nil, heights, fmt.Errorf("%w: the list goes on from %s", ErrPageHole, next)
	}
	return rows, heights, nil
}

// page returns the list that begins with a key.
func (out *Answered) page(lo merkle.Key) (Result, bool) {
	for _, r := range out.Results {
		if r.Query.Kind == QueryList && r.Query.Lo == lo {
			return r, true
		}
	}
	return Result{}, false
}

// JoinCovers returns the parts of a cover of first..last of a stream from covers
// that follow each other. Parts that lie beside each other stay apart.
func JoinCovers(stream crypto.ID, first, last uint64, pages ...*Answered) ([]CoverPart, Heights, error) {
	heights, err := join(pages)
	if err != nil {
		return nil, heights, err
	}
	var parts []CoverPart
	next := first
	for i, p := range pages {
		if p.Cover == nil || p.Cover.Stream != stream || p.Cover.First != next || p.Cover.Last > last {
			return nil, heights, fmt.Errorf("%w: page %d has no cover from %d", ErrPageHole, i+1, next)
		}
		parts = append(parts, p.Cover.Parts...)
		next = p.Cover.Last + 1
	}
	if next <= last {
		return nil, heights, fmt.Errorf("%w: the cover goes on from %d", ErrPageHole, next)
	}
	return parts, heights, nil
}
