package merkle

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"

	"mtmledger/internal/dcbor"
)

// ValueReader reads the value of a row. A key that is not there is an error.
type ValueReader interface {
	Value(Key) ([]byte, error)
}

// Query is a question that a proof answers.
type Query struct {
	lo, hi      Key
	predecessor bool // only the greatest key in [lo, hi] is asked for
}

// GetQuery asks for the value under a key, or its absence.
func GetQuery(k Key) Query { return Query{lo: k, hi: k} }

// PredecessorQuery asks for the row with the greatest key in [lo, k], or for
// there being none.
func PredecessorQuery(lo, k Key) Query { return Query{lo: lo, hi: k, predecessor: true} }

// ListQuery asks for all rows with keys in [lo, hi].
func ListQuery(lo, hi Key) Query { return Query{lo: lo, hi: hi} }

// Prove returns the encoded partial tree that answers the queries about the trie
// that root names, and reveals no more than that takes. Without queries it is
// the root alone. It fails with ErrCorrupt if what is stored does not hash to
// the root, with ErrInterval for a query from a key to a lesser one, and with
// ErrPartialSize if the answers do not fit into MaxPartialSize.
func Prove(nodes NodeReader, values ValueReader, root Ref, queries ...Query) ([]byte, error) {
	if root.IsEmpty() {
		return (*part)(nil).encode(), nil
	}
	p := prover{nodes: nodes, values: values}
	reveal, err := p.intervals(&root, queries)
	if err != nil {
		return nil, fmt.Errorf("prove: %w", err)
	}
	top, err := p.reveal(&root, area{}, reveal)
	if err != nil {
		return nil, fmt.Errorf("prove: %w", err)
	}
	if top.hash != root.Hash {
		return nil, fmt.Errorf("prove: %w: root is %s, want %s", ErrCorrupt, top.hash, root.Hash)
	}
	b := top.encode()
	if len(b) > MaxPartialSize {
		return nil, fmt.Errorf("prove: %w: %d bytes", ErrPartialSize, len(b))
	}
	return b, nil
}

// prover carries one proof.
type prover struct {
	nodes  NodeReader
	values ValueReader
	size   int // bytes of the encoding so far, heads of branches not quite
}

// intervals returns the intervals of keys in which every row and every absence
// must be revealed to answer the queries: ascending, disjoint.
func (p *prover) intervals(root *Ref, queries []Query) ([]interval, error) {
	var all []interval
	for _, q := range queries {
		iv, err := newInterval(q.lo, q.hi)
		if err != nil {
			return nil, err
		}
		if q.predecessor {
			found, ok, err := p.predecessor(root, &q.hi)
			if err != nil {
				return nil, err
			}
			if ok && iv.contains(&found) {
				iv.lo = found
			}
		}
		all = append(all, iv)
	}
	slices.SortFunc(all, func(a, b interval) int { return a.lo.compare(&b.lo) })
	merged := all[:0]
	for _, iv := range all {
		if n := len(merged); n > 0 && iv.lo.compare(&merged[n-1].hi) <= 0 {
			if merged[n-1].hi.compare(&iv.hi) < 0 {
				merged[n-1].hi = iv.hi
			}
			continue
		}
		merged = append(merged, iv)
	}
	return merged, nil
}

// predecessor returns the greatest key in the subtree that is not above k.
func (p *prover) predecessor(ref *Ref, k *Key) (Key, bool, error) {
	if ref.Prefix.compare(k) > 0 {
		return Key{}, false, nil
	}
	if ref.isLeaf() {
		return ref.Prefix, true, nil
	}
	node, err := readNode(p.nodes, ref)
	if err != nil {
		return Key{}, false, err
	}
	found, ok, err := p.predecessor(&node.Right, k)
	if ok || err != nil {
		return found, ok, err
	}
	return p.predecessor(&node.Left, k)
}

// meeting returns those of the ascending, disjoint intervals that meet an area.
func meeting(ivs []interval, a *area) []interval {
	last := a.prefix.last(a.depth)
	from := sort.Search(len(ivs), func(i int) bool { return ivs[i].hi.compare(&a.prefix) >= 0 })
	ivs = ivs[from:]
	to := sort.Search(len(ivs), func(i int) bool { return ivs[i].lo.compare(&last) > 0 })
	return ivs[:to]
}

// reveal returns the part that reveals the intervals in the subtree ref, which
// lies in area a.
func (p *prover) reveal(ref *Ref, a area, ivs []interval) (*part, error) {
	if ivs = meeting(ivs, &a); len(ivs) == 0 {
		return p.opaque(ref)
	}
	if ref.isLeaf() {
		return p.leaf(ref, ivs)
	}
	own := area{ref.Prefix, ref.Depth}
	if len(meeting(ivs, &own)) == 0 {
		return p.witness(ref, ivs)
	}
	node, err := readNode(p.nodes, ref)
	if err != nil {
		return nil, err
	}
	left, err := p.reveal(&node.Left, childArea(ref.Depth, &ref.Prefix, 0), ivs)
	if err != nil {
		return nil, err
	}
	right, err := p.reveal(&node.Right, childArea(ref.Depth, &ref.Prefix, 1), ivs)
	if err != nil {
		return nil, err
	}
	return p.branch(ref, left, right)
}

// witness returns the part that reveals one leaf of the subtree, by which its
// prefix shows, and so that it has nothing in the intervals.
func (p *prover) witness(ref *Ref, ivs []interval) (*part, error) {
	if ref.isLeaf() {
		return p.leaf(ref, ivs)
	}
	node, err := readNode(p.nodes, ref)
	if err != nil {
		return nil, err
	}
	left, err := p.witness(&node.Left, ivs)
	if err != nil {
		return nil, err
	}
	right, err := p.opaque(&node.Right)
	if err != nil {
		return nil, err
	}
	return p.branch(ref, left, right)
}

// opaque returns the part that reveals nothing of a subtree.
func (p *prover) opaque(ref *Ref) (*part, error) {
	return opaquePart(ref.Hash), p.grow(stringSize(HashSize))
}

// leaf returns the part of a leaf: with its value if an interval has its key.
func (p *prover) leaf(ref *Ref, ivs []interval) (*part, error) {
	value, err := p.values.Value(ref.Prefix)
	if err != nil {
		return nil, fmt.Errorf("value of %s: %w", ref.Prefix, err)
	}
	if len(value) == 0 || len(value) > MaxValueSize {
		return nil, fmt.Errorf("%w: value of %s: %w", ErrCorrupt, ref.Prefix, ErrValueSize)
	}
	size := stringSize(KeySize)
	if len(meeting(ivs, &area{ref.Prefix, KeyBits})) > 0 {
		return leafPart(ref.Prefix, value), p.grow(size + stringSize(len(value)))
	}
	return hashLeafPart(ref.Prefix, sha256.Sum256(value)), p.grow(size + 1 + stringSize(HashSize))
}

// branch returns the part of a branch.
func (p *prover) branch(ref *Ref, left, right *part) (*part, error) {
	return branchPart(ref.Depth, ref.Prefix, left, right), p.grow(1)
}

// grow counts bytes of the encoding and fails once there are too many, before
// all of an endless list is read.
func (p *prover) grow(n int) error {
	p.size += n
	if p.size > MaxPartialSize {
		return fmt.Errorf("%w: over %d bytes", ErrPartialSize, MaxPartialSize)
	}
	return nil
}

// stringSize returns the encoded size of a string of n bytes.
func stringSize(n int) int { return dcbor.SizeUint(uint64(n)) + n }
