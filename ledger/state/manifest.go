package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// signManifest keeps an organisation's word for the devices of a list.
func signManifest(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Manifest)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	row := record.Manifest{
		Organisation: c.op.Actor, Root: body.Root, Count: body.Count, Until: body.Until, Signed: c.b.Height,
	}
	if row.Past(c.b.Height, c.b.Time) {
		return ledger.CodeManifestClosed
	}
	id := c.made()
	c.put(record.ManifestRow(id), row.Encode())
	c.put(record.OrganisationManifestRow(c.op.Actor, id), record.Since{Height: c.b.Height}.Encode())
	return ledger.CodeOK
}

// enrolListed enrols devices of a manifest for the organisation that signed it. Whoever
// sends it adds nothing: the manifest and the devices' own signatures are enough.
func enrolListed(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.EnrolListed)
	if !ok {
		return ledger.CodeMalformed
	}
	row, found := c.manifest(body.Manifest)
	if !found {
		return ledger.CodeUnknownManifest
	}
	if row.Past(c.b.Height, c.b.Time) {
		return ledger.CodeManifestClosed
	}
	organisation, _ := c.organisation(row.Organisation)
	if code := activeCode(organisation.Status); code != ledger.CodeOK {
		return code
	}
	for _, d := range body.Devices {
		if d.Possession.Organisation != row.Organisation {
			return ledger.CodeBadPossession
		}
	}
	if root, err := body.Root(row.Count); err != nil || root != row.Root {
		return ledger.CodeNotListed
	}
	for _, d := range body.Devices { // no key stands twice
		key := d.Possession.Key
		if code := c.enrolOne(row.Organisation, key); code != ledger.CodeOK {
			return code
		}
		listed := record.Listed{Device: ledger.DeviceID(key), Height: c.b.Height}
		c.put(record.ListedRow(body.Manifest, d.Index), listed.Encode())
	}
	return ledger.CodeOK
}

// closeManifest ends a manifest of the actor from the next block on.
func closeManifest(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.CloseManifest)
	if !ok {
		return ledger.CodeMalformed
	}
	row, found := c.manifest(body.Manifest)
	switch {
	case !found:
		return ledger.CodeUnknownManifest
	case row.Organisation != c.op.Actor:
		return ledger.CodeNotOwner
	case row.Closed != 0:
		return ledger.CodeManifestClosed
	}
	row.Closed = c.next()
	c.put(record.ManifestRow(body.Manifest), row.Encode())
	return ledger.CodeOK
}

func (c *change) manifest(id crypto.ID) (row record.Manifest, found bool) {
	value := c.v.get(record.ManifestRow(id))
	if value == nil {
		return row, false
	}
	row, err := record.ParseManifest(value)
	c.v.fail(err)
	return row, err == nil
}
