package sensors

import (
	"errors"
	"math"
)

var errNone = errors.New("none on this machine")

func orNone(err error) error {
	if err != nil {
		return err
	}
	return errNone
}

// round keeps two decimals, which is more than these sensors know.
func round(v float64) float64 { return math.Round(v*100) / 100 }
