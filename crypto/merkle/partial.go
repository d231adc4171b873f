package merkle

import (
	"errors"
	"fmt"

	"mtmledger/internal/dcbor"
)

// MaxPartialSize bounds the encoding of a partial tree in bytes: some 30,000
// rows of the usual size, or 100,000 hashes.
const MaxPartialSize = 4 << 20

// Errors of partial trees.
var (
	// ErrMalformedPartial is returned for bytes that are no partial tree.
	ErrMalformedPartial = errors.New("malformed partial tree")
	// ErrNotRevealed is returned when an answer may be hidden in a part that
	// the proof does not reveal.
	ErrNotRevealed = errors.New("the proof does not reveal enough to answer")
	// ErrInterval is returned for an interval that ends before it starts.
	ErrInterval = errors.New("interval ends before it starts")
	// ErrPartialSize is returned for a proof over MaxPartialSize.
	ErrPartialSize = errors.New("proof too large")
)

// Reasons why bytes are no partial tree.
var (
	errPartKind    = errors.New("not an opaque part, leaf or branch")
	errPartDepth   = errors.New("depth out of range or not below the branch above")
	errPartWitness = errors.New("branch without a revealed leaf below")
	errPartSide    = errors.New("leaf on the wrong side of a branch")
	errPartPrefix  = errors.New("leaves under a branch differ before its depth")
	errPartEmpty   = errors.New("empty value")
)

// partKind is the kind of a part of a partial tree.
type partKind uint8

const (
	partOpaque   partKind = iota // only the hash of a subtree
	partLeaf                     // a row: key and value
	partHashLeaf                 // a row of which the key and the hash of the value are known
	partBranch                   // a branch and its two children
)

// part is a subtree of the trie, more or less revealed.
type part struct {
	kind        partKind
	depth       uint16 // of a branch
	prefix      Key    // of a branch; the key of a leaf
	hash        Hash   // of the subtree
	valueHash   Hash   // of a partHashLeaf
	value       []byte // of a partLeaf
	left, right *part  // of a branch
}

func opaquePart(hash Hash) *part { return &part{kind: partOpaque, hash: hash} }

func leafPart(key Key, value []byte) *part {
	return &part{kind: partLeaf, prefix: key, value: value, hash: RecordHash(key, value)}
}

func hashLeafPart(key Key, valueHash Hash) *part {
	return &part{kind: partHashLeaf, prefix: key, valueHash: valueHash, hash: recordHash(&key, valueHash)}
}

func branchPart(depth uint16, prefix Key, left, right *part) *part {
	hash := branchHash(depth, &prefix, &left.hash, &right.hash)
	return &part{kind: partBranch, depth: depth, prefix: prefix, left: left, right: right, hash: hash}
}

// Partial is a trie of records of which only parts are revealed. What it answers
// is true of the trie with the root that Root returns, which the caller compares
// with a root it trusts. It is safe for concurrent use.
type Partial struct {
	top *part // nil: the empty trie
}

// ParsePartial reads a partial tree. It refuses whatever Encode would not write
// again identically, and any tree whose revealed leaves do not fit its branches.
// The result aliases b, which must not change any more.
func ParsePartial(b []byte) (*Partial, error) {
	if len(b) > MaxPartialSize {
		return nil, fmt.Errorf("%w: %w: %d bytes", ErrMalformedPartial, ErrPartialSize, len(b))
	}
	if len(b) == 1 && b[0] == emptyPartial {
		return &Partial{}, nil
	}
	r := dcbor.NewReader(b)
	top, _ := readPart(r, 0)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformedPartial, err)
	}
	return &Partial{top}, nil
}

// emptyPartial is the encoding of the empty trie, an empty array.
const emptyPartial = 0x80

// readPart reads a part whose depth, if it is a branch, is at least minDepth. It
// returns a revealed leaf of it, or nil if there is none. After an error, which
// the reader keeps, both are nil. It recurses at most KeyBits deep, because
// depths increase.
func readPart(r *dcbor.Reader, minDepth uint16) (p, witness *part) {
	if r.Kind() == dcbor.KindBytes {
		p = &part{kind: partOpaque}
		r.Fixed(p.hash[:])
	} else {
		switch r.Array(3) {
		case 2:
			p = readLeaf(r)
			witness = p
		case 3:
			p, witness = readBranch(r, minDepth)
		default:
			r.Fail(errPartKind)
		}
	}
	if r.Err() != nil {
		return nil, nil
	}
	return p, witness
}

// readLeaf reads what follows the head of a leaf: [key, value] or
// [key, [value hash]].
func readLeaf(r *dcbor.Reader) *part {
	var key Key
	r.Fixed(key[:])
	if r.Kind() == dcbor.KindArray {
		if r.Array(1) != 1 {
			r.Fail(errPartKind)
		}
		var valueHash Hash
		r.Fixed(valueHash[:])
		return hashLeafPart(key, valueHash)
	}
	value := r.Bytes(MaxValueSize)
	if len(value) == 0 {
		r.Fail(errPartEmpty)
	}
	return leafPart(key, value)
}

// readBranch reads what follows the head of a branch: [depth, left, right]. The
// prefix is that of a leaf revealed below, with which all others must agree.
func readBranch(r *dcbor.Reader, minDepth uint16) (p, witness *part) {
	d := r.Uint()
	if d < uint64(minDepth) || d > MaxDepth {
		r.Fail(errPartDepth)
		return nil, nil
	}
	depth := uint16(d)
	left, leftWitness := readPart(r, depth+1)
	right, rightWitness := readPart(r, depth+1)
	if r.Err() != nil {
		return nil, nil
	}
	if err := checkWitnesses(depth, leftWitness, rightWitness); err != nil {
		r.Fail(err)
		return nil, nil
	}
	witness = leftWitness
	if witness == nil {
		witness = rightWitness
	}
	return branchPart(depth, witness.prefix.prefix(depth), left, right), witness
}

// checkWitnesses checks a revealed leaf of each side of a branch, where there is
// one: the bit at depth is that of its side, and the bits before it are shared.
// One leaf a side is enough: all others below were checked against it before.
func checkWitnesses(depth uint16, left, right *part) error {
	if left == nil && right == nil {
		return errPartWitness
	}
	if left != nil && left.prefix.bit(depth) != 0 || right != nil && right.prefix.bit(depth) != 1 {
		return errPartSide
	}
	if left != nil && right != nil && left.prefix.firstDifference(&right.prefix) != depth {
		return errPartPrefix
	}
	return nil
}

// Encode returns the encoding that ParsePartial reads.
func (p *Partial) Encode() []byte {
	if p.top == nil {
		return []byte{emptyPartial}
	}
	return p.top.append(nil)
}

// append appends the encoding of a part, in pre-order.
func (p *part) append(b []byte) []byte {
	switch p.kind {
	case partOpaque:
		return dcbor.AppendBytes(b, p.hash[:])
	case partLeaf:
		b = dcbor.AppendBytes(dcbor.AppendArray(b, 2), p.prefix[:])
		return dcbor.AppendBytes(b, p.value)
	case partHashLeaf:
		b = dcbor.AppendBytes(dcbor.AppendArray(b, 2), p.prefix[:])
		return dcbor.AppendBytes(dcbor.AppendArray(b, 1), p.valueHash[:])
	default:
		b = dcbor.AppendUint(dcbor.AppendArray(b, 3), uint64(p.depth))
		return p.right.append(p.left.append(b))
	}
}

// Root returns the root of the trie that the partial tree is part of.
func (p *Partial) Root() Hash {
	if p.top == nil {
		return EmptyRoot
	}
	return p.top.hash
}
