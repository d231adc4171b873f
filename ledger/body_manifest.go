package ledger

import (
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
)

// EnrolDevices enrols several devices as EnrolDevice does each, all or none. The
// actor is the organisation that will own them.
type EnrolDevices struct{ Possessions []*Possession } // 1..MaxEnrolled

// Manifest is an organisation's word for a whole fleet: the devices whose public keys
// the list with this root holds may be enrolled for it. The actor is the organisation.
// The manifest's id is the first half of the operation's digest (see MadeID).
type Manifest struct {
	Root  merkle.Hash // of the list of keys; see Fleet
	Count uint64      // keys in the list, 1..MaxFleet
	Until int64       // committed time from which on it counts no more, microseconds since the Unix epoch; 0 = no end
}

// EnrolListed enrols devices of a manifest, all or none, for the organisation that
// signed it. The actor is any organisation or device.
type EnrolListed struct {
	Manifest crypto.ID
	Devices  []ListedDevice // 1..MaxEnrolled, by strictly ascending place
	Path     []merkle.Hash  // proves their places; see Fleet.Enrol
}

// ListedDevice is a device with its place in a manifest's list.
type ListedDevice struct {
	Index      uint64 // from 0
	Possession *Possession
}

// CloseManifest ends a manifest from the next block on. The actor is the organisation
// that signed it.
type CloseManifest struct{ Manifest crypto.ID }

// Kind returns KindEnrolDevices.
func (EnrolDevices) Kind() Kind { return KindEnrolDevices }

// Kind returns KindManifest.
func (Manifest) Kind() Kind { return KindManifest }

// Kind returns KindEnrolListed.
func (EnrolListed) Kind() Kind { return KindEnrolListed }

// Kind returns KindCloseManifest.
func (CloseManifest) Kind() Kind { return KindCloseManifest }

// Root returns the root that the operation's keys, places and path lead to in a list of
// count keys. Only if it is the manifest's are the devices listed.
func (o EnrolListed) Root(count uint64) (merkle.Hash, error) {
	leaves, indexes := make([]merkle.Hash, len(o.Devices)), make([]uint64, len(o.Devices))
	for i, d := range o.Devices {
		leaves[i], indexes[i] = merkle.LeafHash(d.Possession.Key[:]), d.Index
	}
	return merkle.VerifyMulti(leaves, indexes, count, o.Path)
}

func (o EnrolListed) possessions() []*Possession {
	list := make([]*Possession, len(o.Devices))
	for i, d := range o.Devices {
		list[i] = d.Possession
	}
	return list
}

func (o EnrolDevices) append(b []byte) []byte {
	b = dcbor.AppendArray(appendKind(b, 2, KindEnrolDevices), len(o.Possessions))
	for _, p := range o.Possessions {
		b = appendPossession(b, p)
	}
	return b
}

func (o Manifest) append(b []byte) []byte {
	b = dcbor.AppendBytes(appendKind(b, 4, KindManifest), o.Root[:])
	return dcbor.AppendInt(dcbor.AppendUint(b, o.Count), o.Until)
}

func (o EnrolListed) append(b []byte) []byte {
	b = dcbor.AppendBytes(appendKind(b, 4, KindEnrolListed), o.Manifest[:])
	b = dcbor.AppendArray(b, len(o.Devices))
	for _, d := range o.Devices {
		b = appendPossession(dcbor.AppendUint(dcbor.AppendArray(b, 2), d.Index), d.Possession)
	}
	b = dcbor.AppendArray(b, len(o.Path))
	for i := range o.Path {
		b = dcbor.AppendBytes(b, o.Path[i][:])
	}
	return b
}

func (o CloseManifest) append(b []byte) []byte {
	return dcbor.AppendBytes(appendKind(b, 2, KindCloseManifest), o.Manifest[:])
}

// readManifestBody reads the rest of a body of n elements whose kind was read,
// nil if it is none of this file's.
func readManifestBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindEnrolDevices && n == 2:
		return readEnrolDevices(r)
	case kind == KindManifest && n == 4:
		var body Manifest
		r.Fixed(body.Root[:])
		body.Count = r.Uint()
		body.Until = int64(readNumber(r))
		if r.Err() == nil {
			r.Fail(checkFleetSize(body.Count))
		}
		return body
	case kind == KindEnrolListed && n == 4:
		return readEnrolListed(r)
	case kind == KindCloseManifest && n == 2:
		return CloseManifest{Manifest: readID(r)}
	}
	return nil
}

func readEnrolDevices(r *dcbor.Reader) Body {
	var body EnrolDevices
	for range readEnrolled(r) {
		p := readPossession(r)
		if r.Err() != nil {
			break
		}
		body.Possessions = append(body.Possessions, p)
	}
	return body
}

func readEnrolListed(r *dcbor.Reader) Body {
	body := EnrolListed{Manifest: readID(r)}
	for i := range readEnrolled(r) {
		r.ExpectArray(2)
		d := ListedDevice{Index: r.Uint()}
		switch {
		case r.Err() != nil:
		case d.Index >= MaxFleet:
			r.Fail(fmt.Errorf("%w: %d", errFleetIndex, d.Index))
		case i > 0 && d.Index <= body.Devices[i-1].Index:
			r.Fail(errFleetOrder)
		}
		d.Possession = readPossession(r)
		if r.Err() != nil {
			return body
		}
		body.Devices = append(body.Devices, d)
	}
	for range r.Array(MaxFleetPath) {
		var h merkle.Hash
		r.Fixed(h[:])
		if r.Err() != nil {
			break
		}
		body.Path = append(body.Path, h)
	}
	return body
}

// readEnrolled reads how many devices follow.
func readEnrolled(r *dcbor.Reader) int {
	count := r.Array(MaxEnrolled)
	if r.Err() == nil && count == 0 {
		r.Fail(errNoDevice)
	}
	return count
}

func checkFleetSize(n uint64) error {
	switch {
	case n == 0:
		return errNoDevice
	case n > MaxFleet:
		return Errorf(CodeTooLarge, "manifest of %d devices, at most %d", n, MaxFleet)
	}
	return nil
}

var (
	errNoDevice   = errors.New("it needs at least one device")
	errFleetIndex = errors.New("place beyond every list")
	errFleetOrder = errors.New("places are not strictly ascending")
)
