package record

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// HistoryRow is the key of the row of (f, id) set at height, for any family
// whose rows are history.
func HistoryRow(f Family, id crypto.ID, height uint64) merkle.Key { return withNumber(f, id, height) }

// Successor returns the least key above k; ok is false for the greatest key.
func Successor(k merkle.Key) (next merkle.Key, ok bool) {
	for i := len(k) - 1; i >= 0; i-- {
		if k[i]++; k[i] != 0 {
			return k, true
		}
	}
	return k, false
}
