package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// keyDomain is the hash domain of key ids.
const keyDomain = "mtm/key/1"

// ErrBadKey is returned for text or files that are not an ed25519 key.
var ErrBadKey = errors.New("crypto: not an ed25519 key")

var keyEncoding = base64.StdEncoding.Strict()

// PublicKey is an ed25519 public key as RFC 8032 encodes it. Any 32 bytes are a
// PublicKey; whether they are a point shows when they are used. Its text form is
// base64 with padding, 44 characters.
type PublicKey [32]byte

// ParsePublicKey reads the text form of a public key. It takes exactly the text
// that [PublicKey.String] writes and returns [ErrBadKey] for anything else.
func ParsePublicKey(s string) (PublicKey, error) {
	var p PublicKey
	err := p.UnmarshalText([]byte(s))
	return p, err
}

// String returns the text form.
func (p PublicKey) String() string { return keyEncoding.EncodeToString(p[:]) }

// MarshalText returns the text form.
func (p PublicKey) MarshalText() ([]byte, error) { return keyEncoding.AppendEncode(nil, p[:]), nil }

// UnmarshalText reads the text form, as [ParsePublicKey] does.
func (p *PublicKey) UnmarshalText(text []byte) error {
	var v PublicKey
	if err := decodeExact(v[:], text); err != nil {
		return err
	}
	*p = v
	return nil
}

// KeyID returns the short name of the key.
func (p PublicKey) KeyID() KeyID {
	h := Sum(keyDomain, p[:])
	return KeyID(h[:8])
}

// Signature is an ed25519 signature: the encoded point R, then the scalar s. Its
// text form is base64 with padding, 88 characters.
type Signature [64]byte

// String returns the text form.
func (s Signature) String() string { return keyEncoding.EncodeToString(s[:]) }

// MarshalText returns the text form.
func (s Signature) MarshalText() ([]byte, error) { return keyEncoding.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads the text form.
func (s *Signature) UnmarshalText(text []byte) error {
	var v Signature
	if err := decodeExact(v[:], text); err != nil {
		return err
	}
	*s = v
	return nil
}

// decodeExact fills dst from its only base64 text.
func decodeExact(dst, text []byte) error {
	if len(text) != keyEncoding.EncodedLen(len(dst)) {
		return fmt.Errorf("%w: %d characters, want %d", ErrBadKey, len(text), keyEncoding.EncodedLen(len(dst)))
	}
	buf := make([]byte, keyEncoding.DecodedLen(len(text)))
	n, err := keyEncoding.Decode(buf, text)
	if err != nil || n != len(dst) {
		return fmt.Errorf("%w: not base64", ErrBadKey)
	}
	copy(dst, buf)
	return nil
}

// PrivateKey signs. Only its key id is ever printed. The zero value holds no key
// and may not be used; make one with [GenerateKey], [KeyFromSeed] or [LoadKey].
type PrivateKey struct {
	key    *[ed25519.PrivateKeySize]byte // a pointer, which fmt prints as an address wherever it is nested
	public PublicKey
}

// GenerateKey makes a private key from the system's random source.
func GenerateKey() (PrivateKey, error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("crypto: generate key: %w", err)
	}
	return KeyFromSeed(seed), nil
}

// KeyFromSeed returns the private key of an RFC 8032 seed: the same seed gives
// the same key.
func KeyFromSeed(seed [32]byte) PrivateKey {
	k := [ed25519.PrivateKeySize]byte(ed25519.NewKeyFromSeed(seed[:]))
	return PrivateKey{key: &k, public: PublicKey(k[32:])}
}

// Public returns the public half.
func (k PrivateKey) Public() PublicKey { return k.public }

// IsZero reports whether k holds no key.
func (k PrivateKey) IsZero() bool { return k.key == nil }

// Sign signs msg by RFC 8032 (plain ed25519, no context), in constant time. It
// panics on the zero PrivateKey.
func (k PrivateKey) Sign(msg []byte) Signature {
	return Signature(ed25519.Sign(k.key[:], msg))
}

// Format writes the key id whatever the verb, so that no log line or error can
// carry the secret.
func (k PrivateKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "private key %s", k.public.KeyID())
}
