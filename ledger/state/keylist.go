package state

import (
	"bytes"
	"slices"

	"mtmledger/crypto/merkle"
)

// keyList is a set of keys in order. They are put in order only when somebody asks: most
// families are never asked, and a block may hold 20,000 rows of one family and id.
type keyList struct {
	sorted []merkle.Key
	added  []merkle.Key // since then; none stands in sorted, none twice
}

// add adds a key that is not there.
func (l *keyList) add(k merkle.Key) { l.added = append(l.added, k) }

// upTo returns the keys in [lo, k], in order.
func (l *keyList) upTo(lo, k merkle.Key) []merkle.Key {
	l.sort()
	from, _ := slices.BinarySearchFunc(l.sorted, lo, compareKeys)
	to, found := slices.BinarySearchFunc(l.sorted, k, compareKeys)
	if found {
		to++
	}
	return l.sorted[from:max(from, to)]
}

// sort merges what was added into the order, from the end on: each key moves at most once.
func (l *keyList) sort() {
	slices.SortFunc(l.added, compareKeys)
	end := len(l.sorted)
	l.sorted = append(l.sorted, l.added...)
	for i := len(l.added) - 1; i >= 0; i-- {
		at, _ := slices.BinarySearchFunc(l.sorted[:end], l.added[i], compareKeys)
		copy(l.sorted[at+i+1:], l.sorted[at:end])
		l.sorted[at+i] = l.added[i]
		end = at
	}
	l.added = l.added[:0]
}

func compareKeys(a, b merkle.Key) int { return bytes.Compare(a[:], b[:]) }
