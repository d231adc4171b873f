package group

import (
	"encoding/binary"
	"math/bits"

	"filippo.io/edwards25519/field"
)

// limbs is a field element in radix 2^51 with which two square roots are taken
// side by side: a chain of squarings is as slow as the latency of one, and two
// chains in one loop hide each other's. Between operations each limb is below
// 2^52, as in the field package, whose elements keep theirs to themselves.
type limbs [5]uint64

const (
	limbBits = 51
	limbMask = 1<<limbBits - 1
)

func (r *limbs) setElement(e *field.Element) {
	b := e.Bytes()
	w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	w2, w3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	r[0] = w0 & limbMask
	r[1] = (w0>>51 | w1<<13) & limbMask
	r[2] = (w1>>38 | w2<<26) & limbMask
	r[3] = (w2>>25 | w3<<39) & limbMask
	r[4] = w3 >> 12
}

// element returns r as an element of the field package.
func (r *limbs) element(e *field.Element) {
	t := *r
	for range 2 { // the second time nothing is carried out of the top limb but rarely
		t.carry()
	}
	var b [32]byte
	binary.LittleEndian.PutUint64(b[:], t[0]|t[1]<<51)
	binary.LittleEndian.PutUint64(b[8:], t[1]>>13|t[2]<<38)
	binary.LittleEndian.PutUint64(b[16:], t[2]>>26|t[3]<<25)
	binary.LittleEndian.PutUint64(b[24:], t[3]>>39|t[4]<<12)
	if _, err := e.SetBytes(b[:]); err != nil {
		panic("group: 32 bytes are not a field element")
	}
}

// carry moves what is above 51 bits of each limb to the next, one after another.
func (r *limbs) carry() {
	r[1] += r[0] >> limbBits
	r[0] &= limbMask
	r[2] += r[1] >> limbBits
	r[1] &= limbMask
	r[3] += r[2] >> limbBits
	r[2] &= limbMask
	r[4] += r[3] >> limbBits
	r[3] &= limbMask
	r[0] += 19 * (r[4] >> limbBits)
	r[4] &= limbMask
}

// mulAdd returns (hi, lo) + a b.
func mulAdd(hi, lo, a, b uint64) (uint64, uint64) {
	h, l := bits.Mul64(a, b)
	lo, c := bits.Add64(lo, l, 0)
	hi, _ = bits.Add64(hi, h, c)
	return hi, lo
}

// multiply sets r = a b.
func (r *limbs) multiply(a, b *limbs) {
	b1, b2, b3, b4 := 19*b[1], 19*b[2], 19*b[3], 19*b[4]
	h0, l0 := bits.Mul64(a[0], b[0])
	h0, l0 = mulAdd(h0, l0, a[1], b4)
	h0, l0 = mulAdd(h0, l0, a[2], b3)
	h0, l0 = mulAdd(h0, l0, a[3], b2)
	h0, l0 = mulAdd(h0, l0, a[4], b1)
	h1, l1 := bits.Mul64(a[0], b[1])
	h1, l1 = mulAdd(h1, l1, a[1], b[0])
	h1, l1 = mulAdd(h1, l1, a[2], b4)
	h1, l1 = mulAdd(h1, l1, a[3], b3)
	h1, l1 = mulAdd(h1, l1, a[4], b2)
	h2, l2 := bits.Mul64(a[0], b[2])
	h2, l2 = mulAdd(h2, l2, a[1], b[1])
	h2, l2 = mulAdd(h2, l2, a[2], b[0])
	h2, l2 = mulAdd(h2, l2, a[3], b4)
	h2, l2 = mulAdd(h2, l2, a[4], b3)
	h3, l3 := bits.Mul64(a[0], b[3])
	h3, l3 = mulAdd(h3, l3, a[1], b[2])
	h3, l3 = mulAdd(h3, l3, a[2], b[1])
	h3, l3 = mulAdd(h3, l3, a[3], b[0])
	h3, l3 = mulAdd(h3, l3, a[4], b4)
	h4, l4 := bits.Mul64(a[0], b[4])
	h4, l4 = mulAdd(h4, l4, a[1], b[3])
	h4, l4 = mulAdd(h4, l4, a[2], b[2])
	h4, l4 = mulAdd(h4, l4, a[3], b[1])
	h4, l4 = mulAdd(h4, l4, a[4], b[0])
	r[0] = l0&limbMask + 19*(h4<<13|l4>>51)
	r[1] = l1&limbMask + (h0<<13 | l0>>51)
	r[2] = l2&limbMask + (h1<<13 | l1>>51)
	r[3] = l3&limbMask + (h2<<13 | l2>>51)
	r[4] = l4&limbMask + (h3<<13 | l3>>51)
	r.carry()
}
