package merkle

import "fmt"

// KV is a row of records.
type KV struct {
	Key   Key
	Value []byte
}

// PrefixRange returns the least and the greatest key that start with a prefix of
// at most KeySize bytes; of a longer one, only the first KeySize bytes count.
func PrefixRange(prefix []byte) (lo, hi Key) {
	n := copy(lo[:], prefix)
	return lo, lo.last(uint16(8 * n))
}

// interval is the keys from lo to hi, both included.
type interval struct{ lo, hi Key }

func newInterval(lo, hi Key) (interval, error) {
	if lo.compare(&hi) > 0 {
		return interval{}, fmt.Errorf("%w: %s to %s", ErrInterval, lo, hi)
	}
	return interval{lo, hi}, nil
}

// contains reports whether the key lies in the interval.
func (iv *interval) contains(k *Key) bool { return iv.lo.compare(k) <= 0 && k.compare(&iv.hi) <= 0 }

// area is what is known from above about the keys of a subtree: they all share
// the first depth bits of prefix, whose other bits are zero.
type area struct {
	prefix Key
	depth  uint16
}

// childArea returns the area of one side of a branch.
func childArea(depth uint16, prefix *Key, side byte) area {
	return area{prefix.child(depth, side), depth + 1}
}

// meets reports whether a key of the area could lie in the interval.
func (iv *interval) meets(a *area) bool {
	last := a.prefix.last(a.depth)
	return a.prefix.compare(&iv.hi) <= 0 && iv.lo.compare(&last) <= 0
}

// scan calls visit for the leaves of p, a part in area a, with keys in the
// interval, in ascending order or, if down, descending, until visit returns
// false. It fails with ErrNotRevealed at the first part on that way that could
// hide such a leaf.
func (p *part) scan(a area, iv *interval, down bool, visit func(*part) bool) (goOn bool, err error) {
	if !iv.meets(&a) {
		return true, nil
	}
	switch p.kind {
	case partOpaque:
		return false, fmt.Errorf("%w: keys from %s", ErrNotRevealed, a.prefix)
	case partLeaf, partHashLeaf:
		if !iv.contains(&p.prefix) {
			return true, nil
		}
		if p.kind == partHashLeaf {
			return false, fmt.Errorf("%w: value of %s", ErrNotRevealed, p.prefix)
		}
		return visit(p), nil
	}
	children := [2]*part{p.left, p.right}
	for i := range children {
		side := i
		if down {
			side = 1 - i
		}
		goOn, err := children[side].scan(childArea(p.depth, &p.prefix, byte(side)), iv, down, visit)
		if err != nil || !goOn {
			return false, err
		}
	}
	return true, nil
}

// scan calls visit for the revealed rows of an interval, as part.scan does.
func (p *Partial) scan(lo, hi Key, down bool, visit func(*part) bool) error {
	iv, err := newInterval(lo, hi)
	if err != nil {
		return err
	}
	if p.top == nil {
		return nil
	}
	_, err = p.top.scan(area{}, &iv, down, visit)
	return err
}

// Get returns the value under a key; found is false if the key is proven absent.
// The value must not be changed.
func (p *Partial) Get(k Key) (value []byte, found bool, err error) {
	_, value, found, err = p.Predecessor(k, k)
	return value, found, err
}

// Predecessor returns the row with the greatest key in [lo, k]; found is false if
// it is proven that there is none. The value must not be changed.
func (p *Partial) Predecessor(lo, k Key) (key Key, value []byte, found bool, err error) {
	err = p.scan(lo, k, true, func(leaf *part) bool {
		key, value, found = leaf.prefix, leaf.value, true
		return false
	})
	return key, value, found, err
}

// List returns all rows with keys in [lo, hi], ascending: no more and no fewer
// than the trie has. There may be as many as fit into MaxPartialSize; a caller
// that wants fewer checks. The values must not be changed.
func (p *Partial) List(lo, hi Key) ([]KV, error) {
	var rows []KV
	err := p.scan(lo, hi, false, func(leaf *part) bool {
		rows = append(rows, KV{leaf.prefix, leaf.value})
		return true
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
