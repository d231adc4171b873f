package group

import "sync"

// Windows of the non-adjacent forms: a table holds 2^(window-2) odd multiples.
const (
	strausWindow = 5
	oddMultiples = 1 << (strausWindow - 2)
	baseWindow   = 7
	baseMultiple = 1 << (baseWindow - 2)

	// nafSize: a 128-bit number may carry into one more digit.
	nafSize = 129
)

// naf holds the digits of a scalar in non-adjacent form: each is zero or odd.
type naf [nafSize]int8

// strausWork is the scratch memory of Straus' method: one doubling serves all
// points, each point has a table of its small odd multiples.
type strausWork struct {
	nafs   []naf
	tables [][oddMultiples]cached
}

// sum sets v to the sum of points by scalars and of the base point by base.
func (w *strausWork) sum(v *Extended, points []Affine, scalars []Scalar, base [2]Scalar) {
	w.prepare(points, scalars)
	var baseNAF [2]naf
	baseNAF[0].set(base[0], baseWindow)
	baseNAF[1].set(base[1], baseWindow)
	tables := baseTables()

	var c completed
	v.setIdentity()
	for i := nafSize - 1; i >= 0; i-- {
		c.double(v)
		for j := range w.nafs {
			if d := w.nafs[j][i]; d > 0 {
				v.setCompleted(&c)
				c.add(v, &w.tables[j][d/2])
			} else if d < 0 {
				v.setCompleted(&c)
				c.sub(v, &w.tables[j][-d/2])
			}
		}
		for j := range baseNAF {
			if d := baseNAF[j][i]; d > 0 {
				v.setCompleted(&c)
				c.addAffine(v, &tables[j][d/2])
			} else if d < 0 {
				v.setCompleted(&c)
				c.subAffine(v, &tables[j][-d/2])
			}
		}
		v.setCompletedNoT(&c)
	}
	v.setCompleted(&c)
}

func (w *strausWork) prepare(points []Affine, scalars []Scalar) {
	if cap(w.nafs) < len(points) {
		w.nafs = make([]naf, len(points))
		w.tables = make([][oddMultiples]cached, len(points))
	}
	w.nafs, w.tables = w.nafs[:len(points)], w.tables[:len(points)]
	for i := range points {
		w.nafs[i].set(scalars[i], strausWindow)
		setOddMultiples(&w.tables[i], &points[i])
	}
}

// setOddMultiples fills table with p, 3p, 5p ...
func setOddMultiples(table *[oddMultiples]cached, p *Affine) {
	var e, double Extended
	e.setAffine(p)
	table[0].setExtended(&e)
	double = e
	double.doubleTimes(1)
	var twice cached
	twice.setExtended(&double)
	for i := 1; i < len(table); i++ {
		var c completed
		c.add(&e, &twice)
		e.setCompleted(&c)
		table[i].setExtended(&e)
	}
}

// baseTables are the odd multiples of B and of [2^128]B.
var baseTables = sync.OnceValue(func() *[2][baseMultiple]Affine {
	var tables [2][baseMultiple]Affine
	for i, p := range basePoints() {
		var e, double Extended
		e.setAffine(&p)
		double = e
		double.doubleTimes(1)
		for j := range tables[i] {
			tables[i][j].setExtended(&e)
			e.add(&double)
		}
	}
	return &tables
})

// set writes the width-w non-adjacent form of k: k is the sum of n[i] 2^i, each
// n[i] zero or odd and below 2^(w-1) in size, and of w consecutive at most one
// is not zero.
func (n *naf) set(k Scalar, w uint) {
	*n = naf{}
	lo, hi, top := k[0], k[1], uint64(0) // the rest of k, shifted down by pos
	for pos := 0; lo|hi|top != 0; {
		if lo&1 == 0 {
			lo, hi, top = lo>>1|hi<<63, hi>>1|top<<63, 0
			pos++
			continue
		}
		d := int8(lo & (1<<w - 1))
		lo &^= 1<<w - 1
		if d >= 1<<(w-1) {
			d = int8(int(d) - 1<<w)
			var carry uint64
			lo, carry = add64(lo, 1<<w)
			hi, top = add64(hi, carry)
		}
		n[pos] = d
		lo, hi, top = lo>>w|hi<<(64-w), hi>>w|top<<(64-w), 0
		pos += int(w)
	}
}

func add64(a, b uint64) (sum, carry uint64) {
	sum = a + b
	if sum < a {
		carry = 1
	}
	return sum, carry
}
