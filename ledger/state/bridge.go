package state

import (
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// enrolBridge makes a key that an organisation answers for a bridge of it.
func enrolBridge(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.EnrolBridge)
	if !ok {
		return ledger.CodeMalformed
	}
	key := body.Possession.Key
	id := ledger.BridgeID(key)
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	_, found, err := bridgeAt(c.v, id, c.b.Height)
	c.v.fail(err)
	if found {
		return ledger.CodeExists
	}
	c.put(record.BridgeRow(id, c.b.Height), record.Bridge{Organisation: c.op.Actor}.Encode())
	c.put(record.OrganisationBridgeRow(c.op.Actor, id), newSpan(c.b.Height))
	c.enrolKey(id, key)
	return ledger.CodeOK
}

// removeBridge ends a bridge of the actor from the next block on. Its key row stays, for
// whoever checks an acknowledgement that it signed.
func removeBridge(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.RemoveBridge)
	if !ok {
		return ledger.CodeMalformed
	}
	bridge, found, err := bridgeAt(c.v, body.Bridge, c.next())
	c.v.fail(err)
	switch {
	case !found:
		return ledger.CodeUnknownBridge
	case bridge.Organisation != c.op.Actor:
		return ledger.CodeNotOwner
	case bridge.Status == record.StatusRetired:
		return ledger.CodeRetired
	}
	bridge.Status = record.StatusRetired
	c.put(record.BridgeRow(body.Bridge, c.next()), bridge.Encode())
	return c.leave(record.OrganisationBridgeRow(c.op.Actor, body.Bridge), c.next())
}
