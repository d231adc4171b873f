package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// agreement says who must agree before an operation is applied. An organisation agrees
// when as many of its admin keys have signed as its threshold says.
type agreement struct {
	all   []crypto.ID // each of these organisations, and
	vote  bool        // the share of the active organisations that the parameters say
	stead crypto.ID   // whom the vote stands in for, as the actor; zero: nobody
}

// both is the rule of an operation that takes from one organisation and gives to another.
func both(giver, receiver crypto.ID) agreement { return agreement{all: []crypto.ID{giver, receiver}} }

// members is the rule of a vote.
func members(*change) (agreement, ledger.Code) { return agreement{vote: true}, ledger.CodeOK }

// agreementOf is what the operation of c needs: by its kind, and of its actor, if that is
// an organisation, who always agrees first.
func (c *change) agreementOf() (agreement, ledger.Code) {
	need, code := agreement{}, ledger.CodeOK
	if who := ruleFor(c.op.Body.Kind()).who; who != nil {
		need, code = who(c)
	}
	if _, found := c.organisation(c.op.Actor); found {
		need.all = append([]crypto.ID{c.op.Actor}, need.all...)
	}
	return need, code
}

// direct applies an operation that one signature is enough for.
func (c *change) direct() ledger.Code {
	apply := ruleFor(c.op.Body.Kind()).apply
	if apply == nil {
		return ledger.CodeMalformed
	}
	if ruleFor(c.op.Body.Kind()).single {
		return apply(c)
	}
	need, code := c.agreementOf()
	switch {
	case code != ledger.CodeOK:
		return code
	case need.vote:
		return ledger.CodeNeedsProposal
	}
	for _, id := range need.all {
		if o, _ := c.organisation(id); id != c.op.Actor || o.Threshold > 1 {
			return ledger.CodeNeedsProposal
		}
	}
	return apply(c)
}

// organisation is an organisation as it will be in the next block, by what was applied so
// far.
func (c *change) organisation(id crypto.ID) (record.Organisation, bool) {
	o, found, err := organisationAt(c.v, id, c.next())
	c.v.fail(err)
	return o, found
}
