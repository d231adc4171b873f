package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// grant permits a principal to use readings of a stream, from this transaction on.
func grant(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Grant)
	if !ok {
		return ledger.CodeMalformed
	}
	if c.v.stream(body.Stream) == nil {
		return ledger.CodeUnknownStream
	}
	if code := c.holdsAll(body.Stream, body.First, body.Last); code != ledger.CodeOK {
		return code
	}
	if code := c.grantee(body.Grantee); code != ledger.CodeOK {
		return code
	}
	if body.Until != 0 && body.Until <= c.b.Time {
		return ledger.CodeGrantExpired
	}
	id := c.made()
	access, ok := c.access(body.Grantee, body.Stream)
	if !ok {
		return ledger.CodeTooMany
	}
	row := record.Grant{
		Stream: body.Stream, Grantor: c.op.Actor, Grantee: body.Grantee, Rights: body.Rights,
		First: body.First, Last: body.Last, From: body.From, Until: body.Until,
		Purpose: body.Purpose, Terms: body.Terms, Granted: c.b.Height,
	}
	c.put(record.GrantRow(id), row.Encode())
	since := record.Since{Height: c.b.Height}.Encode()
	c.put(record.StreamGrantRow(body.Stream, id), since)
	c.put(record.GranteeGrantRow(body.Grantee, id), since)
	access.Grants = append(access.Grants, id)
	c.put(record.AccessRow(body.Grantee, body.Stream), access.Encode())
	return ledger.CodeOK
}

// grantee refuses who is neither an organisation nor a device, or is retired.
func (c *change) grantee(id crypto.ID) ledger.Code {
	status := record.StatusActive
	if organisation, found := c.organisation(id); found {
		status = organisation.Status
	} else if device, found := c.device(id); found {
		status = device.Status
	} else {
		return ledger.CodeNotFound
	}
	if status == record.StatusRetired {
		return ledger.CodeRetired
	}
	return ledger.CodeOK
}

// access lists the grants of a principal on a stream that may still count; ok is false
// when there is no room for another.
func (c *change) access(grantee, stream crypto.ID) (list record.Access, ok bool) {
	for _, id := range c.v.accessIDs(grantee, stream) {
		row, found := c.v.grant(id)
		if found && row.Revoked == 0 && (row.Until == 0 || c.b.Time < row.Until) {
			list.Grants = append(list.Grants, id)
		}
	}
	return list, len(list.Grants) < ledger.MaxGrants
}

// revoke ends a grant from the next block on.
func revoke(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Revoke)
	if !ok {
		return ledger.CodeMalformed
	}
	row, found := c.v.grant(body.Grant)
	switch {
	case !found:
		return ledger.CodeUnknownGrant
	case c.op.Actor != row.Grantor && !c.holdsAny(row.Stream, row.First, row.Last):
		return ledger.CodeNotOwner
	case row.Revoked != 0:
		return ledger.CodeGrantRevoked
	}
	row.Revoked = c.next()
	c.put(record.GrantRow(body.Grant), row.Encode())
	return ledger.CodeOK
}

func (v *View) grant(id crypto.ID) (row record.Grant, found bool) {
	value := v.get(record.GrantRow(id))
	if value == nil {
		return row, false
	}
	row, err := record.ParseGrant(value)
	v.fail(err)
	return row, err == nil
}

func (v *View) accessIDs(grantee, stream crypto.ID) []crypto.ID {
	value := v.get(record.AccessRow(grantee, stream))
	if value == nil {
		return nil
	}
	row, err := record.ParseAccess(value)
	v.fail(err)
	return row.Grants
}
