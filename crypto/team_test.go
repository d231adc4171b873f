package crypto

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"mtmledger/crypto/internal/group"
)

// A helper leaves in the middle of a step when another caller waits. The leader does not
// go on before that caller has its verdicts, so if the helper stayed neither would.
func TestHelperGivesWay(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 2})
	items := benchItems(64, 8)
	second := make(chan []bool)
	calls, served := 0, false
	b := v.begin(1000)
	b.each(2, 1000, 1, func(b *batch, w *worker, from, to int) {
		switch {
		case w == b.lead && !served:
			if got := <-second; slices.Contains(got, false) {
				t.Errorf("the second caller's verdicts: %v", got)
			}
			served = true
		case w != b.lead:
			calls++
			go func() { second <- v.Verify(items) }()
			for v.waiting.Load() == 0 {
				runtime.Gosched()
			}
		}
	})
	if calls != 1 || b.present() != 1 {
		t.Errorf("the helper took %d ranges since a caller waits; %d workers are present", calls, b.present())
	}
	v.end(b)
	if len(v.idle) != 2 || v.idle[0] == v.idle[1] || v.waiting.Load() != 0 || len(v.queue) != 0 {
		t.Errorf("idle: %v, waiting: %d", v.idle, v.waiting.Load())
	}
}

// A helper that has sums of products keeps its worker until the leader has them.
func TestHelperStaysWithItsSums(t *testing.T) {
	cache := newRecent[PublicKey, *keyPoints](keyCacheSize)
	b := newTestBatch(cache)
	items := benchItems(64, 8)
	b.verify(items, make([]bool, len(items)))
	b.take(newWorkers(1, cache))
	b.giveWay = func(*worker) bool { return true }
	h := &b.helpers[0]
	b.lead.beginSums(len(b.keys))
	b.sum.Reset(len(b.sigs))
	b.multiply(h.worker, 0, 16)
	if b.leave(h) {
		t.Error("it left with sums")
	}
	b.gatherSums()
	if !b.leave(h) || b.present() != 1 {
		t.Error("it did not leave without")
	}
	if !slices.Equal(b.touched, []int32{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("sums of keys %v were gathered", b.touched)
	}
}

// The verdicts, and all that leads to them, don't depend on when helpers leave, nor on
// what others then do with their workers' memory.
func TestLeavingChangesNothing(t *testing.T) {
	for _, n := range []int{64, 200} {
		good := goodCases(n)
		bad := slices.Clone(good)
		damage(&bad[n/2], 0)
		damage(&bad[n/3], 3)
		for _, cases := range [][]sigCase{good, bad} {
			want := leavingAfter(t, cases, math.MaxInt64)
			for chances := range int64(40) {
				if got := leavingAfter(t, cases, chances); got != want {
					t.Errorf("%d signatures, leaving at chance %d: work %s, want %s", n, chances, got, want)
				}
			}
		}
	}
}

// leavingAfter verifies with helpers that leave after so many chances to, and returns the
// work that it took.
func leavingAfter(t *testing.T, cases []sigCase, chances int64) string {
	cache := newRecent[PublicKey, *keyPoints](keyCacheSize)
	b := newTestBatch(cache)
	helpers := newWorkers(3, cache)
	var count atomic.Int64
	b.giveWay = func(w *worker) bool {
		if count.Add(1) <= chances {
			return false
		}
		useOtherwise(w)
		return true
	}
	items := make([]Item, len(cases))
	for i := range cases {
		items[i] = cases[i].item
	}
	work := ""
	for range 2 { // with new keys and with cached ones
		b.take(helpers)
		count.Store(0)
		verdicts := make([]bool, len(items))
		b.verify(items, verdicts)
		b.dismiss()
		for i := range cases {
			if verdicts[i] != cases[i].want {
				t.Errorf("%d signatures, leaving at chance %d: verdict %d is wrong", len(cases), chances, i)
			}
		}
		work += fmt.Sprint(b.work, " ", b.limit, " ", b.seed)
	}
	return work
}

// useOtherwise leaves a worker's memory as another caller may.
func useOtherwise(w *worker) {
	w.beginSums(7)
	for i := range w.sums {
		w.sums[i].Add(group.Scalar{5}, []uint64{1, 2, 3})
		w.sums[i].used = true
		w.touched = append(w.touched, int32(i))
	}
	w.base.Add(group.Scalar{3}, []uint64{1})
	w.buf[0]++
}

// Callers are served in turn, however eager the others are.
func TestCallersTakeTurns(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 1})
	var order []int
	b := v.begin(1)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			b := v.begin(1)
			order = append(order, i)
			v.end(b)
		})
		for v.waiting.Load() != int32(i+1) {
			runtime.Gosched()
		}
	}
	v.end(b)
	b = v.begin(1) // after those who waited
	order = append(order, 4)
	v.end(b)
	wg.Wait()
	if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
		t.Errorf("served in the order %v", order)
	}
}

// Several callers with batches of all sizes share few workers.
func TestManyCallers(t *testing.T) {
	for _, workers := range []int{1, 2, 3} {
		v := NewVerifier(VerifierConfig{Workers: workers})
		var wg sync.WaitGroup
		for g := range 5 {
			wg.Go(func() {
				for _, n := range []int{40, 64, 300, 1000, 64, 1} {
					cases := goodCases(n)
					damage(&cases[n/(g+2)], g)
					checkBatch(t, fmt.Sprint(workers, " workers, caller ", g), v, cases)
				}
			})
		}
		wg.Wait()
		if len(v.idle) != workers {
			t.Errorf("%d of %d workers are idle afterwards", len(v.idle), workers)
		}
	}
}
