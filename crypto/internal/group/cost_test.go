package group

import "testing"

// The cost that is counted by hand is that of the digits of random scalars, within a
// twelfth.
func TestCost(t *testing.T) {
	for _, n := range []int{1, 3, 8, 24, 64, pippengerMin - 1, pippengerMin, 128, 192, 500, 1152, 3072, 9000} {
		scalars := make([]Scalar, n+2)
		for i := range scalars {
			r := random(i)
			for j := range 16 {
				scalars[i][j/8] = scalars[i][j/8]<<8 | uint64(r[j])
			}
		}
		counted := strausCost(scalars)
		if n >= pippengerMin {
			counted = pippengerCost(scalars)
		}
		if got := float64(Cost(n)); got < counted*11/12 || got > counted*13/12 {
			t.Errorf("%d points: %v, counted are %v", n, got, counted)
		}
	}
}

const costDoubling = 3 + 4*0.8 // 3 multiplications, 4 squarings

// strausCost counts over the digits; the last two scalars are of the base point.
func strausCost(scalars []Scalar) float64 {
	cost := (nafSize + 3) * costDoubling
	for i, k := range scalars {
		var n naf
		window, digit := uint(strausWindow), 8.0 // a result with T, and the addition
		if i >= len(scalars)-2 {
			window, digit = baseWindow, 7
		} else {
			cost += 1 + costDoubling + 2 + oddMultiples + (oddMultiples-1)*8
		}
		n.set(k, window)
		for _, d := range n {
			if d != 0 {
				cost += digit
			}
		}
	}
	return cost
}

// pippengerCost counts over the digits and buckets.
func pippengerCost(scalars []Scalar) float64 {
	c := windowFor(len(scalars))
	windows := (scalarBits + c - 1) / c
	cost := float64(c*(windows-1)+3) * costDoubling
	for i := range windows {
		w, filled, top := newWindow(c, i), map[int]bool{}, 0
		for _, k := range scalars {
			d := w.digit(k)
			if d < 0 {
				d = -d
			}
			switch {
			case d == 0:
			case filled[d]:
				cost += 7
			default:
				filled[d] = true
				cost++
			}
			top = max(top, d)
		}
		cost += 9 * float64(top+len(filled)+1) // sums of buckets, and of windows
	}
	return cost
}
