package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// deliver keeps a consumer's receipt for readings that it got under a grant.
func deliver(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Deliver)
	if !ok {
		return ledger.CodeMalformed
	}
	row, found := c.v.grant(body.Grant)
	switch {
	case !found:
		return ledger.CodeUnknownGrant
	case !c.consumes(row.Grantee):
		return ledger.CodeNoGrant
	case row.Revoked != 0 && row.Revoked <= c.b.Height:
		return ledger.CodeGrantRevoked
	case !row.InForce(c.b.Height, c.b.Time):
		return ledger.CodeGrantExpired
	case !row.Covers(body.First, body.Last) || !c.v.committed(row.Stream, body.First, body.Last):
		return ledger.CodeOutOfRange
	}
	id := c.made()
	delivery := record.Delivery{
		Grant: body.Grant, Stream: row.Stream, Consumer: c.op.Actor,
		First: body.First, Last: body.Last, Digest: body.Digest, Height: c.b.Height,
	}
	c.put(record.DeliveryRow(id), delivery.Encode())
	since := record.Since{Height: c.b.Height}.Encode()
	c.put(record.StreamDeliveryRow(row.Stream, id), since)
	c.put(record.ConsumerDeliveryRow(c.op.Actor, id), since)
	return ledger.CodeOK
}

// consumes tells whether the actor is the grantee, or a device of the organisation that
// is, or the organisation of the device that is.
func (c *change) consumes(grantee crypto.ID) bool {
	return c.op.Actor == grantee || c.ownerAtOnce(c.op.Actor) == grantee || c.ownerAtOnce(grantee) == c.op.Actor
}

// ownerAtOnce is the organisation that owns a device in this block, zero for whatever is
// no device.
func (c *change) ownerAtOnce(device crypto.ID) crypto.ID {
	row, _, err := deviceAt(c.v, device, c.b.Height)
	c.v.fail(err)
	return row.Organisation
}

// committed tells whether the readings first to last of a stream are all there.
func (v *View) committed(id crypto.ID, first, last uint64) bool {
	s := v.stream(id)
	return s != nil && v.holds(id, s, first, last)
}
