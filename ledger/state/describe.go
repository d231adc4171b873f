package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// describe replaces the attributes of a subject from the next block on.
func describe(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Describe)
	if !ok {
		return ledger.CodeMalformed
	}
	owner, found := c.ownerOf(body.Subject)
	switch {
	case !found:
		return ledger.CodeNotFound
	case owner != c.op.Actor:
		return ledger.CodeNotOwner
	}
	c.put(record.DescriptionRow(body.Subject, c.next()), record.Description{Attributes: body.Attributes}.Encode())
	return ledger.CodeOK
}

// ownerOf is the organisation that a subject is, or that owns or answers for it, as it
// will be in the next block. Ids of different things are never equal.
func (c *change) ownerOf(id crypto.ID) (owner crypto.ID, found bool) {
	if owner, found = c.answersFor(id); found {
		return owner, true
	}
	if c.v.stream(id) == nil {
		return owner, false
	}
	return c.streamOwner(id).Organisation, true
}

// answersFor is the organisation that a principal is, or that owns or answers for it.
func (c *change) answersFor(id crypto.ID) (owner crypto.ID, found bool) {
	if _, found = c.organisation(id); found {
		return id, true
	}
	if device, found := c.device(id); found {
		return device.Organisation, true
	}
	bridge, found, err := bridgeAt(c.v, id, c.next())
	c.v.fail(err)
	return bridge.Organisation, found
}

// streamOwner is who will own a stream, which exists, in the next block.
func (c *change) streamOwner(id crypto.ID) record.Owner {
	owner, _, err := ownerAt(c.v, id, c.next())
	c.v.fail(err)
	return owner
}

// ownStream refuses an actor that does not own the stream.
func (c *change) ownStream(id crypto.ID) (*stream, ledger.Code) {
	head := c.v.stream(id)
	switch {
	case head == nil:
		return nil, ledger.CodeUnknownStream
	case c.streamOwner(id).Organisation != c.op.Actor:
		return nil, ledger.CodeNotOwner
	}
	return head, ledger.CodeOK
}

// made is the id of what the operation makes.
func (c *change) made() crypto.ID {
	if !c.proposal.IsZero() {
		return c.proposal
	}
	return ledger.MadeID(c.op.Digest())
}
