package group

// scalarBits is the size of a Scalar.
const scalarBits = 128

// maxWindow bounds the bucket memory: 2^11 + 1 points of 160 bytes.
const maxWindow = 11

// pippengerWork is the scratch memory of Pippenger's method: for each window of
// the scalars, points with the same digit meet in one bucket.
type pippengerWork struct {
	digits  []int16 // window by window
	buckets []Extended
	filled  []bool
}

// sum sets v to the sum of points by scalars, with windows of c bits.
func (w *pippengerWork) sum(v *Extended, c int, points []Affine, scalars []Scalar) {
	windows := (scalarBits + c - 1) / c
	w.grow(len(points)*windows, 1<<c+1)
	for i := range scalars {
		scalars[i].digits(w.digits[i:], len(points), windows, c)
	}
	v.setIdentity()
	for i := windows - 1; i >= 0; i-- {
		if i < windows-1 {
			v.doubleTimes(c)
		}
		top := w.collect(points, w.digits[i*len(points):][:len(points)])
		w.reduce(v, top)
	}
}

func (w *pippengerWork) grow(digits, buckets int) {
	if cap(w.digits) < digits {
		w.digits = make([]int16, digits)
	}
	w.digits = w.digits[:digits]
	if len(w.buckets) < buckets {
		w.buckets = make([]Extended, buckets)
		w.filled = make([]bool, buckets)
	}
}

// digits writes the signed digits of k in base 2^c, the lowest first, each at
// a distance of stride from the one before. All are in [-2^(c-1), 2^(c-1)),
// except that the last takes the carry and has no sign: it is at most 2^c.
func (k Scalar) digits(out []int16, stride, windows, c int) {
	carry := int64(0)
	mask, half := int64(1)<<c-1, int64(1)<<(c-1)
	for i := range windows {
		shift := uint(i * c)
		word := k[shift/64] >> (shift % 64)
		if shift/64 == 0 && shift%64 != 0 {
			word |= k[1] << (64 - shift%64)
		}
		d := int64(word)&mask + carry
		carry = 0
		if d >= half && i < windows-1 {
			d -= mask + 1
			carry = 1
		}
		out[i*stride] = int16(d)
	}
}

// collect adds each point to the bucket of its digit and returns the highest
// bucket in use.
func (w *pippengerWork) collect(points []Affine, digits []int16) (top int) {
	clear(w.filled)
	for i, d := range digits {
		switch {
		case d > 0:
			b := int(d)
			top = max(top, b)
			if w.filled[b] {
				w.buckets[b].addAffine(&points[i])
				continue
			}
			w.filled[b] = true
			w.buckets[b].setAffine(&points[i])
		case d < 0:
			b := int(-d)
			top = max(top, b)
			if w.filled[b] {
				w.buckets[b].subAffine(&points[i])
				continue
			}
			w.filled[b] = true
			w.buckets[b].setAffineNegative(&points[i])
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
