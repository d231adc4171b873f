package crypto

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"mtmledger/crypto/internal/group"
)

// maxBatch is how many signatures one equation covers: more would gain little and
// take more scratch memory (about 1 KB each).
const maxBatch = 4096

// batchDomain separates the randomisers of batches from all other hashes.
const batchDomain = "mtm/batch/1"

// batch verifies up to maxBatch signatures by one equation. It is scratch memory,
// kept from batch to batch. Its steps are shared among the workers of a team; the
// equation and the verdicts don't depend on how many they are.
//
// For signature i let D_i = [s_i]B - [k_i]A_i - R_i: it is accepted if and only if
// [8]D_i is neutral. The equation is [8]([z_0]D_0 + [z_1]D_1 + ...) = 0, with one
// term for each R_i, two for each distinct key, and one for B. The z_i are
// randomisers derived from the whole batch. If all signatures are right it holds;
// if not, it fails but for a chance of 2^-128 (docs/design/verification.md).
type batch struct {
	team
	keyCache *recent[PublicKey, *keyPoints]

	items    []Item
	verdicts []bool
	names    [][32]byte // of the items in the cache of accepted signatures

	sigs     []decodedSig // without a verdict; once decoded, those that decode
	keys     []*keyPoints // distinct keys; nil is not decoded, or no point
	pubs     []PublicKey  // their encodings
	keyIndex map[PublicKey]int32
	fresh    []int32 // keys that were not cached

	decoded  bool     // the signatures are, with their challenges
	seed     [32]byte // of the randomisers
	drawn    bool     // they are in sigs
	from, to int      // the signatures of the sum
	touched  []int32  // the keys in it
	sum      group.Sum
	partial  struct {
		sync.Mutex
		workers []*worker // helpers that have sums of products
	}

	doubtful []int32 // signatures left to Verify
	work     int     // done for this batch, in the unit of costSingle
	limit    int     // of work, where halving ends
}

// decodedSig is a signature ready for the equation.
type decodedSig struct {
	r    group.Affine
	k    [8]uint64 // the challenge, 512 bits, not reduced
	s    [4]uint64
	z    group.Scalar
	key  int32
	item int32 // undecodable, once that is known
}

const undecodable = -1

func (d *decodedSig) challenge() (digest [64]byte) {
	for j, word := range d.k {
		binary.LittleEndian.PutUint64(digest[8*j:], word)
	}
	return digest
}

// keySum is the sum of z_i k_i over a key's signatures, or a worker's part of them.
type keySum struct {
	group.Accumulator
	used bool
}

func newBatch(cache *recent[PublicKey, *keyPoints]) *batch {
	return &batch{keyCache: cache, keyIndex: map[PublicKey]int32{}}
}

// verify sets the verdict of every item whose verdict isn't true yet.
func (b *batch) verify(items []Item, verdicts []bool) {
	b.reset(items, verdicts)
	b.findKeys()
	if !b.worthwhile() {
		b.verifyAllSingly()
		return
	}
	b.decodeKeys()
	b.decode()
	b.randomise()
	switch {
	case len(b.sigs) == 0:
	case b.holds(0, len(b.sigs)):
		b.accept(0, len(b.sigs))
	default:
		b.setLimit()
		b.name(0, len(b.sigs))
		b.verifyDoubtful()
	}
}

// verifyAllSingly leaves all to Verify. If all are accepted their keys are cached: what
// signed once will sign again.
func (b *batch) verifyAllSingly() {
	b.doubt(0, len(b.sigs))
	b.verifyDoubtful()
	for i := range b.sigs {
		if !b.verdicts[b.sigs[i].item] {
			return
		}
	}
	b.decodeKeys()
}

// release drops what belongs to the caller, and to the cache of keys.
func (b *batch) release() {
	b.items, b.verdicts = nil, nil
	clear(b.keys)
}

func (b *batch) reset(items []Item, verdicts []bool) {
	b.items, b.verdicts = items, verdicts
	b.sigs, b.pubs = b.sigs[:0], b.pubs[:0]
	clear(b.keys)
	b.keys = b.keys[:0]
	clear(b.keyIndex)
	b.fresh, b.doubtful, b.work, b.limit, b.decoded = b.fresh[:0], b.doubtful[:0], 0, 0, false
}

