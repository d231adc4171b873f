package record

import (
	"errors"
	"slices"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// Part is a run of a stream's numbers whose readings belong to one organisation: from
// First up to the next part's.
type Part struct {
	First        uint64
	Organisation crypto.ID
}

// Parts say whose the readings of a stream are, by number: the first part begins with 1,
// First ascends, neighbours differ, and the last part, without an end, is the stream's
// owner's. See docs/spec/records.md.
type Parts []Part

var errParts = errors.New("parts out of order, or neighbours of one owner")

// Whole is one part, of all numbers.
func Whole(organisation crypto.ID) Parts { return Parts{{1, organisation}} }

// Held tells whether all of first to last, or any of it, belongs to an organisation; last
// 0 means no end.
func (p Parts) Held(organisation crypto.ID, first, last uint64) (all, any bool) {
	if last == 0 {
		last = MaxNumber
	}
	all = true
	for i := range p {
		if p[i].First > last || i+1 < len(p) && p[i+1].First <= first {
			continue
		}
		if p[i].Organisation == organisation {
			any = true
		} else {
			all = false
		}
	}
	return all && any, any
}

// Sold is the parts after all above the mark went to another organisation. Above the
// greatest number there is nothing.
func (p Parts) Sold(mark uint64, to crypto.ID) Parts {
	if mark >= MaxNumber {
		return p
	}
	out := slices.Clone(p)
	if n := len(out); out[n-1].First > mark { // nothing was written in it, and never will be below
		out = out[:n-1]
	}
	return append(out, Part{mark + 1, to}).joined()
}

// Given is the parts after all that belonged to one organisation went to another.
func (p Parts) Given(from, to crypto.ID) Parts {
	out := slices.Clone(p)
	for i := range out {
		if out[i].Organisation == from {
			out[i].Organisation = to
		}
	}
	return out.joined()
}

// joined makes neighbours of one organisation one part.
func (p Parts) joined() Parts {
	return slices.CompactFunc(p, func(a, b Part) bool { return a.Organisation == b.Organisation })
}

// Encode returns the row's value.
func (p Parts) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(p))
	for i := range p {
		b = dcbor.AppendUint(dcbor.AppendArray(b, 2), p[i].First)
		b = dcbor.AppendBytes(b, p[i].Organisation[:])
	}
	return b
}

// ParseParts decodes the value of a parts row.
func ParseParts(b []byte) (p Parts, err error) {
	r := open(b, 2)
	n := r.Array(ledger.MaxParts)
	if r.Err() == nil && n == 0 {
		r.Fail(errParts)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		r.ExpectArray(2)
		next := Part{First: number(r)}
		r.Fixed(next.Organisation[:])
		if i == 0 && next.First != 1 || i > 0 && (next.First <= p[i-1].First || next.Organisation == p[i-1].Organisation) {
			r.Fail(errParts)
		}
		p = append(p, next)
	}
	return p, done(r, FamilyParts)
}
