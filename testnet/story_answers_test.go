package testnet_test

import (
	"fmt"

	"mtmledger/app/client"
	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// answers has one function for each question of testdata/story/questions.md.
func (a *auditor) answers() map[int]func() {
	return map[int]func(){
		1: a.members, 2: a.votes, 3: a.devices, 4: a.deviceOwners, 5: a.nothingMissing, 6: a.exactlyMissing,
		7: a.streamOwners, 8: a.streamsBefore, 9: a.grants, 10: a.deliveries, 11: a.computedFrom, 12: a.computedOf,
		13: a.keyOfReading, 14: a.doubtful, 15: a.validators, 16: a.equivocation, 17: a.limits,
		18: a.listed,
	}
}

// members: which organisations are members now, and at the founding.
func (a *auditor) members() {
	var none crypto.ID
	out := a.ask(client.AnswerRequest{Questions: []client.Question{at(record.FamilyMembers, none, 0), at(record.FamilyMembers, none, 1)}})
	now, founding := only(a, out.Results[0], record.ParseMembers), only(a, out.Results[1], record.ParseMembers)
	is(a, "members now", len(now.Organisations), 3)
	is(a, "members at the founding", len(founding.Organisations), 3)
	for _, name := range []string{"A", "B", "D"} {
		is(a, name+" is a member", now.Has(a.orgs[name].id), true)
	}
	for _, name := range []string{"A", "B", "C"} {
		is(a, name+" founded", founding.Has(a.orgs[name].id), true)
	}
}

// votes: who voted D in and C out, by which keys, and when it took effect.
func (a *auditor) votes() {
	a.vote("admission", ledger.KindAdmit, "A", "B")
	a.vote("removal", ledger.KindRemove, "A", "B", "D")
	out := a.ask(client.AnswerRequest{Questions: []client.Question{list(record.FamilyMembers, crypto.ID{}, 0)}})
	changes := map[uint64]record.Members{}
	for i, v := range each(a, out.Results[0], record.ParseMembers) {
		changes[record.NumberOf(out.Results[0].Rows[i].Key)] = v
	}
	is(a, "changes of the members, with the founding", len(changes), 3)
	is(a, "D is a member from the block after the vote", changes[a.at["admission decided"]+1].Has(a.orgs["D"].id), true)
	after := changes[a.at["removal decided"]+1]
	is(a, "members after the removal", len(after.Organisations), 3)
	is(a, "C is one of them", after.Has(a.orgs["C"].id), false)
}

// vote checks who approved a proposal, by the log entries that they signed.
func (a *auditor) vote(note string, kind ledger.Kind, who ...string) {
	a.t.Helper()
	entries := []uint64{a.index[note]}
	for _, name := range who[1:] {
		entries = append(entries, a.index[note+" by "+name])
	}
	id := a.id[note]
	out := a.ask(client.AnswerRequest{Entries: entries, Questions: []client.Question{
		row(record.ProposalRow(id)), list(record.FamilyApproval, id, 0)}})
	p := only(a, out.Results[0], record.ParseProposal)
	is(a, note+" was applied", p.Status, record.ProposalApplied)
	is(a, note+" was decided", p.Decided, a.at[note+" decided"])
	is(a, note+" was proposed", p.Proposer, a.orgs[who[0]].id)
	is(a, "organisations that approved", len(out.Results[1].Rows), len(who))
	signed := map[crypto.ID]crypto.PublicKey{}
	for _, e := range out.Entries {
		signed[e.Signer] = e.Key
		switch body := e.Operation.Body.(type) {
		case ledger.Propose:
			is(a, "what was proposed", body.Body.Kind(), kind)
			is(a, "its id", ledger.MadeID(e.Digest), id)
		case ledger.Approve:
			is(a, "what was approved", body.Proposal, id)
		default:
			a.t.Errorf("a vote by %s", body.Kind())
		}
	}
	for _, name := range who {
		is(a, name+" signed with", signed[a.orgs[name].id], a.orgs[name].key.Public())
	}
	for i, v := range each(a, out.Results[1], record.ParseApprovals) {
		key := signed[record.ChildOf(out.Results[1].Rows[i].Key)]
		is(a, "approvals of one member", len(v.List), 1)
		is(a, "by the key", v.List[0].Key, key.KeyID())
	}
}

// listed: which devices A signed for, and which of them came. The auditor has the list of
// keys, which is no secret, and checks it against the root.
func (a *auditor) listed() {
	id := a.id["fleet of A"]
	out := a.ask(client.AnswerRequest{Questions: []client.Question{row(record.ManifestRow(id)), list(record.FamilyListed, id, 0)}})
	m := only(a, out.Results[0], record.ParseManifest)
	fleet := a.lists["A"]
	is(a, "who signed", m.Organisation, a.orgs["A"].id)
	is(a, "the list", m.Root, fleet.Root())
	is(a, "devices in it", m.Count, storyFleet)
	came := map[crypto.ID]bool{}
	for i, l := range each(a, out.Results[1], record.ParseListed) {
		is(a, "the device at its place", l.Device, ledger.DeviceID(fleet.Keys()[record.NumberOf(out.Results[1].Rows[i].Key)]))
		is(a, "when it came", l.Height, a.at["arrivals of A"])
		came[l.Device] = true
	}
	is(a, "devices that came", len(came), len(a.fleet)-1)
	for name, m := range a.fleet {
		is(a, name+" came for A", came[m.id], name != "model")
	}
}

// devices: which devices A owns now, all of them.
func (a *auditor) devices() {
	out := a.ask(client.AnswerRequest{Questions: []client.Question{list(record.FamilyOrganisationDevice, a.orgs["A"].id, 0)}})
	have := a.owned(out.Results[0], out.AsOfHeight)
	for name, m := range a.fleet {
		is(a, "A owns "+name, have[m.id], name != "press" && name != "model")
	}
	is(a, "devices of A", len(have), len(a.fleet)-2)
}

// deviceOwners: who owned the transferred device before, at and after the transfer.
func (a *auditor) deviceOwners() {
	press, h := a.fleet["press"].id, a.at["transfer decided"]
	out := a.ask(client.AnswerRequest{Questions: []client.Question{
		at(record.FamilyDevice, press, h-1), at(record.FamilyDevice, press, h), at(record.FamilyDevice, press, h+1)}})
	for i, want := range []string{"A", "A", "B"} { // it takes effect in the next block
		is(a, "owner", only(a, out.Results[i], record.ParseDevice).Organisation, a.orgs[want].id)
	}
}

// nothingMissing: the transferred device's stream is complete from first to last.
func (a *auditor) nothingMissing() {
	press := a.fleet["press"]
	out := a.ask(client.AnswerRequest{Cover: &query.RangeRequest{Stream: press.stream, First: 1, Last: press.next - 1}})
	next := uint64(1)
	for _, part := range out.Cover.Parts {
		is(a, "part", part.Kind, proof.CoverStatement)
		is(a, "begins with", part.First, next)
		next = part.Last + 1
	}
	is(a, "ends before", next, press.next)
	first, last := out.Cover.Parts[0].Entry.Height, out.Cover.Parts[len(out.Cover.Parts)-1].Entry.Height
	if decided := a.at["transfer decided"]; first >= decided || last <= decided {
		a.t.Errorf("statements from height %d to %d: the transfer at %d is not between them", first, last, decided)
	}
}

// exactlyMissing: which numbers the lossy stream lacks.
func (a *auditor) exactlyMissing() {
	lossy := a.fleet["lossy"]
	out := a.ask(client.AnswerRequest{Cover: &query.RangeRequest{Stream: lossy.stream, First: 1, Last: 20}})
	var missing [][2]uint64
	for _, part := range out.Cover.Parts {
		switch part.Kind {
		case proof.CoverMissing:
			missing = append(missing, [2]uint64{part.First, part.Last})
		case proof.CoverUnwritten:
			is(a, "not written yet from", part.First, 18)
		}
	}
	is(a, "gaps", len(missing), 2)
	is(a, "first gap", missing[0], [2]uint64{4, 7})
	is(a, "second gap", missing[1], [2]uint64{11, 14})
}

// streamOwners: who owned the sold stream before and after, and the old readings.
func (a *auditor) streamOwners() {
	meter := a.fleet["meter"].stream
	before, sale, after := a.at["meter before"], a.at["sale decided"], a.at["meter after"]
	out := a.ask(client.AnswerRequest{
		Entries: []uint64{a.index["meter before"], a.index["meter after"]},
		Questions: []client.Question{
			at(record.FamilyOwner, meter, before), at(record.FamilyOwner, meter, sale+1), at(record.FamilyOwner, meter, 0),
			at(record.FamilyParts, meter, sale), at(record.FamilyParts, meter, 0)},
	})
	is(a, "owner before", only(a, out.Results[0], record.ParseOwner).Organisation, a.orgs["A"].id)
	b := only(a, out.Results[1], record.ParseOwner)
	is(a, "owner after", b.Organisation, a.orgs["B"].id)
	is(a, "what belongs to it is from height", b.Since, sale+1)
	is(a, "owner now", only(a, out.Results[2], record.ParseOwner), b)
	is(a, "parts before", len(out.Results[3].Rows), 0)
	parts := only(a, out.Results[4], record.ParseParts)
	is(a, "parts", fmt.Sprint(parts), fmt.Sprint(record.Parts{{First: 1, Organisation: a.orgs["A"].id}, {First: 11, Organisation: a.orgs["B"].id}}))
	is(a, "old readings stand at", out.Entries[0].Height, before)
	is(a, "new readings stand at", out.Entries[1].Height, after)
	if before >= b.Since || after < b.Since {
		a.t.Errorf("heights %d and %d: the buyer's begin at %d", before, after, b.Since)
	}
}

// streamsBefore: which streams A owned before the sale, all of them.
func (a *auditor) streamsBefore() {
	out := a.ask(client.AnswerRequest{Questions: []client.Question{list(record.FamilyOrganisationStream, a.orgs["A"].id, 0)}})
	have := a.owned(out.Results[0], a.at["sale decided"]-1)
	for name, m := range a.fleet {
		is(a, "A owned the stream of "+name, have[m.stream], name != "press" && name != "model")
	}
	is(a, "streams of A then", len(have), len(a.fleet)-2)
	is(a, "streams of A now", len(a.owned(out.Results[0], out.AsOfHeight)), len(a.fleet)-3)
}

// grants: which grants were ever given on the stream that B reads.
func (a *auditor) grants() {
	out := a.ask(client.AnswerRequest{Questions: []client.Question{list(record.FamilyStreamGrant, a.fleet["pump"].stream, record.FamilyGrant)}})
	is(a, "grants", len(out.Results[0].Rows), 2)
	is(a, "answers", len(out.Results), 3)
	for _, r := range out.Results[1:] {
		g := only(a, r, record.ParseGrant)
		is(a, "given by", g.Grantor, a.orgs["A"].id)
		switch record.IDOf(r.Rows[0].Key) {
		case a.id["grant"]:
			is(a, "revoked", g.Revoked, 0)
			is(a, "for", g.Grantee, a.fleet["model"].id)
		case a.id["other grant"]:
			is(a, "counts no more from", g.Revoked, a.at["revoked"]+1)
			is(a, "for", g.Grantee, a.orgs["B"].id)
		default:
			a.t.Errorf("grant %s", record.IDOf(r.Rows[0].Key))
		}
	}
}

// deliveries: what the consumer confirmed, under which grant, by whose signature.
func (a *auditor) deliveries() {
	pump, model := a.fleet["pump"], a.fleet["model"]
	out := a.ask(client.AnswerRequest{
		Entries:   []uint64{a.index["delivery"]},
		Questions: []client.Question{list(record.FamilyStreamDelivery, pump.stream, record.FamilyDelivery)},
	})
	is(a, "deliveries", len(out.Results[0].Rows), 1)
	d := only(a, out.Results[1], record.ParseDelivery)
	is(a, "under the grant", d.Grant, a.id["grant"])
	is(a, "by", d.Consumer, model.id)
	is(a, "readings", [2]uint64{d.First, d.Last}, [2]uint64{1, 10})
	is(a, "signed by", out.Entries[0].Key, model.key.Public())
	body, _ := out.Entries[0].Operation.Body.(ledger.Deliver)
	is(a, "signed content", body.Digest, d.Digest)
	cover := a.ask(client.AnswerRequest{Cover: &query.RangeRequest{Stream: pump.stream, First: 1, Last: 10}})
	var digests [][32]byte
	for _, part := range cover.Cover.Parts {
		digests = append(digests, part.Entry.Digest)
	}
	is(a, "what was received", d.Digest, ledger.DeliveryDigest(digests...))
}

// computedFrom: from which readings a reading of the derived stream was computed.
func (a *auditor) computedFrom() {
	model, pump := a.fleet["model"], a.fleet["pump"]
	const reading = 2
	lo, _ := record.Range(record.FamilyDerived, model.stream)
	out := a.ask(client.AnswerRequest{
		Entries: []uint64{a.index["derived"]},
		Questions: []client.Question{{Query: proof.Query{
			Kind: proof.QueryPredecessor, Lo: lo, Hi: record.DerivedRow(model.stream, reading)}}},
	})
	d := only(a, out.Results[0], record.ParseDerived)
	if first := record.NumberOf(out.Results[0].Rows[0].Key); first > reading || d.Last < reading {
		a.t.Fatalf("statement %d to %d does not hold reading %d", first, d.Last, reading)
	}
	is(a, "inputs", len(d.Inputs), 1)
	is(a, "input", d.Inputs[0], ledger.Input{Stream: pump.stream, First: 1, Last: 10, Digest: a.sent["pump"].Digest()})
	is(a, "signed by", out.Entries[0].Key, model.key.Public())
	is(a, "signed inputs", out.Entries[0].Statement.Inputs[0], d.Inputs[0])
}

// computedOf: what was computed from a reading of the source, all of it.
func (a *auditor) computedOf() {
	const reading = 4
	out := a.ask(client.AnswerRequest{Questions: []client.Question{list(record.FamilyUse, a.fleet["pump"].stream, 0)}})
	var uses []record.Use
	for _, u := range each(a, out.Results[0], record.ParseUse) {
		if u.First <= reading && reading <= u.Last {
			uses = append(uses, u)
		}
	}
	is(a, "uses", len(uses), 1)
	is(a, "by stream", uses[0].Stream, a.fleet["model"].stream)
	is(a, "readings", [2]uint64{uses[0].DerivedFirst, uses[0].DerivedLast}, [2]uint64{1, 3})
}

// keyOfReading: which key signed a reading of the rotated device, and when it was valid.
func (a *auditor) keyOfReading() {
	rotor := a.fleet["rotor"]
	old := a.sent["rotor before"].KeyID()
	out := a.ask(client.AnswerRequest{
		Entries: []uint64{a.index["rotor before"], a.index["rotor after"]},
		Questions: []client.Question{
			row(record.KeyRow(rotor.id, old)), row(record.KeyRow(rotor.id, rotor.key.Public().KeyID()))},
	})
	key := only(a, out.Results[0], record.ParseKey)
	is(a, "the reading was signed with", out.Entries[0].KeyID, old)
	is(a, "which is", out.Entries[0].Key, key.Public)
	is(a, "valid from", key.Opens, a.at["arrivals of A"]+1)
	is(a, "to", key.Closes, a.at["rotation"]+1)
	is(a, "the later one with", out.Entries[1].Key, rotor.key.Public())
	is(a, "valid from", only(a, out.Results[1], record.ParseKey).Opens, a.at["rotation"]+1)
	file, err := a.from.Certificate(a.ctx, rotor.stream, 3, 3)
	if err != nil {
		a.t.Fatal(err)
	}
	finding, err := proof.Verify(file, a.root)
	if err != nil {
		a.t.Fatal(err)
	}
	is(a, "by the certificate", finding.KeyID, old)
	for i := range file {
		file[i] ^= 0x10
		if _, err := proof.Verify(file, a.root); err == nil {
			a.t.Fatalf("byte %d of the certificate changed and accepted", i)
		}
		file[i] ^= 0x10
	}
}

// doubtful: which statements of the compromised device are in doubt, and since when.
func (a *auditor) doubtful() {
	leaky := a.fleet["leaky"]
	out := a.ask(client.AnswerRequest{
		Cover:     &query.RangeRequest{Stream: leaky.stream, First: 1, Last: 8},
		Questions: []client.Question{list(record.FamilyKey, leaky.id, 0)},
	})
	key := only(a, out.Results[0], record.ParseKey)
	is(a, "in doubt from height", key.Doubtful, a.at["leaky doubtful"])
	is(a, "closed", key.Closes, a.at["compromise"]+1)
	is(a, "statements", len(out.Cover.Parts), 2)
	is(a, "the first is in doubt", out.Cover.Parts[0].Entry.Doubtful, false)
	is(a, "the second is in doubt", out.Cover.Parts[1].Entry.Doubtful, true)
}

// validators: which validators decide now, and at the founding.
func (a *auditor) validators() {
	var none crypto.ID
	out := a.ask(client.AnswerRequest{Questions: []client.Question{at(record.FamilyValidatorSet, none, 0), at(record.FamilyValidatorSet, none, 1)}})
	for i, names := range [][]string{{"A", "A2", "B", "D"}, {"A", "A2", "B", "C"}} {
		set := only(a, out.Results[i], record.ParseValidatorSet)
		is(a, "validators", len(set.Validators), len(names))
		for _, name := range names {
			v := set.Find(a.orgs[name].validator.Key)
			is(a, name+"'s power", v.Power, storyPower)
			is(a, name+"'s organisation", v.Organisation, a.orgs[name].id)
		}
	}
	is(a, "validators that sign the proof", out.Validators, 4)
}

// equivocation: which device signed two statements for one number, and what they say.
func (a *auditor) equivocation() {
	twin := a.fleet["twin"]
	kid := twin.key.Public().KeyID()
	out := a.ask(client.AnswerRequest{
		Entries:   []uint64{a.index["evidence"]},
		Questions: []client.Question{list(record.FamilyEvidence, twin.id, 0)},
	})
	e := only(a, out.Results[0], record.ParseEvidence)
	is(a, "key", record.KeyIDOf(out.Results[0].Rows[0].Key), kid)
	is(a, "stream", e.Stream, twin.stream)
	is(a, "number", e.Number, 2)
	body, ok := out.Entries[0].Operation.Body.(ledger.Equivocation)
	if !ok {
		a.t.Fatalf("the entry is %s", out.Entries[0].Operation.Body.Kind())
	}
	is(a, "one statement", body.A.Digest(), e.A)
	is(a, "the other", body.B.Digest(), e.B)
	for _, st := range []*ledger.Statement{body.A, body.B} {
		is(a, "signed by the device", st.Sign1.Verify(twin.key.Public()), true)
	}
	is(a, "one says", string(body.A.Readings[1].Content), "twin 2")
	is(a, "the other says", string(body.B.Readings[0].Content), "not twin 2")
}

// limits: which limits and quotas are in force, and who decided them.
func (a *auditor) limits() {
	var none crypto.ID
	out := a.ask(client.AnswerRequest{Questions: []client.Question{at(record.FamilyParameters, none, 0), list(record.FamilyParameters, none, 0)}})
	now := only(a, out.Results[0], record.ParseParameters)
	is(a, "open gaps", now.OpenGaps, 100)
	is(a, "statements of a bridge in a block", now.StatementsPerBridge, ledger.DefaultQuotaStatements)
	is(a, "bytes of an organisation in a block", now.BytesPerOrganisation, ledger.DefaultQuotaBytes)
	is(a, "decisions, with the founding", len(out.Results[1].Rows), 2)
	if active := record.NumberOf(out.Results[1].Rows[1].Key); active <= a.at["limit decided"] || active > out.AsOfHeight+2 {
		a.t.Errorf("in force from height %d, decided at %d", active, a.at["limit decided"])
	}
	a.vote("limit", ledger.KindSetParameters, "B", "D")
}
