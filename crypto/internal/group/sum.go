package group

import (
	"sync"

	"filippo.io/edwards25519"
)

// Scalar is an unsigned 128-bit number, low word first.
type Scalar [2]uint64

// Sum adds up points times scalars. It is scratch memory, too: it is made for
// being used again and again, after Reset, and grows to the largest sum it had.
// The zero value is an empty sum. It may not be used by two goroutines at once.
type Sum struct {
	points  []Affine
	scalars []Scalar
	base    [2]Scalar

	straus    strausWork
	pippenger pippengerWork
}

// Reset empties the sum.
func (s *Sum) Reset() {
	s.points, s.scalars, s.base = s.points[:0], s.scalars[:0], [2]Scalar{}
}

// Add adds [k]p.
func (s *Sum) Add(p *Affine, k Scalar) {
	s.points = append(s.points, *p)
	s.scalars = append(s.scalars, k)
}

// SetBase sets what the sum has of the base point: [lo + 2^128 hi]B.
func (s *Sum) SetBase(lo, hi Scalar) { s.base = [2]Scalar{lo, hi} }

// IsSmall reports whether [8] of the sum is the neutral point.
func (s *Sum) IsSmall() bool {
	var v Extended
	s.compute(&v)
	return v.isSmall()
}

// compute picks the faster way. The bounds are measured: see
// BenchmarkSum and docs/design/verification.md.
func (s *Sum) compute(v *Extended) {
	if len(s.points) < pippengerMin {
		s.straus.sum(v, s.points, s.scalars, s.base)
		return
	}
	base := basePoints()
	s.Add(&base[0], s.base[0])
	s.Add(&base[1], s.base[1])
	s.pippenger.sum(v, windowFor(len(s.points)), s.points, s.scalars)
}

// basePoints are B and [2^128]B.
var basePoints = sync.OnceValue(func() *[2]Affine {
	var b [2]Affine
	b[0].setPoint(edwards25519.NewGeneratorPoint())
	b[1].Shift128(&b[0])
	return &b
})
