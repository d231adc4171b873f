package state_test

import (
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// Kinds 9 and 11 to 16.

// giving is what the rules of 9 and 11 say about giver and receiver before both agree, or
// the members for a giver that is retired.
func (n *naive) giving(a act, need naiveNeed, giver, to crypto.ID) (naiveNeed, ledger.Code) {
	receiver, found := n.organisation(to)
	need.all = append(need.all, to)
	if need.vote = n.retired(giver); !need.vote {
		need.all = append(need.all, giver)
	}
	switch {
	case a.actor != giver && a.actor != to:
		return need, ledger.CodeNotOwner
	case !found:
		return need, ledger.CodeUnknownOrganisation
	case giver == to:
		return need, ledger.CodeExists
	}
	return need, notActive(receiver.Status)
}

func (n *naive) transferDevice(b ledger.TransferDevice) ledger.Code {
	device, _ := n.device(b.Device)
	if device.Status == record.StatusRetired {
		return ledger.CodeRetired
	}
	var streams []crypto.ID
	for id, s := range n.streams {
		if owner, _ := s.owners.at(n.height + 1); b.WithStreams && s.device == b.Device && owner.Organisation == device.Organisation {
			streams = append(streams, id)
		}
	}
	if code := n.transferStreams(b.To, true, streams...); code != ledger.CodeOK {
		return code
	}
	device.Organisation = b.To
	n.devices[b.Device].is.set(n.height+1, device)
	return ledger.CodeOK
}

// transferStreams gives streams, all or none, to an organisation.
func (n *naive) transferStreams(to crypto.ID, fromNow bool, list ...crypto.ID) ledger.Code {
	for _, id := range list {
		for _, owner := range n.streams[id].owners {
			if owner.from == n.height+1 {
				return ledger.CodeTooMany
			}
		}
		if fromNow && len(n.streams[id].parts(n.height)) >= 64 {
			return ledger.CodeTooMany
		}
	}
	for _, id := range list {
		s := n.streams[id]
		giver, _ := s.owners.at(n.height + 1)
		since := n.height + 1
		if !fromNow {
			since = giver.Since
		}
		s.owners.set(n.height+1, record.Owner{Organisation: to, Since: since})
		s.sales = append(s.sales, &naiveSale{from: n.height + 1, fromNow: fromNow, giver: giver.Organisation, to: to})
	}
	return ledger.CodeOK
}

// owner is whose a reading is at a height: what its number went through until then.
func (s *naiveStream) owner(height, number uint64) crypto.ID {
	owner := s.owners[0].is.Organisation
	for _, sale := range s.sales {
		if sale.from <= height && (sale.fromNow && number > sale.mark || !sale.fromNow && owner == sale.giver) {
			owner = sale.to
		}
	}
	return owner
}

// parts are the runs of numbers that belong to one organisation at a height.
func (s *naiveStream) parts(height uint64) (parts record.Parts) {
	begins := map[uint64]bool{1: true}
	for _, sale := range s.sales {
		if sale.from <= height && sale.fromNow && sale.mark < ledger.MaxNumber {
			begins[sale.mark+1] = true
		}
	}
	for _, first := range sorted(begins) {
		owner := s.owner(height, first)
		if n := len(parts); n == 0 || parts[n-1].Organisation != owner {
			parts = append(parts, record.Part{First: first, Organisation: owner})
		}
	}
	return parts
}

// whose are the organisations that own any of first to last at a height; last 0: no end.
func (s *naiveStream) whose(height, first, last uint64) map[crypto.ID]bool {
	owners := map[crypto.ID]bool{s.owner(height, first): true}
	for _, part := range s.parts(height) {
		if first <= part.First && (part.First <= last || last == 0) {
			owners[part.Organisation] = true
		}
	}
	return owners
}

// ownsStream is the code of an actor that must own a stream.
func (n *naive) ownsStream(a act, id crypto.ID) ledger.Code {
	s := n.streams[id]
	if s == nil {
		return ledger.CodeUnknownStream
	}
	if owner, _ := s.owners.at(n.height + 1); owner.Organisation != a.actor {
		return ledger.CodeNotOwner
	}
	return ledger.CodeOK
}

func (n *naive) closeStream(a act, b ledger.CloseStream) ledger.Code {
	if code := n.ownsStream(a, b.Stream); code != ledger.CodeOK {
		return code
	}
	s := n.streams[b.Stream]
	if s.closed != nil {
		return ledger.CodeExists
	}
	s.closed = &record.Closed{Organisation: a.actor, Height: n.height}
	return ledger.CodeOK
}

func (n *naive) grant(a act, b ledger.Grant) ledger.Code {
	s := n.streams[b.Stream]
	if s == nil {
		return ledger.CodeUnknownStream
	}
	owners := s.whose(n.height, b.First, b.Last)
	switch {
	case !owners[a.actor]:
		return ledger.CodeNotOwner
	case len(owners) > 1:
		return ledger.CodeSeveralOwners
	}
	organisation, isOrganisation := n.organisation(b.Grantee)
	device, isDevice := n.device(b.Grantee)
	switch {
	case !isOrganisation && !isDevice:
		return ledger.CodeNotFound
	case organisation.Status == record.StatusRetired || device.Status == record.StatusRetired:
		return ledger.CodeRetired
	case b.Until != 0 && b.Until <= n.time:
		return ledger.CodeGrantExpired
	}
	pair := naivePair{b.Grantee, b.Stream}
	var kept []crypto.ID
	own := 0
	for _, id := range n.access[pair] {
		g := n.findGrant(id)
		if g.Revoked != 0 && g.Revoked <= n.height || g.Until != 0 && g.Until <= n.time {
			continue
		}
		kept = append(kept, id)
		if g.Grantor == a.actor {
			own++
		}
	}
	if own >= 8 || len(kept) >= 64 {
		return ledger.CodeTooMany
	}
	n.access[pair] = append(kept, a.made)
	n.grants = append(n.grants, &naiveGrant{a.made, record.Grant{
		Stream: b.Stream, Grantor: a.actor, Grantee: b.Grantee, Rights: b.Rights, First: b.First, Last: b.Last,
		From: b.From, Until: b.Until, Purpose: b.Purpose, Terms: b.Terms, Granted: n.height,
	}})
	return ledger.CodeOK
}

// findGrant is a grant by its id, nil if there is none.
func (n *naive) findGrant(id crypto.ID) *naiveGrant {
	for _, g := range n.grants {
		if g.id == id {
			return g
		}
	}
	return nil
}

func (n *naive) revoke(a act, b ledger.Revoke) ledger.Code {
	g := n.findGrant(b.Grant)
	switch {
	case g == nil:
		return ledger.CodeUnknownGrant
	case a.actor != g.Grantor && !n.streams[g.Stream].whose(n.height, g.First, g.Last)[a.actor]:
		return ledger.CodeNotOwner
	case g.Revoked != 0:
		return ledger.CodeGrantRevoked
	}
	g.Revoked = n.height + 1
	return ledger.CodeOK
}

// owns tells whether an organisation owns a device at this height.
func (n *naive) owns(organisation, device crypto.ID) bool {
	d := n.devices[device]
	if d == nil {
		return false
	}
	now, _ := d.is.at(n.height)
	return now.Organisation == organisation
}

func (n *naive) deliver(a act, b ledger.Deliver) ledger.Code {
	g := n.findGrant(b.Grant)
	switch {
	case g == nil:
		return ledger.CodeUnknownGrant
	case a.actor != g.Grantee && !n.owns(g.Grantee, a.actor) && !n.owns(a.actor, g.Grantee):
		return ledger.CodeNoGrant
	case g.Revoked != 0 && g.Revoked <= n.height:
		return ledger.CodeGrantRevoked
	case n.time < g.From || g.Until != 0 && n.time >= g.Until:
		return ledger.CodeGrantExpired
	case b.First < g.First || b.Last > g.end() || !n.streams[g.Stream].holds(b.First, b.Last):
		return ledger.CodeOutOfRange
	}
	n.deliveries = append(n.deliveries, naiveDelivery{a.made, record.Delivery{
		Grant: b.Grant, Stream: g.Stream, Consumer: a.actor, First: b.First, Last: b.Last, Digest: b.Digest, Height: n.height,
	}})
	return ledger.CodeOK
}

func (n *naive) equivocation(b ledger.Equivocation) ledger.Code {
	k := naiveDeviceKey{b.A.Device, b.A.KeyID()}
	s := n.streams[b.A.Stream]
	_, exists := n.evidence[k]
	switch {
	case s == nil:
		return ledger.CodeUnknownStream
	case s.device != b.A.Device:
		return ledger.CodeWrongDevice
	case exists:
		return ledger.CodeExists
	}
	numbers := func(s *ledger.Statement) (list []uint64) {
		for i := range s.Readings {
			list = append(list, s.First+uint64(i))
		}
		return list
	}
	for _, number := range numbers(b.A) {
		if slices.Contains(numbers(b.B), number) {
			n.evidence[k] = record.Evidence{Stream: b.A.Stream, Number: number, A: b.A.Sign1.Digest(), B: b.B.Sign1.Digest(), Height: n.height}
			break
		}
	}
	return ledger.CodeOK
}
