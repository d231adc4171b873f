package record

import (
	"bytes"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
)

// TestUseRange: every use that overlaps a range stands in the list of its length class, and
// no other does but near it.
func TestUseRange(t *testing.T) {
	check := func(first, last, a, b uint64) {
		class := LengthClass(first, last)
		lo, hi := UseRange(id(1), class, a, b)
		k := UseRow(id(1), first, last, 7, 3)
		listed := bytes.Compare(lo[:], k[:]) <= 0 && bytes.Compare(k[:], hi[:]) <= 0
		overlaps := first <= b && last >= a
		near := first < b+2<<class && last+2<<class > a
		if overlaps && !listed || listed && !near {
			t.Errorf("use of %d to %d, class %d, range %d to %d: listed %v", first, last, class, a, b, listed)
		}
	}
	const most = 34
	for first := uint64(1); first <= most; first++ {
		for last := first; last <= most; last++ {
			for a := uint64(1); a <= most; a++ {
				for b := a; b <= most; b++ {
					check(first, last, a, b)
				}
			}
		}
	}
	for _, u := range [][2]uint64{{1, ledger.MaxNumber}, {2, ledger.MaxNumber}, {1, 1 << 62}, {1, 1<<62 - 1}, {1 << 62, ledger.MaxNumber}, {ledger.MaxNumber, ledger.MaxNumber}, {1, 1}} {
		for _, q := range [][2]uint64{u, {u[0], u[0]}, {u[1], u[1]}, {1, ledger.MaxNumber}} {
			lo, hi := UseRange(id(1), LengthClass(u[0], u[1]), q[0], q[1])
			k := UseRow(id(1), u[0], u[1], 7, 3)
			if bytes.Compare(lo[:], k[:]) > 0 || bytes.Compare(k[:], hi[:]) > 0 {
				t.Errorf("use of %d to %d is not listed for %d to %d", u[0], u[1], q[0], q[1])
			}
		}
	}
}

// TestUseRows: the rows of different uses are different, of all classes.
func TestUseRows(t *testing.T) {
	seen := make(map[merkle.Key]bool)
	for _, stream := range []crypto.ID{id(1), id(2)} {
		for _, index := range []uint64{0, 1, 1<<57 - 1} {
			for place := range uint64(ledger.MaxInputs) {
				for class := range LengthClasses {
					k := UseRow(stream, 1, 1<<class, index, place)
					if i, p := UseOf(k); i != index || p != place || seen[k] || NumberOf(k) == 0 {
						t.Errorf("%x: index %d, place %d, met before: %v", k, i, p, seen[k])
					}
					seen[k] = true
				}
			}
		}
	}
	if class := LengthClass(1, ledger.MaxNumber); class != LengthClasses-1 {
		t.Errorf("class %d", class)
	}
	if 1<<placeBits != ledger.MaxInputs {
		t.Error("places of inputs do not fit")
	}
}
