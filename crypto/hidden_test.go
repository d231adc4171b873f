package crypto

import (
	"fmt"
	"slices"
	"testing"

	"filippo.io/edwards25519"
)

// maxHidden is the size of the largest batch in which every known signature is hidden.
const maxHidden = 70

// Each known signature has the same verdict alone, together with all others, and
// hidden among good ones in batches of every size. On emulators, where it would take
// an hour, each is hidden in one size only.
func TestBatchAgreesWithSingle(t *testing.T) {
	cases, good := corpusCases(t), goodCases(maxHidden)
	v := NewVerifier(VerifierConfig{Workers: 1})
	for _, c := range cases {
		checkBatch(t, "alone", v, []sigCase{c})
	}
	checkBatch(t, "all together", v, cases) // from here on all keys are cached
	checkBatch(t, "good", v, good)
	b := newTestBatch(v.keys)
	for size := 1; size <= maxHidden; size++ {
		t.Run(fmt.Sprint("among ", size), func(t *testing.T) {
			some := cases
			if testing.Short() {
				some = every(maxHidden, cases[min(size-1, len(cases)):])
			}
			if n := hideAll(t, b, good[:size], some); n != len(some) {
				t.Errorf("%d of %d were hidden", n, len(some))
			}
		})
	}
}

func every(n int, cases []sigCase) (some []sigCase) {
	for i := 0; i < len(cases); i += n {
		some = append(some, cases[i])
	}
	return some
}

// hideAll hides cases in batches of the size of good, and returns how many. Those that
// make the equation fail are hidden alone. Of the others up to half of a batch are
// hidden together, which costs a fraction and loses nothing: their equation must hold.
func hideAll(t *testing.T, b *batch, good, cases []sigCase) (n int) {
	var failing, others []sigCase
	for _, c := range cases {
		if !c.want && decodes(c.item) {
			failing = append(failing, c)
		} else {
			others = append(others, c)
		}
	}
	for i, c := range failing {
		hide(t, b, good, []sigCase{c}, i, true)
		n++
	}
	i := 0
	for some := range slices.Chunk(others, (len(good)+1)/2) {
		hide(t, b, good, some, i, false)
		i++
		n += len(some)
	}
	return n
}

// hide verifies good with some cases in place of others, from a place on.
func hide(t *testing.T, b *batch, good, some []sigCase, place int, fails bool) {
	t.Helper()
	cases := slices.Clone(good)
	for i, c := range some {
		cases[(place+2*i)%len(cases)] = c
	}
	items, verdicts := make([]Item, len(cases)), make([]bool, len(cases))
	for i := range cases {
		items[i] = cases[i].item
	}
	b.verify(items, verdicts)
	for i, c := range cases {
		if verdicts[i] != c.want {
			t.Errorf("%s: %v, want %v", c.name, verdicts[i], c.want)
		}
	}
	if failed := b.limit > 0; failed != fails {
		t.Errorf("%s and %d others: that the equation fails is %v, want %v", some[0].name, len(some)-1, failed, fails)
	}
}

// decodes reports whether a signature gets as far as the equation.
func decodes(it Item) bool {
	_, errA := new(edwards25519.Point).SetBytes(it.Key[:])
	_, errR := new(edwards25519.Point).SetBytes(it.Signature[:32])
	_, errS := new(edwards25519.Scalar).SetCanonicalBytes(it.Signature[32:])
	return errA == nil && errR == nil && errS == nil
}
