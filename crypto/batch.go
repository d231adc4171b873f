package crypto

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"

	"mtmledger/crypto/internal/group"
)

// maxBatch is how many signatures one equation covers: more would gain little and
// take more scratch memory (about 1 KB each).
const maxBatch = 4096

// batchDomain separates the randomisers of batches from all other hashes.
const batchDomain = "mtm/batch/1"

// noKey marks a public key that is no point of the curve.
const noKey = -1

// batch verifies up to maxBatch signatures by one equation. It is scratch memory
// for one goroutine at a time, kept from batch to batch.
//
// For signature i let D_i = [s_i]B - [k_i]A_i - R_i: it is accepted if and only if
// [8]D_i is neutral. The equation is [8]([z_0]D_0 + [z_1]D_1 + ...) = 0, with one
// term for each R_i, two for each distinct key, and one for B. The z_i are
// randomisers derived from the whole batch. If all signatures are right it holds;
// if not, it fails but for a chance of 2^-128 (docs/design/verification.md).
type batch struct {
	keyCache *recent[PublicKey, *keyPoints]

	items    []Item
	verdicts []bool

	sigs     []decodedSig // of the signatures that decode
	keys     []*keyPoints // distinct keys
	pubs     []PublicKey  // their encodings
	keyIndex map[PublicKey]int32

	sums    []group.Accumulator // per key: sum of z_i k_i
	touched []int32             // keys whose sums are not zero
	sum     group.Sum

	sha512 hash.Hash
	sha256 hash.Hash
	buf    [96]byte // here, because what goes through hash.Hash would be allocated
	fresh  []int32  // keys that were not cached
	spent  int      // work on naming bad signatures, in the unit of costOf
	budget int      // how much of it there may be
}

// decodedSig is a signature ready for the equation.
type decodedSig struct {
	r    group.Affine
	k    [8]uint64 // the challenge, 512 bits, not reduced
	s    [4]uint64
	z    group.Scalar
	key  int32
	item int32
}

func newBatch(cache *recent[PublicKey, *keyPoints]) *batch {
	return &batch{
		keyCache: cache,
		keyIndex: map[PublicKey]int32{},
		sha512:   sha512.New(),
		sha256:   sha256.New(),
	}
}

// verify sets the verdict of every item whose verdict isn't true yet.
func (b *batch) verify(items []Item, verdicts []bool) {
	b.reset(items, verdicts)
	defer b.release()
	b.findKeys()
	if b.verifyFew() {
		return
	}
	b.decodeKeys()
	for i := range items {
		if !verdicts[i] {
			b.decode(i)
		}
	}
	b.randomise()
	switch {
	case len(b.sigs) == 0:
	case b.holds(0, len(b.sigs)):
		b.accept(0, len(b.sigs))
	default:
		b.setBudget()
		b.name(0, len(b.sigs))
	}
}

// fewSigs is up to how many signatures aren't worth the preparation of a key.
const fewSigs = 2

// verifyFew verifies a few signatures one by one if a key of them isn't cached,
// and caches their keys if all are accepted. It reports whether it did.
func (b *batch) verifyFew() bool {
	todo := make([]int, 0, fewSigs)
	for i, ok := range b.verdicts {
		switch {
		case ok:
		case len(todo) == fewSigs:
			return false
		default:
			todo = append(todo, i)
		}
	}
	if !slices.Contains(b.keys, nil) {
		return false
	}
	all := true
	for _, i := range todo {
		it := &b.items[i]
		b.verdicts[i] = Verify(it.Key, it.Message, it.Signature)
		all = all && b.verdicts[i]
	}
	if all {
		b.decodeKeys()
	}
	return true
}

// release drops what belongs to the caller; spent stays to be looked at.
func (b *batch) release() {
	b.items, b.verdicts = nil, nil
}

func (b *batch) reset(items []Item, verdicts []bool) {
	b.items, b.verdicts = items, verdicts
	b.sigs, b.pubs = b.sigs[:0], b.pubs[:0]
	clear(b.keys)
	b.keys = b.keys[:0]
	clear(b.keyIndex)
	b.fresh, b.spent, b.budget = b.fresh[:0], 0, 0
}

// findKeys gathers the distinct keys, and their points if they are cached.
func (b *batch) findKeys() {
	for i := range b.items {
		if b.verdicts[i] {
			continue
		}
		p := &b.items[i].Key
		if len(b.pubs) > 0 && b.pubs[len(b.pubs)-1] == *p {
			continue
		}
		if _, ok := b.keyIndex[*p]; !ok {
			b.keyIndex[*p] = int32(len(b.pubs))
			b.pubs = append(b.pubs, *p)
		}
	}
	b.keyCache.with(func() {
		for i := range b.pubs {
			k, _ := b.keyCache.get(b.pubs[i])
			b.keys = append(b.keys, k)
		}
	})
	for len(b.sums) < len(b.keys) {
		b.sums = append(b.sums, group.Accumulator{})
	}
}

// decodeKeys decompresses the keys that were not cached, and caches them.
func (b *batch) decodeKeys() {
	for i, k := range b.keys {
		if k != nil {
			continue
		}
		k, ok := decodeKeyPoints(&b.pubs[i])
		if !ok {
			b.keyIndex[b.pubs[i]] = noKey
			continue
		}
		b.keys[i] = k
		b.fresh = append(b.fresh, int32(i))
	}
	if len(b.fresh) == 0 {
		return
	}
	b.keyCache.with(func() {
		for _, i := range b.fresh {
			b.keyCache.put(b.pubs[i], b.keys[i])
		}
	})
}

