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
