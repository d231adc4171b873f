package record

import (
	"errors"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// Keyless marks a device whose current key was closed because it was
// compromised. Its owner gives it another, and the row goes.
type Keyless struct {
	Key    crypto.KeyID // the key that was closed
	Height uint64       // of the block that closed it
}

// Description is all attributes of an organisation, a bridge, a device or a stream.
type Description struct{ Attributes []ledger.Attribute }

// Closed says who closed a stream, and in which block.
type Closed struct {
	Organisation crypto.ID
	Height       uint64
}

// Grant is a permission to use readings of a stream.
type Grant struct {
	Stream  crypto.ID
	Grantor crypto.ID // the organisation that gave it
	Grantee crypto.ID // an organisation or a device
	Rights  ledger.Rights
	First   uint64 // first reading
	Last    uint64 // last reading; 0 = no end
	From    int64  // committed time from which on it counts, µs
	Until   int64  // committed time from which on it counts no more; 0 = no end
	Purpose string
	Terms   [32]byte // SHA-256 of the terms; zeros = none
	Granted uint64   // height of the block that holds it
	Revoked uint64   // first height at which it counts no more; 0 = not revoked
}

// InForce tells whether the grant counts in the block of a height and time.
func (v Grant) InForce(height uint64, time int64) bool {
	return v.Granted <= height && v.From <= time && !v.Past(height, time)
}

// Past tells whether the grant counts neither in the block of a height and time nor in
// any later one.
func (v Grant) Past(height uint64, time int64) bool {
	return v.Revoked != 0 && v.Revoked <= height || v.Until != 0 && v.Until <= time
}

// Covers tells whether readings first to last are within the grant.
func (v Grant) Covers(first, last uint64) bool {
	return v.First <= first && (v.Last == 0 || last <= v.Last)
}

// Access lists the grants that a principal has on a stream, the current ones and
// perhaps some that are past.
type Access struct{ Grants []crypto.ID }

// Delivery is a consumer's receipt for readings.
type Delivery struct {
	Grant       crypto.ID
	Stream      crypto.ID
	Consumer    crypto.ID // who signed it: an organisation or a device
	First, Last uint64
	Digest      [32]byte // ledger.DeliveryDigest of the statements
	Height      uint64
}

// Derived says what a derived statement was computed from; its stream and first
// number stand in the key.
type Derived struct {
	Last   uint64
	Inputs []ledger.Input
}

// Use says what was computed from readings First to Last of the stream in the key.
type Use struct {
	First, Last               uint64
	Stream                    crypto.ID // the derived stream
	DerivedFirst, DerivedLast uint64
}

// UseLengths says of which length classes a stream has uses: bit k stands for 2^k to
// 2^(k+1)-1 readings.
type UseLengths struct{ Classes uint64 }

// Evidence names two different statements by the key in the row's key.
type Evidence struct {
	Stream crypto.ID
	Number uint64 // the first that both have
	A, B   [32]byte
	Height uint64
}

// Encode returns the row's value.
func (v Keyless) Encode() []byte {
	return dcbor.AppendUint(dcbor.AppendBytes(head(3), v.Key[:]), v.Height)
}

// Encode returns the row's value.
func (v Description) Encode() []byte { return ledger.AppendAttributes(head(2), v.Attributes) }

// Encode returns the row's value.
func (v Closed) Encode() []byte {
	return dcbor.AppendUint(dcbor.AppendBytes(head(3), v.Organisation[:]), v.Height)
}

// Encode returns the row's value.
func (v Grant) Encode() []byte {
	b := dcbor.AppendBytes(head(13), v.Stream[:])
	b = dcbor.AppendBytes(b, v.Grantor[:])
	b = dcbor.AppendBytes(b, v.Grantee[:])
	b = appendUints(b, uint64(v.Rights), v.First, v.Last)
	b = dcbor.AppendInt(b, v.From)
	b = dcbor.AppendInt(b, v.Until)
	b = dcbor.AppendText(b, v.Purpose)
	b = dcbor.AppendBytes(b, v.Terms[:])
	return appendUints(b, v.Granted, v.Revoked)
}

// Encode returns the row's value.
func (v Access) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(v.Grants))
	for i := range v.Grants {
		b = dcbor.AppendBytes(b, v.Grants[i][:])
	}
	return b
}

// Encode returns the row's value.
func (v Delivery) Encode() []byte {
	b := dcbor.AppendBytes(head(8), v.Grant[:])
	b = dcbor.AppendBytes(b, v.Stream[:])
	b = dcbor.AppendBytes(b, v.Consumer[:])
	b = appendUints(b, v.First, v.Last)
	return dcbor.AppendUint(dcbor.AppendBytes(b, v.Digest[:]), v.Height)
}

// Encode returns the row's value.
func (v Derived) Encode() []byte {
	b := dcbor.AppendArray(dcbor.AppendUint(head(3), v.Last), len(v.Inputs))
	for i := range v.Inputs {
		in := &v.Inputs[i]
		b = dcbor.AppendBytes(dcbor.AppendArray(b, 4), in.Stream[:])
		b = dcbor.AppendBytes(appendUints(b, in.First, in.Last), in.Digest[:])
	}
	return b
}

