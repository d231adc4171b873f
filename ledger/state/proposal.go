package state

import (
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// propose stores an operation of the actor for those who must agree to it, and agrees for
// the key that signed. If that is enough, it is applied at once.
func propose(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Propose)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	now := c.b.Time / second
	switch {
	case body.Expires < now:
		return ledger.CodeExpired
	case body.Expires-now > c.v.parameters(c.b.Height).NotAfter:
		return ledger.CodeNotAfterTooFar
	}
	row := record.Proposal{Proposer: c.op.Actor, Expires: body.Expires, Body: ledger.EncodeBody(body.Body)}
	return c.agree(c.made(), row)
}

// approve agrees to a proposal for the key that signed, and applies it if that makes it
// enough.
func approve(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Approve)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	value := c.v.get(record.ProposalRow(body.Proposal))
	if value == nil {
		return ledger.CodeUnknownProposal
	}
	row, err := record.ParseProposal(value)
	c.v.fail(err)
	if row.Status != record.ProposalOpen || row.Expires < c.b.Time/second {
		return ledger.CodeProposalClosed
	}
	return c.agree(body.Proposal, row)
}

// agree adds the approval of the key that signed to a proposal. If all have agreed now, it
// applies what was proposed, with the proposer as actor, or whom the members stand in for;
// if that is refused, so is this
// approval, and nothing changes.
func (c *change) agree(id crypto.ID, row record.Proposal) ledger.Code {
	body, err := ledger.ParseBody(row.Body)
	if err != nil {
		c.v.fail(err) // it was parsed when it was proposed
		return ledger.CodeOf(err)
	}
	inner := &change{v: c.v, b: c.b, proposal: id, op: &ledger.Operation{
		Chain: c.op.Chain, Actor: row.Proposer, NotAfter: row.Expires, Body: body,
	}}
	apply := ruleFor(body.Kind()).apply
	if apply == nil {
		return ledger.CodeMalformed
	}
	need, code := inner.agreementOf()
	if code != ledger.CodeOK {
		return code
	}
	p := poll{c: c, id: id, members: c.v.membersAt(c.next())}
	if !slices.Contains(need.all, c.op.Actor) && !(need.vote && p.members.Has(c.op.Actor)) {
		return ledger.CodeNotMember
	}
	if code := p.add(); code != ledger.CodeOK {
		return code
	}
	if p.met(need) {
		if !need.stead.IsZero() {
			inner.op.Actor = need.stead
		}
		if code := apply(inner); code != ledger.CodeOK {
			return code
		}
		c.takeOver(inner)
		row.Status, row.Decided = record.ProposalApplied, c.b.Height
	}
	c.put(record.ApprovalRow(id, c.op.Actor), p.own.Encode())
	c.put(record.ProposalRow(id), row.Encode())
	return ledger.CodeOK
}

// takeOver adds what a rule collected in another change.
func (c *change) takeOver(inner *change) {
	c.rows = append(c.rows, inner.rows...)
	c.opened = append(c.opened, inner.opened...)
	c.closed = append(c.closed, inner.closed...)
	c.sales = append(c.sales, inner.sales...)
}

// poll counts who agrees to a proposal, with the approval that c adds.
type poll struct {
	c       *change
	id      crypto.ID
	members record.Members
	own     record.Approvals // of the actor, with the new one
}

// add adds the approval of the key that signed.
func (p *poll) add() ledger.Code {
	p.own = p.approvals(p.c.op.Actor)
	kid := p.c.op.KeyID()
	switch {
	case slices.ContainsFunc(p.own.List, func(a record.Approval) bool { return a.Key == kid }):
		return ledger.CodeAlreadyApproved
	case len(p.own.List) >= ledger.MaxApprovals:
		return ledger.CodeTooMany
	}
	p.own.List = append(p.own.List, record.Approval{Key: kid, Height: p.c.b.Height})
	return ledger.CodeOK
}

// met tells whether all who must have agreed.
func (p *poll) met(need agreement) bool {
	for _, id := range need.all {
		if !p.agrees(id) {
			return false
		}
	}
	if !need.vote {
		return true
	}
	limits := p.c.v.parameters(p.c.b.Height)
	n := uint64(len(p.members.Organisations))
	missing := (limits.VoteNum*n + limits.VoteDen - 1) / limits.VoteDen
	for i, id := range p.members.Organisations {
		if missing == 0 || missing > n-uint64(i) {
			break
		}
		if p.agrees(id) {
			missing--
		}
	}
	return missing == 0
}

// agrees tells whether enough of an organisation's keys, of those that will still be open
// in the next block, have approved.
func (p *poll) agrees(id crypto.ID) bool {
	list := p.own
	if id != p.c.op.Actor {
		list = p.approvals(id)
	}
	if len(list.List) == 0 {
		return false
	}
	organisation, found := p.c.organisation(id)
	if !found || organisation.Status != record.StatusActive {
		return false
	}
	keys := uint64(0)
	for _, a := range list.List {
		if key, found := p.c.key(id, a.Key); found && key.ValidAt(p.c.next()) {
			keys++
		}
	}
	return keys >= organisation.Threshold
}

func (p *poll) approvals(organisation crypto.ID) (list record.Approvals) {
	value := p.c.v.get(record.ApprovalRow(p.id, organisation))
	if value == nil {
		return list
	}
	list, err := record.ParseApprovals(value)
	p.c.v.fail(err)
	return list
}
