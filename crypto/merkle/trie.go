package merkle

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
)

// Sizes of the records trie.
const (
	KeySize      = 33          // bytes of a key
	KeyBits      = 8 * KeySize // bits of a key; the depth of a leaf
	MaxValueSize = 64 << 10    // bytes of a value; at least one
	RefSize      = 2 + 33 + 32 // bytes of an encoded Ref
	NodeSize     = 2 * RefSize // bytes of an encoded Node
	MaxDepth     = KeyBits - 1 // greatest depth of a branch
)

// Errors of stored parts of the records trie.
var (
	ErrMalformedRef  = errors.New("malformed trie reference")
	ErrMalformedNode = errors.New("malformed trie node")
	ErrCorrupt       = errors.New("stored trie is corrupt")
)

// Key is the key of a row of records. Keys are ordered as their bytes are; bit 0
// is the most significant bit of the first byte.
type Key [KeySize]byte

// String returns the key in lower-case hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// bit returns the bit at index i, 0 or 1.
func (k *Key) bit(i uint16) byte { return k[i>>3] >> (7 - i&7) & 1 }

// compare orders keys by their bytes.
func (k *Key) compare(other *Key) int {
	for i := 0; i < 32; i += 8 {
		a, b := binary.BigEndian.Uint64(k[i:]), binary.BigEndian.Uint64(other[i:])
		if a != b {
			if a < b {
				return -1
			}
			return 1
		}
	}
	return int(k[32]) - int(other[32])
}

// firstDifference returns the index of the first bit in which the keys differ,
// KeyBits if they are equal.
func (k *Key) firstDifference(other *Key) uint16 {
	for i := 0; i < 32; i += 8 {
		if x := binary.BigEndian.Uint64(k[i:]) ^ binary.BigEndian.Uint64(other[i:]); x != 0 {
			return uint16(8*i + bits.LeadingZeros64(x))
		}
	}
	if x := k[32] ^ other[32]; x != 0 {
		return uint16(8*32 + bits.LeadingZeros8(x))
	}
	return KeyBits
}

// prefix returns the first depth bits followed by zeros.
func (k Key) prefix(depth uint16) Key {
	p := k
	i := int(depth >> 3)
	if i < KeySize {
		p[i] &= ^byte(0xff >> (depth & 7))
		clear(p[i+1:])
	}
	return p
}

// last returns the greatest key that has the first depth bits of k.
func (k Key) last(depth uint16) Key {
	p := k
	i := int(depth >> 3)
	if i < KeySize {
		p[i] |= byte(0xff >> (depth & 7))
		for j := i + 1; j < KeySize; j++ {
			p[j] = 0xff
		}
	}
	return p
}

// child returns the prefix that the keys under one side of a branch share, if
// the branch has prefix k at depth: k with the bit at depth set to side.
func (k Key) child(depth uint16, side byte) Key {
	p := k
	p[depth>>3] |= side << (7 - depth&7)
	return p
}

// Ref names a subtree of the trie and commits to it. Depth is KeyBits for a leaf,
// whose key is Prefix; for a branch it is the index of the bit that tells its
// children apart, and Prefix is the bits before it, followed by zeros. The zero
// Ref is the empty trie.
type Ref struct {
	Depth  uint16
	Prefix Key
	Hash   Hash
}

// IsEmpty reports whether the trie is empty.
func (r Ref) IsEmpty() bool { return r == Ref{} }

// isLeaf reports whether the subtree is one leaf.
func (r *Ref) isLeaf() bool { return r.Depth == KeyBits }

// RootHash returns the hash of the trie: EmptyRoot if it is empty.
func (r Ref) RootHash() Hash {
	if r.IsEmpty() {
		return EmptyRoot
	}
	return r.Hash
}

// ID returns the name of the branch.
func (r Ref) ID() NodeID { return NodeID{r.Depth, r.Prefix} }

// AppendBinary appends the RefSize bytes: depth u16 big-endian, prefix, hash.
func (r Ref) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint16(b, r.Depth)
	b = append(b, r.Prefix[:]...)
	return append(b, r.Hash[:]...), nil
}

// MarshalBinary returns the RefSize bytes that ParseRef reads.
func (r Ref) MarshalBinary() ([]byte, error) { return r.AppendBinary(make([]byte, 0, RefSize)) }

