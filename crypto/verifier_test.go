package crypto

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// checkBatch compares the verdicts on a batch with those that are known.
func checkBatch(t *testing.T, what string, v *Verifier, cases []sigCase) {
	t.Helper()
	items := make([]Item, len(cases))
	for i := range cases {
		items[i] = cases[i].item
	}
	got := v.Verify(items)
	if len(got) != len(cases) {
		t.Fatalf("%s: %d verdicts on %d signatures", what, len(got), len(cases))
	}
	for i, c := range cases {
		if got[i] != c.want {
			t.Errorf("%s: %d: %s: %v, want %v", what, i, c.name, got[i], c.want)
		}
	}
}

// goodCases are n valid signatures by a few keys.
func goodCases(n int) []sigCase {
	cases := make([]sigCase, n)
	for i, it := range benchItems(n, 1+n/10) {
		cases[i] = sigCase{fmt.Sprint("good ", i), it, true}
	}
	return cases
}

func TestVerifierEmpty(t *testing.T) {
	if got := NewVerifier(VerifierConfig{}).Verify(nil); len(got) != 0 {
		t.Errorf("Verify(nil) = %v", got)
	}
}

// damage makes signatures wrong in different ways.
func damage(c *sigCase, how int) {
	switch how % 4 {
	case 0:
		c.item.Message = append(slices.Clone(c.item.Message), 1)
	case 1:
		c.item.Signature[33] ^= 4
	case 2:
		c.item.Key = testKey(9999).Public()
	case 3:
		c.item.Signature[0] ^= 1
	}
	c.want = false
}

// Patterns of bad signatures, in batches that take every path: Straus,
// Pippenger, several parts, several workers.
func TestBadPatterns(t *testing.T) {
	patterns := map[string]func(i, n int) bool{
		"none":         func(i, n int) bool { return false },
		"all":          func(i, n int) bool { return true },
		"first":        func(i, n int) bool { return i == 0 },
		"last":         func(i, n int) bool { return i == n-1 },
		"middle":       func(i, n int) bool { return i == n/2 },
		"every second": func(i, n int) bool { return i%2 == 0 },
		"first half":   func(i, n int) bool { return i < n/2 },
		"all but one":  func(i, n int) bool { return i != n/3 },
		"few":          func(i, n int) bool { return i%97 == 5 },
	}
	for _, workers := range []int{1, 2, 3} {
		v := NewVerifier(VerifierConfig{Workers: workers})
		for _, n := range []int{1, 2, 3, 40, 130, 500} {
			good := goodCases(n)
			for name, bad := range patterns {
				cases := slices.Clone(good)
				for i := range cases {
					if bad(i, n) {
						damage(&cases[i], i)
					}
				}
				checkBatch(t, fmt.Sprintf("%d workers, %d, %s", workers, n, name), v, cases)
			}
		}
	}
}

// Batches above maxBatch are split.
func TestLargeBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	for _, n := range []int{maxBatch - 1, maxBatch, maxBatch + 1, 2*maxBatch + 1} {
		cases := goodCases(n)
		damage(&cases[n-1], 0)
		damage(&cases[n/2], 1)
		checkBatch(t, fmt.Sprint("batch of ", n), NewVerifier(VerifierConfig{Workers: 1}), cases)
	}
}

// An equation that holds for two wrong signatures with opposite errors must not
// pass: the randomisers keep them apart.
func TestErrorsDoNotCancel(t *testing.T) {
	a, b := benchItems(2, 1)[0], benchItems(2, 1)[1]
	// s_a + 1 and s_b - 1: the sum of both errors is neutral.
	a.Signature[32]++
	b.Signature[32]--
	if a.Signature[32] == 0 || b.Signature[32] == 0xff {
		t.Fatal("choose other messages: the scalars carry")
	}
	for _, items := range [][]Item{{a, b}, {b, a}} {
		if got := NewVerifier(VerifierConfig{}).Verify(items); got[0] || got[1] {
			t.Errorf("verdicts %v", got)
		}
	}
}

