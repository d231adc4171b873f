package state

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
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

// access lists the grants of a principal on a stream that count or may still come to; ok
// is false when there is no room for another of the actor's. Each grantor has room of its
// own, so whoever sold the stream leaves the buyer's free.
func (c *change) access(grantee, stream crypto.ID) (list record.Access, ok bool) {
	own := 0
	for _, g := range c.v.grantsOf(grantee, stream) {
		if g.Past(c.b.Height, c.b.Time) {
			continue
		}
		list.Grants = append(list.Grants, g.id)
		if g.Grantor == c.op.Actor {
			own++
		}
	}
	return list, own < ledger.MaxGrants && len(list.Grants) < ledger.MaxAccess
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

// maxGranted is of how many principals and streams the grants are kept decoded: the
// inputs of a block may name 75,000 streams.
const maxGranted = 1_024

// granted is a grant with its id.
type granted struct {
	id crypto.ID
	record.Grant
}

// grantsOf are the grants in the access row of a principal on a stream. They are kept
// until an operation changes one: a block may name thousands of inputs of few streams, and
// be full of grants for which there is no room.
func (v *View) grantsOf(principal, stream crypto.ID) []granted {
	k := record.AccessRow(principal, stream)
	list, known := v.granted[k]
	if known {
		return list
	}
	for _, id := range v.accessIDs(principal, stream) {
		if g, found := v.grant(id); found {
			list = append(list, granted{id, g})
		}
	}
	if len(v.granted) >= maxGranted {
		clear(v.granted)
	}
	v.granted[k] = list
	return list
}

// forgetGrants is told of every row that an operation changes. Each that gives or revokes
// a grant changes its row.
func (v *View) forgetGrants(r merkle.Change) {
	if record.FamilyOf(r.Key) != record.FamilyGrant {
		return
	}
	g, err := record.ParseGrant(r.Value)
	v.fail(err)
	delete(v.granted, record.AccessRow(g.Grantee, g.Stream))
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