// findKeys gathers the signatures without a verdict, their distinct keys, and the
// points of those that are cached.
func (b *batch) findKeys() {
	b.sigs = slices.Grow(b.sigs, len(b.items))
	for i := range b.items {
		if b.verdicts[i] {
			continue
		}
		n := len(b.sigs)
		b.sigs = b.sigs[:n+1]
		d := &b.sigs[n]
		d.item = int32(i)
		if key := &b.items[i].Key; n > 0 && *key == b.pubs[b.sigs[n-1].key] {
			d.key = b.sigs[n-1].key
		} else {
			d.key = b.indexOf(key)
		}
	}
	b.keyCache.with(func() {
		for i := range b.pubs {
			k, ok := b.keyCache.get(b.pubs[i])
			b.keys = append(b.keys, k)
			if !ok {
				b.fresh = append(b.fresh, int32(i))
			}
		}
	})
}

func (b *batch) indexOf(key *PublicKey) int32 {
	i, ok := b.keyIndex[*key]
	if !ok {
		i = int32(len(b.pubs))
		b.keyIndex[*key] = i
		b.pubs = append(b.pubs, *key)
	}
	return i
}

// decodeKeys decompresses the keys that were not cached, and caches them. What is
// no point stays nil.
func (b *batch) decodeKeys() {
	if len(b.fresh) == 0 {
		return
	}
	b.work += len(b.fresh) * costKey
	b.each(worth(len(b.items), minShare), len(b.fresh), 4, (*batch).decodeFresh)
	b.keyCache.with(func() {
		for _, i := range b.fresh {
			if b.keys[i] != nil {
				b.keyCache.put(b.pubs[i], b.keys[i])
			}
		}
	})
}

func (b *batch) decodeFresh(_ *worker, from, to int) {
	for _, i := range b.fresh[from:to] {
		b.keys[i], _ = decodeKeyPoints(&b.pubs[i])
	}
}

// decode decodes the signatures. If one can't be decoded its verdict stays false, as
// the rule says.
func (b *batch) decode() {
	b.work += len(b.sigs) * costDecode
	b.each(worth(len(b.sigs), minShare), len(b.sigs), decodeGrain, (*batch).decodeSigs)
	n := 0
	for i := range b.sigs {
		if b.sigs[i].item == undecodable {
			continue
		}
		if n < i {
			b.sigs[n] = b.sigs[i]
		}
		n++
	}
	b.sigs, b.decoded = b.sigs[:n], true
}

func (b *batch) decodeSigs(w *worker, from, to int) {
	for i := from; i < to; i++ {
		d := &b.sigs[i]
		it := &b.items[d.item]
		for j := range d.s {
			d.s[j] = binary.LittleEndian.Uint64(it.Signature[32+8*j:])
		}
		if b.keys[d.key] == nil || !group.Below(&d.s) || !d.r.SetBytes((*[32]byte)(it.Signature[:32])) {
			d.item = undecodable
			continue
		}
		w.sha512.Reset()
		w.sha512.Write(it.Signature[:32])
		w.sha512.Write(it.Key[:])
		w.sha512.Write(it.Message)
		w.sha512.Sum(w.buf[:0])
		for j := range d.k {
			d.k[j] = binary.LittleEndian.Uint64(w.buf[8*j:])
		}
	}
}

// randomise derives the seed of the randomisers from all that the equation depends on: each
// challenge, which stands for R, A and the message, and each s.
func (b *batch) randomise() {
	if len(b.sigs) == 0 {
		return
	}
	w := b.lead
	w.sha256.Reset()
	buf := &w.buf
	n := copy(buf[:], batchDomain)
	binary.BigEndian.PutUint32(buf[n:], uint32(len(b.sigs)))
	w.sha256.Write(buf[:n+4])
	for i := range b.sigs {
		d := &b.sigs[i]
		for j, word := range d.k {
			binary.LittleEndian.PutUint64(buf[8*j:], word)
		}
		for j, word := range d.s {
			binary.LittleEndian.PutUint64(buf[64+8*j:], word)
		}
		w.sha256.Write(buf[:])
	}
	w.sha256.Sum(b.seed[:0])
	b.drawn = false
}

