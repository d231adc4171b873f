package ledger

import (
	"errors"

	"mtmledger/internal/dcbor"
)

// EnrolDevices enrols several devices as EnrolDevice does each, all or none. The
// actor is the organisation that will own them.
type EnrolDevices struct{ Possessions []*Possession } // 1..MaxManifest

// Kind returns KindEnrolDevices.
func (EnrolDevices) Kind() Kind { return KindEnrolDevices }

func (o EnrolDevices) append(b []byte) []byte {
	b = dcbor.AppendArray(appendKind(b, 2, KindEnrolDevices), len(o.Possessions))
	for _, p := range o.Possessions {
		b = appendPossession(b, p)
	}
	return b
}

// readManifestBody reads the rest of a body of n elements whose kind was read,
// nil if it is none of this file's.
func readManifestBody(r *dcbor.Reader, kind Kind, n int) Body {
	if kind != KindEnrolDevices || n != 2 {
		return nil
	}
	count := r.Array(MaxManifest)
	if r.Err() == nil && count == 0 {
		r.Fail(errNoDevice)
	}
	var body EnrolDevices
	for range count {
		p := readPossession(r)
		if r.Err() != nil {
			break
		}
		body.Possessions = append(body.Possessions, p)
	}
	return body
}

var errNoDevice = errors.New("a manifest has at least one device")
