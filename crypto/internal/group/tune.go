package group

// pippengerMin is the least number of points for which Pippenger's method beats
// Straus'.
const pippengerMin = 80

// windowFor returns the window width, in bits, for a number of points.
func windowFor(points int) int {
	switch {
	case points < 128:
		return 5
	case points < 384:
		return 6
	case points < 700:
		return 7
	case points < 2000:
		return 8
	case points < 3500:
		return 9
	case points < 9000:
		return 10
	}
	return maxWindow
}

// Cost returns what a sum of so many points costs, in multiplications of field
// elements, of which a squaring takes four fifths. It is counted by hand, for scalars
// drawn at random, and includes the base point.
func Cost(points int) int {
	if points < pippengerMin {
		// A table takes 74 and of 129 digits a sixth is not zero, 8 each; for all
		// together 129 doublings of 6.2, 32 additions of 7 for the base, and the end.
		return 1050 + 246*points
	}
	points += 2
	c := windowFor(points)
	windows := (scalarBits + c - 1) / c
	buckets := 1 << (c - 1)
	// A point takes 7 in each window, or 1 where it is the first in a bucket; a bucket
	// takes two additions of 9. Between windows there are 128 doublings in all.
	return windows*(7*points+12*buckets+9) + scalarBits*31/5
}
