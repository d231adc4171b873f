package merkle

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// MaxLogSize bounds the number of entries of a log, so that every size and
// index also fits a signed integer.
const MaxLogSize = 1<<63 - 1

// ErrMalformedFrontier is returned for a frontier whose number of hashes does
// not fit its size.
var ErrMalformedFrontier = errors.New("malformed frontier")

// Frontier is all that is needed of a log to append to it and to know its root:
// the roots of the complete subtrees that its size decomposes into, the largest
// and leftmost first. There is one for each bit that is set in the size.
type Frontier struct {
	size   uint64
	hashes []Hash
}

// NewFrontier returns the frontier of a log of size entries. There must be as
// many hashes as bits set in size. The zero Frontier is that of the empty log.
func NewFrontier(size uint64, hashes []Hash) (*Frontier, error) {
	if size > MaxLogSize || len(hashes) != bits.OnesCount64(size) {
		return nil, fmt.Errorf("%w: %d hashes at size %d", ErrMalformedFrontier, len(hashes), size)
	}
	return &Frontier{size: size, hashes: slices.Clone(hashes)}, nil
}

// Append adds one leaf hash. A log is full at MaxLogSize entries, which no
// appender reaches: appending one entry a nanosecond takes 292 years.
func (f *Frontier) Append(leaf Hash) {
	for s := f.size; s&1 == 1; s >>= 1 {
		last := len(f.hashes) - 1
		leaf = NodeHash(f.hashes[last], leaf)
		f.hashes = f.hashes[:last]
	}
	f.hashes = append(f.hashes, leaf)
	f.size++
}

// Size returns the number of entries.
func (f *Frontier) Size() uint64 { return f.size }

// Root returns the root of the log (RFC 9162 section 2.1.1).
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return EmptyRoot
	}
	last := len(f.hashes) - 1
	root := f.hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = NodeHash(f.hashes[i], root)
	}
	return root
}

// Hashes returns a copy of the hashes, as NewFrontier takes them.
func (f *Frontier) Hashes() []Hash { return slices.Clone(f.hashes) }

// Clone returns an independent copy.
func (f *Frontier) Clone() *Frontier {
	return &Frontier{size: f.size, hashes: slices.Clone(f.hashes)}
}
