package crypto

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Text lengths of identifiers, in bytes.
const (
	idTextSize    = 22 // base64url without padding, of 16 bytes
	keyIDTextSize = 16 // lower-case hexadecimal, of 8 bytes
)

// ErrBadID is returned for text that is not an identifier.
var ErrBadID = errors.New("crypto: not an identifier")

var idEncoding = base64.RawURLEncoding.Strict()

// ID names an organisation, device, bridge or stream: 16 bytes, derived from a
// key or from what it names (docs/spec/signatures.md). Its text form is
// base64url without padding, 22 characters.
type ID [16]byte

// ParseID reads the text form of an identifier. It takes exactly the text that
// [ID.String] writes and returns [ErrBadID] for anything else.
func ParseID(s string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(s))
	return id, err
}

// String returns the text form.
func (id ID) String() string { return idEncoding.EncodeToString(id[:]) }

// IsZero reports whether all bytes are zero: the identifier of nothing.
func (id ID) IsZero() bool { return id == ID{} }

// AppendText appends the text form to b.
func (id ID) AppendText(b []byte) ([]byte, error) { return idEncoding.AppendEncode(b, id[:]), nil }

// MarshalText returns the text form.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads the text form, as [ParseID] does.
func (id *ID) UnmarshalText(text []byte) error {
	var buf [idTextSize]byte
	if len(text) != idTextSize {
		return fmt.Errorf("%w: %d characters, want %d", ErrBadID, len(text), idTextSize)
	}
	n, err := idEncoding.Decode(buf[:], text)
	if err != nil || n != len(id) {
		return fmt.Errorf("%w: not base64url", ErrBadID)
	}
	copy(id[:], buf[:])
	return nil
}

// KeyID is the short name of a public key that messages carry as kid: the first
// 8 bytes of Sum("mtm/key/1", public key). It selects a key among those of one
// principal and proves nothing by itself. Its text form is hexadecimal.
type KeyID [8]byte

// ParseKeyID reads the text form of a key id: 16 lower-case hexadecimal digits.
func ParseKeyID(s string) (KeyID, error) {
	var k KeyID
	err := k.UnmarshalText([]byte(s))
	return k, err
}

// String returns the text form.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns the text form.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form, as [ParseKeyID] does.
func (k *KeyID) UnmarshalText(text []byte) error {
	var v KeyID
	if len(text) != keyIDTextSize {
		return fmt.Errorf("%w: %d characters, want %d", ErrBadID, len(text), keyIDTextSize)
	}
	if _, err := hex.Decode(v[:], text); err != nil || v.String() != string(text) {
		return fmt.Errorf("%w: not lower-case hexadecimal", ErrBadID)
	}
	*k = v
	return nil
}

// Sum is the domain-separated hash of the ledger:
//
//	SHA-256( u8 len(domain) || domain || for each part: u32be len(part) || part )
//
// No two different lists of parts, and no two domains, hash the same bytes. A
// domain is a constant of 1..255 bytes; Sum panics on any other, because it can
// only be a mistake in the program.
func Sum(domain string, parts ...[]byte) [32]byte {
	if len(domain) == 0 || len(domain) > 255 {
		panic("crypto: hash domain must have 1..255 bytes")
	}
	var array [256]byte
	buf := append(array[:0], byte(len(domain)))
	buf = append(buf, domain...)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}

// DeriveID returns the first 16 bytes of Sum(domain, parts...).
func DeriveID(domain string, parts ...[]byte) ID {
	h := Sum(domain, parts...)
	return ID(h[:16])
}
