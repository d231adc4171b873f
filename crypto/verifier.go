package crypto

import (
	"runtime"
	"slices"
)

// minShare is the least number of signatures that is worth another worker, and
// minNames of those that only need to be named in the cache.
const (
	minShare = 32
	minNames = 256
)

// Item is one signature to verify. Message is neither changed nor kept.
type Item struct {
	Key       PublicKey
	Message   []byte
	Signature Signature
}

// VerifierConfig sizes a [Verifier].
type VerifierConfig struct {
	// Workers is how many goroutines verify at the same time, over all callers;
	// 0 means GOMAXPROCS.
	Workers int
	// CacheSize is how many accepted signatures are remembered, so that they are
	// verified once; one takes about 100 bytes. 0 means none.
	CacheSize int
}

// Verifier verifies many signatures at once, by batches and in parallel, and
// remembers those it accepted. Its verdicts are those of [Verify], whatever the
// batch. Several goroutines may use it.
type Verifier struct {
	workers pool // who holds one may work

	keys     *recent[PublicKey, *keyPoints]
	accepted *recent[[32]byte, struct{}]
	caching  bool
}

// NewVerifier makes a Verifier. It holds memory only; see [Verifier.Close].
func NewVerifier(c VerifierConfig) *Verifier {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	v := &Verifier{
		keys:     newRecent[PublicKey, *keyPoints](keyCacheSize),
		accepted: newRecent[[32]byte, struct{}](c.CacheSize),
		caching:  c.CacheSize > 0,
	}
	for range c.Workers {
		v.workers.idle = append(v.workers.idle, newWorker(v.keys, &v.workers))
	}
	return v
}

// Verify returns for each item whether [Verify] accepts it. An item that this
// Verifier accepted before is not verified again as long as it is remembered.
func (v *Verifier) Verify(items []Item) []bool {
	verdicts := make([]bool, len(items))
	if len(items) == 0 {
		return verdicts
	}
	batches := (len(items) + maxBatch - 1) / maxBatch
	share := (len(items) + batches - 1) / batches
	for from := 0; from < len(items); from += share {
		to := min(from+share, len(items))
		v.verify(items[from:to], verdicts[from:to])
	}
	return verdicts
}

// verify verifies one batch.
func (v *Verifier) verify(items []Item, verdicts []bool) {
	lead := v.workers.get()
	defer v.workers.put(lead, true)
	b := lead.batch
	defer b.release() // an idle worker keeps nothing of its last caller's
	if !v.caching {
		b.verify(items, verdicts)
		return
	}
	names := b.nameAll(items)
	if v.recall(names, verdicts) == len(items) {
		return
	}
	b.verify(items, verdicts)
	v.remember(names, verdicts)
}

// nameAll names signatures in the cache of accepted ones, until its next call.
func (b *batch) nameAll(items []Item) [][32]byte {
	b.items, b.names = items, slices.Grow(b.names[:0], len(items))[:len(items)]
	b.each(worth(len(items), minNames), len(items), grain, (*batch).nameSome)
	return b.names
}

func (b *batch) nameSome(w *worker, from, to int) {
	for i := from; i < to; i++ {
		b.names[i] = w.name(&b.items[i])
	}
}

// name names a signature in the cache of accepted ones: SHA-256 of public key,
// signature and message, which only collide if all three are the same.
func (w *worker) name(it *Item) [32]byte {
	w.sha256.Reset()
	w.sha256.Write(it.Key[:])
	w.sha256.Write(it.Signature[:])
	w.sha256.Write(it.Message)
	w.sha256.Sum(w.buf[:0])
	return [32]byte(w.buf[:32])
}

// recall sets the verdicts of the signatures that were accepted before and
// returns how many they are.
func (v *Verifier) recall(names [][32]byte, verdicts []bool) (known int) {
	v.accepted.with(func() {
		for i := range names {
			if _, ok := v.accepted.get(names[i]); ok {
				verdicts[i] = true
				known++
			}
		}
	})
	return known
}

// remember notes the accepted signatures; refused ones are never noted.
func (v *Verifier) remember(names [][32]byte, verdicts []bool) {
	v.accepted.with(func() {
		for i := range names {
			if verdicts[i] {
				v.accepted.put(names[i], struct{}{})
			}
		}
	})
}

// Close forgets what was remembered. A Verifier holds nothing but memory, and
// still gives right verdicts afterwards.
func (v *Verifier) Close() {
	v.accepted.forget()
	v.keys.forget()
}
