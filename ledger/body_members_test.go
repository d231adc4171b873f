package ledger

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"mtmledger/crypto"
)

func numberedKeys(n int) (keys []crypto.PublicKey) {
	for i := range n {
		keys = append(keys, crypto.KeyFromSeed([32]byte{2, byte(i)}).Public())
	}
	return keys
}

// goodMembers has a body of every kind of body_proposal.go, body_member.go,
// body_validator.go and body_parameters.go, each at its limits too.
func goodMembers(t testing.TB) []namedBody {
	first := crypto.KeyFromSeed([32]byte{2, 0})
	id := OrganisationID(first.Public())
	possession, err := SignPossession(first, testChain, id)
	if err != nil {
		t.Fatal(err)
	}
	admit := Admit{Name: "Netz Süd", Keys: numberedKeys(MaxAdminKeys), Threshold: MaxAdminKeys, Possession: possession}
	key := deviceKey.Public()
	var all []Parameter
	for _, p := range ParameterInfos() {
		all = append(all, Parameter{p.ID, p.Greatest})
	}
	return []namedBody{
		{"propose_admit", testOrg, Propose{1_790_001_000, admit}},
		{"propose_suspend", testOrg, Propose{MaxNumber, Suspend{testDevice}}},
		{"propose_enrol", testOrg, Propose{1, EnrolDevice{goodPossession(t, deviceKey)}}},
		{"approve", testOrg, Approve{crypto.ID{3}}},
		{"admit", testOrg, admit},
		{"remove", testOrg, Remove{testOrg}},
		{"validator", testOrg, SetValidator{testOrg, key, MaxPower}},
		{"validator_away", testOrg, SetValidator{testOrg, key, 0}},
		{"set_parameters", testOrg, SetParameters{all, MaxNumber}},
		{"set_parameters_now", testOrg, SetParameters{[]Parameter{{ParameterBytesPerBridge, MaxStatement}}, 0}},
		{"set_admins", testOrg, SetAdmins{numberedKeys(2), 1}},
		{"rotate_validator", testOrg, RotateValidator{numberedKeys(1)[0], key, goodPossession(t, deviceKey)}},
	}
}

// memberFields adds the fields of a body to its vector.
func memberFields(v map[string]any, body Body) {
	keys := func(list []crypto.PublicKey) (out []string) {
		for _, k := range list {
			out = append(out, hex.EncodeToString(k[:]))
		}
		return out
	}
	switch o := body.(type) {
	case Propose:
		v["expires"], v["body"] = i64(o.Expires), hex.EncodeToString(EncodeBody(o.Body))
	case Approve:
		v["proposal"] = o.Proposal.String()
	case Admit:
		v["organisation_name"], v["keys"], v["threshold"], v["makes"] = o.Name, keys(o.Keys), u64(o.Threshold), o.OrganisationID().String()
	case Remove:
		v["organisation"] = o.Organisation.String()
	case SetValidator:
		v["organisation"], v["public"], v["power"], v["makes"] = o.Organisation.String(), keys([]crypto.PublicKey{o.Key})[0], u64(o.Power), ValidatorID(o.Key).String()
	case SetParameters:
		list := [][2]string{}
		for _, p := range o.Values {
			list = append(list, [2]string{fmt.Sprint(uint64(p.ID)), fmt.Sprint(p.Value)})
		}
		v["parameters"], v["active"] = list, u64(o.Active)
	case SetAdmins:
		v["keys"], v["threshold"] = keys(o.Keys), u64(o.Threshold)
	case RotateValidator:
		v["old"], v["new"] = keys([]crypto.PublicKey{o.Old})[0], keys([]crypto.PublicKey{o.New})[0]
	}
}

func memberVectors(t *testing.T) (list []map[string]any) {
	for _, n := range goodMembers(t) {
		v := operationVector(t, n.name, Operation{Chain: testChain, Actor: n.actor, NotAfter: 1_790_000_600, Body: n.body})
		memberFields(v, n.body)
		list = append(list, v)
	}
	return list
}

