package merkle

import (
	"fmt"
	"sort"
)

// checkIndexes checks that there are indexes, strictly ascending and below size.
func checkIndexes(indexes []uint64, size uint64) error {
	if len(indexes) == 0 {
		return ErrIndexesMissing
	}
	for i := 1; i < len(indexes); i++ {
		if indexes[i-1] >= indexes[i] {
			return fmt.Errorf("%w: %d before %d", ErrIndexesOrder, indexes[i-1], indexes[i])
		}
	}
	return checkIndex(indexes[len(indexes)-1], size)
}

// splitIndexes divides ascending indexes into those below mid and the others.
func splitIndexes(indexes []uint64, mid uint64) (left, right []uint64) {
	i := sort.Search(len(indexes), func(i int) bool { return indexes[i] >= mid })
	return indexes[:i], indexes[i:]
}

// MultiProof returns the least set of subtree hashes that proves the entries at
// the indexes (strictly ascending, at least one) in the log of size entries: the
// roots of the greatest subtrees without any of the indexes, from left to right.
func MultiProof(tr TileReader, size uint64, indexes []uint64) ([]Hash, error) {
	if err := checkIndexes(indexes, size); err != nil {
		return nil, err
	}
	n := newNodes(tr)
	var path []Hash
	var visit func(lo, hi uint64, indexes []uint64) error
	visit = func(lo, hi uint64, indexes []uint64) error {
		if len(indexes) == 0 {
			h, err := n.root(lo, hi)
			if err != nil {
				return fmt.Errorf("multi-proof: %w", err)
			}
			path = append(path, h)
			return nil
		}
		if uint64(len(indexes)) == hi-lo {
			return nil // every leaf below is given
		}
		mid := lo + split(hi-lo)
		left, right := splitIndexes(indexes, mid)
		if err := visit(lo, mid, left); err != nil {
			return err
		}
		return visit(mid, hi, right)
	}
	if err := visit(0, size, indexes); err != nil {
		return nil, err
	}
	return path, nil
}

// VerifyMulti returns the root that a multi-proof implies for the leaf hashes
// leaves[i] at indexes[i] (strictly ascending, at least one) in a log of size
// entries. The caller compares it with a root it trusts.
func VerifyMulti(leaves []Hash, indexes []uint64, size uint64, path []Hash) (Hash, error) {
	if err := checkIndexes(indexes, size); err != nil {
		return Hash{}, err
	}
	if len(leaves) != len(indexes) {
		return Hash{}, fmt.Errorf("%w: %d leaves, %d indexes", ErrLeavesCount, len(leaves), len(indexes))
	}
	v := multiVerifier{leaves: leaves, path: path}
	root, err := v.root(0, size, indexes)
	if err != nil {
		return Hash{}, err
	}
	if len(v.path) != 0 {
		return Hash{}, fmt.Errorf("%w: %d left over", ErrPathLength, len(v.path))
	}
	return root, nil
}

// multiVerifier consumes leaves and path hashes from left to right.
type multiVerifier struct {
	leaves []Hash
	path   []Hash
}

// root returns the root over the leaves [lo, hi) of which indexes are given.
func (v *multiVerifier) root(lo, hi uint64, indexes []uint64) (Hash, error) {
	if len(indexes) == 0 {
		if len(v.path) == 0 {
			return Hash{}, fmt.Errorf("%w: ends early", ErrPathLength)
		}
		h := v.path[0]
		v.path = v.path[1:]
		return h, nil
	}
	if hi-lo == 1 {
		h := v.leaves[0]
		v.leaves = v.leaves[1:]
		return h, nil
	}
	mid := lo + split(hi-lo)
	leftIndexes, rightIndexes := splitIndexes(indexes, mid)
	left, err := v.root(lo, mid, leftIndexes)
	if err != nil {
		return Hash{}, err
	}
	right, err := v.root(mid, hi, rightIndexes)
	if err != nil {
		return Hash{}, err
	}
	return NodeHash(left, right), nil
}