// drawRandomisers sets those of sigs[from:to]; from is even, two come from one hash.
func (b *batch) drawRandomisers(from, to int) {
	var block [36]byte
	copy(block[:], b.seed[:])
	for i := from; i < to; i += 2 {
		binary.BigEndian.PutUint32(block[32:], uint32(i))
		h := sha256.Sum256(block[:])
		b.sigs[i].z = scalarOf(h[:16])
		if i+1 < to {
			b.sigs[i+1].z = scalarOf(h[16:])
		}
	}
	if from == 0 && to > 0 {
		b.sigs[0].z = group.Scalar{1} // one of them may be fixed
	}
}

func scalarOf(b []byte) group.Scalar {
	return group.Scalar{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// holds reports whether the equation over sigs[from:to] holds; the first is that over all.
func (b *batch) holds(from, to int) bool {
	b.from, b.to = from, to
	n := to - from
	b.sum.Reset(n + 2*min(n, len(b.keys)))
	workers := worth(n, minShare)
	b.lead.beginSums(len(b.keys))
	b.each(workers, n, grain, (*batch).multiply)
	b.drawn = true
	b.gatherSums()
	b.sum.Truncate(n + 2*len(b.touched))
	b.work += group.Cost(n + 2*len(b.touched))
	b.each(workers, len(b.touched), keyGrain, (*batch).reduceKeys)
	b.each(workers, b.sum.Split(min(workers, b.present())), 1, (*batch).addUp)
	return b.sum.IsSmall()
}

// multiply sets the terms of R and sums up the products of part of the signatures.
func (b *batch) multiply(w *worker, from, to int) {
	if !b.drawn {
		b.drawRandomisers(from, to)
	}
	if w != b.lead && !w.owes.Load() {
		b.beginPartial(w)
	}
	for i := from; i < to; i++ {
		d := &b.sigs[b.from+i]
		b.sum.Set(i, &d.r, d.z)
		w.base.Add(d.z, d.s[:])
		sum := &w.sums[d.key]
		if !sum.used {
			sum.used = true
			w.touched = append(w.touched, d.key)
		}
		sum.Add(d.z, d.k[:])
	}
}

// beginPartial notes a helper whose sums have to be gathered. Until then it stays.
func (b *batch) beginPartial(w *worker) {
	w.beginSums(len(b.keys))
	w.owes.Store(true)
	b.partial.Lock()
	defer b.partial.Unlock()
	b.partial.workers = append(b.partial.workers, w)
}

// gatherSums adds the helpers' sums to those of the leader.
func (b *batch) gatherSums() {
	lead := b.lead
	for _, w := range b.partial.workers {
		lead.base.AddAll(&w.base)
		for _, key := range w.touched {
			sum := &lead.sums[key]
			if !sum.used {
				sum.used = true
				lead.touched = append(lead.touched, key)
			}
			sum.AddAll(&w.sums[key].Accumulator)
		}
		w.owes.Store(false) // and may leave
	}
	clear(b.partial.workers)
	b.partial.workers = b.partial.workers[:0]
	b.touched = lead.touched
	b.sum.SetBase(lead.base.ReduceNegative())
}

// reduceKeys sets the terms of part of the keys.
func (b *batch) reduceKeys(_ *worker, from, to int) {
	sums, first := b.lead.sums, b.to-b.from
	for i := from; i < to; i++ {
		key := b.touched[i]
		low, high := sums[key].Reduce()
		b.sum.Set(first+2*i, &b.keys[key].low, low)
		b.sum.Set(first+2*i+1, &b.keys[key].high, high)
	}
}

// addUp computes part of the sum.
func (b *batch) addUp(w *worker, from, to int) {
	for i := from; i < to; i++ {
		b.sum.Part(&w.work, i)
	}
}
