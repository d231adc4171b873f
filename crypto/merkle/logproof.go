package merkle

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// Errors of log proofs.
var (
	ErrLogSize        = errors.New("log size out of range")
	ErrLogIndex       = errors.New("log index out of range")
	ErrPathLength     = errors.New("wrong number of hashes in the path")
	ErrInconsistent   = errors.New("the older log is not a prefix of the newer")
	ErrIndexesOrder   = errors.New("indexes are not strictly ascending")
	ErrIndexesMissing = errors.New("no indexes")
	ErrLeavesCount    = errors.New("not one leaf for each index")
)

// checkIndex checks that a log of size entries has the index.
func checkIndex(index, size uint64) error {
	if size > MaxLogSize {
		return fmt.Errorf("%w: %d", ErrLogSize, size)
	}
	if index >= size {
		return fmt.Errorf("%w: index %d at size %d", ErrLogIndex, index, size)
	}
	return nil
}

// InclusionProof returns the path that proves the entry at index in the log of
// size entries: the sibling hashes from the leaf upwards (RFC 9162 section
// 2.1.3.1). It has at most 63 hashes.
func InclusionProof(tr TileReader, size, index uint64) ([]Hash, error) {
	if err := checkIndex(index, size); err != nil {
		return nil, err
	}
	n := newNodes(tr)
	var path []Hash
	lo, hi := uint64(0), size
	for hi-lo > 1 { // from the root down
		mid := lo + split(hi-lo)
		otherLo, otherHi := mid, hi
		if index < mid {
			hi = mid
		} else {
			otherLo, otherHi = lo, mid
			lo = mid
		}
		sibling, err := n.root(otherLo, otherHi)
		if err != nil {
			return nil, fmt.Errorf("inclusion proof: %w", err)
		}
		path = append(path, sibling)
	}
	slices.Reverse(path)
	return path, nil
}

// VerifyInclusion returns the root that the path implies for a leaf hash at
// index in a log of size entries (RFC 9162 section 2.1.3.2). The caller compares
// it with a root it trusts.
func VerifyInclusion(leaf Hash, index, size uint64, path []Hash) (Hash, error) {
	if err := checkIndex(index, size); err != nil {
		return Hash{}, err
	}
	root := leaf
	fn, sn := index, size-1
	for i, sibling := range path {
		if sn == 0 {
			return Hash{}, fmt.Errorf("%w: %d left over", ErrPathLength, len(path)-i)
		}
		if fn&1 == 1 || fn == sn {
			root = NodeHash(sibling, root)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			root = NodeHash(root, sibling)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return Hash{}, fmt.Errorf("%w: ends early", ErrPathLength)
	}
	return root, nil
}

// checkSizes checks 0 <= oldSize <= newSize <= MaxLogSize.
func checkSizes(oldSize, newSize uint64) error {
	if newSize > MaxLogSize || oldSize > newSize {
		return fmt.Errorf("%w: from %d to %d", ErrLogSize, oldSize, newSize)
	}
	return nil
}

// ConsistencyProof returns the path that proves that the log of oldSize entries
// is a prefix of the log of newSize entries (RFC 9162 section 2.1.4.1). It is
// empty if oldSize is 0 or newSize.
func ConsistencyProof(tr TileReader, oldSize, newSize uint64) ([]Hash, error) {
	if err := checkSizes(oldSize, newSize); err != nil {
		return nil, err
	}
	if oldSize == 0 || oldSize == newSize {
		return nil, nil
	}
	n := newNodes(tr)
	var path []Hash
	add := func(lo, hi uint64) error {
		h, err := n.root(lo, hi)
		if err != nil {
			return fmt.Errorf("consistency proof: %w", err)
		}
		path = append(path, h)
		return nil
	}
	lo, hi := uint64(0), newSize
	for hi != oldSize { // from the root down
		mid := lo + split(hi-lo)
		otherLo, otherHi := mid, hi
		if oldSize <= mid {
			hi = mid
		} else {
			otherLo, otherHi = lo, mid
			lo = mid
		}
		if err := add(otherLo, otherHi); err != nil {
			return nil, err
		}
	}
	if lo != 0 { // otherwise the verifier holds this root: it is the old one
		if err := add(lo, hi); err != nil {
			return nil, err
		}
	}
	slices.Reverse(path)
	return path, nil
}

// VerifyConsistency checks that the log with oldRoot at oldSize is a prefix of
// the log with newRoot at newSize (RFC 9162 section 2.1.4.2).
func VerifyConsistency(oldSize, newSize uint64, oldRoot, newRoot Hash, path []Hash) error {
	if err := checkSizes(oldSize, newSize); err != nil {
		return err
	}
	if oldSize == 0 || oldSize == newSize {
		return verifyTrivialConsistency(oldSize, newSize, oldRoot, newRoot, path)
	}
	if oldSize&(oldSize-1) == 0 { // the old log is one complete subtree
		path = append([]Hash{oldRoot}, path...)
	}
	if len(path) == 0 {
		return fmt.Errorf("%w: empty", ErrPathLength)
	}
	fn, sn := oldSize-1, newSize-1
	shift := bits.TrailingZeros64(^fn)
	fn, sn = fn>>shift, sn>>shift
	fr, sr := path[0], path[0]
	for i, c := range path[1:] {
		if sn == 0 {
			return fmt.Errorf("%w: %d left over", ErrPathLength, len(path)-1-i)
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = NodeHash(c, fr), NodeHash(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = NodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("%w: ends early", ErrPathLength)
	}
	if fr != oldRoot {
		return fmt.Errorf("%w: path gives old root %s, want %s", ErrInconsistent, fr, oldRoot)
	}
	if sr != newRoot {
		return fmt.Errorf("%w: path gives new root %s, want %s", ErrInconsistent, sr, newRoot)
	}
	return nil
}

// verifyTrivialConsistency checks the cases that need no path: from the empty
// log, and from a size to itself.
func verifyTrivialConsistency(oldSize, newSize uint64, oldRoot, newRoot Hash, path []Hash) error {
	if len(path) != 0 {
		return fmt.Errorf("%w: %d left over", ErrPathLength, len(path))
	}
	if oldSize == 0 && oldRoot != EmptyRoot {
		return fmt.Errorf("%w: the empty log has root %s, not %s", ErrInconsistent, EmptyRoot, oldRoot)
	}
	if oldSize == newSize && oldRoot != newRoot {
		return fmt.Errorf("%w: roots differ at one size", ErrInconsistent)
	}
	return nil
}
