package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// compromise closes a key in the next block and marks what it signed from a height on as
// doubtful. A device that loses its current key so is keyless until its owner gives it
// another. An organisation replaces its own key first (set_admins), lest it locks itself out.
func compromise(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Compromise)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.ownPrincipal(body.Principal); code != ledger.CodeOK {
		return code
	}
	key, found := c.key(body.Principal, body.Key)
	switch {
	case !found:
		return ledger.CodeUnknownKey
	case body.From > c.b.Height:
		return ledger.CodeFutureHeight
	case key.Doubtful != 0 && body.From >= key.Doubtful:
		return ledger.CodeExists
	case key.Closes == 0 && body.Principal == c.op.Actor && !c.left(c.op.Actor):
		return ledger.CodeNotLive
	}
	if _, device := c.device(body.Principal); device && key.Closes == 0 {
		c.put(record.KeylessRow(body.Principal), record.Keyless{Key: body.Key, Height: c.b.Height}.Encode())
	}
	key.Doubtful = body.From
	if key.Closes == 0 || key.Closes > c.next() {
		key.Closes = c.next()
	}
	c.put(record.KeyRow(body.Principal, body.Key), key.Encode())
	return ledger.CodeOK
}

// ownPrincipal refuses an actor that does not answer for a principal.
func (c *change) ownPrincipal(id crypto.ID) ledger.Code {
	owner, found := c.answersFor(id)
	switch {
	case !found:
		return ledger.CodeNotFound
	case owner != c.op.Actor:
		return ledger.CodeNotOwner
	}
	return ledger.CodeOK
}

// keyless tells whether the device has no current key because this one, its last, was
// closed by a compromise.
func (c *change) keyless(device crypto.ID, kid crypto.KeyID) bool {
	value := c.v.get(record.KeylessRow(device))
	if value == nil {
		return false
	}
	row, err := record.ParseKeyless(value)
	c.v.fail(err)
	return err == nil && row.Key == kid
}