// Encode returns the row's value.
func (v Use) Encode() []byte {
	b := appendUints(head(6), v.First, v.Last)
	b = dcbor.AppendBytes(b, v.Stream[:])
	return appendUints(b, v.DerivedFirst, v.DerivedLast)
}

// Encode returns the row's value.
func (v UseLengths) Encode() []byte { return appendUints(head(2), v.Classes) }

// Encode returns the row's value.
func (v Evidence) Encode() []byte {
	b := dcbor.AppendBytes(head(6), v.Stream[:])
	b = dcbor.AppendBytes(dcbor.AppendUint(b, v.Number), v.A[:])
	return dcbor.AppendUint(dcbor.AppendBytes(b, v.B[:]), v.Height)
}

func appendUints(b []byte, list ...uint64) []byte {
	for _, v := range list {
		b = dcbor.AppendUint(b, v)
	}
	return b
}

// ParseKeyless decodes the value of a keyless row.
func ParseKeyless(b []byte) (v Keyless, err error) {
	r := open(b, 3)
	r.Fixed(v.Key[:])
	v.Height = number(r)
	return v, done(r, FamilyKeyless)
}

// ParseDescription decodes the value of a description row.
func ParseDescription(b []byte) (v Description, err error) {
	r := open(b, 2)
	v.Attributes = ledger.ReadAttributes(r)
	return v, done(r, FamilyDescription)
}

// ParseClosed decodes the value of a closed row.
func ParseClosed(b []byte) (v Closed, err error) {
	r := open(b, 3)
	r.Fixed(v.Organisation[:])
	v.Height = number(r)
	return v, done(r, FamilyClosed)
}

// ParseGrant decodes the value of a grant row.
func ParseGrant(b []byte) (v Grant, err error) {
	r := open(b, 13)
	r.Fixed(v.Stream[:])
	r.Fixed(v.Grantor[:])
	r.Fixed(v.Grantee[:])
	v.Rights = ledger.Rights(number(r))
	v.First = number(r)
	v.Last = number(r)
	v.From = int64(number(r))
	v.Until = int64(number(r))
	v.Purpose = r.Text(ledger.MaxPurpose)
	r.Fixed(v.Terms[:])
	v.Granted = number(r)
	v.Revoked = number(r)
	return v, done(r, FamilyGrant)
}

// ParseAccess decodes the value of an access row.
func ParseAccess(b []byte) (v Access, err error) {
	r := open(b, 2)
	if n := r.Array(ledger.MaxAccess); r.Err() == nil && n > 0 {
		v.Grants = make([]crypto.ID, n)
		for i := range v.Grants {
			r.Fixed(v.Grants[i][:])
		}
	}
	return v, done(r, FamilyAccess)
}

// ParseDelivery decodes the value of a delivery row.
func ParseDelivery(b []byte) (v Delivery, err error) {
	r := open(b, 8)
	r.Fixed(v.Grant[:])
	r.Fixed(v.Stream[:])
	r.Fixed(v.Consumer[:])
	v.First = number(r)
	v.Last = number(r)
	r.Fixed(v.Digest[:])
	v.Height = number(r)
	return v, done(r, FamilyDelivery)
}

var errNoInput = errors.New("a derivation has inputs")

// ParseDerived decodes the value of a derived_from row.
func ParseDerived(b []byte) (v Derived, err error) {
	r := open(b, 3)
	v.Last = number(r)
	n := r.Array(ledger.MaxInputs)
	if r.Err() == nil && n == 0 {
		r.Fail(errNoInput)
	}
	if r.Err() == nil {
		v.Inputs = make([]ledger.Input, n)
	}
	for i := range v.Inputs {
		in := &v.Inputs[i]
		r.ExpectArray(4)
		r.Fixed(in.Stream[:])
		in.First = number(r)
		in.Last = number(r)
		r.Fixed(in.Digest[:])
	}
	return v, done(r, FamilyDerived)
}

// ParseUse decodes the value of a used_by row.
func ParseUse(b []byte) (v Use, err error) {
	r := open(b, 6)
	v.First = number(r)
	v.Last = number(r)
	r.Fixed(v.Stream[:])
	v.DerivedFirst = number(r)
	v.DerivedLast = number(r)
	return v, done(r, FamilyUse)
}

// ParseUseLengths decodes the value of a use_lengths row.
func ParseUseLengths(b []byte) (v UseLengths, err error) {
	r := open(b, 2)
	v.Classes = number(r)
	return v, done(r, FamilyUseLengths)
}

// ParseEvidence decodes the value of an evidence row.
func ParseEvidence(b []byte) (v Evidence, err error) {
	r := open(b, 6)
	r.Fixed(v.Stream[:])
	v.Number = number(r)
	r.Fixed(v.A[:])
	r.Fixed(v.B[:])
	v.Height = number(r)
	return v, done(r, FamilyEvidence)
}
