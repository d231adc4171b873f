package group

import "math/bits"

// scalarBits is the size of a Scalar.
const scalarBits = 128

// maxWindow bounds the bucket memory: 2^11 + 1 points of 160 bytes.
const maxWindow = 11

// pippengerWork is the scratch memory of Pippenger's method: for each window of
// the scalars, points with the same digit meet in one bucket.
type pippengerWork struct {
	buckets []Extended
	filled  []bool
}

// sum sets v to the sum of points by the digits of their scalars in window i of c
// bits. The sum of points by scalars is that of all windows, each by 2^(ci).
func (w *pippengerWork) sum(v *Extended, c, i int, points []Affine, scalars []Scalar) {
	if n := 1<<c + 1; len(w.buckets) < n {
		w.buckets, w.filled = make([]Extended, n), make([]bool, n)
	}
	clear(w.filled)
	top := w.collect(newWindow(c, i), points, scalars)
	v.setIdentity()
	w.reduce(v, top)
}

// window takes a digit out of scalars. Digits are in base 2^c and signed, in
// [-2^(c-1), 2^(c-1)), except that the highest takes the carry and has no sign: it
// is at most 2^c.
//
// Adding 2^(c-1) to every digit that has a sign makes it an unsigned one, so adding
// that number to the scalar leaves all carries to the addition.
type window struct {
	offset Scalar // the sum of half a digit's range at each digit with a sign
	shift  uint
	mask   uint64
	half   int
}

func newWindow(c, i int) window {
	last := (scalarBits+c-1)/c - 1
	w := window{shift: uint(c * i), mask: 1<<c - 1, half: 1 << (c - 1)}
	for j := range last {
		bit := c*j + c - 1
		w.offset[bit/64] |= 1 << (bit % 64)
	}
	if i == last {
		w.mask, w.half = ^uint64(0), 0
	}
	return w
}

func (w *window) digit(k Scalar) int {
	lo, carry := bits.Add64(k[0], w.offset[0], 0)
	hi, top := bits.Add64(k[1], w.offset[1], carry)
	if w.shift < 64 {
		// A shift by 64 is 0: at shift 0 there is nothing of hi.
		return int((lo>>w.shift|hi<<(64-w.shift))&w.mask) - w.half
	}
	return int((hi>>(w.shift-64)|top<<(128-w.shift))&w.mask) - w.half
}

// collect adds each point to the bucket of its digit and returns the highest
// bucket in use.
func (w *pippengerWork) collect(win window, points []Affine, scalars []Scalar) (top int) {
	for i := range points {
		d := win.digit(scalars[i])
		switch {
		case d > 0:
			top = max(top, d)
			if w.filled[d] {
				w.buckets[d].addAffine(&points[i])
				continue
			}
			w.filled[d] = true
			w.buckets[d].setAffine(&points[i])
		case d < 0:
			d = -d
			top = max(top, d)
			if w.filled[d] {
				w.buckets[d].subAffine(&points[i])
				continue
			}
			w.filled[d] = true
			w.buckets[d].setAffineNegative(&points[i])
		}
	}
	return top
}

// reduce adds to v the sum of each bucket times its digit: v gets the running
// sum from above, once for each digit.
func (w *pippengerWork) reduce(v *Extended, top int) {
	var running Extended
	running.setIdentity()
	for b := top; b > 0; b-- {
		if w.filled[b] {
			running.add(&w.buckets[b])
		}
		v.add(&running)
	}
}
