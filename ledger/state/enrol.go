package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// enrolDevice makes a key that an organisation answers for a device of it. The device's
// id comes from this first key and stays when keys change.
func enrolDevice(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.EnrolDevice)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	return c.enrolOne(c.op.Actor, body.Possession.Key)
}

// enrolDevices enrols several devices, all or none.
func enrolDevices(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.EnrolDevices)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	for _, p := range body.Possessions { // no key stands twice
		if code := c.enrolOne(c.op.Actor, p.Key); code != ledger.CodeOK {
			return code
		}
	}
	return ledger.CodeOK
}

// enrolOne makes the device whose first key this is.
func (c *change) enrolOne(organisation crypto.ID, key crypto.PublicKey) ledger.Code {
	id := ledger.DeviceID(key)
	if _, found := c.device(id); found {
		return ledger.CodeExists
	}
	c.put(record.DeviceRow(id, c.b.Height), record.Device{Organisation: organisation}.Encode())
	c.put(record.OrganisationDeviceRow(organisation, id), newSpan(c.b.Height))
	c.enrolKey(id, key)
	return ledger.CodeOK
}

// enrolKey gives a principal a key that may sign from the next block on.
func (c *change) enrolKey(principal crypto.ID, key crypto.PublicKey) {
	row := record.Key{Public: key, Opens: c.next()}
	c.put(record.KeyRow(principal, key.KeyID()), row.Encode())
}

// organisationActs refuses an operation that only an organisation can sign.
func (c *change) organisationActs() ledger.Code {
	_, found, err := organisationAt(c.v, c.op.Actor, c.b.Height)
	c.v.fail(err)
	if !found {
		return ledger.CodeUnknownOrganisation
	}
	return ledger.CodeOK
}
