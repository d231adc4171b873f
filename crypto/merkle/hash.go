package merkle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// HashSize is the size of a hash in bytes.
const HashSize = sha256.Size

// Hash is a SHA-256 hash.
type Hash [HashSize]byte

// EmptyRoot is the root of the empty log and of the empty records trie:
// SHA-256 of no bytes (RFC 9162 section 2.1.1).
var EmptyRoot = Hash(sha256.Sum256(nil))

// ErrMalformedHash is returned for a text that is not 64 hexadecimal digits.
var ErrMalformedHash = errors.New("malformed hash")

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether every byte is zero, which no known input hashes to.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 lower-case hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	var parsed Hash
	if len(text) != hex.EncodedLen(HashSize) {
		return fmt.Errorf("%w: %d characters, want %d", ErrMalformedHash, len(text), hex.EncodedLen(HashSize))
	}
	if _, err := hex.Decode(parsed[:], text); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformedHash, err)
	}
	if parsed.String() != string(text) {
		return fmt.Errorf("%w: upper-case digits", ErrMalformedHash)
	}
	*h = parsed
	return nil
}

// LeafHash returns the log's leaf hash of an entry: SHA-256(0x00 || data)
// (RFC 9162 section 2.1.1).
func LeafHash(data []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0x00})
	h.Write(data)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

// NodeHash returns the log's hash of an inner node: SHA-256(0x01 || left ||
// right) (RFC 9162 section 2.1.1).
func NodeHash(left, right Hash) Hash {
	var buf [1 + 2*HashSize]byte
	buf[0] = 0x01
	copy(buf[1:], left[:])
	copy(buf[1+HashSize:], right[:])
	return sha256.Sum256(buf[:])
}
