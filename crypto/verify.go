package crypto

import (
	"crypto/sha512"
	"errors"

	"filippo.io/edwards25519"
)

// Errors of CheckEnrolment.
var (
	// ErrKeyNotPoint: the bytes are no point of the curve.
	ErrKeyNotPoint = errors.New("crypto: public key is not a point of the curve")
	// ErrKeyNotCanonical: the point has another, canonical encoding.
	ErrKeyNotCanonical = errors.New("crypto: public key is not canonically encoded")
	// ErrKeyOrder: the point is not of prime order.
	ErrKeyOrder = errors.New("crypto: public key is not of prime order")
)

// Verify reports whether sig is a signature of msg by the key p under the
// ledger's one rule (package comment; docs/spec/signatures.md). It takes time
// that depends on its inputs, none of which are secret.
func Verify(p PublicKey, msg []byte, sig Signature) bool {
	return verify(&p, &sig, func() [64]byte { return challenge(&p, msg, &sig) })
}

// verify is the rule, with the challenge as it is computed or known.
func verify(p *PublicKey, sig *Signature, challenge func() [64]byte) bool {
	var a, r, q edwards25519.Point
	var s, k edwards25519.Scalar
	if _, err := s.SetCanonicalBytes(sig[32:]); err != nil {
		return false
	}
	if _, err := a.SetBytes(p[:]); err != nil {
		return false
	}
	if _, err := r.SetBytes(sig[:32]); err != nil {
		return false
	}
	digest := challenge()
	if _, err := k.SetUniformBytes(digest[:]); err != nil {
		return false
	}
	// [8]([s]B - [k]A - R) is the identity.
	a.Negate(&a)
	q.VarTimeDoubleScalarBaseMult(&k, &a, &s)
	q.Subtract(&q, &r)
	q.MultByCofactor(&q)
	return q.Equal(edwards25519.NewIdentityPoint()) == 1
}

// challenge returns SHA-512(R || A || M).
func challenge(p *PublicKey, msg []byte, sig *Signature) (digest [64]byte) {
	h := sha512.New()
	h.Write(sig[:32])
	h.Write(p[:])
	h.Write(msg)
	h.Sum(digest[:0])
	return digest
}

// minusOne is L - 1, little-endian.
var minusOne = [32]byte{
	0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
}

// CheckEnrolment returns nil if p may be enrolled: the canonical encoding of a
// point of prime order, so not the identity either. Otherwise it returns
// [ErrKeyNotPoint], [ErrKeyNotCanonical] or [ErrKeyOrder].
func CheckEnrolment(p PublicKey) error {
	a, err := new(edwards25519.Point).SetBytes(p[:])
	if err != nil {
		return ErrKeyNotPoint
	}
	if PublicKey(a.Bytes()) != p {
		return ErrKeyNotCanonical
	}
	identity := edwards25519.NewIdentityPoint()
	if a.Equal(identity) == 1 {
		return ErrKeyOrder
	}
	// The order divides L exactly if [L-1]A = -A.
	last, err := new(edwards25519.Scalar).SetCanonicalBytes(minusOne[:])
	if err != nil {
		return ErrKeyOrder
	}
	q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(last, a, edwards25519.NewScalar())
	if q.Add(q, a).Equal(identity) != 1 {
		return ErrKeyOrder
	}
	return nil
}
