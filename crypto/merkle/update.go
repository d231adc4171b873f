package merkle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Errors of Update.
var (
	ErrChangesOrder = errors.New("changes are not strictly ascending by key")
	ErrValueSize    = errors.New("value size out of range")
)

// Change puts a value of 1 to MaxValueSize bytes under a key, or deletes the key
// if Value is nil. Deleting an absent key changes nothing.
type Change struct {
	Key   Key
	Value []byte
}

// NodeWrite is a change of the stored branches: Node is written under ID, or the
// branch ID is deleted if Node is nil. An ID occurs at most once in an update.
type NodeWrite struct {
	ID   NodeID
	Node *Node
}

// Update applies changes, sorted by key and each key once, to the trie that root
// names. It returns the new root and what to write for it to be readable. It
// descends once, to every branch that has a change below, and hashes every
// branch once. The result depends only on the resulting set of keys and values.
// Update trusts the stored branches: it checks their shape, not their hashes.
func Update(nodes NodeReader, root Ref, changes []Change) (Ref, []NodeWrite, error) {
	if err := checkChanges(changes); err != nil {
		return Ref{}, nil, err
	}
	u := updater{nodes: nodes, writes: make([]NodeWrite, 0, 2*len(changes))}
	next, err := u.apply(root, changes)
	if err != nil {
		return Ref{}, nil, fmt.Errorf("update: %w", err)
	}
	return next, u.writes, nil
}

func checkChanges(changes []Change) error {
	for i := range changes {
		if i > 0 && changes[i-1].Key.compare(&changes[i].Key) >= 0 {
			return fmt.Errorf("%w: change %d", ErrChangesOrder, i)
		}
		if v := changes[i].Value; v != nil && (len(v) == 0 || len(v) > MaxValueSize) {
			return fmt.Errorf("%w: %d bytes", ErrValueSize, len(v))
		}
	}
	return nil
}

// updater carries one update.
type updater struct {
	nodes  NodeReader
	writes []NodeWrite
	slab   []Node // room for written nodes: one allocation for many
	stack  []Ref  // disjoint subtrees, ascending, waiting to be joined
}

// apply returns the subtree ref with the changes applied. They may lie anywhere
// the subtree could have grown to, so not only under its prefix.
func (u *updater) apply(ref Ref, changes []Change) (Ref, error) {
	if len(changes) == 0 {
		return ref, nil
	}
	lo, hi := 0, 0
	if !ref.IsEmpty() {
		lo, hi = span(&ref, changes)
	}
	inner := ref
	if lo < hi {
		var err error
		if inner, err = u.within(&ref, changes[lo:hi]); err != nil {
			return Ref{}, err
		}
	}
	if lo == 0 && hi == len(changes) {
		return inner, nil
	}
	start := len(u.stack)
	u.pushLeaves(changes[:lo])
	if !inner.IsEmpty() {
		u.stack = append(u.stack, inner)
	}
	u.pushLeaves(changes[hi:])
	joined := u.build(u.stack[start:])
	u.stack = u.stack[:start]
	return joined, nil
}

// span returns the range of changes that lie under the prefix of a subtree.
func span(ref *Ref, changes []Change) (lo, hi int) {
	under := func(i int) bool { return changes[i].Key.firstDifference(&ref.Prefix) >= ref.Depth }
	n := len(changes)
	if under(0) && under(n-1) {
		return 0, n
	}
	lo = sort.Search(n, func(i int) bool { return changes[i].Key.compare(&ref.Prefix) >= 0 })
	hi = lo + sort.Search(n-lo, func(i int) bool { return !under(lo + i) })
	return lo, hi
}

// within applies changes, at least one, that all lie under the prefix of ref.
func (u *updater) within(ref *Ref, changes []Change) (Ref, error) {
	if ref.isLeaf() { // the only key under it is its own
		return changedLeaf(&changes[0]), nil
	}
	node, err := readNode(u.nodes, ref)
	if err != nil {
		return Ref{}, err
	}
	mid := sort.Search(len(changes), func(i int) bool { return changes[i].Key.bit(ref.Depth) == 1 })
	left, err := u.apply(node.Left, changes[:mid])
	if err != nil {
		return Ref{}, err
	}
	right, err := u.apply(node.Right, changes[mid:])
	if err != nil {
		return Ref{}, err
	}
	switch {
	case left == node.Left && right == node.Right:
		return *ref, nil
	case left.IsEmpty():
		u.write(NodeWrite{ID: ref.ID()})
		return right, nil
	case right.IsEmpty():
		u.write(NodeWrite{ID: ref.ID()})
		return left, nil
	}
	return u.branch(ref.Depth, ref.Prefix, left, right), nil
}

// changedLeaf returns the leaf that a change leaves: empty if it deletes.
func changedLeaf(c *Change) Ref {
	if c.Value == nil {
		return Ref{}
	}
	return Ref{KeyBits, c.Key, recordHash(&c.Key, sha256.Sum256(c.Value))}
}

// pushLeaves pushes the leaves of changes to absent keys.
func (u *updater) pushLeaves(changes []Change) {
	for i := range changes {
		if leaf := changedLeaf(&changes[i]); !leaf.IsEmpty() {
			u.stack = append(u.stack, leaf)
		}
	}
}

// build joins disjoint subtrees, ascending by prefix, into one.
func (u *updater) build(parts []Ref) Ref {
	switch len(parts) {
	case 0:
		return Ref{}
	case 1:
		return parts[0]
	}
	first, last := &parts[0], &parts[len(parts)-1]
	depth := first.Prefix.firstDifference(&last.Prefix)
	mid := sort.Search(len(parts), func(i int) bool { return parts[i].Prefix.bit(depth) == 1 })
	return u.branch(depth, first.Prefix.prefix(depth), u.build(parts[:mid]), u.build(parts[mid:]))
}

// branch writes a branch and returns its reference.
func (u *updater) branch(depth uint16, prefix Key, left, right Ref) Ref {
	if len(u.slab) == cap(u.slab) {
		u.slab = make([]Node, 0, min(1024, 16+2*cap(u.slab)))
	}
	u.slab = append(u.slab, Node{left, right})
	node := &u.slab[len(u.slab)-1]
	u.write(NodeWrite{NodeID{depth, prefix}, node})
	return Ref{depth, prefix, branchHash(depth, &prefix, &left.Hash, &right.Hash)}
}

// write adds a write. It doubles the room for them: there are several for each
// change, and append alone would copy most of them several times.
func (u *updater) write(w NodeWrite) {
	if n := len(u.writes); n == cap(u.writes) {
		u.writes = slices.Grow(u.writes, n+16)
	}
	u.writes = append(u.writes, w)
}
