package group

import (
	"encoding/binary"
	"math/bits"

	"filippo.io/edwards25519"
)

// order is the group order L, low word first.
var order = [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}

// Below reports whether the little-endian number s is below the group order L.
func Below(s *[4]uint64) bool {
	_, borrow := bits.Sub64(s[0], order[0], 0)
	_, borrow = bits.Sub64(s[1], order[1], borrow)
	_, borrow = bits.Sub64(s[2], order[2], borrow)
	_, borrow = bits.Sub64(s[3], order[3], borrow)
	return borrow == 1
}

// Accumulator sums products of 128-bit by 512-bit numbers exactly, so that the
// reduction modulo L is paid once: up to 2^32 of them. The zero value is zero.
type Accumulator [11]uint64

// Add adds k times x, whose words are the lowest first, at most 8.
func (a *Accumulator) Add(k Scalar, x []uint64) {
	for i, f := range k {
		var carry uint64
		for j, w := range x {
			hi, lo := bits.Mul64(f, w)
			var c uint64
			lo, c = bits.Add64(lo, carry, 0)
			hi += c
			a[i+j], c = bits.Add64(a[i+j], lo, 0)
			carry = hi + c
		}
		for j := i + len(x); carry != 0 && j < len(a); j++ {
			a[j], carry = bits.Add64(a[j], carry, 0)
		}
	}
}

// AddAll adds what b sums.
func (a *Accumulator) AddAll(b *Accumulator) {
	var carry uint64
	for i := range a {
		a[i], carry = bits.Add64(a[i], b[i], carry)
	}
}

// Reduce returns the sum modulo L, split at bit 128.
func (a *Accumulator) Reduce() (lo, hi Scalar) {
	s := a.scalar()
	return split(&s)
}

// ReduceNegative returns minus the sum modulo L, split at bit 128.
func (a *Accumulator) ReduceNegative() (lo, hi Scalar) {
	s := a.scalar()
	s.Negate(&s)
	return split(&s)
}

// shift512 is 2^512 modulo L.
var shift512 = func() edwards25519.Scalar {
	var b [64]byte
	b[32] = 1
	s, err := new(edwards25519.Scalar).SetUniformBytes(b[:])
	if err != nil {
		panic("group: 64 bytes are not a uniform scalar")
	}
	return *s.Multiply(s, s)
}()

func (a *Accumulator) scalar() edwards25519.Scalar {
	var b [96]byte
	for i, w := range a {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	var s, high edwards25519.Scalar
	// Neither can fail: 64 bytes, and 32 bytes below 2^192.
	if _, err := s.SetUniformBytes(b[:64]); err != nil {
		panic("group: 64 bytes are not a uniform scalar")
	}
	if a[8]|a[9]|a[10] == 0 {
		return s
	}
	if _, err := high.SetCanonicalBytes(b[64:]); err != nil {
		panic("group: a 192-bit number is not a canonical scalar")
	}
	s.MultiplyAdd(&high, &shift512, &s)
	return s
}

func split(s *edwards25519.Scalar) (lo, hi Scalar) {
	b := s.Bytes()
	return Scalar{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])},
		Scalar{binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}
}
