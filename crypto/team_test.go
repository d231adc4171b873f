package crypto

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"mtmledger/crypto/internal/group"
)

// waitIdle returns when so many workers are idle.
func waitIdle(t *testing.T, p *pool, n int) {
	t.Helper()
	for range 10_000_000 {
		p.mu.Lock()
		idle := len(p.idle)
		p.mu.Unlock()
		if idle == n {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("not all of %d workers become idle", n)
}

// A helper leaves in the middle of a step when another caller waits. The leader does not
// take another range before that caller has its verdicts, so they are all the helper's.
func TestHelperGivesWay(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 2})
	items := benchItems(64, 8)
	second := make(chan []bool)
	calls, served := 0, false
	lead := v.workers.get()
	lead.batch.each(2, 1000, 1, func(b *batch, w *worker, from, to int) {
		switch {
		case w == lead && !served:
			if got := <-second; slices.Contains(got, false) {
				t.Errorf("the second caller's verdicts: %v", got)
			}
			served = true
		case w != lead:
			calls++
			go func() { second <- v.Verify(items) }()
			for v.workers.waiting.Load() == 0 {
				runtime.Gosched()
			}
		}
	})
	if calls != 1 {
		t.Errorf("the helper took %d more ranges though a caller waited", calls-1)
	}
	v.workers.put(lead, true)
	waitIdle(t, &v.workers, 2)
	if idle := v.workers.idle; idle[0] == idle[1] || v.workers.waiting.Load() != 0 || len(v.workers.queue) != 0 {
		t.Errorf("idle: %v, waiting: %d", idle, v.workers.waiting.Load())
	}
}

// A helper that has sums of products keeps its worker until the leader has them.
func TestHelperStaysWithItsSums(t *testing.T) {
	b := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize))
	items := benchItems(64, 8)
	b.verify(items, make([]bool, len(items)))
	addHelpers(b, 1)
	helper := b.pool.idle[0]
	b.lead.beginSums(len(b.keys))
	b.sum.Reset(len(b.sigs))
	got := make(chan *worker)
	helping, asked := make(chan struct{}), false
	b.each(2, 64, 16, func(b *batch, w *worker, from, to int) {
		if w == b.lead {
			<-helping
			return
		}
		b.multiply(w, from, to)
		if !asked {
			asked = true
			go func() {
				w := b.pool.get()
				useOtherwise(w) // a race, if the leader still read it
				got <- w
			}()
			for b.pool.waiting.Load() == 0 {
				runtime.Gosched()
			}
			close(helping)
		}
	})
	for range 10 * patience {
		runtime.Gosched()
	}
	if b.pool.waiting.Load() != 1 || b.present() != 2 {
		t.Error("it left with sums")
	}
	b.gatherSums()
	if w := <-got; w != helper {
		t.Error("the caller got another worker")
	}
	if !slices.Equal(b.touched, []int32{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("sums of keys %v were gathered", b.touched)
	}
}

// Helpers may begin their sums at the same time; all are gathered.
func TestHelpersBeginTogether(t *testing.T) {
	b := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize))
	items := benchItems(48, 3)
	b.verify(items, make([]bool, len(items)))
	addHelpers(b, 2)
	b.lead.beginSums(len(b.keys))
	b.sum.Reset(len(b.sigs))
	var together sync.WaitGroup
	together.Add(3)
	b.each(3, 48, 16, func(b *batch, w *worker, from, to int) {
		together.Done()
		together.Wait()
		b.multiply(w, from, to)
	})
	if n := len(b.partial.workers); n != 2 {
		t.Errorf("%d helpers have sums, want 2", n)
	}
	b.gatherSums()
	if slices.Sort(b.touched); !slices.Equal(b.touched, []int32{0, 1, 2}) {
		t.Errorf("sums of keys %v were gathered", b.touched)
	}
}

// A helper that left a batch comes back when its worker is idle again.
func TestHelperComesBack(t *testing.T) {
	v := NewVerifier(VerifierConfig{Workers: 2})
	lead := v.workers.get()
	b := lead.batch
	for range 3 {
		other := v.workers.get()
		for b.present() > 1 { // the helper that gave way is not quite gone
			runtime.Gosched()
		}
		b.each(2, 10, 1, func(b *batch, w *worker, from, to int) {
			if w != lead {
				t.Error("a busy worker helped")
			}
		})
		v.workers.put(other, true)
		helped := make(chan struct{})
		b.each(2, 2, 1, func(b *batch, w *worker, from, to int) {
			if w == lead {
				<-helped
			} else {
				close(helped)
			}
		})
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
			want := leavingAfter(t, cases, 1_000_000)
			for looks := range 20 {
				if got := leavingAfter(t, cases, 7*looks); got != want {
					t.Errorf("%d signatures, leaving after %d looks: work %s, want %s", n, 7*looks, got, want)
				}
			}
		}
	}
}

// leavingAfter verifies with helpers, of which one after the other leaves after so many
// looks at how the batch goes, and returns the work that it took.
func leavingAfter(t *testing.T, cases []sigCase, looks int) string {
	b := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize))
	addHelpers(b, 3)
	items := make([]Item, len(cases))
	for i := range cases {
		items[i] = cases[i].item
	}
	work := ""
	for range 2 { // with new keys and with cached ones
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			takeAway(b.pool, looks, stop)
		}()
		verdicts := make([]bool, len(items))
		b.verify(items, verdicts)
		close(stop)
		<-stopped
		for i := range cases {
			if verdicts[i] != cases[i].want {
				t.Errorf("%d signatures, leaving after %d looks: verdict %d is wrong", len(cases), looks, i)
			}
		}
		work += fmt.Sprint(b.work, " ", b.limit, " ", b.seed)
	}
	waitIdle(t, b.pool, 3)
	return work
}

// takeAway is a caller who comes again and again, uses the memory of the worker that it
// gets, and rests for so many looks.
func takeAway(p *pool, looks int, stop <-chan struct{}) {
	for {
		for range looks {
			runtime.Gosched()
		}
		select {
		case <-stop:
			return
		default:
		}
		w := p.get()
		useOtherwise(w)
		p.put(w, false)
	}
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
	w := v.workers.get()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			w := v.workers.get()
			order = append(order, i)
			v.workers.put(w, true)
		})
		for v.workers.waiting.Load() != int32(i+1) {
			runtime.Gosched()
		}
	}
	v.workers.put(w, true)
	w = v.workers.get() // after those who waited
	order = append(order, 4)
	v.workers.put(w, true)
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
		waitIdle(t, &v.workers, workers)
	}
}
