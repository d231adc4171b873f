package record

import (
	"errors"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// Manifest is an organisation's word that the devices of a list may be enrolled for it.
type Manifest struct {
	Organisation crypto.ID
	Root         merkle.Hash // of the list of keys; see ledger.Fleet
	Count        uint64      // keys in the list
	Until        int64       // committed time from which on it counts no more, µs; 0 = no end
	Signed       uint64      // height of the block that holds it
	Closed       uint64      // first height at which it counts no more; 0 = not closed
}

// Past tells whether the manifest counts neither in the block of a height and time nor in
// any later one.
func (v Manifest) Past(height uint64, time int64) bool {
	return v.Closed != 0 && v.Closed <= height || v.Until != 0 && v.Until <= time
}

// Listed is a device that was enrolled with a manifest; its place in the list stands in
// the row's key.
type Listed struct {
	Device crypto.ID
	Height uint64 // of the block that enrolled it
}

// ManifestRow is the key of a manifest.
func ManifestRow(manifest crypto.ID) merkle.Key { return prefix(FamilyManifest, manifest) }

// OrganisationManifestRow lists a manifest under the organisation that signed it.
func OrganisationManifestRow(organisation, manifest crypto.ID) merkle.Key {
	return withChild(FamilyOrganisationManifest, organisation, manifest)
}

// ListedRow is the key of the device that stands at index in a manifest's list, once it
// is enrolled.
func ListedRow(manifest crypto.ID, index uint64) merkle.Key {
	return withNumber(FamilyListed, manifest, index)
}

// Encode returns the row's value.
func (v Manifest) Encode() []byte {
	b := dcbor.AppendBytes(head(7), v.Organisation[:])
	b = dcbor.AppendBytes(b, v.Root[:])
	b = dcbor.AppendInt(dcbor.AppendUint(b, v.Count), v.Until)
	return appendUints(b, v.Signed, v.Closed)
}

// Encode returns the row's value.
func (v Listed) Encode() []byte {
	return dcbor.AppendUint(dcbor.AppendBytes(head(3), v.Device[:]), v.Height)
}

var errManifestCount = errors.New("a manifest lists 1 to 1,048,576 devices")

// ParseManifest decodes the value of a manifest row.
func ParseManifest(b []byte) (v Manifest, err error) {
	r := open(b, 7)
	r.Fixed(v.Organisation[:])
	r.Fixed(v.Root[:])
	v.Count = number(r)
	v.Until = int64(number(r))
	v.Signed = number(r)
	v.Closed = number(r)
	if r.Err() == nil && (v.Count == 0 || v.Count > ledger.MaxFleet) {
		r.Fail(errManifestCount)
	}
	return v, done(r, FamilyManifest)
}

// ParseListed decodes the value of a listed row.
func ParseListed(b []byte) (v Listed, err error) {
	r := open(b, 3)
	r.Fixed(v.Device[:])
	v.Height = number(r)
	return v, done(r, FamilyListed)
}
