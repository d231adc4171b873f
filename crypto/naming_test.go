package crypto

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// badPatterns are ways to place bad signatures.
var badPatterns = []struct {
	name string
	bad  func(i, n int) bool
}{
	{"none", func(i, n int) bool { return false }},
	{"first", func(i, n int) bool { return i == 0 }},
	{"middle", func(i, n int) bool { return i == n/2 }},
	{"last", func(i, n int) bool { return i == n-1 }},
	{"eighths", func(i, n int) bool { return i%8 == 0 }},
	{"halves", func(i, n int) bool { return i%2 == 0 }},
	{"all", func(i, n int) bool { return true }},
	{"few at random", func(i, n int) bool { return rand.New(rand.NewPCG(uint64(i), 1)).IntN(30) == 0 }},
	{"many at random", func(i, n int) bool { return rand.New(rand.NewPCG(uint64(i), 2)).IntN(3) == 0 }},
}

// workOf verifies and returns the work that it took.
func workOf(t *testing.T, what string, b *batch, good []Item, bad func(i, n int) bool) int {
	t.Helper()
	items, verdicts := slices.Clone(good), make([]bool, len(good))
	for i := range items {
		if bad(i, len(items)) {
			items[i].Signature[33] ^= 1
		}
	}
	b.verify(items, verdicts)
	for i := range items {
		if verdicts[i] == bad(i, len(items)) {
			t.Errorf("%s: verdict %d is %v", what, i, verdicts[i])
		}
	}
	return b.work
}

// Whatever the pattern of bad signatures, all that a batch costs is at most twice
// what Verify costs for each; and one bad in 1,024 costs at most three clean batches.
// Counted is the work done, not time: see costSingle. BenchmarkNaming measures time.
func TestNamingIsBounded(t *testing.T) {
	sizes := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 33, 48, 64, 100, 255, 1024}
	if testing.Short() {
		sizes = []int{1, 8, 33}
	}
	for _, n := range sizes {
		for _, keys := range slices.Compact([]int{1, (n + 15) / 16, n}) {
			good := benchItems(n, keys)
			for _, fresh := range []bool{false, true} {
				t.Run(fmt.Sprintf("n=%d/keys=%d/fresh=%v", n, keys, fresh), func(t *testing.T) {
					checkNaming(t, good, fresh)
				})
			}
		}
	}
}

func checkNaming(t *testing.T, good []Item, fresh bool) {
	b, clean := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize)), 0
	single := len(good) * costSingle
	for _, p := range badPatterns {
		b.keyCache.forget()
		if !fresh {
			b.verify(good, make([]bool, len(good)))
		}
		work := workOf(t, p.name, b, good, p.bad)
		if 5*work > 9*single {
			t.Errorf("%s bad: %d, single verification costs %d", p.name, work, single)
		}
		switch p.name {
		case "none":
			clean = work
		case "first", "middle", "last":
			if len(good) == 1024 && work > 3*clean {
				t.Errorf("%s bad: %d, a clean batch costs %d", p.name, work, clean)
			}
		}
	}
}

// A batch that is not worth it is not begun, so that its cost can't come on top.
func TestNotWorthwhile(t *testing.T) {
	for _, c := range []struct {
		n, keys int
		fresh   bool
		want    bool
	}{
		{1, 1, false, true}, {8, 8, false, true}, {1024, 1024, false, true},
		{1, 1, true, false}, {2, 2, true, false}, {8, 8, true, false}, {16, 16, true, false},
		{8, 1, true, true}, {64, 64, true, true}, {1024, 1024, true, true},
	} {
		b := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize))
		items := benchItems(c.n, c.keys)
		if !c.fresh {
			b.verify(items, make([]bool, c.n))
		}
		b.reset(items, make([]bool, c.n))
		b.findKeys()
		if got := b.worthwhile(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
