// Package group is a variable-time group law of edwards25519 for verifying
// signatures: sums of many points by 128-bit scalars. Nothing in it may touch a
// secret.
//
// It stands on the field arithmetic of filippo.io/edwards25519, whose Point
// decompresses points and is the reference in the tests. All formulas are
// complete for the curve -x^2 + y^2 = 1 + d x^2 y^2, whose d is not a square:
// they hold for equal, opposite and neutral points and those of small order, any
// of which an attacker may send.
//
// Formulas are those of Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves
// Revisited" (https://eprint.iacr.org/2008/522), sections 3.1 to 3.3.
package group

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Affine is a point (x, y) prepared for mixed addition: y+x, y-x and 2dxy. The
// zero value is not a point.
type Affine struct {
	yPlusX, yMinusX, xy2d field.Element
}

// Extended is a point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z. The
// zero value is not a point; setIdentity makes one.
type Extended struct {
	x, y, z, t field.Element
}

// cached is an Extended prepared for addition: Y+X, Y-X, Z and 2dT.
type cached struct {
	yPlusX, yMinusX, z, t2d field.Element
}

// completed is the result of an addition before its last four multiplications:
// x = X/Z, y = Y/T.
type completed struct {
	x, y, z, t field.Element
}

// d2 is 2d, where d = -121665/121666 (RFC 8032 section 5.1).
var d2 = func() field.Element {
	num := new(field.Element).Mult32(new(field.Element).One(), 121665)
	den := new(field.Element).Mult32(new(field.Element).One(), 121666)
	d := new(field.Element).Multiply(num.Negate(num), den.Invert(den))
	return *d.Add(d, d)
}()

// SetBytes decodes a point as ZIP-215 does, which is as edwards25519.Point does:
// y is reduced modulo p, and x = 0 may have its sign bit set. It reports whether
// there is such a point; if not, a is unchanged.
func (a *Affine) SetBytes(b *[32]byte) bool {
	var p edwards25519.Point
	if _, err := p.SetBytes(b[:]); err != nil {
		return false
	}
	a.setPoint(&p)
	return true
}

// setPoint takes a point that has Z = 1, as a decoded one does.
func (a *Affine) setPoint(p *edwards25519.Point) {
	x, y, _, t := p.ExtendedCoordinates()
	a.yPlusX.Add(y, x)
	a.yMinusX.Subtract(y, x)
	a.xy2d.Multiply(t, &d2)
}

// setExtended divides by Z, which costs an inversion.
func (a *Affine) setExtended(p *Extended) {
	var inv, x, y field.Element
	inv.Invert(&p.z)
	x.Multiply(&p.x, &inv)
	y.Multiply(&p.y, &inv)
	a.yPlusX.Add(&y, &x)
	a.yMinusX.Subtract(&y, &x)
	a.xy2d.Multiply(&x, &y)
	a.xy2d.Multiply(&a.xy2d, &d2)
}

// Shift128 sets a to [2^128]p.
func (a *Affine) Shift128(p *Affine) {
	var e Extended
	e.setAffine(p)
	e.doubleTimes(128)
	a.setExtended(&e)
}

// setIdentity sets v to the neutral point.
func (v *Extended) setIdentity() {
	v.x.Zero()
	v.y.One()
	v.z.One()
	v.t.Zero()
}

// setAffine sets v to q without an inversion: from 2x and 2y it takes the
// coordinates of (4x : 4y : 4), whose T is 4xy.
func (v *Extended) setAffine(q *Affine) {
	var x2, y2 field.Element
	y2.Add(&q.yPlusX, &q.yMinusX)
	x2.Subtract(&q.yPlusX, &q.yMinusX)
	v.t.Multiply(&x2, &y2)
	v.x.Add(&x2, &x2)
	v.y.Add(&y2, &y2)
	v.z = four
}

// setAffineNegative sets v to -q.
func (v *Extended) setAffineNegative(q *Affine) {
	v.setAffine(q)
	v.x.Negate(&v.x)
	v.t.Negate(&v.t)
}

var four = *new(field.Element).Mult32(new(field.Element).One(), 4)

// addAffine sets v = v + q, in 7 multiplications.
func (v *Extended) addAffine(q *Affine) {
	var c completed
	c.addAffine(v, q)
	v.setCompleted(&c)
}

// subAffine sets v = v - q, in 7 multiplications.
func (v *Extended) subAffine(q *Affine) {
	var c completed
	c.subAffine(v, q)
	v.setCompleted(&c)
}