// refusedMembers lists operations of these kinds that ParseOperation must refuse.
func refusedMembers() []refusal {
	p := func(parts ...[]byte) []byte {
		return signPayload(adminKey, FormatOperation, operationPayload(map[int][]byte{4: arr(parts...)}))
	}
	id := bstr(testOrg[:])
	raw := func(k crypto.PublicKey) []byte { return bstr(k[:]) }
	list := numberedKeys(MaxAdminKeys + 1)
	admins := func(keys []crypto.PublicKey, threshold uint64) (parts [][]byte) {
		var all [][]byte
		for _, k := range keys {
			all = append(all, raw(k))
		}
		return [][]byte{arr(all...), unum(threshold)}
	}
	set := func(keys []crypto.PublicKey, threshold uint64) []byte {
		return p(append([][]byte{num(23)}, admins(keys, threshold)...)...)
	}
	bad := crypto.PublicKey{1}
	admit := func(name string, by crypto.PrivateKey, organisation crypto.ID) []byte {
		key := by.Public()
		poss := signPayload(by, FormatPossession, possessionPayload(map[int][]byte{2: bstr(organisation[:]), 3: bstr(key[:])}))
		return p(append(append([][]byte{num(19), tstr(name)}, admins(list[:2], 1)...), bstr(poss))...)
	}
	first, second := crypto.KeyFromSeed([32]byte{2, 0}), crypto.KeyFromSeed([32]byte{2, 1})
	newID := OrganisationID(first.Public())
	propose := func(body []byte) []byte { return p(num(17), num(1), bstr(body)) }
	param := func(list ...[]byte) []byte { return p(num(22), arr(list...), num(0)) }
	pair := func(a, b uint64) []byte { return arr(unum(a), unum(b)) }
	return []refusal{
		{"propose_propose", "a proposal of a proposal", CodeMalformed, propose(arr(num(17), num(1), bstr(arr(num(5), bstr(testDevice[:])))))},
		{"propose_approve", "a proposal of an approval", CodeMalformed, propose(arr(num(18), id))},
		{"propose_evidence", "a proposal of evidence", CodeMalformed, propose(arr(num(16), bstr(nil), bstr(nil)))},
		{"propose_nothing", "a proposal of nothing", CodeMalformed, propose(nil)},
		{"propose_many", "a proposal of a body of 17 elements", CodeMalformed, propose(arr(num(5), num(0), num(0), num(0), num(0), num(0), num(0), num(0),
			num(0), num(0), num(0), num(0), num(0), num(0), num(0), num(0), num(0)))},
		{"propose_trailing", "a byte follows the body", CodeMalformed, propose(enc(arr(num(5), bstr(testDevice[:])), []byte{0}))},
		{"propose_expires", "an end before 1970", CodeMalformed, p(num(17), num(-1), bstr(arr(num(5), bstr(testDevice[:]))))},
		{"propose_possession", "a proposal with a proof for another organisation", CodeBadPossession, propose(arr(num(1),
			bstr(signPayload(deviceKey, FormatPossession, possessionPayload(map[int][]byte{2: bstr(testDevice[:])})))))},
		{"approve_short", "a proposal of 15 bytes", CodeMalformed, p(num(18), bstr(testOrg[:15]))},
		{"admit_name_long", "a name of 65 bytes", CodeTooLarge, admit(strings.Repeat("n", MaxName+1), first, newID)},
		{"admit_name_empty", "no name", CodeMalformed, admit("", first, newID)},
		{"admit_second_key", "the proof is by the second key", CodeBadPossession, admit("n", second, newID)},
		{"admit_other", "the proof is for another organisation", CodeBadPossession, admit("n", first, testOrg)},
		{"set_admins_none", "no admin key", CodeMalformed, set(nil, 1)},
		{"set_admins_many", "17 admin keys", CodeTooLarge, set(list, 1)},
		{"set_admins_twice", "an admin key twice", CodeExists, set([]crypto.PublicKey{list[0], list[0]}, 1)},
		{"set_admins_bad", "a key of small order", CodeBadKey, set([]crypto.PublicKey{bad}, 1)},
		{"set_admins_threshold_0", "no signature is enough", CodeMalformed, set(list[:2], 0)},
		{"set_admins_threshold", "3 of 2 keys", CodeMalformed, set(list[:2], 3)},
		{"remove_extra", "an additional element", CodeMalformed, p(num(20), id, num(0))},
		{"validator_power", "a power of 1,000,000,001", CodeMalformed, p(num(21), id, raw(list[0]), unum(MaxPower+1))},
		{"validator_key", "a key of small order", CodeBadKey, p(num(21), id, raw(bad), num(1))},
		{"rotate_validator_proof", "the proof is of another key", CodeBadPossession, p(num(25), raw(list[0]), raw(list[1]),
			bstr(signPayload(deviceKey, FormatPossession, possessionPayload(nil))))},
		{"parameters_none", "no parameter", CodeMalformed, param()},
		{"parameters_unknown", "a parameter that does not exist", CodeBadParameter, param(pair(11, 1))},
		{"parameters_zero", "parameter 0", CodeMalformed, param(pair(0, 1))},
		{"parameters_order", "parameters out of order", CodeMalformed, param(pair(3, 1), pair(2, 1))},
		{"parameters_twice", "a parameter twice", CodeMalformed, param(pair(3, 1), pair(3, 2))},
		{"parameters_low", "0 open gaps", CodeBadParameter, param(pair(3, 0))},
		{"parameters_high", "1,025 open gaps", CodeBadParameter, param(pair(3, MaxOpenGaps+1))},
		{"parameters_quota", "a quota below one statement", CodeBadParameter, param(pair(7, MaxStatement-1))},
	}
}

// TestMemberBodies: what is signed is what is parsed.
func TestMemberBodies(t *testing.T) {
	for _, n := range goodMembers(t) {
		o := goodOperation(t, n.body)
		if o.Body.Kind() != n.body.Kind() || !bytes.Equal(o.Body.append(nil), n.body.append(nil)) {
			t.Errorf("%s: %+v, want %+v", n.name, o.Body, n.body)
		}
	}
	for _, body := range []Body{Propose{}, Propose{Body: Propose{}}, Admit{}, SetAdmins{}, SetParameters{}} {
		if _, err := SignOperation(adminKey, Operation{Chain: testChain, Actor: testOrg, Body: body}); CodeOf(err) != CodeMalformed {
			t.Errorf("%v: %v", body.Kind(), err)
		}
	}
	if got := Proposed(Propose{Body: Remove{testOrg}}); got != (Remove{testOrg}) || Proposed(Approve{}) != (Approve{}) {
		t.Errorf("proposed %v", got)
	}
}

func TestVoteShare(t *testing.T) {
	for _, tt := range []struct {
		num, den uint64
		want     bool
	}{{1, 1, true}, {2, 3, true}, {1, 2, false}, {501, 1000, true}, {4, 3, false}, {0, 1, false}} {
		if VoteShare(tt.num, tt.den) != tt.want {
			t.Errorf("%d/%d", tt.num, tt.den)
		}
	}
}
