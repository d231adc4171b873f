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
	owes    atomic.Bool       // sums that the leader of its team has not gathered
	work    group.Work

	sha512 hash.Hash
	sha256 hash.Hash
	buf    [96]byte // here, because what goes through hash.Hash would be allocated
}

func newWorker(cache *recent[PublicKey, *keyPoints]) *worker {
	w := &worker{batch: newBatch(cache), sha512: sha512.New(), sha256: sha256.New()}
	w.batch.lead = w
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
//
// A helper leaves when another caller waits for a worker. It may do so before any range
// of any step, because nothing in the batch counts on it: what it would have taken is
// taken by others. Once it has left, its scratch memory is the other caller's. The one
// thing of a batch that lies there are the sums of multiply, so who has taken a range of
// that stays until the leader has gathered them, which is for less than a millisecond.
type team struct {
	lead    *worker
	helpers []helper
	now     atomic.Pointer[step] // what the helpers look at; nil: nothing more will come
	running sync.WaitGroup       // goroutines of helpers

	// giveWay hands a worker to a caller who waits, or returns false. It may be nil.
	giveWay func(*worker) bool
}

// helper is a worker's place in a team.
type helper struct {
	worker *worker
	state  atomic.Int32
}

// States of a helper.
const (
	asleep int32 = iota
	awake        // it has a goroutine
	gone         // its worker belongs to another caller
)

// step is work on [0, n) that workers share by taking ranges. The leader never waits for
// a helper that has not taken any.
type step struct {
	run     func(b *batch, w *worker, from, to int)
	n, size int            // size of a range, at most
	next    atomic.Int64   // begin of the next range
	left    atomic.Int64   // ranges that are not done
	done    sync.WaitGroup // the same, to sleep on
}

// take makes workers the helpers.
func (t *team) take(workers []*worker) {
	if cap(t.helpers) < len(workers) {
		t.helpers = make([]helper, len(workers))
	}
	t.helpers = t.helpers[:len(workers)]
	for i, w := range workers {
		t.helpers[i].worker = w
		t.helpers[i].state.Store(asleep)
	}
}

// present is how many workers the team has at this moment; it may become fewer.
func (t *team) present() int {
	n := 1
	for i := range t.helpers {
		if t.helpers[i].state.Load() != gone {
			n++
		}
	}
	return n
}

// worth returns how many of the workers n signatures are worth, if each should have a
// share of them.
func (t *team) worth(n, share int) int { return max(1, min(t.present(), n/share)) }

// each calls run for ranges that make up [0, n), each of size at most, by about so many
// workers at the same time, and returns when all is done.
func (b *batch) each(workers, n, size int, run func(b *batch, w *worker, from, to int)) {
	ranges := (n + size - 1) / size
	workers = min(workers, ranges)
	if workers <= 1 {
		run(b, b.lead, 0, n)
		return
	}
	s := &step{run: run, n: n, size: size}
	s.left.Store(int64(ranges))
	s.done.Add(ranges)
	b.now.Store(s)
	b.wake(workers - 1)
	for s.takeRange(b, b.lead) {
	}
	s.wait()
}

// wake sees to it that so many helpers are awake, if there are.
func (b *batch) wake(n int) {
	for i := range b.helpers {
		h := &b.helpers[i]
		if n > 0 && h.state.Load() != gone {
			n--
			if h.state.CompareAndSwap(asleep, awake) {
				b.running.Add(1)
				go b.help(h)
			}
		}
	}
}

// help takes part in steps until it leaves or none comes. If one comes just then it goes
// without this helper.
func (b *batch) help(h *helper) {
	defer b.running.Done()
	var last *step
	for tries := 0; tries < patience; tries++ {
		if b.leave(h) {
			return
		}
		s := b.now.Load()
		if s == nil {
			break
		}
		if s != last && s.takeRange(b, h.worker) {
			tries = 0
			continue
		}
		last = s
		runtime.Gosched()
	}
	h.state.Store(asleep)
}

// leave hands a helper's worker to a caller who waits, if one does and nothing of this
// batch lies in its memory.
func (b *batch) leave(h *helper) bool {
	if b.giveWay == nil || h.worker.owes.Load() || !b.giveWay(h.worker) {
		return false
	}
	h.state.Store(gone)
	return true
}

// dismiss returns when no goroutine uses the helpers any more.
func (t *team) dismiss() {
	t.now.Store(nil)
	t.running.Wait()
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
