package crypto

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
	"sync/atomic"

	"mtmledger/crypto/internal/group"
)

// grain is how many signatures a worker takes at once. It is even, because two
// randomisers come from one hash.
const grain = 32

// keyGrain is how many keys' sums a worker reduces at once: that of fewer is not worth
// waking another.
const keyGrain = 128

// worker is the scratch memory of one goroutine, and the permission to work.
type worker struct {
	batch   *batch            // used when this worker leads
	base    group.Accumulator // sum of z_i s_i
	sums    []keySum          // by key
	touched []int32           // keys whose sums are used
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

// team is the workers of one batch. The first leads: it is the caller's goroutine.
type team struct {
	workers []*worker
	next    atomic.Int64
	wg      sync.WaitGroup
}

func (t *team) lead() *worker { return t.workers[0] }

// worth returns how many of the workers n signatures are worth.
func (t *team) worth(n int) int { return max(1, min(len(t.workers), n/minShare)) }

// each calls step for ranges that make up [0, n), each of size at most, by so many
// workers at the same time, and returns when all is done.
func (b *batch) each(workers, n, size int, step func(b *batch, w *worker, from, to int)) {
	helpers := min(workers, (n+size-1)/size) - 1
	if helpers <= 0 {
		step(b, b.lead(), 0, n)
		return
	}
	b.next.Store(0)
	b.wg.Add(helpers)
	for _, w := range b.workers[1 : 1+helpers] {
		go b.help(w, n, size, step)
	}
	b.takeRanges(b.lead(), n, size, step)
	b.wg.Wait()
}

func (b *batch) help(w *worker, n, size int, step func(b *batch, w *worker, from, to int)) {
	defer b.wg.Done()
	b.takeRanges(w, n, size, step)
}

func (b *batch) takeRanges(w *worker, n, size int, step func(b *batch, w *worker, from, to int)) {
	for {
		to := int(b.next.Add(int64(size)))
		if to-size >= n {
			return
		}
		step(b, w, to-size, min(to, n))
	}
}
