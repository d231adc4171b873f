package state_test

import (
	"bytes"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

var (
	ownershipKinds = []string{"grant", "grant", "grant", "revoke", "revoke", "deliver", "deliver", "deliver", "describe", "equivocation", "enrol_devices", "compromise", "close_stream",
		"propose", "propose", "approve", "approve", "approve"}
	allStreams = []string{"device 0/stream 0", "device 1/stream 0", "device 0/stream 1", "device 2/stream 1"}
)

// drawOwnership draws the rest of an intent of a kind from 8 on.
func (m *model) drawOwnership(t *rapid.T, i *intent) {
	i.stream = pick(t, "stream", allStreams[:2], allStreams)
	if s := m.n.streams[i.stream]; s != nil && !rarely(t, "another actor") && (i.kind == "grant" || i.kind == "close_stream") {
		i.actor, i.signer = s.owner, s.owner
	}
	switch i.kind {
	case "grant":
		i.grantee = pick(t, "grantee", orgNames, orgNames, deviceNames)
		i.rights = ledger.Rights(rapid.IntRange(1, 3).Draw(t, "rights"))
		i.first = rapid.Uint64Range(1, 5).Draw(t, "first")
		if i.last = rapid.Uint64Range(0, 10).Draw(t, "last"); i.last != 0 && i.last < i.first {
			i.last = i.first
		}
		if until := rapid.Int64Range(0, 8).Draw(t, "until"); until > 0 {
			i.until = m.next() + until - 1
		}
	case "propose", "approve":
		m.drawTransfer(t, i)
	case "revoke", "deliver":
		m.drawUse(t, i)
	case "compromise":
		m.drawCompromise(t, i)
	case "describe":
		i.subject = pick(t, "subject", orgNames, deviceNames, allStreams)
	case "equivocation":
		i.device = pick(t, "device", usualDevices, deviceNames)
		i.key = m.anyKey(t, i.device)
		i.forged = rarely(t, "forged")
	case "enrol_devices":
		i.others = rapid.SampledFrom([][]string{{"device 2"}, {"device 2", "device 3"}, {"device 3", "device 4"}, {"device 0", "device 4"}}).Draw(t, "devices")
		i.forged = rarely(t, "forged")
	}
}

func (m *model) drawTransfer(t *rapid.T, i *intent) {
	if !rarely(t, "a device decides") {
		i.actor = pick(t, "actor", orgNames)
		i.signer = i.actor
	}
	if i.kind == "approve" {
		if i.claim.grant = (crypto.ID{7}); len(m.n.proposals) > 0 && !rarely(t, "no proposal") {
			i.claim.grant = rapid.SampledFrom(m.n.proposals[max(0, len(m.n.proposals)-3):]).Draw(t, "proposal").id
		}
		return
	}
	i.give, i.withStreams, i.fromNow = rapid.Bool().Draw(t, "give"), rapid.Bool().Draw(t, "with streams"), rapid.Bool().Draw(t, "from now")
	i.subject = pick(t, "device", usualDevices, deviceNames)
	i.to = pick(t, "to", orgNames)
}

func (m *model) drawCompromise(t *rapid.T, i *intent) {
	i.subject = pick(t, "device", usualDevices, deviceNames)
	i.key = m.anyKey(t, i.subject)
	i.claim.from = rapid.SampledFrom([]uint64{1, 2, m.c.Height + 1, m.c.Height + 1, m.c.Height + 2}).Draw(t, "from")
}

func (m *model) drawUse(t *rapid.T, i *intent) {
	i.first = rapid.Uint64Range(1, 6).Draw(t, "first")
	i.last = i.first + rapid.Uint64Range(0, 3).Draw(t, "more")
	if len(m.n.grants) == 0 || rarely(t, "no grant") {
		i.claim.grant = crypto.ID{7}
		return
	}
	g := rapid.SampledFrom(m.n.grants[max(0, len(m.n.grants)-3):]).Draw(t, "grant")
	i.claim.grant = g.id
	if rarely(t, "another actor") {
		return
	}
	i.actor = g.grantee
	if i.kind == "revoke" {
		i.actor = g.grantor
	}
	i.signer = m.current(i.actor)
}

func (m *model) anyKey(t *rapid.T, device string) string {
	keys := m.n.devices[device].keys
	if len(keys) == 0 || rarely(t, "another key") {
		return pick(t, "key", deviceNames, spareKeys)
	}
	return rapid.SampledFrom(keys).Draw(t, "key").name
}

// ownershipBody is the body of an intent of a kind from 8 on.
func (m *model) ownershipBody(t *rapid.T, i intent) ledger.Body {
	stream := m.streamID(i.stream)
	switch i.kind {
	case "grant":
		return ledger.Grant{Stream: stream, Grantee: m.id(i.grantee), Rights: i.rights, First: i.first, Last: i.last, Until: i.until * 1e6}
	case "revoke":
		return ledger.Revoke{Grant: i.claim.grant}
	case "deliver":
		return ledger.Deliver{Grant: i.claim.grant, First: i.first, Last: i.last}
	case "compromise":
		return ledger.Compromise{Principal: m.id(i.subject), Key: simtest.Key(i.key).Public().KeyID(), From: i.claim.from}
	case "close_stream":
		return ledger.CloseStream{Stream: stream}
	case "describe":
		return ledger.Describe{Subject: m.subject(i.subject), Attributes: modelAttributes}
	case "equivocation":
		return m.contradiction(t, i)
	case "propose":
		var body ledger.Body = ledger.TransferStream{Stream: stream, To: m.id(i.to), FromNow: i.fromNow}
		if i.give {
			body = ledger.TransferDevice{Device: m.id(i.subject), To: m.id(i.to), WithStreams: i.withStreams}
		}
		return ledger.Propose{Expires: i.notAfter, Body: body}
	case "approve":
		return ledger.Approve{Proposal: i.claim.grant}
	case "enrol_devices":
		var body ledger.EnrolDevices
		for k, name := range i.others {
			one := i
			one.forged = i.forged && k == len(i.others)-1
			body.Possessions = append(body.Possessions, m.possession(t, one, name))
		}
		return body
	}
	return nil
}

var modelAttributes = []ledger.Attribute{{Name: "model", Text: "M"}}

func (m *model) subject(name string) crypto.ID {
	if strings.Contains(name, "/") {
		return m.streamID(name)
	}
	return m.id(name)
}

func (m *model) contradiction(t *rapid.T, i intent) (e ledger.Equivocation) {
	for k, to := range []**ledger.Statement{&e.A, &e.B} {
		s, err := ledger.SignStatement(simtest.Key(i.key), ledger.Statement{Device: m.id(i.device), Stream: m.streamID(i.stream), First: 1,
			Readings: make([]ledger.Reading, k+1)})
		if err != nil {
			t.Fatal(err)
		}
		if raw := bytes.Clone(s.Bytes()); i.forged && k == 1 {
			raw[len(raw)-1] ^= 1
			if s, err = ledger.ParseStatement(raw); err != nil {
				t.Fatal(err)
			}
		}
		*to = s
	}
	return e
}

// compareOwnership compares what the records say of the kinds from 8 on.
func (m *model) compareOwnership(t *rapid.T) {
	want := map[record.Family]int{}
	row := func(what string, k [33]byte, value []byte) {
		m.row(t, what, k, value)
		want[record.FamilyOf(k)]++
	}
	for _, g := range m.n.grants {
		row("grant", record.GrantRow(g.id), record.Grant{Stream: m.streamID(g.stream), Grantor: m.id(g.grantor), Grantee: m.id(g.grantee),
			Rights: g.rights, First: g.first, Last: g.last, Until: g.until * 1e6, Granted: g.granted, Revoked: g.revoked}.Encode())
		since := record.Since{Height: g.granted}.Encode()
		row("grant", record.StreamGrantRow(m.streamID(g.stream), g.id), since)
		row("grant", record.GranteeGrantRow(m.id(g.grantee), g.id), since)
	}
	for _, d := range m.n.deliveries {
		stream := m.streamID(m.n.find(d.grant).stream)
		row("delivery", record.DeliveryRow(d.id), record.Delivery{Grant: d.grant, Stream: stream, Consumer: m.id(d.consumer),
			First: d.first, Last: d.last, Height: d.height}.Encode())
		since := record.Since{Height: d.height}.Encode()
		row("delivery", record.StreamDeliveryRow(stream, d.id), since)
		row("delivery", record.ConsumerDeliveryRow(m.id(d.consumer), d.id), since)
	}
	for _, s := range m.n.derived {
		row(s.stream, record.DerivedRow(m.streamID(s.stream), s.first), record.Derived{Last: s.first + uint64(s.count) - 1,
			Inputs: []ledger.Input{{Stream: m.streamID(s.input), First: s.inFirst, Last: s.inLast}}}.Encode())
	}
	want[record.FamilyUse] = len(m.n.derived)
	for name, closed := range m.n.closed {
		row(name, record.ClosedRow(m.streamID(name)), closed.Encode())
	}
	for name, height := range m.n.described {
		m.row(t, name, record.DescriptionRow(m.subject(name), height), record.Description{Attributes: modelAttributes}.Encode())
	}
	want[record.FamilyKeyless], want[record.FamilyEvidence] = len(m.n.keyless), len(m.n.evidence)
	m.compareCounts(t, want)
	m.compareCurrent(t)
}

// compareCounts: there are as many rows of the families as there should be.
func (m *model) compareCounts(t *rapid.T, want map[record.Family]int) {
	got := map[record.Family]int{}
	for _, k := range m.c.Store.Keys() {
		got[record.FamilyOf(k)]++
	}
	for _, f := range []record.Family{record.FamilyGrant, record.FamilyStreamGrant, record.FamilyGranteeGrant, record.FamilyDelivery,
		record.FamilyStreamDelivery, record.FamilyConsumerDelivery, record.FamilyDerived, record.FamilyUse, record.FamilyClosed,
		record.FamilyKeyless, record.FamilyEvidence} {
		if got[f] != want[f] {
			t.Fatalf("%d rows of %v, want %d", got[f], f, want[f])
		}
	}
}

// compareCurrent: a device has one current key, or is keyless and has none.
func (m *model) compareCurrent(t *rapid.T) {
	for name := range m.n.devices {
		lo, k := record.Range(record.FamilyKey, m.id(name))
		current := 0
		for _, key := range m.c.Store.Keys() {
			if bytes.Compare(key[:], lo[:]) < 0 || bytes.Compare(key[:], k[:]) > 0 {
				continue
			}
			value, err := m.c.Store.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			if row, err := record.ParseKey(value); err != nil {
				t.Fatal(err)
			} else if row.Closes == 0 {
				current++
			}
		}
		if _, keyless := m.n.keyless[name]; current+map[bool]int{true: 1}[keyless] != 1 {
			t.Fatalf("%s has %d current keys, keyless %v", name, current, keyless)
		}
	}
}

// isOwnership tells whether a kind is one of this file's.
func isOwnership(kind string) bool { return slices.Contains(ownershipKinds, kind) }

func madeID(t *rapid.T, raw []byte) crypto.ID {
	op, err := ledger.ParseOperation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.MadeID(op.Digest())
}

// compareOwners compares the lists of both organisations: each has it when, and only when,
// it was the owner, so there is one owner at a time.
func (m *model) compareOwners(t *rapid.T, what string, f record.Family, id crypto.ID, owners []naiveOwner) {
	for _, org := range orgNames {
		k := record.OrganisationStreamRow(m.id(org), id)
		if f == record.FamilyOrganisationDevice {
			k = record.OrganisationDeviceRow(m.id(org), id)
		}
		var want []byte
		if spans := spansOf(owners, org); len(spans) > 0 {
			want = spans.Encode()
		}
		m.row(t, what+" of "+org, k, want)
	}
}

// changes are the heights at which a device has a row.
func (p naivePrincipal) changes() (heights []uint64) {
	for _, o := range p.owners {
		heights = append(heights, o.from)
	}
	for _, s := range p.status {
		heights = append(heights, s.from)
	}
	slices.Sort(heights)
	return slices.Compact(heights)
}
