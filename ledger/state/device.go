package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// rotate replaces the device's current key, the one that is neither closed nor closing.
// The old key stays valid until it closes, so that what was signed offline still counts;
// there is always exactly one current key. Only after a compromise there is none: then the
// owner names the key that was closed.
func rotate(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Rotate)
	if !ok {
		return ledger.CodeMalformed
	}
	device, code := c.deviceFor(body.Device, c.op.Actor == body.Device)
	switch {
	case code != ledger.CodeOK:
		return code
	case body.Possession.Organisation != device.Organisation:
		return ledger.CodeBadPossession
	case device.Status != record.StatusActive:
		return activeCode(device.Status)
	}
	old, found := c.key(body.Device, body.Old)
	switch {
	case !found:
		return ledger.CodeUnknownKey
	case old.Closes != 0 && (c.op.Actor != device.Organisation || !c.keyless(body.Device, body.Old)):
		return ledger.CodeKeyClosed
	}
	if _, found := c.key(body.Device, body.Possession.Key.KeyID()); found {
		return ledger.CodeExists
	}
	if old.Closes != 0 {
		c.put(record.KeylessRow(body.Device), nil)
	} else {
		old.Closes = max(body.Closes, c.next())
		c.put(record.KeyRow(body.Device, body.Old), old.Encode())
	}
	c.enrolKey(body.Device, body.Possession.Key)
	return ledger.CodeOK
}

// suspend, resume and retire change the status of a device from the next block on.

func suspend(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Suspend)
	if !ok {
		return ledger.CodeMalformed
	}
	return c.setStatus(body.Device, record.StatusSuspended)
}

func resume(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Resume)
	if !ok {
		return ledger.CodeMalformed
	}
	return c.setStatus(body.Device, record.StatusActive)
}

func retire(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Retire)
	if !ok {
		return ledger.CodeMalformed
	}
	return c.setStatus(body.Device, record.StatusRetired)
}

// setStatus gives a device another status. What is retired stays so.
func (c *change) setStatus(id crypto.ID, status record.Status) ledger.Code {
	device, code := c.deviceFor(id, false)
	switch {
	case code != ledger.CodeOK:
		return code
	case device.Status == status:
		return ledger.CodeExists
	case device.Status == record.StatusRetired:
		return ledger.CodeRetired
	}
	device.Status = status
	c.put(record.DeviceRow(id, c.next()), device.Encode())
	return ledger.CodeOK
}

// deviceFor finds a device as it will be in the next block, and refuses an actor that is
// not the organisation that owns it, unless allowed on other grounds.
func (c *change) deviceFor(id crypto.ID, allowed bool) (record.Device, ledger.Code) {
	device, found := c.device(id)
	switch {
	case !found:
		return device, ledger.CodeUnknownDevice
	case c.op.Actor != device.Organisation && !allowed:
		return device, ledger.CodeNotOwner
	}
	return device, ledger.CodeOK
}

// device is a device as it will be in the next block, by what was applied so far.
func (c *change) device(id crypto.ID) (record.Device, bool) {
	device, found, err := deviceAt(c.v, id, c.next())
	c.v.fail(err)
	return device, found
}

// key finds a key of a principal, whether valid or not.
func (c *change) key(principal crypto.ID, kid crypto.KeyID) (key record.Key, found bool) {
	value := c.v.get(record.KeyRow(principal, kid))
	if value == nil {
		return key, false
	}
	key, err := record.ParseKey(value)
	c.v.fail(err)
	return key, err == nil
}

// next is the height at which changes of what is in use take effect.
func (c *change) next() uint64 { return c.b.Height + 1 }
