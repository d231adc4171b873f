package group

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// random returns test bytes that are the same on every run.
func random(n int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("group"), uint64(n)))
}

func randomScalar(n int) *edwards25519.Scalar {
	b := random(n)
	s, err := new(edwards25519.Scalar).SetUniformBytes(append(b[:], b[:]...))
	if err != nil {
		panic(err)
	}
	return s
}

// testPoints are the eight points of small order and then random points, every
// third with a component of small order.
func testPoints(t testing.TB, n int) []*edwards25519.Point {
	t.Helper()
	order8, err := new(edwards25519.Point).SetBytes([]byte{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a})
	if err != nil {
		t.Fatal(err)
	}
	points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
	for len(points) < 8 {
		points = append(points, new(edwards25519.Point).Add(points[len(points)-1], order8))
	}
	for i := len(points); i < n; i++ {
		p := new(edwards25519.Point).ScalarBaseMult(randomScalar(i))
		if i%3 == 0 {
			p.Add(p, points[i%8])
		}
		points = append(points, p)
	}
	return points[:n]
}

// affine goes by the encoding, so that Z = 1.
func affine(t testing.TB, p *edwards25519.Point) *Affine {
	t.Helper()
	var a Affine
	b := [32]byte(p.Bytes())
	if !a.SetBytes(&b) {
		t.Fatalf("%x is refused", b)
	}
	return &a
}

