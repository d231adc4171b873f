package ledger

import (
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// Rights are what a grant permits.
type Rights uint64

// The rights, and their combination.
const (
	RightRead       Rights = 1 // to receive the readings
	RightDerive     Rights = 2 // to compute readings of a stream from them
	RightReadDerive Rights = RightRead | RightDerive
)

// String returns read, derive or read+derive.
func (r Rights) String() string {
	switch r {
	case RightRead:
		return "read"
	case RightDerive:
		return "derive"
	case RightReadDerive:
		return "read+derive"
	}
	return fmt.Sprintf("rights_%d", uint64(r))
}

// Grant permits a principal to use readings of a stream. The actor is the
// organisation that owns the stream. The grant's id is the first half of the
// operation's digest (see MadeID).
type Grant struct {
	Stream  crypto.ID
	Grantee crypto.ID // an organisation or a device
	Rights  Rights
	First   uint64   // first reading, at least 1
	Last    uint64   // last reading; 0 = no end
	From    int64    // committed time from which on it counts, microseconds since the Unix epoch; at least 0
	Until   int64    // committed time from which on it counts no more; 0 = no end
	Purpose string   // 0..MaxPurpose bytes, for people
	Terms   [32]byte // SHA-256 of the terms; zeros = none
}

// Revoke ends a grant from the next block on. The actor is the organisation that
// gave it, or the one that owns the stream now.
type Revoke struct{ Grant crypto.ID }

// Deliver is a consumer's signed receipt for readings that it got under a grant.
// The actor is the grantee; or a device of the organisation that is; or the
// organisation of the device that is.
type Deliver struct {
	Grant       crypto.ID
	First, Last uint64
	Digest      [32]byte // DeliveryDigest of the statements that hold the readings
}

const domainDelivery = "mtm/delivery/1"

// DeliveryDigest is what a delivery says about the readings' contents: a hash
// over the digests of the statements that hold any of them, by their numbers.
func DeliveryDigest(statements ...[32]byte) [32]byte {
	var all []byte
	for i := range statements {
		all = append(all, statements[i][:]...)
	}
	return crypto.Sum(domainDelivery, all)
}

// MadeID is the id of what an operation with this digest makes: a grant, a
// delivery or a proposal.
func MadeID(digest [32]byte) crypto.ID { return crypto.ID(digest[:16]) }

// Kind returns KindGrant.
func (Grant) Kind() Kind { return KindGrant }

// Kind returns KindRevoke.
func (Revoke) Kind() Kind { return KindRevoke }

// Kind returns KindDeliver.
func (Deliver) Kind() Kind { return KindDeliver }

func (o Grant) append(b []byte) []byte {
	b = appendKind(b, 10, KindGrant)
	b = dcbor.AppendBytes(b, o.Stream[:])
	b = dcbor.AppendBytes(b, o.Grantee[:])
	b = dcbor.AppendUint(b, uint64(o.Rights))
	b = dcbor.AppendUint(b, o.First)
	b = dcbor.AppendUint(b, o.Last)
	b = dcbor.AppendInt(b, o.From)
	b = dcbor.AppendInt(b, o.Until)
	b = dcbor.AppendText(b, o.Purpose)
	return dcbor.AppendBytes(b, o.Terms[:])
}

func (o Revoke) append(b []byte) []byte {
	return dcbor.AppendBytes(appendKind(b, 2, KindRevoke), o.Grant[:])
}

func (o Deliver) append(b []byte) []byte {
	b = appendKind(b, 5, KindDeliver)
	b = dcbor.AppendBytes(b, o.Grant[:])
	b = dcbor.AppendUint(b, o.First)
	b = dcbor.AppendUint(b, o.Last)
	return dcbor.AppendBytes(b, o.Digest[:])
}

// readGrantBody reads the rest of a body of n elements whose kind was read, nil
// if it is none of this file's.
func readGrantBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindGrant && n == 10:
		return readGrant(r)
	case kind == KindRevoke && n == 2:
		return Revoke{Grant: readID(r)}
	case kind == KindDeliver && n == 5:
		body := Deliver{Grant: readID(r), First: readFirst(r), Last: readNumber(r)}
		r.Fixed(body.Digest[:])
		if r.Err() == nil && body.Last < body.First {
			r.Fail(errRangeOrder)
		}
		return body
	}
	return nil
}

func readGrant(r *dcbor.Reader) Body {
	g := Grant{Stream: readID(r), Grantee: readID(r), Rights: Rights(r.Uint()), First: readFirst(r), Last: readNumber(r)}
	g.From, g.Until = int64(readNumber(r)), int64(readNumber(r))
	g.Purpose = r.Text(MaxPurpose)
	r.Fixed(g.Terms[:])
	switch {
	case r.Err() != nil:
	case g.Rights == 0 || g.Rights > RightReadDerive:
		r.Fail(errRights)
	case g.Last != 0 && g.Last < g.First:
		r.Fail(errRangeOrder)
	case g.Until != 0 && g.Until <= g.From:
		r.Fail(errSpanOrder)
	default:
		r.Fail(checkText("the purpose", g.Purpose))
	}
	return g
}

var (
	errRights     = errors.New("rights are 1 (read), 2 (derive) or 3 (both)")
	errRangeOrder = errors.New("range of readings ends before it begins")
	errSpanOrder  = errors.New("grant ends before it begins")
)
