package group

import (
	"sync"

	"filippo.io/edwards25519"
)

// Scalar is an unsigned 128-bit number, low word first.
type Scalar [2]uint64

// Sum adds up points times scalars, in parts that several goroutines may compute:
//
//	s.Reset(n)                          // room for n points
//	s.Set(i, ...), s.SetBase(...)       // each i once
//	s.Part(work, i) for i < s.Split(workers)
//	s.IsSmall()
//
// Calls of Set with different i may run at the same time, and so may those of Part,
// each with its own Work. A Sum grows to the largest sum it had, to be used again.
type Sum struct {
	points  []Affine
	scalars []Scalar
	base    [2]Scalar
	window  int // bits of Pippenger's windows, one a part; 0: Straus' method
	share   int // points of a part, for Straus' method
	parts   []Extended
}

// Work is the scratch memory of one goroutine. The zero value is ready.
type Work struct {
	straus    strausWork
	pippenger pippengerWork
}

// Reset makes s a sum of n points, to be set. What was set before is lost.
func (s *Sum) Reset(n int) {
	if cap(s.points) < n+2 { // and those of the base, if the method wants them
		s.points, s.scalars = make([]Affine, n+2), make([]Scalar, n+2)
	}
	s.points, s.scalars, s.base = s.points[:n], s.scalars[:n], [2]Scalar{}
}

// Set sets the i-th term, [k]p.
func (s *Sum) Set(i int, p *Affine, k Scalar) { s.points[i], s.scalars[i] = *p, k }

// Truncate leaves the first n points.
func (s *Sum) Truncate(n int) { s.points, s.scalars = s.points[:n], s.scalars[:n] }

// SetBase sets what the sum has of the base point: [lo + 2^128 hi]B.
func (s *Sum) SetBase(lo, hi Scalar) { s.base = [2]Scalar{lo, hi} }

// minStraus is the least number of points that is worth a part of Straus' method:
// each part pays for 128 doublings.
const minStraus = 16

// Split picks the faster method, divides the sum into parts, for so many workers,
// and returns how many they are. The bounds are measured: see BenchmarkSum and
// docs/design/verification.md.
func (s *Sum) Split(workers int) int {
	if n := len(s.points); n < pippengerMin {
		return s.splitStraus(max(1, min(workers, n/minStraus)))
	}
	base := basePoints()
	s.points = append(s.points, base[0], base[1])
	s.scalars = append(s.scalars, s.base[0], s.base[1])
	return s.splitPippenger(windowFor(len(s.points)))
}

func (s *Sum) splitStraus(parts int) int {
	s.window, s.share = 0, (len(s.points)+parts-1)/parts
	return s.setParts(parts)
}

func (s *Sum) splitPippenger(window int) int {
	s.window = window
	return s.setParts((scalarBits + window - 1) / window)
}

func (s *Sum) setParts(n int) int {
	if cap(s.parts) < n {
		s.parts = make([]Extended, n)
	}
	s.parts = s.parts[:n]
	return n
}

// Part computes a part.
func (s *Sum) Part(w *Work, i int) {
	var v Extended // not in parts: its neighbours belong to other cores
	if s.window > 0 {
		w.pippenger.sum(&v, s.window, i, s.points, s.scalars)
	} else {
		s.strausPart(w, &v, i)
	}
	s.parts[i] = v
}

func (s *Sum) strausPart(w *Work, v *Extended, i int) {
	from, to := min(i*s.share, len(s.points)), min((i+1)*s.share, len(s.points))
	var base [2]Scalar
	if i == 0 {
		base = s.base
	}
	w.straus.sum(v, s.points[from:to], s.scalars[from:to], base)
}

// IsSmall reports whether [8] of the sum is the neutral point. Every part must have
// been computed.
func (s *Sum) IsSmall() bool {
	var v Extended
	s.join(&v)
	return v.isSmall()
}

// join sets v to the sum.
func (s *Sum) join(v *Extended) {
	*v = s.parts[len(s.parts)-1]
	for i := len(s.parts) - 2; i >= 0; i-- {
		if s.window > 0 {
			v.doubleTimes(s.window)
		}
		v.add(&s.parts[i])
	}
}

// basePoints are B and [2^128]B.
var basePoints = sync.OnceValue(func() *[2]Affine {
	var b [2]Affine
	b[0].setPoint(edwards25519.NewGeneratorPoint())
	b[1].Shift128(&b[0])
	return &b
})