// The randomisers depend on every part of every signature.
func TestRandomisersCoverTheBatch(t *testing.T) {
	randomisers := func(items []Item) string {
		b := newTestBatch(newRecent[PublicKey, *keyPoints](8))
		b.reset(items, make([]bool, len(items)))
		b.findKeys()
		b.decodeKeys()
		b.decode()
		b.randomise()
		b.drawRandomisers(0, len(b.sigs))
		s := ""
		for i := range b.sigs {
			s += fmt.Sprint(b.sigs[i].z)
		}
		if b.sigs[0].z != [2]uint64{1, 0} {
			t.Error("the first randomiser is not 1")
		}
		return s
	}
	items := benchItems(5, 5)
	seen := map[string]string{randomisers(items): "the batch", randomisers(items[:4]): "a shorter batch"}
	swapped := slices.Clone(items)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	other := benchItems(6, 6)[5]
	for what, change := range map[string]func(it *Item){
		"message": func(it *Item) { it.Message = []byte("x") },
		"s":       func(it *Item) { it.Signature[40] ^= 1 },
		"key":     func(it *Item) { it.Key = other.Key },
		"R":       func(it *Item) { copy(it.Signature[:32], other.Signature[:32]) },
	} {
		for i := range items {
			changed := slices.Clone(items)
			change(&changed[i])
			z := randomisers(changed)
			if seen[z] != "" {
				t.Errorf("a change of %s %d leaves the randomisers as of %s", what, i, seen[z])
			}
			seen[z] = what
		}
	}
	if z := randomisers(swapped); seen[z] != "" {
		t.Error("the order does not show in the randomisers")
	}
}

func TestVerifierConcurrently(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 2, CacheSize: 300})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 5 {
				cases := goodCases(20 + 30*n)
				damage(&cases[g], g)
				checkBatch(t, fmt.Sprint("goroutine ", g), v, cases)
			}
		})
	}
	wg.Wait()
	v.Close()
	checkBatch(t, "after Close", v, goodCases(40))
}

func TestVerifyOnce(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 1, CacheSize: 1000})
	cases := goodCases(100)
	damage(&cases[7], 0)
	damage(&cases[70], 1)
	for range 3 {
		checkBatch(t, "again and again", v, cases)
	}
	names := make([][32]byte, len(cases))
	b := newWorker(v.keys, nil)
	for i := range cases {
		names[i] = b.name(&cases[i].item)
	}
	verdicts := make([]bool, len(cases))
	if known := v.recall(names, verdicts); known != 98 || verdicts[7] || verdicts[70] {
		t.Errorf("%d of 98 are remembered, refused ones: %v %v", known, verdicts[7], verdicts[70])
	}
	// Whatever differs from an accepted signature is verified.
	for how := range 4 {
		changed := goodCases(len(cases))
		for i := range changed {
			damage(&changed[i], how)
		}
		checkBatch(t, fmt.Sprint("changed ", how), v, changed)
	}
	v.Close()
	if known := v.recall(names, make([]bool, len(names))); known != 0 {
		t.Errorf("%d are remembered after Close", known)
	}
}

// An idle worker holds nothing of its caller's, whether it verified or recalled.
func TestVerifierLetsGo(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 2, CacheSize: 1000})
	some := benchItems(300, 10)
	for _, items := range [][]Item{some[:200], some[:200], some, some[:3]} {
		v.Verify(items)
		waitIdle(t, &v.workers, 2)
		for i, w := range v.workers.idle {
			if w.batch.items != nil || w.batch.verdicts != nil {
				t.Errorf("after %d signatures, idle worker %d holds %d", len(items), i, len(w.batch.items))
			}
		}
	}
}

// Where a message ends and what follows can't be shifted.
func TestVerifyOnceNames(t *testing.T) {
	b := newWorker(nil, nil)
	it := benchItems(1, 1)[0]
	seen := map[[32]byte]bool{b.name(&it): true}
	for _, change := range []func(it *Item){
		func(it *Item) { it.Message = it.Message[1:] },
		func(it *Item) { it.Message = append(slices.Clone(it.Message), 0) },
		func(it *Item) { it.Key[31]++ },
		func(it *Item) { it.Signature[63]++ },
	} {
		other := it
		change(&other)
		name := b.name(&other)
		if seen[name] {
			t.Error("two signatures have one name")
		}
		seen[name] = true
	}
}

