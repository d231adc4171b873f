package state_test

import (
	"bytes"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// draw draws an operation of a kind: mostly one that the rules accept.
func (m *model) draw(t *rapid.T, kind ledger.Kind) (d drawn) {
	switch kind {
	case ledger.KindEnrolDevice, ledger.KindEnrolDevices, ledger.KindEnrolBridge:
		return m.drawEnrolment(t, kind)
	case ledger.KindManifest:
		return m.drawManifest(t)
	case ledger.KindEnrolListed:
		return m.drawListed(t)
	case ledger.KindCloseManifest:
		return m.drawCloseManifest(t)
	case ledger.KindRemoveBridge:
		bridge := usually(t, "bridge", where(m.cast.bridges, func(id crypto.ID) bool { return m.n.bridges[id] != nil }), m.cast.bridges)
		if odd(t, 4, "any bridge") {
			bridge = one(t, "which bridge", m.cast.bridges)
		}
		return drawn{actor: m.anActor(t, m.ownerOf(bridge)), body: ledger.RemoveBridge{Bridge: bridge}}
	case ledger.KindOpenStream:
		free := where(m.cast.streams, func(id crypto.ID) bool {
			return m.n.streams[id] == nil && slices.Contains(m.enrolledDevices(), m.deviceOf(id))
		})
		stream := usually(t, "stream", free, m.cast.streams)
		device, name := m.deviceOf(stream), castStreams[slices.Index(m.cast.streams, stream)%len(castStreams)]
		return drawn{actor: m.anActor(t, device, m.deviceOwner(device)), body: ledger.OpenStream{Device: device, Name: name}}
	case ledger.KindRotate:
		return m.drawRotation(t)
	case ledger.KindSuspend:
		return m.drawStatus(t, record.StatusActive, func(id crypto.ID) ledger.Body { return ledger.Suspend{Device: id} })
	case ledger.KindResume:
		return m.drawStatus(t, record.StatusSuspended, func(id crypto.ID) ledger.Body { return ledger.Resume{Device: id} })
	case ledger.KindRetire:
		return m.drawStatus(t, record.StatusSuspended, func(id crypto.ID) ledger.Body { return ledger.Retire{Device: id} })
	case ledger.KindCompromise:
		return m.drawCompromise(t)
	case ledger.KindDescribe:
		return m.drawDescription(t)
	case ledger.KindTransferDevice, ledger.KindTransferStream:
		return m.drawTransfer(t, kind)
	case ledger.KindCloseStream:
		stream := m.aStream(t)
		if gone := where(m.cast.streams, func(id crypto.ID) bool { return m.n.streams[id] != nil && m.n.streams[id].closed != nil }); odd(t, 4, "again") && len(gone) > 0 {
			stream = one(t, "closed", gone)
		}
		return drawn{actor: m.anActor(t, m.streamOwner(stream)), body: ledger.CloseStream{Stream: stream}}
	case ledger.KindGrant:
		return m.drawGrant(t)
	case ledger.KindRevoke, ledger.KindDeliver:
		return m.drawUse(t, kind)
	case ledger.KindEquivocation:
		return m.drawEquivocation(t)
	case ledger.KindApprove:
		return m.drawApproval(t)
	}
	return m.drawDecision(t, kind)
}

// possession proves that the named key is held; at times its signature is wrong.
func (m *model) possession(t *rapid.T, name string, organisation crypto.ID) *ledger.Possession {
	p := m.c.Possession(castKeys[name], organisation)
	if !odd(t, 24, "forged possession") {
		return p
	}
	raw := bytes.Clone(p.Bytes())
	raw[len(raw)-1] ^= 1
	p, err := ledger.ParsePossession(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (m *model) drawEnrolment(t *rapid.T, kind ledger.Kind) drawn {
	actor := m.anActor(t, m.activeOrganisations()...)
	if kind == ledger.KindEnrolBridge {
		free := where(castBridges, func(name string) bool { return m.n.bridges[ledger.BridgeID(castKeys[name].Public())] == nil })
		return drawn{actor: actor, body: ledger.EnrolBridge{Possession: m.possession(t, usually(t, "bridge", free, castBridges), actor)}}
	}
	free := m.freeDevices()
	name := usually(t, "device", free, castDevices)
	if kind == ledger.KindEnrolDevice {
		return drawn{actor: actor, body: ledger.EnrolDevice{Possession: m.possession(t, name, actor)}}
	}
	names := []string{name}
	if other := usually(t, "other device", free, castDevices); other != name {
		names = append(names, other)
	}
	var list ledger.EnrolDevices
	for _, name := range names {
		list.Possessions = append(list.Possessions, m.possession(t, name, actor))
	}
	return drawn{actor: actor, body: list}
}

func (m *model) freeDevices() []string {
	return where(castDevices, func(name string) bool { return m.n.devices[ledger.DeviceID(castKeys[name].Public())] == nil })
}

func (m *model) drawRotation(t *rapid.T) drawn {
	device := m.aDevice(t)
	owner := m.deviceOwner(device)
	var likely, all []crypto.KeyID
	for _, k := range m.n.keys[device] {
		all = append(all, k.id)
		if d := m.n.devices[device]; k.Closes == 0 || d.keyless != nil && d.keyless.Key == k.id {
			likely = append(likely, k.id)
		}
	}
	body := ledger.Rotate{Device: device, Old: usually(t, "old key", likely, append(all, castKeys["spare 0"].Public().KeyID()))}
	if closes := one(t, "closes", []uint64{0, 1, 2, 4, 8}); closes > 0 {
		body.Closes = m.n.height - 1 + closes
	}
	free := where(castSpares, func(name string) bool { return m.n.key(device, castKeys[name].Public().KeyID()) == nil })
	body.Possession = m.possession(t, usually(t, "new key", free, castSpares), usually(t, "for", []crypto.ID{owner}, m.cast.organisations))
	return drawn{actor: m.anActor(t, owner, device), body: body}
}

func (m *model) drawStatus(t *rapid.T, now record.Status, body func(crypto.ID) ledger.Body) drawn {
	likely := where(m.enrolledDevices(), func(id crypto.ID) bool {
		d, _ := m.n.device(id)
		return d.Status == now
	})
	device := usually(t, "device", likely, m.cast.devices)
	return drawn{actor: m.anActor(t, m.deviceOwner(device)), body: body(device)}
}

func (m *model) drawCompromise(t *rapid.T) drawn {
	principal := usually(t, "principal", m.enrolledDevices(), slices.Concat(m.cast.bridges, m.cast.organisations, m.cast.devices))
	kids := []crypto.KeyID{castKeys["spare 0"].Public().KeyID()}
	for _, k := range m.n.keys[principal] {
		kids = append([]crypto.KeyID{k.id}, kids...)
	}
	from := one(t, "from", []uint64{0, 1, 2, 3, 20})
	body := ledger.Compromise{Principal: principal, Key: one(t, "key", kids), From: 1 + m.n.height - min(from, m.n.height)}
	return drawn{actor: m.anActor(t, m.ownerOf(principal)), body: body}
}

func (m *model) drawDescription(t *rapid.T) drawn {
	subject := one(t, "subject", slices.Concat(m.enrolledDevices(), m.openStreams(), m.cast.bridges[:3], m.cast.organisations))
	owner := m.ownerOf(subject)
	if m.n.streams[subject] != nil {
		owner = m.streamOwner(subject)
	}
	list := []ledger.Attribute{{Name: "model", Text: fmt.Sprint(m.n.height)}, {Name: "schema", Data: []byte{1}}}
	return drawn{actor: m.anActor(t, owner), body: ledger.Describe{Subject: subject, Attributes: list[:rapid.IntRange(0, 2).Draw(t, "attributes")]}}
}

func (m *model) drawTransfer(t *rapid.T, kind ledger.Kind) drawn {
	to := m.anOrganisation(t)
	if kind == ledger.KindTransferDevice {
		device := m.aDevice(t)
		if m.n.devices[m.moved] != nil && !odd(t, 3, "another device") {
			device = m.moved
		}
		m.moved = device
		return drawn{actor: m.anActor(t, m.deviceOwner(device), to), body: ledger.TransferDevice{Device: device, To: to, WithStreams: rapid.Bool().Draw(t, "with streams")}}
	}
	stream := m.aStream(t)
	if s := m.n.streams[m.sold]; s != nil && s.closed == nil && rapid.Bool().Draw(t, "the same") {
		stream = m.sold
	}
	m.sold = stream
	return drawn{actor: m.anActor(t, m.streamOwner(stream), to), body: ledger.TransferStream{Stream: stream, To: to, FromNow: rapid.Bool().Draw(t, "from now")}}
}

func (m *model) drawGrant(t *rapid.T) drawn {
	g := m.last
	if m.n.streams[g.Stream] == nil || m.burst == 0 && !odd(t, 3, "again") {
		g = ledger.Grant{Stream: m.aStream(t), Grantee: usually(t, "grantee", slices.Concat(m.activeOrganisations(), m.enrolledDevices()), slices.Concat(m.cast.organisations, m.cast.devices, m.cast.streams))}
	}
	g.Rights = one(t, "rights", []ledger.Rights{ledger.RightReadDerive, ledger.RightDerive, ledger.RightRead})
	g.First = rapid.Uint64Range(1, 4).Draw(t, "first")
	if g.Last = rapid.Uint64Range(0, 12).Draw(t, "last"); g.Last > 0 {
		g.Last = max(g.First, g.Last)
	}
	g.From, g.Until = m.drawEdge(t, "from"), m.drawEdge(t, "until")
	if g.Until > 0 && g.From >= g.Until {
		g.From = 0
	}
	g.Terms, g.Purpose = [32]byte{byte(len(m.past))}, one(t, "purpose", []string{"", "research"})
	m.last = g
	return drawn{actor: m.anActor(t, m.holders(g.Stream, g.First, g.Last)...), body: g}
}

// holders are whom any of first to last of a stream belongs to.
func (m *model) holders(stream crypto.ID, first, last uint64) []crypto.ID {
	s := m.n.streams[stream]
	if s == nil {
		return nil
	}
	owners := s.whose(m.n.height, first, last)
	return where(m.cast.organisations, func(id crypto.ID) bool { return owners[id] })
}

// drawEdge draws no time, or one at the edges of this block or one of the next.
func (m *model) drawEdge(t *rapid.T, what string) int64 {
	if rapid.IntRange(0, 2).Draw(t, "no "+what) < 2 {
		return 0
	}
	return m.n.time + one(t, what, []int64{1_000_000, 2_000_000, 1_000_001, 1_999_999, 8_000_000, 1, 0, -1})
}

func (m *model) drawUse(t *rapid.T, kind ledger.Kind) drawn {
	if len(m.n.grants) == 0 || odd(t, 20, "no grant") {
		body := ledger.Body(ledger.Revoke{Grant: crypto.ID{7}})
		if kind == ledger.KindDeliver {
			body = ledger.Deliver{Grant: crypto.ID{7}, First: 1, Last: 1}
		}
		return drawn{actor: m.anOrganisation(t), body: body}
	}
	g := one(t, "grant", m.n.grants[max(0, len(m.n.grants)-6):])
	if now := where(m.n.grants, func(g *naiveGrant) bool { return g.From == m.n.time || g.Until == m.n.time }); len(now) > 0 && rapid.Bool().Draw(t, "at its edge") {
		g = one(t, "grant at its edge", now)
	}
	if kind == ledger.KindRevoke {
		return drawn{actor: m.anActor(t, append(m.holders(g.Stream, g.First, g.Last), g.Grantor)...), body: ledger.Revoke{Grant: g.id}}
	}
	body := ledger.Deliver{Grant: g.id, First: g.First, Digest: [32]byte{byte(len(m.past))}}
	mark := m.n.streams[g.Stream].mark()
	if body.Last = min(g.end(), mark, g.First+3); odd(t, 8, "beyond") {
		body.Last = mark + 1
	}
	body.Last = min(max(body.First, body.Last), ledger.MaxNumber)
	actors := []crypto.ID{g.Grantee}
	if owner, device := m.n.device(g.Grantee); device {
		actors = append(actors, owner.Organisation)
	}
	for _, device := range m.enrolledDevices() {
		if m.deviceOwner(device) == g.Grantee {
			actors = append(actors, device)
		}
	}
	return drawn{actor: m.anActor(t, actors...), body: body}
}

func (m *model) drawEquivocation(t *rapid.T) drawn {
	stream := m.aStream(t)
	device := usually(t, "device", []crypto.ID{m.deviceOf(stream)}, m.cast.devices)
	keys := append(m.keysOf(device, false), castKeys["spare 1"])
	key := one(t, "key", keys)
	first := rapid.Uint64Range(1, 3).Draw(t, "first")
	var pair [2]*ledger.Statement
	for i := range pair {
		s, err := ledger.SignStatement(key, ledger.Statement{Device: device, Stream: stream, First: first + uint64(i), Readings: make([]ledger.Reading, 2+i)})
		if err != nil {
			t.Fatal(err)
		}
		if raw := bytes.Clone(s.Bytes()); odd(t, 16, "forged") {
			raw[len(raw)-1] ^= 1
			if s, err = ledger.ParseStatement(raw); err != nil {
				t.Fatal(err)
			}
		}
		pair[i] = s
	}
	return drawn{actor: m.anActor(t, slices.Concat(m.activeOrganisations(), m.enrolledDevices())...), body: ledger.Equivocation{A: pair[0], B: pair[1]}}
}

// drawApproval draws the agreement to an open proposal of one who must agree.
func (m *model) drawApproval(t *rapid.T) drawn {
	open := m.openProposals()
	recent := m.n.proposals[max(0, len(m.n.proposals)-5):]
	if len(recent) == 0 {
		return drawn{actor: m.anOrganisation(t), body: ledger.Approve{Proposal: crypto.ID{9}}}
	}
	p := usually(t, "proposal", open[max(0, len(open)-3):], recent)
	if twice := where(open, m.movesAgain); len(twice) > 0 {
		p = one(t, "what moves twice", twice)
	}
	need, _ := m.n.whoMustAgree(act{actor: p.proposer, body: p.body})
	if members, _ := m.n.members.at(m.n.height + 1); need.vote {
		need.all = append(need.all, members...)
	}
	d := drawn{body: ledger.Approve{Proposal: p.id}}
	for _, id := range need.all {
		for _, key := range m.keysOf(id, true) {
			used := slices.ContainsFunc(p.approved[id], func(r record.Approval) bool { return r.Key == key.Public().KeyID() })
			if !used && !m.n.agrees(p, id) {
				d.actor, d.key = id, key
			}
		}
	}
	if d.key.IsZero() || odd(t, 12, "another voter") {
		d.actor, d.key = m.anActor(t, m.activeOrganisations()...), crypto.PrivateKey{}
	}
	return d
}

// movesAgain tells whether a proposal gives away a stream that changes hands in this block.
func (m *model) movesAgain(p *naiveProposal) bool {
	return slices.ContainsFunc(m.cast.streams, func(id crypto.ID) bool {
		s := m.n.streams[id]
		if s == nil || s.owners[len(s.owners)-1].from != m.n.height+1 {
			return false
		}
		switch b := p.body.(type) {
		case ledger.TransferStream:
			return b.Stream == id
		case ledger.TransferDevice:
			return b.WithStreams && b.Device == s.device && m.deviceOwner(b.Device) == m.streamOwner(id)
		}
		return false
	})
}
