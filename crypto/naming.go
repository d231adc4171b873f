package crypto

import "mtmledger/crypto/internal/group"

func (b *batch) accept(from, to int) {
	for i := from; i < to; i++ {
		b.verdicts[b.sigs[i].item] = true
	}
}

// name finds the bad signatures in sigs[from:to] by halving: if the equation over
// the left half holds, a bad one is in the right. Every refusal is decided by
// Verify alone, and when the work reaches its limit, all that is left goes to Verify.
func (b *batch) name(from, to int) {
	mid := (from + to) / 2
	if mid == from || !b.affordable(mid-from) {
		b.doubt(from, to)
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

// tryRange accepts sigs[from:to] if the equation over them holds, and does nothing
// if that is too much work.
func (b *batch) tryRange(from, to int) bool {
	if !b.affordable(to-from) || !b.holds(from, to) {
		return false
	}
	b.accept(from, to)
	return true
}

// doubt leaves sigs[from:to] to Verify.
func (b *batch) doubt(from, to int) {
	for i := from; i < to; i++ {
		b.doubtful = append(b.doubtful, int32(i))
	}
}

func (b *batch) verifyDoubtful() {
	b.work += len(b.doubtful) * costSingle
	b.each(worth(len(b.items), minShare), len(b.doubtful), 4, (*batch).verifySingly)
}

// verifySingly decides by Verify's rule. A long message is not hashed again.
func (b *batch) verifySingly(_ *worker, from, to int) {
	for _, i := range b.doubtful[from:to] {
		d := &b.sigs[i]
		it := &b.items[d.item]
		b.verdicts[d.item] = verify(&it.Key, &it.Signature, func() [64]byte {
			if !b.decoded {
				return challenge(&it.Key, it.Message, &it.Signature)
			}
			return d.challenge()
		})
	}
}

// Costs, counted by hand in multiplications of field elements, of which a squaring
// takes four fifths. They bound work and not time, so that the same input takes the
// same way on every machine.
const (
	costDecompress = 225  // a square root: 252 squarings and 22 multiplications
	costSingle     = 2700 // Verify: 2 square roots, 253 doublings of 6.2, a table of 73, 42 + 28 additions of 8 and 7, and 65 for hashing and the end
	costDecode     = costDecompress + 65
	costKey        = costDecompress + 128*31/5 + 222 // doublings of 6.2, an inversion and 10 more
	costHalving    = 1250                            // the most that may be spent on halving, for each signature
)

// costOf is what holds costs for n signatures, at most.
func (b *batch) costOf(n int) int { return group.Cost(n + 2*min(n, len(b.keys))) }

// allowance is what a batch of n signatures, and naming the bad ones among them, may
// cost before Verify decides on what is left: then the whole stays below 9/5 of what
// Verify costs for all.
func allowance(n int) int { return n * costSingle * 4 / 5 }

// worthwhile reports whether the batch as gathered keeps to its allowance: it may not
// if there are few signatures, or if most are by keys that are not cached.
func (b *batch) worthwhile() bool {
	n := len(b.sigs)
	return n*costDecode+len(b.fresh)*costKey+b.costOf(n) <= allowance(n)
}

// setLimit sets the work at which halving ends.
func (b *batch) setLimit() {
	n := len(b.sigs)
	b.limit = min(allowance(n), b.work+n*costHalving)
}

func (b *batch) affordable(n int) bool { return b.work+b.costOf(n) <= b.limit }