// ParseRef reads a reference. It refuses what no trie has: a depth beyond
// KeyBits, a prefix with bits from depth on, an empty reference with a part.
func ParseRef(b []byte) (Ref, error) {
	if len(b) != RefSize {
		return Ref{}, fmt.Errorf("%w: %d bytes, want %d", ErrMalformedRef, len(b), RefSize)
	}
	var r Ref
	r.Depth = binary.BigEndian.Uint16(b)
	copy(r.Prefix[:], b[2:])
	copy(r.Hash[:], b[2+KeySize:])
	if r.Depth > KeyBits {
		return Ref{}, fmt.Errorf("%w: depth %d", ErrMalformedRef, r.Depth)
	}
	if r.Prefix != r.Prefix.prefix(r.Depth) {
		return Ref{}, fmt.Errorf("%w: prefix longer than depth %d", ErrMalformedRef, r.Depth)
	}
	if r.Hash.IsZero() && !r.IsEmpty() {
		return Ref{}, fmt.Errorf("%w: no hash", ErrMalformedRef)
	}
	return r, nil
}

// NodeID names a branch: there is at most one for a depth and prefix.
type NodeID struct {
	Depth  uint16
	Prefix Key
}

// Node is a branch: its two children, neither of them empty.
type Node struct{ Left, Right Ref }

// EncodeNode returns the NodeSize bytes of a branch: both references.
func EncodeNode(n Node) []byte {
	b, _ := n.Left.AppendBinary(make([]byte, 0, NodeSize))
	b, _ = n.Right.AppendBinary(b)
	return b
}

// DecodeNode reads a branch. It does not know which one: whoever reads it by a
// NodeID learns from Update or Prove whether it fits.
func DecodeNode(b []byte) (Node, error) {
	if len(b) != NodeSize {
		return Node{}, fmt.Errorf("%w: %d bytes, want %d", ErrMalformedNode, len(b), NodeSize)
	}
	left, err := ParseRef(b[:RefSize])
	if err != nil {
		return Node{}, fmt.Errorf("%w: left: %w", ErrMalformedNode, err)
	}
	right, err := ParseRef(b[RefSize:])
	if err != nil {
		return Node{}, fmt.Errorf("%w: right: %w", ErrMalformedNode, err)
	}
	if left.IsEmpty() || right.IsEmpty() {
		return Node{}, fmt.Errorf("%w: empty child", ErrMalformedNode)
	}
	return Node{left, right}, nil
}

// NodeReader reads the branches of a stored trie. A branch that a reference
// names and that is not there is an error.
type NodeReader interface {
	Node(NodeID) (Node, error)
}

// RecordHash returns the hash of a leaf of the trie.
func RecordHash(key Key, value []byte) Hash {
	return recordHash(&key, sha256.Sum256(value))
}

// recordHash returns SHA-256(0x00 || key || value hash).
func recordHash(key *Key, valueHash Hash) Hash {
	var buf [1 + KeySize + HashSize]byte
	buf[0] = 0x00
	copy(buf[1:], key[:])
	copy(buf[1+KeySize:], valueHash[:])
	return sha256.Sum256(buf[:])
}

// branchHash returns SHA-256(0x01 || depth || prefix || left || right).
func branchHash(depth uint16, prefix *Key, left, right *Hash) Hash {
	var buf [1 + 2 + KeySize + 2*HashSize]byte
	buf[0] = 0x01
	binary.BigEndian.PutUint16(buf[1:], depth)
	copy(buf[3:], prefix[:])
	copy(buf[3+KeySize:], left[:])
	copy(buf[3+KeySize+HashSize:], right[:])
	return sha256.Sum256(buf[:])
}

// readNode reads the branch that a reference names and checks its shape: both
// children lie on their side under it, so that no walk goes astray or for ever.
func readNode(nodes NodeReader, ref *Ref) (Node, error) {
	node, err := nodes.Node(ref.ID())
	if err != nil {
		return Node{}, fmt.Errorf("trie node at depth %d: %w", ref.Depth, err)
	}
	for side, child := range []*Ref{&node.Left, &node.Right} {
		under := ref.Prefix.child(ref.Depth, byte(side))
		if child.Depth <= ref.Depth || child.Prefix.firstDifference(&under) <= ref.Depth {
			return Node{}, fmt.Errorf("%w: child %d of the node at depth %d", ErrCorrupt, side, ref.Depth)
		}
	}
	return node, nil
}