// add sets v = v + q, in 9 multiplications.
func (v *Extended) add(q *Extended) {
	var k cached
	var c completed
	k.setExtended(q)
	c.add(v, &k)
	v.setCompleted(&c)
}

// doubleTimes sets v = [2^n]v, n >= 1.
func (v *Extended) doubleTimes(n int) {
	var c completed
	for range n - 1 {
		c.double(v)
		v.setCompletedNoT(&c)
	}
	c.double(v)
	v.setCompleted(&c)
}

func (v *Extended) setCompleted(c *completed) {
	v.x.Multiply(&c.x, &c.t)
	v.y.Multiply(&c.y, &c.z)
	v.z.Multiply(&c.z, &c.t)
	v.t.Multiply(&c.x, &c.y)
}

// setCompletedNoT leaves T wrong: the result may only be doubled.
func (v *Extended) setCompletedNoT(c *completed) {
	v.x.Multiply(&c.x, &c.t)
	v.y.Multiply(&c.y, &c.z)
	v.z.Multiply(&c.z, &c.t)
}

func (k *cached) setExtended(p *Extended) {
	k.yPlusX.Add(&p.y, &p.x)
	k.yMinusX.Subtract(&p.y, &p.x)
	k.z = p.z
	k.t2d.Multiply(&p.t, &d2)
}

func (c *completed) addAffine(p *Extended, q *Affine) {
	var a, b, e, f field.Element
	a.Subtract(&p.y, &p.x)
	b.Add(&p.y, &p.x)
	a.Multiply(&a, &q.yMinusX)
	b.Multiply(&b, &q.yPlusX)
	e.Multiply(&p.t, &q.xy2d)
	f.Add(&p.z, &p.z)
	c.x.Subtract(&b, &a)
	c.y.Add(&b, &a)
	c.z.Add(&f, &e)
	c.t.Subtract(&f, &e)
}

func (c *completed) subAffine(p *Extended, q *Affine) {
	var a, b, e, f field.Element
	a.Subtract(&p.y, &p.x)
	b.Add(&p.y, &p.x)
	a.Multiply(&a, &q.yPlusX)
	b.Multiply(&b, &q.yMinusX)
	e.Multiply(&p.t, &q.xy2d)
	f.Add(&p.z, &p.z)
	c.x.Subtract(&b, &a)
	c.y.Add(&b, &a)
	c.z.Subtract(&f, &e)
	c.t.Add(&f, &e)
}

func (c *completed) add(p *Extended, q *cached) {
	var a, b, e, f field.Element
	a.Subtract(&p.y, &p.x)
	b.Add(&p.y, &p.x)
	a.Multiply(&a, &q.yMinusX)
	b.Multiply(&b, &q.yPlusX)
	e.Multiply(&p.t, &q.t2d)
	f.Multiply(&p.z, &q.z)
	f.Add(&f, &f)
	c.x.Subtract(&b, &a)
	c.y.Add(&b, &a)
	c.z.Add(&f, &e)
	c.t.Subtract(&f, &e)
}

func (c *completed) sub(p *Extended, q *cached) {
	var a, b, e, f field.Element
	a.Subtract(&p.y, &p.x)
	b.Add(&p.y, &p.x)
	a.Multiply(&a, &q.yPlusX)
	b.Multiply(&b, &q.yMinusX)
	e.Multiply(&p.t, &q.t2d)
	f.Multiply(&p.z, &q.z)
	f.Add(&f, &f)
	c.x.Subtract(&b, &a)
	c.y.Add(&b, &a)
	c.z.Subtract(&f, &e)
	c.t.Add(&f, &e)
}

// double sets c = 2p and does not use p's T.
func (c *completed) double(p *Extended) {
	var xx, yy, zz2, sum field.Element
	xx.Square(&p.x)
	yy.Square(&p.y)
	zz2.Square(&p.z)
	zz2.Add(&zz2, &zz2)
	sum.Add(&p.x, &p.y)
	sum.Square(&sum)
	c.y.Add(&yy, &xx)
	c.z.Subtract(&yy, &xx)
	c.x.Subtract(&sum, &c.y)
	c.t.Subtract(&zz2, &c.z)
}

// isSmall reports whether [8]v is the neutral point. It changes v.
func (v *Extended) isSmall() bool {
	v.doubleTimes(3)
	return v.x.Equal(new(field.Element)) == 1 && v.y.Equal(&v.z) == 1
}
