package crypto

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
)

// minShare is the least number of signatures that is worth a goroutine.
const minShare = 32

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
	batches  chan *batch // one for each worker: who holds one may work
	workers  int
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
		batches:  make(chan *batch, c.Workers),
		workers:  c.Workers,
		keys:     newRecent[PublicKey, *keyPoints](keyCacheSize),
		accepted: newRecent[[32]byte, struct{}](c.CacheSize),
		caching:  c.CacheSize > 0,
	}
	for range c.Workers {
		v.batches <- newBatch(v.keys)
	}
	return v
}

// Verify returns for each item whether [Verify] accepts it. An item that this
// Verifier accepted before is not verified again as long as it is remembered.
func (v *Verifier) Verify(items []Item) []bool {
	verdicts := make([]bool, len(items))
	share := v.share(len(items))
	switch {
	case len(items) == 0:
	case share == len(items):
		v.verify(items, verdicts)
	default:
		v.verifyParts(items, verdicts, share)
	}
	return verdicts
}

// verifyParts verifies parts of the items in parallel. Items by one key go to one
// part as far as possible, because every part pays for each of its keys.
func (v *Verifier) verifyParts(items []Item, verdicts []bool, share int) {
	order := orderByKey(items)
	sorted, results := make([]Item, len(items)), make([]bool, len(items))
	for i, o := range order {
		sorted[i] = items[o.index]
	}
	var wg sync.WaitGroup
	from := 0
	for ; from+share < len(items); from += share {
		part, out := sorted[from:from+share], results[from:from+share]
		wg.Go(func() { v.verify(part, out) })
	}
	v.verify(sorted[from:], results[from:])
	wg.Wait()
	for i, o := range order {
		verdicts[o.index] = results[i]
	}
}

// ordered is the place of an item and the beginning of its key.
type ordered struct {
	key   uint64
	index int
}

// orderByKey brings items by one key together. It looks at 8 bytes of the key only:
// keys that share them may mix, which costs a little time and no more.
func orderByKey(items []Item) []ordered {
	order := make([]ordered, len(items))
	for i := range items {
		order[i] = ordered{binary.BigEndian.Uint64(items[i].Key[:]), i}
	}
	slices.SortFunc(order, func(a, b ordered) int { return cmp.Compare(a.key, b.key) })
	return order
}

// share is into how large parts n items are split.
func (v *Verifier) share(n int) int {
	parts := max(1, min(v.workers, n/minShare), (n+maxBatch-1)/maxBatch)
	return (n + parts - 1) / parts
}

func (v *Verifier) verify(items []Item, verdicts []bool) {
	b := <-v.batches
	defer func() { v.batches <- b }()
	if !v.caching {
		b.verify(items, verdicts)
		return
	}
	names := make([][32]byte, len(items))
	for i := range items {
		names[i] = b.name256(&items[i])
	}
	known := v.recall(names, verdicts)
	if known == len(items) {
		return
	}
	b.verify(items, verdicts)
	v.remember(names, verdicts)
}

// name256 names a signature in the cache of accepted ones: SHA-256 of public key,
// signature and message, which only collide if all three are the same.
func (b *batch) name256(it *Item) [32]byte {
	b.sha256.Reset()
	b.sha256.Write(it.Key[:])
	b.sha256.Write(it.Signature[:])
	b.sha256.Write(it.Message)
	b.sha256.Sum(b.buf[:0])
	return [32]byte(b.buf[:32])
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
