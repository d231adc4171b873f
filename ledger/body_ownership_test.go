package ledger

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// namedBody is a good body for tests and vectors.
type namedBody struct {
	name  string
	actor crypto.ID
	body  Body
}

// longStatement is a statement of stream 1 of exactly the given size.
func longStatement(t testing.TB, size int, content byte) *Statement {
	t.Helper()
	b := sizedStatement(size)
	s, err := ParseStatement(b)
	if err != nil {
		t.Fatal(err)
	}
	s.Readings[0].Content = bytes.Repeat([]byte{content}, len(s.Readings[0].Content))
	if s, err = SignStatement(deviceKey, *s); err != nil || len(s.Bytes()) != size {
		t.Fatalf("%d bytes, %v", len(s.Bytes()), err)
	}
	return s
}

func otherStatement(t testing.TB, first uint64) *Statement {
	t.Helper()
	s, err := SignStatement(deviceKey, Statement{Device: testDevice, Stream: testStream, First: first, Media: Media{Text: "text/plain"},
		Readings: []Reading{{testTime, []byte("99.9")}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func goodGrant() Grant {
	return Grant{Stream: testStream, Grantee: testOrg, Rights: RightReadDerive, First: 1, Last: 1000, From: 1, Until: testTime,
		Purpose: "Abrechnung 2026", Terms: [32]byte{1}}
}

// goodOwnership has a body of every kind of body_ownership.go, body_grant.go,
// body_evidence.go and body_manifest.go, each at its limits too.
func goodOwnership(t testing.TB) []namedBody {
	open := Grant{Stream: testStream, Grantee: testDevice, Rights: RightRead, First: MaxNumber, Purpose: strings.Repeat("p", MaxPurpose)}
	return append([]namedBody{
		{"compromise", testOrg, Compromise{testDevice, deviceKey.Public().KeyID(), 7}},
		{"transfer_device", testOrg, TransferDevice{testDevice, crypto.ID{1}, true}},
		{"describe", testOrg, Describe{testDevice, []Attribute{{Name: "firmware", Data: make([]byte, 32)}, {Name: "model", Text: "Fühler 3"}}}},
		{"describe_nothing", testOrg, Describe{testStream, nil}},
		{"describe_empty_values", testOrg, Describe{testStream, []Attribute{{Name: "a", Data: []byte{}}, {Name: "b"}}}},
		{"transfer_stream_from_now", testOrg, TransferStream{testStream, crypto.ID{1}, true}},
		{"transfer_stream_past_too", testOrg, TransferStream{testStream, crypto.ID{1}, false}},
		{"close_stream", testOrg, CloseStream{testStream}},
		{"grant", testOrg, goodGrant()},
		{"grant_without_ends", testOrg, open},
		{"revoke", testOrg, Revoke{crypto.ID{2}}},
		{"deliver", testDevice, Deliver{crypto.ID{2}, 1, 1, DeliveryDigest(goodStatement(t).Digest())}},
		{"deliver_by_organisation", testOrg, Deliver{crypto.ID{2}, 1, MaxNumber, DeliveryDigest()}},
		{"equivocation", testDevice, Equivocation{goodStatement(t), otherStatement(t, 8)}},
		{"enrol_devices", testOrg, EnrolDevices{[]*Possession{goodPossession(t, deviceKey), goodPossession(t, bridgeKey)}}},
	}, goodManifests(t)...)
}

// ownershipFields adds the fields of a body to its vector.
func ownershipFields(v map[string]any, body Body) {
	switch o := body.(type) {
	case Compromise:
		v["principal"], v["kid"], v["from"] = o.Principal.String(), o.Key.String(), u64(o.From)
	case TransferDevice:
		v["device"], v["to"], v["with_streams"] = o.Device.String(), o.To.String(), o.WithStreams
	case Describe:
		list := []map[string]string{}
		for _, a := range o.Attributes {
			if a.Data != nil {
				list = append(list, map[string]string{"name": a.Name, "bytes": hex.EncodeToString(a.Data)})
			} else {
				list = append(list, map[string]string{"name": a.Name, "text": a.Text})
			}
		}
		v["subject"], v["attributes"] = o.Subject.String(), list
	case TransferStream:
		v["stream"], v["to"], v["from_now"] = o.Stream.String(), o.To.String(), o.FromNow
	case CloseStream:
		v["stream"] = o.Stream.String()
	case Grant:
		v["stream"], v["grantee"], v["rights"] = o.Stream.String(), o.Grantee.String(), u64(uint64(o.Rights))
		v["first"], v["last"], v["from"], v["until"] = u64(o.First), u64(o.Last), i64(o.From), i64(o.Until)
		v["purpose"], v["terms"] = o.Purpose, hex.EncodeToString(o.Terms[:])
	case Revoke:
		v["grant"] = o.Grant.String()
	case Deliver:
		v["grant"], v["first"], v["last"] = o.Grant.String(), u64(o.First), u64(o.Last)
		v["delivery_digest"] = hex.EncodeToString(o.Digest[:])
	case Equivocation:
		v["statements"] = []string{hex.EncodeToString(o.A.Bytes()), hex.EncodeToString(o.B.Bytes())}
		v["number"] = u64(o.Overlap())
	case EnrolDevices:
		makes := []string{}
		for _, p := range o.Possessions {
			makes = append(makes, DeviceID(p.Key).String())
		}
		v["makes"] = makes
	case Manifest:
		v["root"], v["count"], v["until"] = hex.EncodeToString(o.Root[:]), u64(o.Count), i64(o.Until)
	case EnrolListed:
		makes, places, path := []string{}, []string{}, []string{}
		for _, d := range o.Devices {
			makes, places = append(makes, DeviceID(d.Possession.Key).String()), append(places, u64(d.Index))
		}
		for _, h := range o.Path {
			path = append(path, hex.EncodeToString(h[:]))
		}
		root, _ := o.Root(5)
		v["manifest"], v["makes"], v["places"], v["path"] = o.Manifest.String(), makes, places, path
		v["root_of_5"] = hex.EncodeToString(root[:]) // that of the manifest above
	case CloseManifest:
		v["manifest"] = o.Manifest.String()
	}
}

func ownershipVectors(t *testing.T) (list []map[string]any) {
	for _, n := range goodOwnership(t) {
		v := operationVector(t, n.name, Operation{Chain: testChain, Actor: n.actor, NotAfter: 1_790_000_600, Body: n.body})
		ownershipFields(v, n.body)
		switch n.body.(type) {
		case Grant, Deliver, Manifest:
			raw, err := hex.DecodeString(v["digest"].(string))
			if err != nil {
				t.Fatal(err)
			}
			v["makes"] = MadeID([32]byte(raw)).String()
		}
		list = append(list, v)
	}
	return list
}

// refusedOwnership lists operations of these kinds that ParseOperation must refuse.
func refusedOwnership() []refusal {
	p := func(parts ...[]byte) []byte {
		return signPayload(adminKey, FormatOperation, operationPayload(map[int][]byte{4: arr(parts...)}))
	}
	id, kid, yes := bstr(testDevice[:]), bstr(make([]byte, 8)), []byte{0xf5}
	attribute := func(name string, value []byte) []byte { return arr(tstr(name), value) }
	describe := func(list ...[]byte) []byte { return p(num(10), id, arr(list...)) }
	grant := func(change map[int][]byte) []byte {
		parts := [][]byte{num(13), id, id, num(3), num(1), num(9), num(1), num(2), tstr("x"), bstr(make([]byte, 32))}
		for i, v := range change {
			parts[i] = v
		}
		return p(parts...)
	}
	deliver := func(first, last []byte, digest int) []byte {
		return p(num(15), id, first, last, bstr(make([]byte, digest)))
	}
	list := []refusal{
		{"compromise_from_zero", "in doubt from height 0", CodeMalformed, p(num(8), id, kid, num(0))},
		{"compromise_from_big", "in doubt from height 2^63", CodeMalformed, p(num(8), id, kid, unum(1<<63))},
		{"compromise_kid", "a key id of 7 bytes", CodeMalformed, p(num(8), id, bstr(make([]byte, 7)), num(1))},
		{"transfer_number", "with_streams is a number", CodeMalformed, p(num(9), id, id, num(1))},
		{"transfer_short", "a transfer to nobody", CodeMalformed, p(num(9), id, yes)},
		{"transfer_stream_null", "from_now is null", CodeMalformed, p(num(11), id, id, []byte{0xf6})},
		{"close_extra", "an additional element", CodeMalformed, p(num(12), id, num(0))},
		{"describe_unsorted", "attributes out of order", CodeMalformed, describe(attribute("b", tstr("1")), attribute("a", tstr("1")))},
		{"describe_twice", "an attribute twice", CodeMalformed, describe(attribute("a", tstr("1")), attribute("a", tstr("2")))},
		{"describe_number", "an attribute that is a number", CodeMalformed, describe(attribute("a", num(1)))},
		{"describe_control", "an attribute with a line end", CodeMalformed, describe(attribute("a", tstr("1\n")))},
		{"describe_name", "an attribute without a name", CodeMalformed, describe(attribute("", tstr("1")))},
		{"describe_name_long", "an attribute's name of 65 bytes", CodeTooLarge, describe(attribute(strings.Repeat("n", 65), tstr("1")))},
		{"describe_many", "33 attributes", CodeTooLarge, describe(attributes(MaxAttributes + 1)...)},
		{"describe_large", "attributes of 4,097 bytes", CodeTooLarge, describe(sizedAttribute(MaxDescription + 1))},
		{"grant_rights_none", "no rights", CodeMalformed, grant(map[int][]byte{3: num(0)})},
		{"grant_rights_unknown", "rights that do not exist", CodeMalformed, grant(map[int][]byte{3: num(4)})},
		{"grant_first_zero", "a grant from number 0", CodeMalformed, grant(map[int][]byte{4: num(0)})},
		{"grant_range", "a grant that ends before its first number", CodeMalformed, grant(map[int][]byte{4: num(10)})},
		{"grant_span", "a grant that ends when it begins", CodeMalformed, grant(map[int][]byte{6: num(2)})},
		{"grant_until_negative", "a grant that ends before 1970", CodeMalformed, grant(map[int][]byte{7: num(-1)})},
		{"grant_purpose_long", "a purpose of 257 bytes", CodeTooLarge, grant(map[int][]byte{8: tstr(strings.Repeat("p", MaxPurpose+1))})},
		{"grant_purpose_bidi", "a purpose with a right-to-left override", CodeMalformed, grant(map[int][]byte{8: tstr("a\u202e")})},
		{"grant_terms", "terms of 31 bytes", CodeMalformed, grant(map[int][]byte{9: bstr(make([]byte, 31))})},
		{"revoke_short", "a grant of 15 bytes", CodeMalformed, p(num(14), bstr(testDevice[:15]))},
		{"deliver_zero", "a delivery from number 0", CodeMalformed, deliver(num(0), num(1), 32)},
		{"deliver_range", "a delivery that ends before it begins", CodeMalformed, deliver(num(2), num(1), 32)},
		{"deliver_digest", "a digest of 31 bytes", CodeMalformed, deliver(num(1), num(1), 31)},
	}
	return append(append(list, refusedEvidence(p)...), refusedManifests(p)...)
}

func attributes(n int) (list [][]byte) {
	for i := range n {
		list = append(list, arr(tstr(fmt.Sprintf("a%02d", i)), tstr("")))
	}
	return list
}

// sizedAttribute is one attribute whose list has exactly size bytes.
func sizedAttribute(size int) []byte {
	return arr(tstr("a"), bstr(make([]byte, size-1-1-2-3)))
}

func refusedEvidence(p func(...[]byte) []byte) []refusal {
	sign := func(k crypto.PrivateKey, change map[int][]byte) []byte {
		return signPayload(k, FormatStatement, statementPayload(change))
	}
	a, b := sign(deviceKey, nil), sign(deviceKey, map[int][]byte{3: num(testTime + 1)})
	show := func(a, b []byte) []byte { return p(num(16), bstr(a), bstr(b)) }
	possession := func(change map[int][]byte) []byte {
		return bstr(signPayload(deviceKey, FormatPossession, possessionPayload(change)))
	}
	many := enc(dcbor.AppendArray(nil, MaxEnrolled+1), bytes.Repeat(possession(nil), MaxEnrolled+1))
	claims := pairs(num(1), tstr(testDevice.String()), num(2), tstr(testDevice.String()))
	return []refusal{
		{"equivocation_same", "one statement twice", CodeNotEquivocation, show(a, a)},
		{"equivocation_resigned", "one statement with two signatures", CodeNotEquivocation, show(a, enc(a[:len(a)-64], make([]byte, 64)))},
		{"equivocation_apart", "statements without a common number", CodeNotEquivocation, show(a, sign(deviceKey, map[int][]byte{1: num(9)}))},
		{"equivocation_keys", "statements by two keys", CodeNotEquivocation, show(a, sign(adminKey, map[int][]byte{3: num(testTime + 1)}))},
		{"equivocation_streams", "statements of two streams", CodeNotEquivocation, show(withClaims(claims), b)},
		{"equivocation_garbage", "a statement that is none", CodeMalformed, show(a, []byte("garbage"))},
		{"equivocation_large", "a statement of 60,001 bytes", CodeTooLarge, show(a, sizedStatement(MaxStatement+1))},
		{"equivocation_one", "one statement alone", CodeMalformed, p(num(16), bstr(a))},
		{"enrol_devices_none", "no devices", CodeMalformed, p(num(24), arr())},
		{"enrol_devices_many", "257 devices", CodeTooLarge, p(num(24), many)},
		{"enrol_devices_twice", "a device twice", CodeExists, p(num(24), arr(possession(nil), possession(nil)))},
		{"enrol_devices_chain", "a proof for another chain", CodeBadPossession, p(num(24), arr(possession(map[int][]byte{1: tstr("another")})))},
	}
}

// TestOwnershipBodies: what is signed is what is parsed.
func TestOwnershipBodies(t *testing.T) {
	for _, n := range goodOwnership(t) {
		o := goodOperation(t, n.body)
		if o.Body.Kind() != n.body.Kind() || !bytes.Equal(o.Body.append(nil), n.body.append(nil)) {
			t.Errorf("%s: %+v, want %+v", n.name, o.Body, n.body)
		}
	}
	for _, body := range []Body{Equivocation{}, EnrolDevices{}, EnrolDevices{[]*Possession{nil}}, Manifest{}, EnrolListed{}, Compromise{}, Grant{}, Deliver{}} {
		if _, err := SignOperation(adminKey, Operation{Chain: testChain, Actor: testOrg, Body: body}); CodeOf(err) != CodeMalformed {
			t.Errorf("%v: %v", body.Kind(), err)
		}
	}
}

// TestOwnershipSizes has the limits at their values; refusedOwnership one above.
func TestOwnershipSizes(t *testing.T) {
	parse := func(parts ...[]byte) error {
		_, err := ParseOperation(signPayload(adminKey, FormatOperation, operationPayload(map[int][]byte{4: arr(parts...)})))
		return err
	}
	if err := parse(num(10), bstr(testDevice[:]), arr(attributes(MaxAttributes)...)); err != nil {
		t.Error(err)
	}
	if err := parse(num(10), bstr(testDevice[:]), arr(sizedAttribute(MaxDescription))); err != nil {
		t.Error(err)
	}
	chain := strings.Repeat("c", MaxChain)
	var list []*Possession
	for i := range MaxEnrolled {
		p, err := SignPossession(crypto.KeyFromSeed([32]byte{1, byte(i)}), chain, testOrg)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	o, err := SignOperation(adminKey, Operation{Chain: chain, Actor: testOrg, NotAfter: MaxNumber, Body: EnrolDevices{list}})
	if err != nil || len(o.Body.(EnrolDevices).Possessions) != MaxEnrolled {
		t.Error(err)
	}
	e := goodOperation(t, Equivocation{longStatement(t, MaxStatement, 0), longStatement(t, MaxStatement, 1)})
	if n := len(e.Bytes()); n <= 2*MaxStatement || n > MaxEvidence {
		t.Errorf("the greatest evidence has %d bytes", n)
	}
	if _, err := ParseTransaction(e.Bytes()); err != nil {
		t.Error(err)
	}
	for _, parser := range []string{"operation", "transaction"} {
		large := signPayload(adminKey, FormatOperation, make([]byte, MaxEvidence))
		if _, err := parsers[parser](large); CodeOf(err) != CodeTooLarge {
			t.Errorf("%s: %v", parser, err)
		}
	}
}
