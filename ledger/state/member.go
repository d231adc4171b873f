package state

import (
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// admit makes an organisation a member from the next block on.
func admitMember(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Admit)
	if !ok {
		return ledger.CodeMalformed
	}
	id, all := body.OrganisationID(), c.v.membersAt(c.next())
	if _, found := c.organisation(id); found {
		return ledger.CodeExists
	}
	if len(all.Organisations) >= ledger.MaxMembers {
		return ledger.CodeTooMany
	}
	for _, other := range all.Organisations {
		if o, _ := c.organisation(other); o.Name == body.Name {
			return ledger.CodeExists
		}
	}
	row := record.Organisation{Name: body.Name, Threshold: body.Threshold}
	c.put(record.OrganisationRow(id, c.b.Height), row.Encode())
	for _, key := range body.Keys {
		c.enrolKey(id, key)
	}
	c.put(record.AdminsRow(id, c.next()), adminsOf(body.Keys).Encode())
	c.put(record.MembersRow(c.next()), all.With(id).Encode())
	return ledger.CodeOK
}

// removeMember ends a membership from the next block on. Nobody and nothing of the
// organisation acts any more, and its validators lose their power.
func removeMember(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Remove)
	if !ok {
		return ledger.CodeMalformed
	}
	organisation, found := c.organisation(body.Organisation)
	switch {
	case !found:
		return ledger.CodeUnknownOrganisation
	case organisation.Status != record.StatusActive:
		return activeCode(organisation.Status)
	}
	rest := c.v.membersAt(c.next()).Without(body.Organisation)
	if len(rest.Organisations) == 0 {
		return ledger.CodeNotLive
	}
	var gone []record.Validator
	for _, v := range c.v.validatorsAt(c.b.Height + validatorDelay).Validators {
		if v.Organisation == body.Organisation {
			v.Power = 0
			gone = append(gone, v)
		}
	}
	organisation.Status = record.StatusRetired
	c.put(record.OrganisationRow(body.Organisation, c.next()), organisation.Encode())
	c.put(record.MembersRow(c.next()), rest.Encode())
	if len(gone) == 0 {
		return ledger.CodeOK
	}
	return c.setValidators(c.staysLive, gone...)
}

// setAdmins replaces the admin keys of the actor from the next block on.
func setAdmins(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.SetAdmins)
	if !ok {
		return ledger.CodeMalformed
	}
	organisation, found := c.organisation(c.op.Actor)
	if !found {
		return ledger.CodeUnknownOrganisation
	}
	old, next := c.v.adminsAt(c.op.Actor, c.next()), adminsOf(body.Keys)
	for i, kid := range next.Keys {
		if slices.Contains(old.Keys, kid) {
			continue
		}
		if _, found := c.key(c.op.Actor, kid); found {
			return ledger.CodeExists
		}
		c.enrolKey(c.op.Actor, body.Keys[i])
	}
	for _, kid := range old.Keys {
		if !slices.Contains(next.Keys, kid) {
			c.closeKey(c.op.Actor, kid)
		}
	}
	organisation.Threshold = body.Threshold
	c.put(record.OrganisationRow(c.op.Actor, c.next()), organisation.Encode())
	c.put(record.AdminsRow(c.op.Actor, c.next()), next.Encode())
	return ledger.CodeOK
}

// closeKey closes a key in the next block, if it is not closed already.
func (c *change) closeKey(principal crypto.ID, kid crypto.KeyID) {
	key, found := c.key(principal, kid)
	if !found || key.Closes != 0 && key.Closes <= c.next() {
		return
	}
	key.Closes = c.next()
	c.put(record.KeyRow(principal, kid), key.Encode())
}

func adminsOf(keys []crypto.PublicKey) (v record.Admins) {
	for _, key := range keys {
		v.Keys = append(v.Keys, key.KeyID())
	}
	return v
}

// membersAt is the list of members at height.
func (v *View) membersAt(height uint64) record.Members {
	list, _, err := at(v, record.MembersRow(0), record.MembersRow(height), record.ParseMembers)
	v.fail(err)
	return list
}

func (v *View) adminsAt(organisation crypto.ID, height uint64) record.Admins {
	list, _, err := at(v, record.AdminsRow(organisation, 0), record.AdminsRow(organisation, height), record.ParseAdmins)
	v.fail(err)
	return list
}
