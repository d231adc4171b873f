package crypto

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
		for i := from; i < to; i++ {
			b.doubtful = append(b.doubtful, int32(i))
		}
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

func (b *batch) verifySingly(_ *worker, from, to int) {
	for _, i := range b.doubtful[from:to] {
		b.verifyOne(int(i))
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
