package state

import (
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// openStream opens a named stream of a device. It belongs to the organisation that owns
// the device, whoever of the two opens it.
func openStream(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.OpenStream)
	if !ok {
		return ledger.CodeMalformed
	}
	device, code := c.deviceFor(body.Device, c.op.Actor == body.Device)
	if code == ledger.CodeOK {
		code = activeCode(device.Status)
	}
	if code != ledger.CodeOK {
		return code
	}
	id := ledger.StreamID(c.b.Chain, body.Device, body.Name)
	if c.v.stream(id) != nil {
		return ledger.CodeExists
	}
	owner := device.Organisation
	c.opened = append(c.opened, opened{id, record.StreamHead{Device: body.Device}})
	c.put(record.OwnerRow(id, c.b.Height), record.Owner{Organisation: owner, Since: c.b.Height}.Encode())
	c.put(record.OrganisationStreamRow(owner, id), newSpan(c.b.Height))
	c.put(record.DeviceStreamRow(body.Device, id), record.DeviceStream{Name: body.Name}.Encode())
	return ledger.CodeOK
}
