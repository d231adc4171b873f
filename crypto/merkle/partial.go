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
	errPartCount   = errors.New("array has more or fewer items than the tree")
	errPartDepth   = errors.New("branch below the last bit of keys")
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
	d := partDecoder{Reader: dcbor.NewReader(b)}
	d.left = d.Array(MaxPartialSize)
	var top *part
	if d.left > 0 {
		top, _ = d.part(0)
	}
	if d.left > 0 {
		d.Fail(errPartCount)
	}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformedPartial, err)
	}
	return &Partial{top}, nil
}

// partDecoder reads the items of a partial tree.
type partDecoder struct {
	*dcbor.Reader
	left int // items not yet read
}

// item counts an item that is about to be read.
func (d *partDecoder) item() {
	if d.left--; d.left < 0 {
		d.Fail(errPartCount)
	}
}

// part reads a part whose depth, if it is a branch, is at least minDepth. It
// returns a revealed leaf of it too, or nil if there is none. After an error,
// which the reader keeps, both are nil. It recurses at most KeyBits deep, because
// depths increase.
func (d *partDecoder) part(minDepth uint16) (p, witness *part) {
	d.item()
	if d.Kind() == dcbor.KindUint {
		p, witness = d.branch(minDepth)
	} else {
		switch s := d.Bytes(KeySize); len(s) {
		case HashSize:
			p = opaquePart(Hash(s))
		case KeySize:
			p = d.leaf(Key(s))
			witness = p
		default:
			d.Fail(errPartKind)
		}
	}
	if d.Err() != nil {
		return nil, nil
	}
	return p, witness
}

// leaf reads what follows the key of a leaf: the value, or [value hash].
func (d *partDecoder) leaf(key Key) *part {
	d.item()
	if d.Kind() == dcbor.KindArray {
		if d.Array(1) != 1 {
			d.Fail(errPartKind)
		}
		var valueHash Hash
		d.Fixed(valueHash[:])
		return hashLeafPart(key, valueHash)
	}
	value := d.Bytes(MaxValueSize)
	if len(value) == 0 {
		d.Fail(errPartEmpty)
	}
	return leafPart(key, value)
}

// branch reads a branch: the bits that it skips, left, right. The prefix is that
// of a leaf revealed below, with which all others must agree.
func (d *partDecoder) branch(minDepth uint16) (p, witness *part) {
	skip := d.Uint()
	if skip > MaxDepth || minDepth+uint16(skip) > MaxDepth {
		d.Fail(errPartDepth)
		return nil, nil
	}
	depth := minDepth + uint16(skip)
	left, leftWitness := d.part(depth + 1)
	right, rightWitness := d.part(depth + 1)
	if d.Err() != nil {
		return nil, nil
	}
	if err := checkWitnesses(depth, leftWitness, rightWitness); err != nil {
		d.Fail(err)
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
func (p *Partial) Encode() []byte { return p.top.encode() }

// encode returns the encoding of a tree: an array of its items.
func (p *part) encode() []byte {
	e := partEncoder{items: make([]byte, 0, 512)}
	if p != nil {
		e.part(p, 0)
	}
	return append(dcbor.AppendArray(make([]byte, 0, 5+len(e.items)), e.count), e.items...)
}

// partEncoder writes the items of a partial tree, in pre-order.
type partEncoder struct {
	items []byte
	count int
}

func (e *partEncoder) part(p *part, minDepth uint16) {
	switch p.kind {
	case partOpaque:
		e.items = dcbor.AppendBytes(e.items, p.hash[:])
		e.count++
	case partLeaf:
		e.items = dcbor.AppendBytes(dcbor.AppendBytes(e.items, p.prefix[:]), p.value)
		e.count += 2
	case partHashLeaf:
		e.items = dcbor.AppendArray(dcbor.AppendBytes(e.items, p.prefix[:]), 1)
		e.items = dcbor.AppendBytes(e.items, p.valueHash[:])
		e.count += 2
	case partBranch:
		e.items = dcbor.AppendUint(e.items, uint64(p.depth-minDepth))
		e.count++
		e.part(p.left, p.depth+1)
		e.part(p.right, p.depth+1)
	}
}

// Root returns the root of the trie that the partial tree is part of.
func (p *Partial) Root() Hash {
	if p.top == nil {
		return EmptyRoot
	}
	return p.top.hash
}
