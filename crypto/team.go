package crypto

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"runtime"
	"sync"
	"sync/atomic"

	"mtmledger/crypto/internal/group"
)

// grain is how many signatures a worker takes at once. It is even, because two
// randomisers come from one hash.
const grain = 16

// keyGrain is how many keys' sums a worker reduces at once.
const keyGrain = 32

// patience is how often a worker looks for the next step, and gives way to others,
// before it goes to sleep. It is enough for what the leader does alone between two
// steps of a batch of a thousand signatures; waking takes about as long.
const patience = 300

// worker is the scratch memory of one goroutine, and the permission to work.
type worker struct {
	batch   *batch            // used when this worker leads
	base    group.Accumulator // sum of z_i s_i
	sums    []keySum          // by key
	touched []int32           // keys whose sums are used
	awake   atomic.Bool       // a goroutine helps with it
	work    group.Work

	sha512 hash.Hash
	sha256 hash.Hash
	buf    [96]byte // here, because what goes through hash.Hash would be allocated
}

func newWorker(cache *recent[PublicKey, *keyPoints]) *worker {
	w := &worker{batch: newBatch(cache), sha512: sha512.New(), sha256: sha256.New()}
	w.batch.workers = append(w.batch.workers, w)
	return w
}

// beginSums sets all sums to zero, for so many keys.
func (w *worker) beginSums(keys int) {
	for _, key := range w.touched {
		w.sums[key] = keySum{}
	}
	w.touched, w.base = w.touched[:0], group.Accumulator{}
	if len(w.sums) < keys {
		w.sums = append(w.sums, make([]keySum, keys-len(w.sums))...)
	}
}

// team is the workers of one batch. The first leads: it is the caller's goroutine. The
// others help: each has a goroutine that takes part in one step after another, because
// a goroutine that must be woken for a step comes when a small one is over.
type team struct {
	workers []*worker
	now     atomic.Pointer[step] // what the helpers look at; nil: nothing more will come
	helpers sync.WaitGroup       // their goroutines
}

// step is work on [0, n) that workers share by taking ranges. The leader never waits for
// a helper that has not taken any.
type step struct {
	run     func(b *batch, w *worker, from, to int)
	n, size int            // size of a range, at most
	workers int            // how many may take part, the first of the team
	next    atomic.Int64   // begin of the next range
	left    atomic.Int64   // ranges that are not done
	done    sync.WaitGroup // the same, to sleep on
}

func (t *team) lead() *worker { return t.workers[0] }

// worth returns how many of the workers n signatures are worth, if each should have a
// share of them.
func (t *team) worth(n, share int) int { return max(1, min(len(t.workers), n/share)) }

// each calls run for ranges that make up [0, n), each of size at most, by so many
// workers at the same time, and returns when all is done.
func (b *batch) each(workers, n, size int, run func(b *batch, w *worker, from, to int)) {
	ranges := (n + size - 1) / size
	workers = min(workers, ranges)
	if workers <= 1 {
		run(b, b.lead(), 0, n)
		return
	}
	s := &step{run: run, n: n, size: size, workers: workers}
	s.left.Store(int64(ranges))
	s.done.Add(ranges)
	b.now.Store(s)
	for i := 1; i < workers; i++ {
		if b.workers[i].awake.CompareAndSwap(false, true) {
			b.helpers.Add(1)
			go b.help(i)
		}
	}
	s.takeRanges(b, b.lead())
	s.wait()
}

// help takes part in every step that worker i may, until none comes. If one comes just
// then it goes without this helper.
func (b *batch) help(i int) {
	defer b.helpers.Done()
	w := b.workers[i]
	var last *step
	for tries := 0; tries < patience; tries++ {
		s := b.now.Load()
		if s == nil {
			break
		}
		if s == last || i >= s.workers {
			runtime.Gosched()
			continue
		}
		s.takeRanges(b, w)
		last, tries = s, 0
	}
	w.awake.Store(false)
}

// dismiss returns when no goroutine uses the team's workers any more.
func (t *team) dismiss() {
	t.now.Store(nil)
	t.helpers.Wait()
}

func (s *step) takeRanges(b *batch, w *worker) {
	for {
		to := int(s.next.Add(int64(s.size)))
		if to-s.size >= s.n {
			return
		}
		s.run(b, w, to-s.size, min(to, s.n))
		s.left.Add(-1)
		s.done.Done()
	}
}

// wait returns when all ranges are done.
func (s *step) wait() {
	for range patience {
		if s.left.Load() == 0 {
			return
		}
		runtime.Gosched()
	}
	s.done.Wait()
}
