package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// An organisation that was removed agrees to nothing any more, but what it owned is there.
// For a few operations about that the members' vote stands in for it.

// left tells whether an organisation will be one that was removed.
func (c *change) left(organisation crypto.ID) bool {
	o, found := c.organisation(organisation)
	return found && o.Status == record.StatusRetired
}

// orMembers is the rule of an operation that is the owner's alone, or, when the owner has
// left, another organisation's and the members'. owner is zero where there is none.
func orMembers(owner func(c *change) crypto.ID) parties {
	return func(c *change) (agreement, ledger.Code) {
		if _, acts := c.organisation(c.op.Actor); acts {
			if id := owner(c); id != c.op.Actor && c.left(id) {
				return agreement{vote: true, stead: id}, ledger.CodeOK
			}
		}
		return agreement{}, ledger.CodeOK
	}
}

func leftDevice(c *change) crypto.ID {
	body, _ := c.op.Body.(ledger.Retire)
	device, _ := c.device(body.Device)
	return device.Organisation
}

func leftPrincipal(c *change) crypto.ID {
	body, _ := c.op.Body.(ledger.Compromise)
	owner, _ := c.answersFor(body.Principal)
	return owner
}

func leftStream(c *change) crypto.ID {
	body, _ := c.op.Body.(ledger.CloseStream)
	if c.v.stream(body.Stream) == nil {
		return crypto.ID{}
	}
	return c.streamOwner(body.Stream).Organisation
}

// leftGrant is who gave a grant, but the actor who may revoke it as an owner of readings.
func leftGrant(c *change) crypto.ID {
	body, _ := c.op.Body.(ledger.Revoke)
	row, found := c.v.grant(body.Grant)
	if found && c.holdsAny(row.Stream, row.First, row.Last) {
		return c.op.Actor
	}
	return row.Grantor
}
