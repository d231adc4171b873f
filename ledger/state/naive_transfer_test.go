package state_test

import (
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// naiveOwner is who owns a device or a stream from a height on.
type naiveOwner struct {
	from  uint64
	org   string
	since uint64 // of a stream: whose readings from this height on belong to it
}

// naiveProposal is a transfer that two organisations are to agree to.
type naiveProposal struct {
	id       crypto.ID
	of       intent // of a kind give or sell, by the proposer
	expires  int64
	applied  bool
	approved []string
}

// ownedAt is the owner at a height of what has these owners.
func ownedAt(owners []naiveOwner, height uint64) (o naiveOwner) {
	for _, next := range owners {
		if next.from <= height {
			o = next
		}
	}
	return o
}

// owned adds an owner; a second change at one height replaces the first.
func owned(owners []naiveOwner, o naiveOwner) []naiveOwner {
	owners = slices.DeleteFunc(slices.Clone(owners), func(old naiveOwner) bool { return old.from == o.from })
	return append(owners, o)
}

// spansOf is when an organisation had what has these owners.
func spansOf(owners []naiveOwner, org string) (spans record.Spans) {
	had := false
	for _, o := range owners {
		switch has := o.org == org; {
		case has && !had:
			spans = append(spans, record.Span{From: o.from})
		case !has && had:
			spans[len(spans)-1].To = o.from
		}
		had = o.org == org
	}
	return spans
}

func (n *naive) propose(i intent, isOrg bool) ledger.Code {
	if !isOrg {
		return ledger.CodeUnknownOrganisation
	}
	if _, code := n.parties(i); code != ledger.CodeOK {
		return code
	}
	n.proposals = append(n.proposals, &naiveProposal{id: i.made, of: i, expires: i.notAfter, approved: []string{i.actor}})
	return ledger.CodeOK
}

// parties are giver and receiver of a transfer, as it is now.
func (n *naive) parties(i intent) ([]string, ledger.Code) {
	var giver string
	if i.give {
		d, known := n.devices[i.subject]
		if !known {
			return nil, ledger.CodeUnknownDevice
		}
		giver = d.org
	} else {
		s := n.streams[i.stream]
		if s == nil {
			return nil, ledger.CodeUnknownStream
		}
		giver = s.owner
	}
	switch {
	case i.actor != giver && i.actor != i.to:
		return nil, ledger.CodeNotOwner
	case giver == i.to:
		return nil, ledger.CodeExists
	}
	return []string{giver, i.to}, ledger.CodeOK
}

func (n *naive) approve(i intent, isOrg bool) ledger.Code {
	if !isOrg {
		return ledger.CodeUnknownOrganisation
	}
	at := slices.IndexFunc(n.proposals, func(p *naiveProposal) bool { return p.id == i.claim.grant })
	if at < 0 {
		return ledger.CodeUnknownProposal
	}
	p := n.proposals[at]
	if p.applied || p.expires < n.now {
		return ledger.CodeProposalClosed
	}
	need, code := n.parties(p.of)
	switch {
	case code != ledger.CodeOK:
		return code
	case !slices.Contains(append(need, p.of.actor), i.actor):
		return ledger.CodeNotMember
	case slices.Contains(p.approved, i.actor):
		return ledger.CodeAlreadyApproved
	}
	approved := append(slices.Clone(p.approved), i.actor)
	if slices.Contains(approved, need[0]) && slices.Contains(approved, need[1]) {
		if code := n.transfer(p.of); code != ledger.CodeOK {
			return code
		}
		p.applied = true
	}
	p.approved = approved
	return ledger.CodeOK
}

func (n *naive) transfer(i intent) ledger.Code {
	if !i.give {
		return n.sell(i.stream, i.to, i.fromNow)
	}
	d := n.devices[i.subject]
	if d.statusAt(n.height+1) == ledger.CodeRetired {
		return ledger.CodeRetired
	}
	var streams []string
	for name, s := range n.streams {
		if i.withStreams && s.device == i.subject && s.owner == d.org {
			if n.moved(s) {
				return ledger.CodeTooMany
			}
			streams = append(streams, name)
		}
	}
	for _, name := range streams {
		n.sell(name, i.to, true)
	}
	d.org = i.to
	d.owners = owned(d.owners, naiveOwner{from: n.height + 1, org: i.to})
	n.devices[i.subject] = d
	return ledger.CodeOK
}

// moved tells whether a stream changes hands in this block.
func (n *naive) moved(s *naiveStream) bool { return s.owners[len(s.owners)-1].from == n.height+1 }

func (n *naive) sell(name, to string, fromNow bool) ledger.Code {
	s := n.streams[name]
	if n.moved(s) {
		return ledger.CodeTooMany
	}
	since := n.height + 1
	if !fromNow {
		since = s.owners[len(s.owners)-1].since
	}
	s.owner = to
	s.owners = owned(s.owners, naiveOwner{from: n.height + 1, org: to, since: since})
	return ledger.CodeOK
}
