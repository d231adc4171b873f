package proof

import "time"

// CheckFresh is the check of a demand for freshness, after all others.
const CheckFresh Check = "fresh"

// Freshness is how recent a proven state must be. The zero value demands nothing:
// what was true once is proven for ever, and a file that is old says nothing of
// what came after it. The package has no clock; whoever has one says the time.
type Freshness struct {
	MinHeight uint64 // the least as-of height; 0: any
	NotBefore Micros // the earliest time of the signed header; 0: any
}

// NotOlder demands a header that was at most maxAge old at a time.
func NotOlder(maxAge time.Duration, at time.Time) Freshness {
	return Freshness{NotBefore: Micros(at.Add(-maxAge).UnixMicro())}
}

// Check refuses what is older than demanded; of pages, the oldest counts.
func (f Freshness) Check(p Proven) error {
	height, signed := p.AsOf()
	if height < f.MinHeight {
		return refuse(CheckFresh, "true as of height %d: height %d or later is demanded", height, f.MinHeight)
	}
	if f.NotBefore != 0 && signed < f.NotBefore {
		return refuse(CheckFresh, "the header was signed at %s: %s or later is demanded", signed, f.NotBefore)
	}
	return nil
}
