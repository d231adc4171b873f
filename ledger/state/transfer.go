package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// giveDevice says who must agree to the transfer of a device.
func giveDevice(c *change) (agreement, ledger.Code) {
	body, ok := c.op.Body.(ledger.TransferDevice)
	if !ok {
		return agreement{}, ledger.CodeMalformed
	}
	device, found := c.device(body.Device)
	if !found {
		return agreement{}, ledger.CodeUnknownDevice
	}
	return c.give(device.Organisation, body.To)
}

// giveStream says who must agree to the transfer of a stream.
func giveStream(c *change) (agreement, ledger.Code) {
	body, ok := c.op.Body.(ledger.TransferStream)
	if !ok {
		return agreement{}, ledger.CodeMalformed
	}
	if c.v.stream(body.Stream) == nil {
		return agreement{}, ledger.CodeUnknownStream
	}
	return c.give(c.streamOwner(body.Stream).Organisation, body.To)
}

// give is the agreement of giver and receiver, of whom one is the actor. The members' vote
// stands in for a giver that has left.
func (c *change) give(giver, receiver crypto.ID) (agreement, ledger.Code) {
	to, found := c.organisation(receiver)
	switch {
	case c.op.Actor != giver && c.op.Actor != receiver:
		return agreement{}, ledger.CodeNotOwner
	case !found:
		return agreement{}, ledger.CodeUnknownOrganisation
	case giver == receiver:
		return agreement{}, ledger.CodeExists
	case c.left(giver):
		return agreement{all: []crypto.ID{receiver}, vote: true}, activeCode(to.Status)
	}
	return both(giver, receiver), activeCode(to.Status)
}

// transferDevice gives a device to another organisation from the next block on, and with
// it, if wanted, what the giver owns of its streams.
func transferDevice(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.TransferDevice)
	if !ok {
		return ledger.CodeMalformed
	}
	device, found := c.device(body.Device)
	switch {
	case !found:
		return ledger.CodeUnknownDevice
	case device.Status == record.StatusRetired:
		return ledger.CodeRetired
	}
	giver := device.Organisation
	device.Organisation = body.To
	c.put(record.DeviceRow(body.Device, c.next()), device.Encode())
	if code := c.leave(record.OrganisationDeviceRow(giver, body.Device), c.next()); code != ledger.CodeOK {
		return code
	}
	if code := c.join(record.OrganisationDeviceRow(body.To, body.Device), c.next()); code != ledger.CodeOK || !body.WithStreams {
		return code
	}
	streams, ok := c.streamsOf(body.Device)
	if !ok {
		return ledger.CodeTooMany
	}
	for _, id := range streams {
		if c.streamOwner(id).Organisation != giver {
			continue
		}
		if code := c.moveStream(id, body.To, true); code != ledger.CodeOK {
			return code
		}
	}
	return ledger.CodeOK
}

// streamsOf are the streams of a device; ok is false if there are more than
// MaxStreamsMoved.
func (c *change) streamsOf(device crypto.ID) (list []crypto.ID, ok bool) {
	lo, k := record.Range(record.FamilyDeviceStream, device)
	for {
		key, value := c.v.last(lo, k)
		switch {
		case value == nil:
			return list, true
		case len(list) == ledger.MaxStreamsMoved:
			return nil, false
		}
		list = append(list, record.ChildOf(key))
		if key == lo {
			return list, true
		}
		k = before(key)
	}
}

// transferStream gives a stream to another organisation from the next block on.
func transferStream(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.TransferStream)
	if !ok {
		return ledger.CodeMalformed
	}
	return c.moveStream(body.Stream, body.To, body.FromNow)
}

// moveStream gives a stream, which exists, another owner in the next block. A stream
// changes hands at most once a block, so that no row of its history is replaced.
func (c *change) moveStream(id, to crypto.ID, fromNow bool) ledger.Code {
	old := c.streamOwner(id)
	if c.v.get(record.OwnerRow(id, c.next())) != nil {
		return ledger.CodeTooMany
	}
	owner := record.Owner{Organisation: to, Since: c.next()}
	if !fromNow {
		owner.Since = old.Since
	}
	if fromNow && len(c.v.parts(id, c.b.Height)) >= ledger.MaxParts {
		return ledger.CodeTooMany
	}
	c.put(record.OwnerRow(id, c.next()), owner.Encode())
	c.sales = append(c.sales, sale{id, old.Organisation, to, fromNow})
	if code := c.leave(record.OrganisationStreamRow(old.Organisation, id), c.next()); code != ledger.CodeOK {
		return code
	}
	return c.join(record.OrganisationStreamRow(to, id), c.next())
}