// toPoint also checks that the coordinates are on the curve and agree.
func toPoint(t testing.TB, e *Extended) *edwards25519.Point {
	t.Helper()
	p, err := new(edwards25519.Point).SetExtendedCoordinates(&e.x, &e.y, &e.z, &e.t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func same(t testing.TB, what string, got *Extended, want *edwards25519.Point) {
	t.Helper()
	if toPoint(t, got).Equal(want) != 1 {
		t.Errorf("%s is wrong", what)
	}
}

// Every formula on all pairs: equal, opposite, neutral and of small order.
func TestLaw(t *testing.T) {
	points := testPoints(t, 14)
	for _, p := range points[:14] {
		points = append(points, new(edwards25519.Point).Negate(p))
	}
	for _, p := range points {
		pa := affine(t, p)
		var e Extended
		e.setAffine(pa)
		same(t, "setAffine", &e, p)
		e.setAffineNegative(pa)
		same(t, "setAffineNegative", &e, new(edwards25519.Point).Negate(p))
		for _, n := range []int{1, 2, 3} {
			want := new(edwards25519.Point).Set(p)
			for range n {
				want.Double(want)
			}
			e.setAffine(pa)
			e.doubleTimes(n)
			same(t, "doubleTimes", &e, want)
		}
		for _, q := range points {
			sum, diff := new(edwards25519.Point).Add(p, q), new(edwards25519.Point).Subtract(p, q)
			qa := affine(t, q)
			e.setAffine(pa)
			e.addAffine(qa)
			same(t, "addAffine", &e, sum)
			e.setAffine(pa)
			e.subAffine(qa)
			same(t, "subAffine", &e, diff)
			var qe Extended
			qe.setAffine(qa)
			e.setAffine(pa)
			e.add(&qe)
			same(t, "add", &e, sum)
			var k cached
			var c completed
			k.setExtended(&qe)
			e.setAffine(pa)
			c.sub(&e, &k)
			e.setCompleted(&c)
			same(t, "sub", &e, diff)
		}
	}
}

func TestShift128(t *testing.T) {
	for _, p := range testPoints(t, 12) {
		want := new(edwards25519.Point).Set(p)
		for range 128 {
			want.Double(want)
		}
		var a Affine
		a.Shift128(affine(t, p))
		var e Extended
		e.setAffine(&a)
		same(t, "Shift128", &e, want)
	}
}

// Decoding is the library's, which is that of ZIP-215.
func TestSetBytes(t *testing.T) {
	encodings := [][32]byte{{}, {0: 1}, {0: 1, 31: 0x80}, {0: 2}, {31: 0x80}}
	for y := 0xda; y <= 0xff; y++ { // around and above p = 2^255 - 19
		for _, last := range []byte{0x7f, 0xff} {
			b := [32]byte{0: byte(y), 31: last}
			for i := 1; i < 31; i++ {
				b[i] = 0xff
			}
			encodings = append(encodings, b)
		}
	}
	for i := range 200 {
		encodings = append(encodings, random(i))
	}
	accepted := 0
	for _, b := range encodings {
		p, err := new(edwards25519.Point).SetBytes(b[:])
		before := Affine{xy2d: d2}
		a := before
		if got := a.SetBytes(&b); got != (err == nil) {
			t.Errorf("%x: %v, the library says %v", b, got, err)
		}
		if err != nil {
			if a != before {
				t.Errorf("%x: refused, but the point was changed", b)
			}
			continue
		}
		accepted++
		var e Extended
		e.setAffine(&a)
		same(t, "SetBytes", &e, p)
	}
	if accepted < 50 || accepted == len(encodings) {
		t.Errorf("%d of %d accepted: the test is no good", accepted, len(encodings))
	}
}

func TestIsSmall(t *testing.T) {
	for i, p := range testPoints(t, 12) {
		var e Extended
		e.setAffine(affine(t, p))
		if got := e.isSmall(); got != (i < 8) {
			t.Errorf("point %d: isSmall = %v", i, got)
		}
	}
}

func testScalar(i int) Scalar {
	switch i % 11 {
	case 0:
		return Scalar{}
	case 1:
		return Scalar{1, 0}
	case 2:
		return Scalar{^uint64(0), ^uint64(0)}
	case 3:
		return Scalar{0, 1 << 63}
	case 4:
		return Scalar{0x8080808080808080, 0x8080808080808080}
	}
	b := random(1000 + i)
	return Scalar{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

func (k Scalar) big() *big.Int {
	n := new(big.Int).Lsh(new(big.Int).SetUint64(k[1]), 64)
	return n.Or(n, new(big.Int).SetUint64(k[0]))
}

// reduced is k as a scalar of the library, which is defined modulo L: good enough
// for points of prime order only.
func (k Scalar) reduced() *edwards25519.Scalar {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[:], k[0])
	binary.LittleEndian.PutUint64(b[8:], k[1])
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(b[:])
	if err != nil {
		panic(err)
	}
	return s
}

func referenceSum(points []*edwards25519.Point, scalars []Scalar) *edwards25519.Point {
	var ks []*edwards25519.Scalar
	for _, k := range scalars {
		ks = append(ks, k.reduced())
	}
	return new(edwards25519.Point).VarTimeMultiScalarMult(ks, points)
}

func TestSums(t *testing.T) {
	const most = 180
	points := testPoints(t, most)
	affines := make([]Affine, most)
	scalars := make([]Scalar, most)
	for i, p := range points {
		affines[i] = *affine(t, p)
		scalars[i] = testScalar(i * 7)
	}
	base := [2]Scalar{testScalar(5), testScalar(6)}
	baseSum := new(edwards25519.Point).ScalarBaseMult(base[1].reduced())
	for range 128 {
		baseSum.Double(baseSum)
	}
	baseSum.Add(baseSum, new(edwards25519.Point).ScalarBaseMult(base[0].reduced()))
	var sum Sum
	for _, n := range []int{0, 1, 2, 3, 8, 9, 40, pippengerMin - 1, pippengerMin, most} {
		want := new(edwards25519.Point).Add(referenceSum(points[:n], scalars[:n]), baseSum)
		set := func() {
			sum.Reset(n)
			for i := range n {
				sum.Set(i, &affines[i], scalars[i])
			}
			sum.SetBase(base[0], base[1])
		}
		for parts := 1; parts <= min(n+1, 5); parts++ {
			set()
			same(t, fmt.Sprintf("straus of %d in %d parts", n, parts), sumOf(&sum, sum.splitStraus(parts)), want)
		}
		for c := 1; c <= maxWindow; c++ {
			set()
			b := basePoints()
			sum.points, sum.scalars = append(sum.points, b[:]...), append(sum.scalars, base[:]...)
			same(t, fmt.Sprintf("pippenger of %d, %d bits", n, c), sumOf(&sum, sum.splitPippenger(c)), want)
		}
		for workers := 1; workers <= 3; workers++ {
			set()
			same(t, fmt.Sprintf("sum of %d by %d", n, workers), sumOf(&sum, sum.Split(workers)), want)
		}
	}
}

// sumOf computes the parts of a sum, the last first.
func sumOf(s *Sum, parts int) *Extended {
	var w Work
	for i := parts - 1; i >= 0; i-- {
		s.Part(&w, i)
	}
	var v Extended
	s.join(&v)
	return &v
}

func TestSumIsSmall(t *testing.T) {
	k := Scalar{12345, 678}
	minusK := edwards25519.NewScalar().Negate(k.reduced())
	lo, hi := split(minusK)
	for _, p := range testPoints(t, 8) {
		var sum Sum
		generator := affine(t, new(edwards25519.Point).Add(edwards25519.NewGeneratorPoint(), p))
		isSmall := func() bool {
			sum.Reset(1)
			sum.Set(0, generator, k)
			sum.SetBase(lo, hi)
			sumOf(&sum, sum.Split(1))
			return sum.IsSmall()
		}
		if !isSmall() {
			t.Error("[k](B+T) - [k]B is not small")
		}
		lo[0] ^= 1
		if isSmall() {
			t.Error("a wrong sum is small")
		}
		lo[0] ^= 1
	}
}

func TestNAF(t *testing.T) {
	for _, w := range []uint{2, strausWindow, baseWindow} {
		for i := range 60 {
			k := testScalar(i)
			var n naf
			n.set(k, w)
			got, since := new(big.Int), int(w)
			for j := nafSize - 1; j >= 0; j-- {
				got.Lsh(got, 1)
				got.Add(got, big.NewInt(int64(n[j])))
			}
			for _, d := range n {
				since++
				if d == 0 {
					continue
				}
				if d&1 == 0 || d >= 1<<(w-1) || d <= -1<<(w-1) || since < int(w) {
					t.Errorf("w=%d k=%x: bad digit %d", w, k, d)
				}
				since = 0
			}
			if got.Cmp(k.big()) != 0 {
				t.Errorf("w=%d: %x became %x", w, k.big(), got)
			}
		}
	}
}

func TestDigits(t *testing.T) {
	for c := 1; c <= maxWindow; c++ {
		windows := (scalarBits + c - 1) / c
		for i := range 60 {
			k := testScalar(i)
			got := new(big.Int)
			for j := windows - 1; j >= 0; j-- {
				w := newWindow(c, j)
				d := int64(w.digit(k))
				if d >= 1<<c+1 || d < -1<<(c-1) || (j < windows-1 && d >= 1<<(c-1)) || (j == windows-1 && d < 0) {
					t.Errorf("c=%d k=%x: bad digit %d", c, k, d)
				}
				got.Lsh(got, uint(c))
				got.Add(got, big.NewInt(d))
			}
			if got.Cmp(k.big()) != 0 {
				t.Errorf("c=%d: %x became %x", c, k.big(), got)
			}
		}
	}
}

var bigOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func TestBelow(t *testing.T) {
	for _, delta := range []int64{-2, -1, 0, 1, 2} {
		n := new(big.Int).Add(bigOrder, big.NewInt(delta))
		s := words(n)
		if got := Below(&s); got != (delta < 0) {
			t.Errorf("L%+d: Below = %v", delta, got)
		}
	}
	for s, want := range map[[4]uint64]bool{{}: true, {3: 1 << 60}: true, {3: 1<<60 + 1}: false, {3: 1 << 63}: false, {2: 1, 3: 1 << 60}: false} {
		if Below(&s) != want {
			t.Errorf("%x: Below = %v", s, !want)
		}
	}
}

func words(n *big.Int) (s [4]uint64) {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s
}

func TestAccumulator(t *testing.T) {
	var a Accumulator
	want := new(big.Int)
	check := func(name string) {
		t.Helper()
		mod := new(big.Int).Mod(want, bigOrder)
		lo, hi := a.Reduce()
		if got := join(lo, hi); got.Cmp(mod) != 0 {
			t.Errorf("%s: %x, want %x", name, got, mod)
		}
		mod.Mod(mod.Neg(mod), bigOrder)
		lo, hi = a.ReduceNegative()
		if got := join(lo, hi); got.Cmp(mod) != 0 {
			t.Errorf("%s: negative %x, want %x", name, got, mod)
		}
	}
	check("zero")
	for i := range 100 {
		x := make([]uint64, 1+i%8)
		n := new(big.Int)
		for j := range x {
			x[j] = ^uint64(0)
			if i%5 > 0 {
				x[j] = testScalar(i*8 + j)[0]
			}
			n.Or(n, new(big.Int).Lsh(new(big.Int).SetUint64(x[j]), uint(64*j)))
		}
		k := testScalar(i)
		a.Add(k, x)
		want.Add(want, n.Mul(n, k.big()))
		check(fmt.Sprint("term ", i))
	}
	b := a
	b.AddAll(&a)
	a, want = b, want.Lsh(want, 1)
	check("doubled")
	// The largest sum that is allowed: 2^32 - 1 of the largest products more.
	a = Accumulator{8: ^uint64(0), 9: ^uint64(0), 10: 1<<32 - 1}
	want.SetUint64(1<<32 - 1)
	for range 2 {
		want.Lsh(want, 64)
		want.Or(want, new(big.Int).SetUint64(^uint64(0)))
	}
	want.Lsh(want, 512)
	check("largest")
}

func join(lo, hi Scalar) *big.Int {
	n := new(big.Int).Lsh(hi.big(), 128)
	return n.Or(n, lo.big())
}

func TestD2(t *testing.T) {
	// -x^2 + y^2 = 1 + d x^2 y^2 for the base point, times two.
	x, y, _, _ := edwards25519.NewGeneratorPoint().ExtendedCoordinates()
	var xx, yy, left, right field.Element
	xx.Square(x)
	yy.Square(y)
	left.Subtract(&yy, &xx)
	left.Subtract(&left, new(field.Element).One())
	left.Add(&left, &left)
	right.Multiply(&xx, &yy)
	right.Multiply(&right, &d2)
	if left.Equal(&right) != 1 {
		t.Error("d2 is not 2d")
	}
}

// BenchmarkSum is what the bounds in tune.go were chosen by.
func BenchmarkSum(b *testing.B) {
	points := testPoints(b, 8+64)[8:]
	for _, n := range []int{16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1152, 2048, 4224, 8192} {
		var s Sum
		set := func() {
			s.Reset(n)
			for i := range n {
				k := random(i)
				s.Set(i, affine(b, points[i%64]), Scalar{binary.LittleEndian.Uint64(k[:]), binary.LittleEndian.Uint64(k[8:])})
			}
		}
		set()
		run := func(b *testing.B, parts int) {
			var w Work
			for b.Loop() {
				for i := range parts {
					s.Part(&w, i)
				}
				s.join(new(Extended))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/point")
		}
		if n <= 256 {
			b.Run(fmt.Sprintf("n=%d/straus", n), func(b *testing.B) { run(b, s.splitStraus(1)) })
		}
		for c := 4; c <= maxWindow; c++ {
			b.Run(fmt.Sprintf("n=%d/window=%d", n, c), func(b *testing.B) { run(b, s.splitPippenger(c)) })
		}
	}
}
