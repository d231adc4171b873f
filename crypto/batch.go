package crypto

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

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
	spent  int      // work on naming bad signatures, in the unit of costOf
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
	b.findKeys()
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
		b.name(0, len(b.sigs))
	}
	b.release()
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
	b.spent = 0
}

// findKeys gathers the distinct keys, decompressed.
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
	missing := false
	b.keyCache.with(func() {
		for i := range b.pubs {
			k, ok := b.keyCache.get(b.pubs[i])
			b.keys = append(b.keys, k)
			missing = missing || !ok
		}
	})
	if missing {
		b.decodeKeys()
	}
	for len(b.sums) < len(b.keys) {
		b.sums = append(b.sums, group.Accumulator{})
	}
}

// decodeKeys decompresses the keys that were not cached, and caches them.
func (b *batch) decodeKeys() {
	var fresh []int
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
		fresh = append(fresh, i)
	}
	b.keyCache.with(func() {
		for _, i := range fresh {
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

// name finds the bad signatures in sigs[from:to], of which there is at least one.
// It halves: if the equation over the left half holds, a bad one is in the right.
// Each refusal is decided by Verify alone. When the work spent on halving
// reaches its budget, all the rest goes to Verify.
func (b *batch) name(from, to int) {
	if to-from == 1 || b.spent > budgetPerSig*len(b.sigs) {
		b.single(from, to)
		return
	}
	mid := (from + to) / 2
	if b.tryHalf(from, mid) {
		b.name(mid, to)
		return
	}
	b.name(from, mid)
	if !b.tryHalf(mid, to) {
		b.name(mid, to)
	}
}

// tryHalf accepts sigs[from:to] if the equation over them holds.
func (b *batch) tryHalf(from, to int) bool {
	if b.spent > budgetPerSig*len(b.sigs) {
		return false
	}
	b.spent += costOf(to - from)
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

// budgetPerSig is the work, in the unit of costOf, that may be spent on halving
// for each signature of a batch. A single verification is about 43 of them, the
// batch itself 6, so that the whole stays below two single verifications.
const budgetPerSig = 16

// costOf is about how many microseconds holds takes for n signatures. Only ratios
// matter: it bounds work, not time, so that it is the same on every machine.
func costOf(n int) int {
	if n < 80 {
		return 12 + 4*n
	}
	return 130 + 5*n/2
}