func TestRecentIsBounded(t *testing.T) {
	for size, most := range map[int]int{0: 0, 1: 0, 2: 2, 10: 10, 11: 10} {
		r := newRecent[int, int](size)
		for i := range 1000 {
			r.put(i, -i)
			if n := len(r.young) + len(r.old); n > most {
				t.Fatalf("size %d holds %d", size, n)
			}
			if v, ok := r.get(i); ok != (most > 0) || (ok && v != -i) {
				t.Fatalf("size %d: get(%d) = %d, %v", size, i, v, ok)
			}
			r.get(0) // what is used stays
		}
		if _, ok := r.get(0); ok != (most >= 4) && size != 2 {
			t.Errorf("size %d: the entry in use: %v", size, ok)
		}
		if _, ok := r.get(1); ok {
			t.Errorf("size %d: an entry long unused is there", size)
		}
		r.forget()
		if len(r.young)+len(r.old) != 0 {
			t.Errorf("size %d: forget left something", size)
		}
	}
}

// Keys that fall out of the cache are decompressed again.
func TestKeyCacheOverflow(t *testing.T) {
	b := newTestBatch(newRecent[PublicKey, *keyPoints](4))
	for range 2 {
		items := benchItems(20, 10)
		verdicts := make([]bool, len(items))
		b.verify(items, verdicts)
		if slices.Contains(verdicts, false) {
			t.Errorf("verdicts %v", verdicts)
		}
	}
}

func TestVerifierAllocates(t *testing.T) {
	items := benchItems(1024, 64)
	for _, workers := range []int{1, 2} {
		v := NewVerifier(VerifierConfig{Workers: workers})
		v.Verify(items)
		if n := testing.AllocsPerRun(5, func() { v.Verify(items) }); n >= 16 {
			t.Errorf("%d workers: %v allocations a batch, want below 16", workers, n)
		}
	}
}

// The verdicts, and all that leads to them, don't depend on the number of workers.
func TestWorkersAgree(t *testing.T) {
	for _, n := range []int{1, 127, 128, 129, 200, 1000} {
		cases := goodCases(n)
		damage(&cases[n/2], 0)
		damage(&cases[n/3], 3)
		items := make([]Item, n)
		for i := range cases {
			items[i] = cases[i].item
		}
		var work, seeds []string
		for _, helpers := range []int{0, 1, 2, 6} {
			cache := newRecent[PublicKey, *keyPoints](keyCacheSize)
			b := newTestBatch(cache)
			addHelpers(b, helpers)
			for range 2 { // with new keys and with cached ones
				verdicts := make([]bool, n)
				b.verify(items, verdicts)
				for i := range cases {
					if verdicts[i] != cases[i].want {
						t.Errorf("%d signatures, %d helpers: verdict %d is wrong", n, helpers, i)
					}
				}
			}
			z := ""
			for i := range b.sigs {
				z += fmt.Sprint(b.sigs[i].z)
			}
			work, seeds = append(work, fmt.Sprint(b.work, b.limit)), append(seeds, z)
		}
		if len(slices.Compact(work)) > 1 || len(slices.Compact(seeds)) > 1 {
			t.Errorf("%d signatures: work %v", n, work)
		}
	}
}

// addHelpers lets idle workers help a test's batch.
func addHelpers(b *batch, n int) {
	for range n {
		b.pool.idle = append(b.pool.idle, newWorker(b.keyCache, b.pool))
	}
}

// newTestBatch is a batch of one worker.
func newTestBatch(cache *recent[PublicKey, *keyPoints]) *batch {
	return newWorker(cache, &pool{}).batch
}

// A key is prepared for batches once it has signed something right.
func TestKeyIsCachedWhenItSigned(t *testing.T) {
	b := newTestBatch(newRecent[PublicKey, *keyPoints](8))
	it := benchItems(1, 1)[0]
	bad := it
	bad.Message = nil
	verdicts := make([]bool, 1)
	b.verify([]Item{bad}, verdicts)
	if _, ok := b.keyCache.get(it.Key); ok || verdicts[0] {
		t.Errorf("a bad signature: cached %v, accepted %v", ok, verdicts[0])
	}
	b.verify([]Item{it}, verdicts)
	if _, ok := b.keyCache.get(it.Key); !ok || !verdicts[0] {
		t.Errorf("a good signature: cached %v, accepted %v", ok, verdicts[0])
	}
}
