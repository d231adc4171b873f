package group

import "filippo.io/edwards25519/field"

// SetBytesPair does what p.SetBytes(pb) and q.SetBytes(qb) do, in less time. What
// it doesn't take for a point, SetBytes decides; what it does is on the curve by
// the field package's arithmetic, whatever the arithmetic of limbs did.
func SetBytesPair(p, q *Affine, pb, qb *[32]byte) (pOK, qOK bool) {
	var a, b root
	a.prepare(pb)
	b.prepare(qb)
	powerPair(&a.r, &b.r)
	pOK = a.finish(p, pb) || p.SetBytes(pb)
	qOK = b.finish(q, qb) || q.SetBytes(qb)
	return pOK, qOK
}

// root is a point on its way of being decoded: x^2 = u/v (RFC 8032 section 5.1.3).
type root struct {
	y, u, v, uv3 field.Element
	r            limbs // u v^7, then its power by (p-5)/8
}

func (t *root) prepare(b *[32]byte) {
	if _, err := t.y.SetBytes(b[:]); err != nil {
		panic("group: 32 bytes are not a field element")
	}
	var y2, v2 field.Element
	y2.Square(&t.y)
	t.u.Subtract(&y2, &feOne)
	t.v.Multiply(&y2, &d)
	t.v.Add(&t.v, &feOne)
	v2.Square(&t.v)
	t.uv3.Multiply(&t.u, &v2)
	t.uv3.Multiply(&t.uv3, &t.v)
	v2.Square(&v2)
	v2.Multiply(&v2, &t.uv3)
	t.r.setElement(&v2)
}

// finish sets a if u/v is a square.
func (t *root) finish(a *Affine, b *[32]byte) bool {
	var x, check, sum field.Element
	t.r.element(&x)
	x.Multiply(&x, &t.uv3)
	check.Square(&x)
	check.Multiply(&check, &t.v)
	if check.Equal(&t.u) != 1 {
		if sum.Add(&check, &t.u); sum.Equal(new(field.Element)) != 1 {
			return false
		}
		x.Multiply(&x, &sqrtM1)
	}
	if x.IsNegative() != int(b[31]>>7) {
		x.Negate(&x)
	}
	a.yPlusX.Add(&t.y, &x)
	a.yMinusX.Subtract(&t.y, &x)
	a.xy2d.Multiply(&x, &t.y)
	a.xy2d.Multiply(&a.xy2d, &d2)
	return true
}

var (
	feOne  = *new(field.Element).One()
	sqrtM1 = func() field.Element {
		r, _ := new(field.Element).SqrtRatio(new(field.Element).Negate(&feOne), &feOne)
		return *r
	}()
)

// powerPair raises both to the power of (p-5)/8 = 2^252 - 3, by the usual chain:
// tN is the power of 2^N - 1.
func powerPair(x, y *limbs) {
	in := [2]limbs{*x, *y}
	step := func(t [2]limbs, n int, by [2]limbs) [2]limbs {
		squareTimes(&t[0], &t[1], n)
		t[0].multiply(&t[0], &by[0])
		t[1].multiply(&t[1], &by[1])
		return t
	}
	t2 := step(in, 1, in)
	t4 := step(t2, 2, t2)
	t5 := step(t4, 1, in)
	t10 := step(t5, 5, t5)
	t20 := step(t10, 10, t10)
	t40 := step(t20, 20, t20)
	t50 := step(t40, 10, t10)
	t100 := step(t50, 50, t50)
	t200 := step(t100, 100, t100)
	t250 := step(t200, 50, t50)
	out := step(t250, 2, in)
	*x, *y = out[0], out[1]
}
