package state_test

import (
	"fmt"
	"strings"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// More input lines of the transcripts, for what belongs to whom and who may use it. What
// an operation with name=NAME makes has that name from then on.
//
//	close DEVICE/NAME by ORG
//	compromise DEVICE by ORG key=KEY from=HEIGHT
//	describe DEVICE by ORG model=TEXT
//	grant DEVICE/NAME by ORG name=NAME to=ORG|DEVICE rights=1..3 range=A..B until=+SECONDS
//	revoke GRANT by ORG
//	deliver GRANT by ORG|DEVICE name=NAME range=A..B
//	equivocation DEVICE/NAME by ORG|DEVICE key=KEY
//	enrol-devices NAME,NAME by ORG
//	manifest NAME,NAME by ORG name=NAME until=+SECONDS
//	listed MANIFEST by ORG|DEVICE devices=NAME,NAME for=ORG
//	close-manifest MANIFEST by ORG
//	give DEVICE by ORG to=ORG streams=yes|no      in a proposal
//	sell DEVICE/NAME by ORG to=ORG past=yes|no    in a proposal
//
// In a batch, of=DEVICE/NAME,A..B is an input of the statements after it.

// ownershipBody is the body of such a line, nil for others.
func (r *transcript) ownershipBody(kind, subject string, actor crypto.ID, flags map[string]string) ledger.Body {
	switch kind {
	case "close":
		return ledger.CloseStream{Stream: r.stream(subject).ID}
	case "compromise":
		return ledger.Compromise{Principal: r.id(subject), Key: r.key(flags["key"]).Public().KeyID(), From: r.number(flags["from"])}
	case "describe":
		return ledger.Describe{Subject: r.id(subject), Attributes: []ledger.Attribute{{Name: "model", Text: flags["model"]}}}
	case "grant":
		return r.grant(subject, flags)
	case "revoke":
		return ledger.Revoke{Grant: r.named(subject)}
	case "deliver":
		first, last := r.numbers(flags["range"])
		return ledger.Deliver{Grant: r.named(subject), First: first, Last: last}
	case "equivocation":
		return r.contradiction(subject, flags["key"])
	case "enrol-devices":
		var body ledger.EnrolDevices
		for name := range strings.SplitSeq(subject, ",") {
			r.id(name)
			body.Possessions = append(body.Possessions, r.c.Possession(r.key(name), actor))
		}
		return body
	case "manifest":
		return r.manifest(subject, flags)
	case "listed":
		return r.listed(subject, flags["devices"], flags["for"])
	case "close-manifest":
		return ledger.CloseManifest{Manifest: r.named(subject)}
	case "give":
		return ledger.TransferDevice{Device: r.id(subject), To: r.id(flags["to"]), WithStreams: flags["streams"] == "yes"}
	case "sell":
		return ledger.TransferStream{Stream: r.stream(subject).ID, To: r.id(flags["to"]), FromNow: flags["past"] == "no"}
	}
	return nil
}

func (r *transcript) grant(subject string, flags map[string]string) ledger.Body {
	g := ledger.Grant{Stream: r.stream(subject).ID, Grantee: r.id(flags["to"]), Rights: ledger.Rights(r.number(flags["rights"]))}
	g.First, g.Last = r.numbers(flags["range"])
	if until, ok := flags["until"]; ok {
		g.Until = r.c.Time + int64(r.number(strings.TrimPrefix(until, "+")))*1e6
	}
	return g
}

func (r *transcript) numbers(s string) (first, last uint64) {
	a, b, _ := strings.Cut(s, "..")
	return r.number(a), r.number(b)
}

// named is the id of what got a name, for the reader's eyes only: no two have the same.
func (r *transcript) named(name string) crypto.ID {
	for id, n := range r.names {
		if n == name {
			return id
		}
	}
	r.t.Fatalf("nothing is named %q", name)
	return crypto.ID{}
}

// nameMade gives a name to what an operation makes.
func (r *transcript) nameMade(raw []byte, name string) {
	op, err := ledger.ParseOperation(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	r.names[ledger.MadeID(op.Digest())] = name
}

func (r *transcript) contradiction(subject, key string) ledger.Body {
	s := r.stream(subject)
	device := *s.Device
	device.Key, s.Device = r.key(key), &device
	return ledger.Equivocation{A: r.parsed(s.At(1, 2)), B: r.parsed(s.At(2, 2))}
}

func (r *transcript) parsed(raw []byte) *ledger.Statement {
	s, err := ledger.ParseStatement(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// derived signs readings with one input, "DEVICE/NAME,A..B".
func (r *transcript) derived(s *simtest.Stream, first uint64, n int, input string) []byte {
	name, numbers, _ := strings.Cut(input, ",")
	in := ledger.Input{Stream: r.stream(name).ID}
	in.First, in.Last = r.numbers(numbers)
	return r.c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: first,
		Readings: make([]ledger.Reading, n), Inputs: []ledger.Input{in}})
}

// ownershipRow describes a row of the families from 22 on that are not the foundation's.
func (r *transcript) ownershipRow(c merkle.Change, name string) (text string, ok bool) {
	switch family := record.FamilyOf(c.Key); family {
	case record.FamilyKeyless:
		v, err := record.ParseKeyless(c.Value)
		return r.line(err, "keyless %s: since %d", name, v.Height), true
	case record.FamilyDescription:
		v, err := record.ParseDescription(c.Value)
		return r.line(err, "description of %s at %d: %s", name, record.NumberOf(c.Key), describeAttributes(v)), true
	case record.FamilyClosed:
		v, err := record.ParseClosed(c.Value)
		return r.line(err, "closed %s: by %s at %d", name, r.name(v.Organisation), v.Height), true
	case record.FamilyGrant:
		v, err := record.ParseGrant(c.Value)
		return r.line(err, "grant %s: %s by %s to %s, rights %d, %d..%d, granted %d, revoked %d", name, r.name(v.Stream),
			r.name(v.Grantor), r.name(v.Grantee), v.Rights, v.First, v.Last, v.Granted, v.Revoked), true
	case record.FamilyStreamGrant, record.FamilyGranteeGrant, record.FamilyStreamDelivery, record.FamilyConsumerDelivery:
		v, err := record.ParseSince(c.Value)
		return r.line(err, "%v %s, %s: since %d", family, name, r.name(record.ChildOf(c.Key)), v.Height), true
	case record.FamilyAccess:
		v, err := record.ParseAccess(c.Value)
		var list []string
		for _, id := range v.Grants {
			list = append(list, r.name(id))
		}
		return r.line(err, "access %s, %s: %v", name, r.name(record.ChildOf(c.Key)), list), true
	}
	if text, ok = r.manifestRow(c, name); ok {
		return text, true
	}
	return r.useRow(c, name)
}

func (r *transcript) useRow(c merkle.Change, name string) (text string, ok bool) {
	switch record.FamilyOf(c.Key) {
	case record.FamilyDelivery:
		v, err := record.ParseDelivery(c.Value)
		return r.line(err, "delivery %s: %d..%d of %s to %s under %s", name, v.First, v.Last, r.name(v.Stream), r.name(v.Consumer), r.name(v.Grant)), true
	case record.FamilyDerived:
		v, err := record.ParseDerived(c.Value)
		text = r.line(err, "derived %s %d..%d from", name, record.NumberOf(c.Key), v.Last)
		for _, in := range v.Inputs {
			text += fmt.Sprintf(" %s %d..%d", r.name(in.Stream), in.First, in.Last)
		}
		return text, true
	case record.FamilyUse:
		v, err := record.ParseUse(c.Value)
		index, place := record.UseOf(c.Key)
		return r.line(err, "used %s %d..%d by %s %d..%d, entry %d, input %d", name, v.First, v.Last, r.name(v.Stream), v.DerivedFirst, v.DerivedLast,
			index, place), true
	case record.FamilyUseLengths:
		v, err := record.ParseUseLengths(c.Value)
		return r.line(err, "uses of %s have length classes %b", name, v.Classes), true
	case record.FamilyEvidence:
		v, err := record.ParseEvidence(c.Value)
		return r.line(err, "evidence against %s: two statements for %d of %s", name, v.Number, r.name(v.Stream)), true
	}
	return "", false
}

func describeAttributes(d record.Description) string {
	var list []string
	for _, a := range d.Attributes {
		list = append(list, fmt.Sprintf("%s=%s%x", a.Name, a.Text, a.Data))
	}
	return strings.Join(list, " ")
}
