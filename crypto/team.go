package crypto

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mtmledger/crypto/internal/group"
)

// grain is how many signatures a worker takes at once, and decodeGrain of those to
// decode, which is more work: about 10 us, so that no worker waits long for another's
// last range. grain is even, because two randomisers come from one hash.
const (
	grain       = 16
	decodeGrain = 4
)

// keyGrain is how many keys' sums a worker reduces at once.
const keyGrain = 32

// patience is how often a worker looks for what it waits for, and gives way to others,
// before it goes to sleep: for some 40 us, and no longer than mostPatience where others
// take the processors. That is what the leader does alone between two
// steps, or from the end of a small batch to the decoding of its caller's next. Waking
// takes 120 us if the other core sleeps, in a virtual machine; but where no core is free,
// looking on takes time from the leader.
const (
	patience     = 400
	mostPatience = time.Millisecond
)

// worker is the scratch memory of one goroutine, and the permission to work.
type worker struct {
	batch   *batch            // used when this worker leads
	base    group.Accumulator // sum of z_i s_i
	sums    []keySum          // by key
	touched []int32           // keys whose sums are used
	owes    atomic.Bool       // sums that the leader of its team has not gathered
	work    group.Work

	sha512 hash.Hash
	sha256 hash.Hash
	buf    [96]byte // here, because what goes through hash.Hash would be allocated
}

func newWorker(cache *recent[PublicKey, *keyPoints], p *pool) *worker {
	w := &worker{batch: newBatch(cache), sha512: sha512.New(), sha256: sha256.New()}
	w.batch.lead, w.batch.pool = w, p
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

// pool is the workers that are idle, and the callers who wait for one.
type pool struct {
	mu      sync.Mutex
	idle    []*worker      // who led last is last
	queue   []chan *worker // callers who wait; then no worker is idle
	waiting atomic.Int32   // how many they are
}

// get returns the worker that led last, whose memory is warm. If none is idle it waits
// for one, in the order of the calls.
func (p *pool) get() *worker {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		defer p.mu.Unlock()
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w
	}
	turn := make(chan *worker, 1)
	p.queue = append(p.queue, turn)
	p.waiting.Add(1)
	p.mu.Unlock()
	return <-turn
}

func (p *pool) hasIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) > 0
}

// spare returns a worker to help with, or nil if none is idle.
func (p *pool) spare() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	w := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	return w
}

// put gives back a worker that led or helped.
func (p *pool) put(w *worker, led bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.handOver(w):
	case led:
		p.idle = append(p.idle, w)
	default:
		p.idle = slices.Insert(p.idle, 0, w)
	}
}

// handOver gives a worker to the caller who has waited longest, if one waits.
func (p *pool) handOver(w *worker) bool {
	if len(p.queue) == 0 {
		return false
	}
	p.queue[0] <- w
	p.queue = slices.Delete(p.queue, 0, 1)
	p.waiting.Add(-1)
	return true
}

// team is the workers of one batch. One leads: it is the caller's goroutine. The others
// help: each has a goroutine that takes part in one step after another, because a
// goroutine that must be woken for a step comes when a small one is over.
//
// A helper leaves when another caller waits for a worker, or when nothing comes. It may
// leave before any range of any step, because nothing in the batch counts on it: what it
// would have taken is taken by others. Once it has left, its scratch memory is another's.
// The one thing of a batch that lies there are the sums of multiply, so who has taken a
// range of that stays until the leader has gathered them, which is soon.
//
// A step must not panic: its worker would be lost, and a helper with sums wait for ever.
//
// All ranges of a step are done when it ends, so a helper that still looks for the next
// one touches nothing of the batch, also after its end.
type team struct {
	lead    *worker
	pool    *pool
	helpers atomic.Int32         // how many they are
	now     atomic.Pointer[step] // the last step, which the helpers look at
}

// step is work on [0, n) that workers share by taking ranges. The leader never waits for
// a helper that has not taken any.
type step struct {
	run     func(b *batch, w *worker, from, to int)
	n, size int            // size of a range, at most
	next    atomic.Int64   // begin of the next range
	left    atomic.Int64   // ranges that are not done
	done    sync.WaitGroup // the same, to sleep on
}

// worth returns how many workers n signatures are worth, if each should have a share of
// them.
func worth(n, share int) int { return max(1, n/share) }

// present is how many workers the team has at this moment.
func (t *team) present() int { return 1 + int(t.helpers.Load()) }

// each calls run for ranges that make up [0, n), each of size at most, by so many workers
// at the same time if they are idle, and returns when all is done.
func (b *batch) each(workers, n, size int, run func(b *batch, w *worker, from, to int)) {
	ranges := (n + size - 1) / size
	workers = min(workers, ranges)
	if workers <= 1 || b.present() == 1 && !b.pool.hasIdle() {
		run(b, b.lead, 0, n)
		return
	}
	s := &step{run: run, n: n, size: size}
	s.left.Store(int64(ranges))
	s.done.Add(ranges)
	b.now.Store(s)
	b.call(workers - 1)
	for s.takeRange(b, b.lead) {
	}
	s.wait()
}

// call sees to it that so many help, as far as workers are idle.
func (b *batch) call(n int) {
	for b.present() <= n {
		w := b.pool.spare()
		if w == nil {
			return
		}
		b.helpers.Add(1)
		go b.help(w)
	}
}

// help takes part in steps until another caller waits for the worker or none comes. If
// one comes just then it goes without this helper.
func (b *batch) help(w *worker) {
	var last *step
	since := time.Now()
	for tries := 0; tries < patience || w.owes.Load(); tries++ {
		owes := w.owes.Load()
		late := tries%16 == 15 && time.Since(since) > mostPatience
		if !owes && (late || b.pool.waiting.Load() > 0) {
			break
		}
		if s := b.now.Load(); s != last {
			if s.takeRange(b, w) {
				tries, since = 0, time.Now()
				continue
			}
			last = s
		}
		if owes { // its leader is about to gather the sums, and goes on
			tries, since = 0, time.Now()
		}
		runtime.Gosched()
	}
	b.helpers.Add(-1)
	b.pool.put(w, false)
}

// takeRange takes a range and runs it, or returns false if none is left.
func (s *step) takeRange(b *batch, w *worker) bool {
	to := int(s.next.Add(int64(s.size)))
	if to-s.size >= s.n {
		return false
	}
	s.run(b, w, to-s.size, min(to, s.n))
	s.left.Add(-1)
	s.done.Done()
	return true
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