// decode adds item i to the equation. If it can't be decoded the verdict stays
// false, as the rule says.
func (b *batch) decode(i int) {
	it := &b.items[i]
	key := b.keyIndex[it.Key]
	if key == noKey {
		return
	}
	b.sigs = append(b.sigs, decodedSig{key: key, item: int32(i)})
	d := &b.sigs[len(b.sigs)-1]
	for j := range d.s {
		d.s[j] = binary.LittleEndian.Uint64(it.Signature[32+8*j:])
	}
	if !group.Below(&d.s) || !d.r.SetBytes((*[32]byte)(it.Signature[:32])) {
		b.sigs = b.sigs[:len(b.sigs)-1]
		return
	}
	b.sha512.Reset()
	b.sha512.Write(it.Signature[:32])
	b.sha512.Write(it.Key[:])
	b.sha512.Write(it.Message)
	b.sha512.Sum(b.buf[:0])
	for j := range d.k {
		d.k[j] = binary.LittleEndian.Uint64(b.buf[8*j:])
	}
}

// randomise derives the randomisers from all that the equation depends on: each
// challenge, which stands for R, A and the message, and each s.
func (b *batch) randomise() {
	b.sha256.Reset()
	buf := &b.buf
	n := copy(buf[:], batchDomain)
	binary.BigEndian.PutUint32(buf[n:], uint32(len(b.sigs)))
	b.sha256.Write(buf[:n+4])
	for i := range b.sigs {
		d := &b.sigs[i]
		for j, w := range d.k {
			binary.LittleEndian.PutUint64(buf[8*j:], w)
		}
		for j, w := range d.s {
			binary.LittleEndian.PutUint64(buf[64+8*j:], w)
		}
		b.sha256.Write(buf[:])
	}
	seed := buf[:36]
	b.sha256.Sum(seed[:0])
	for i := 0; i < len(b.sigs); i += 2 {
		binary.BigEndian.PutUint32(seed[32:], uint32(i))
		h := sha256.Sum256(seed)
		b.sigs[i].z = scalarOf(h[:16])
		if i+1 < len(b.sigs) {
			b.sigs[i+1].z = scalarOf(h[16:])
		}
	}
	if len(b.sigs) > 0 {
		b.sigs[0].z = group.Scalar{1} // one of them may be fixed
	}
}

func scalarOf(b []byte) group.Scalar {
	return group.Scalar{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// holds reports whether the equation over sigs[from:to] holds.
func (b *batch) holds(from, to int) bool {
	b.sum.Reset()
	var base group.Accumulator
	for i := from; i < to; i++ {
		d := &b.sigs[i]
		b.sum.Add(&d.r, d.z)
		base.Add(d.z, d.s[:])
		acc := &b.sums[d.key]
		if *acc == (group.Accumulator{}) {
			b.touched = append(b.touched, d.key)
		}
		acc.Add(d.z, d.k[:])
	}
	b.sum.SetBase(base.ReduceNegative())
	for _, key := range b.touched {
		low, high := b.sums[key].Reduce()
		b.sum.Add(&b.keys[key].low, low)
		b.sum.Add(&b.keys[key].high, high)
		b.sums[key] = group.Accumulator{}
	}
	b.touched = b.touched[:0]
	return b.sum.IsSmall()
}

func (b *batch) accept(from, to int) {
	for i := from; i < to; i++ {
		b.verdicts[b.sigs[i].item] = true
	}
}

// name finds the bad signatures in sigs[from:to] by halving: if the equation over
// the left half holds, a bad one is in the right. Every refusal is decided by
// Verify alone, and when the work spent on halving reaches its budget, all that is
// left goes to Verify.
func (b *batch) name(from, to int) {
	mid := (from + to) / 2
	if mid == from || !b.affordable(mid-from) {
		b.single(from, to)
		return
	}
	if b.tryRange(from, mid) {
		b.name(mid, to)
		return
	}
	right := b.tryRange(mid, to) // before going on: it is cheap while it is large
	b.name(from, mid)
	if !right {
		b.name(mid, to)
	}
}

func (b *batch) affordable(n int) bool { return b.spent+b.costOf(n) <= b.budget }

// tryRange accepts sigs[from:to] if the equation over them holds, and does nothing
// if that is too much work.
func (b *batch) tryRange(from, to int) bool {
	if !b.affordable(to - from) {
		return false
	}
	b.spent += b.costOf(to - from)
	if !b.holds(from, to) {
		return false
	}
	b.accept(from, to)
	return true
}

func (b *batch) single(from, to int) {
	for i := from; i < to; i++ {
		it := &b.items[b.sigs[i].item]
		b.verdicts[b.sigs[i].item] = Verify(it.Key, it.Message, it.Signature)
	}
}

// Costs, in a unit that is about a microsecond where they were measured. They bound
// work and not time, so that the same input takes the same way on every machine;
// only their ratios matter.
const (
	costSingle  = 43 // Verify
	costDecode  = 5  // a signature
	costKey     = 18 // a public key that was not cached
	costHalving = 20 // the most that may be spent on halving, for each signature
)

// costOf is what holds costs for n signatures, at most.
func (b *batch) costOf(n int) int {
	points := n + 2*min(n, len(b.keys))
	if points < 80 {
		return 15 + 4*points
	}
	return 130 + 5*points/2
}

// setBudget leaves for halving what keeps the whole, with all signatures verified
// one by one in the end, below twice that.
func (b *batch) setBudget() {
	n := len(b.sigs)
	rest := n*costSingle*8/10 - n*costDecode - len(b.fresh)*costKey - b.costOf(n)
	b.spent, b.budget = 0, min(rest, n*costHalving)
}
