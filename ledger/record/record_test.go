package record

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

func id(n byte) (v crypto.ID) {
	for i := range v {
		v[i] = n
	}
	return v
}

// TestFamilies: no two families share a byte or a name.
func TestFamilies(t *testing.T) {
	seen := map[Family]bool{}
	names := map[string]bool{}
	for _, f := range families {
		if seen[f.family] || names[f.name] || f.family == 0 || f.family.String() != f.name {
			t.Errorf("family %#x %q is used twice", f.family, f.name)
		}
		seen[f.family], names[f.name] = true, true
	}
	if Family(0x7f).String() != "family_7f" {
		t.Error("unknown family")
	}
}

// TestKeys has the layout of docs/spec/records.md in hexadecimal.
func TestKeys(t *testing.T) {
	a, b := strings.Repeat("aa", 16), strings.Repeat("bb", 16)
	zero, n, nzero := strings.Repeat("00", 16), "0102030405060708", strings.Repeat("00", 8)
	const h = 0x0102030405060708
	var digest [32]byte
	for i := range digest {
		digest[i] = byte(i)
	}
	tests := []struct {
		family Family
		got    merkle.Key
		want   string
	}{
		{FamilyParameters, ParametersRow(h), "01" + zero + n + nzero},
		{FamilyBlock, BlockRow(h), "02" + zero + n + nzero},
		{FamilyOperation, OperationRow(digest), "03000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
		{FamilyOrganisation, OrganisationRow(id(0xaa), h), "10" + a + n + nzero},
		{FamilyKey, KeyRow(id(0xaa), crypto.KeyID{1, 2, 3, 4, 5, 6, 7, 8}), "11" + a + n + nzero},
		{FamilyBridge, BridgeRow(id(0xaa), h), "12" + a + n + nzero},
		{FamilyOrganisationBridge, OrganisationBridgeRow(id(0xaa), id(0xbb)), "13" + a + b},
		{FamilyDevice, DeviceRow(id(0xaa), h), "20" + a + n + nzero},
		{FamilyOrganisationDevice, OrganisationDeviceRow(id(0xaa), id(0xbb)), "21" + a + b},
		{FamilyManifest, ManifestRow(id(0xaa)), "23" + a + zero},
		{FamilyOrganisationManifest, OrganisationManifestRow(id(0xaa), id(0xbb)), "24" + a + b},
		{FamilyListed, ListedRow(id(0xaa), h), "25" + a + n + nzero},
		{FamilyStream, StreamRow(id(0xaa)), "30" + a + zero},
		{FamilyOwner, OwnerRow(id(0xaa), h), "31" + a + n + nzero},
		{FamilyOrganisationStream, OrganisationStreamRow(id(0xaa), id(0xbb)), "32" + a + b},
		{FamilyDeviceStream, DeviceStreamRow(id(0xaa), id(0xbb)), "33" + a + b},
		{FamilyGap, GapRow(id(0xaa), h), "34" + a + n + nzero},
		{FamilyParts, PartsRow(id(0xaa), h), "35" + a + n + nzero},
		{FamilyKeyless, KeylessRow(id(0xaa)), "22" + a + zero},
		{FamilyDescription, DescriptionRow(id(0xaa), h), "36" + a + n + nzero},
		{FamilyClosed, ClosedRow(id(0xaa)), "37" + a + zero},
		{FamilyGrant, GrantRow(id(0xaa)), "40" + a + zero},
		{FamilyStreamGrant, StreamGrantRow(id(0xaa), id(0xbb)), "41" + a + b},
		{FamilyGranteeGrant, GranteeGrantRow(id(0xaa), id(0xbb)), "42" + a + b},
		{FamilyDelivery, DeliveryRow(id(0xaa)), "43" + a + zero},
		{FamilyStreamDelivery, StreamDeliveryRow(id(0xaa), id(0xbb)), "44" + a + b},
		{FamilyConsumerDelivery, ConsumerDeliveryRow(id(0xaa), id(0xbb)), "45" + a + b},
		{FamilyDerived, DerivedRow(id(0xaa), h), "46" + a + n + nzero},
		{FamilyUse, UseRow(id(0xaa), 5, 9, 2, 3), "47" + a + "2000000000000001" + "0000000000000083"},
		{FamilyUseLengths, UseLengthsRow(id(0xaa)), "4e" + a + zero},
		{FamilyEvidence, EvidenceRow(id(0xaa), crypto.KeyID{1, 2, 3, 4, 5, 6, 7, 8}), "48" + a + n + nzero},
		{FamilyAccess, AccessRow(id(0xaa), id(0xbb)), "4b" + a + b},
		{FamilyMembers, MembersRow(h), "14" + zero + n + nzero},
		{FamilyAdmins, AdminsRow(id(0xaa), h), "15" + a + n + nzero},
		{FamilyValidator, ValidatorRow(id(0xaa), h), "49" + a + n + nzero},
		{FamilyOrganisationValidator, OrganisationValidatorRow(id(0xaa), id(0xbb)), "4a" + a + b},
		{FamilyMisbehaviour, MisbehaviourRow(id(0xaa), h), "4c" + a + n + nzero},
		{FamilyValidatorSet, ValidatorSetRow(h), "4d" + zero + n + nzero},
		{FamilyUntried, UntriedRow(id(0xaa)), "4f" + a + zero},
		{FamilyProposal, ProposalRow(id(0xaa)), "50" + a + zero},
		{FamilyApproval, ApprovalRow(id(0xaa), id(0xbb)), "51" + a + b},
	}
	if len(tests) != len(families) {
		t.Errorf("%d families, %d are tested", len(families), len(tests))
	}
	for _, tt := range tests {
		if fmt.Sprintf("%x", tt.got[:]) != tt.want || FamilyOf(tt.got) != tt.family {
			t.Errorf("%v: %x, want %s", tt.family, tt.got[:], tt.want)
		}
	}
	k := GapRow(id(0xaa), h)
	if IDOf(k) != id(0xaa) || NumberOf(k) != h {
		t.Error("parts of a gap's key")
	}
	if k := DeviceStreamRow(id(0xaa), id(0xbb)); ChildOf(k) != id(0xbb) {
		t.Error("child")
	}
	if kid := (crypto.KeyID{9, 8, 7}); KeyIDOf(KeyRow(id(1), kid)) != kid {
		t.Error("key id")
	}
}

func TestRanges(t *testing.T) {
	lo, hi := Range(FamilyGap, id(0xaa))
	for _, in := range []merkle.Key{GapRow(id(0xaa), 0), GapRow(id(0xaa), math.MaxUint64)} {
		if bytes.Compare(lo[:], in[:]) > 0 || bytes.Compare(in[:], hi[:]) > 0 {
			t.Errorf("%x is outside", in[:])
		}
	}
	for _, out := range []merkle.Key{GapRow(id(0xa9), math.MaxUint64), GapRow(id(0xab), 0), OwnerRow(id(0xaa), 1)} {
		if bytes.Compare(lo[:], out[:]) <= 0 && bytes.Compare(out[:], hi[:]) <= 0 {
			t.Errorf("%x is inside", out[:])
		}
	}
	lo, hi = FamilyRange(FamilyBlock)
	if k := BlockRow(7); bytes.Compare(lo[:], k[:]) > 0 || bytes.Compare(k[:], hi[:]) > 0 || lo[0] != hi[0] {
		t.Error("family range")
	}
}

// codec decodes a value and encodes it again.
type codec func([]byte) ([]byte, error)

func again[T interface{ Encode() []byte }](parse func([]byte) (T, error)) codec {
	return func(b []byte) ([]byte, error) {
		v, err := parse(b)
		return v.Encode(), err
	}
}

var codecs = map[string]codec{
	"parameters": again(ParseParameters), "block": again(ParseBlock), "operation": again(ParseOperation),
	"organisation": again(ParseOrganisation), "key": again(ParseKey), "bridge": again(ParseBridge),
	"device": again(ParseDevice), "since": again(ParseSince), "spans": again(ParseSpans), "stream": again(ParseStreamHead),
	"keyless": again(ParseKeyless), "description": again(ParseDescription), "closed": again(ParseClosed), "grant": again(ParseGrant),
	"access": again(ParseAccess), "delivery": again(ParseDelivery), "derived_from": again(ParseDerived), "used_by": again(ParseUse), "use_lengths": again(ParseUseLengths),
	"evidence": again(ParseEvidence), "members": again(ParseMembers), "admins": again(ParseAdmins), "validator": again(ParseValidator),
	"misbehaviour": again(ParseMisbehaviour), "validator_set": again(ParseValidatorSet),
	"proposal": again(ParseProposal), "approval": again(ParseApprovals),
	"manifest": again(ParseManifest), "listed": again(ParseListed), "untried": again(ParseUntried),
	"owner": again(ParseOwner), "device_stream": again(ParseDeviceStream), "gap": again(ParseGap), "parts": again(ParseParts),
}

var values = map[string][]byte{
	"parameters": (Parameters{86400, 2592000, 1024, 2, 3, 4, 60_000, 6, 70_000, 8}).Encode(), "block": Block{1, 2, -3}.Encode(),
	"operation": Operation{math.MaxInt64, 2}.Encode(), "organisation": Organisation{"Works", 1, StatusActive}.Encode(),
	"key": Key{crypto.PublicKey{1}, 2, 3, 4}.Encode(), "bridge": Bridge{id(1), StatusSuspended}.Encode(),
	"device": Device{id(1), StatusRetired}.Encode(), "since": Since{9}.Encode(), "spans": Spans{{2, 5}, {7, 0}}.Encode(), "stream": StreamHead{id(1), 2, 3, StatusRetired}.Encode(),
	"keyless": Keyless{crypto.KeyID{1}, 7}.Encode(), "closed": Closed{id(1), 7}.Encode(),
	"description": Description{[]ledger.Attribute{{Name: "model", Text: "M1"}, {Name: "schema", Data: []byte{1, 2}}}}.Encode(),
	"grant":       Grant{id(1), id(2), id(3), 3, 4, 5, 6, 7, "billing", [32]byte{8}, 9, 10}.Encode(),
	"access":      Access{[]crypto.ID{id(1), id(2)}}.Encode(), "delivery": Delivery{id(1), id(2), id(3), 4, 5, [32]byte{6}, 7}.Encode(),
	"derived_from": Derived{7, []ledger.Input{{Stream: id(1), First: 2, Last: 3, Digest: [32]byte{4}}}}.Encode(),
	"used_by":      Use{1, 2, id(3), 4, 5}.Encode(), "use_lengths": UseLengths{5}.Encode(), "evidence": Evidence{id(1), 2, [32]byte{3}, [32]byte{4}, 5}.Encode(),
	"parts": Parts{{1, id(1)}, {7, id(2)}}.Encode(), "members": Members{[]crypto.ID{id(1), id(2)}}.Encode(), "admins": Admins{[]crypto.KeyID{{1}, {2}}}.Encode(),
	"validator":     Validator{id(1), crypto.PublicKey{2}, 0}.Encode(),
	"misbehaviour":  Misbehaviour{id(1), OffenceLightAttack, 3}.Encode(),
	"validator_set": ValidatorSet{[]Validator{{id(1), crypto.PublicKey{2}, 3}, {id(1), crypto.PublicKey{3}, 1}}}.Encode(),
	"proposal":      Proposal{id(1), 2, ProposalApplied, 3, []byte{4}}.Encode(), "approval": Approvals{[]Approval{{crypto.KeyID{1}, 2}}}.Encode(),
	"manifest": Manifest{id(1), [32]byte{2}, 3, 4, 5, 6}.Encode(), "listed": Listed{id(1), 2}.Encode(), "untried": Untried{1, 2}.Encode(),
	"owner": Owner{id(1), 5}.Encode(), "device_stream": DeviceStream{"temperature"}.Encode(), "gap": Gap{7}.Encode(),
}

func TestValues(t *testing.T) {
	for name, b := range values {
		got, err := codecs[name](b)
		if err != nil || !bytes.Equal(got, b) || dcbor.Check(b) != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		bad := map[string][]byte{
			"empty": nil, "truncated": b[:len(b)-1], "trailing": append(bytes.Clone(b), 0),
			"version 2": append([]byte{b[0], 2}, b[2:]...), "one more": append([]byte{b[0] + 1}, append(bytes.Clone(b[1:]), 0)...),
		}
		for why, in := range bad {
			if _, err := codecs[name](in); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: %v", name, why, err)
			}
		}
	}
	if len(values) != len(codecs) {
		t.Error("a codec without a test")
	}
}

func TestValueRanges(t *testing.T) {
	most := uint64(math.MaxInt64)
	parts := func(p Parts) func() error {
		return func() error { _, err := ParseParts(p.Encode()); return err }
	}
	bad := map[string]func() error{
		"no parts":         parts(nil),
		"parts from 2":     parts(Parts{{2, id(1)}}),
		"parts fall":       parts(Parts{{1, id(1)}, {5, id(2)}, {5, id(1)}}),
		"parts of one":     parts(Parts{{1, id(1)}, {5, id(1)}}),
		"parts above 2^63": parts(Parts{{1, id(1)}, {most + 1, id(2)}}),
		"parts too many":   parts(manyParts(ledger.MaxParts + 1)),
		"untried power":    func() error { _, err := ParseUntried(Untried{1, ledger.MaxPower + 1}.Encode()); return err },
		"manifest of none": func() error { _, err := ParseManifest(Manifest{}.Encode()); return err },
		"gap 2^63":         func() error { _, err := ParseGap(Gap{most + 1}.Encode()); return err },
		"block of none":    func() error { _, err := ParseBlock(Block{1, 0, 3}.Encode()); return err },
		"block too far":    func() error { _, err := ParseBlock(Block{most, 1, 3}.Encode()); return err },
		"name of 65":       func() error { _, err := ParseDeviceStream(DeviceStream{strings.Repeat("n", 65)}.Encode()); return err },
		"status 2^63":      func() error { _, err := ParseDevice(Device{Status: Status(most + 1)}.Encode()); return err },
		"clock below 0":    func() error { _, err := ParseParameters(Parameters{ClockAhead: -1}.Encode()); return err },
		"organisation 65": func() error {
			_, err := ParseOrganisation(Organisation{Name: strings.Repeat("n", 65)}.Encode())
			return err
		},
	}
	for name, f := range bad {
		if err := f(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v, err := ParseGap(Gap{most}.Encode()); v.Last != most || err != nil {
		t.Error(err)
	}
	if _, err := ParseDeviceStream(DeviceStream{strings.Repeat("n", 64)}.Encode()); err != nil {
		t.Error(err)
	}
	if _, err := ParseBlock(Block{most - 1, 1, 3}.Encode()); err != nil {
		t.Error(err)
	}
}

func TestMeaning(t *testing.T) {
	k := Key{Opens: 5, Closes: 8}
	for h, want := range map[uint64]bool{4: false, 5: true, 7: true, 8: false} {
		if k.ValidAt(h) != want {
			t.Errorf("key at %d", h)
		}
	}
	if (Key{}).DoubtfulAt(math.MaxInt64) || (Key{Doubtful: 5}).DoubtfulAt(4) || !(Key{Doubtful: 5}).DoubtfulAt(5) {
		t.Error("doubt")
	}
	if k.Closes = 0; !k.ValidAt(math.MaxInt64) {
		t.Error("open key")
	}
	b := Block{First: 10, Count: 2}
	for i, want := range map[uint64]bool{9: false, 10: true, 11: true, 12: false} {
		if b.Contains(i) != want {
			t.Errorf("entry %d", i)
		}
	}
	if StatusActive.String() != "active" || StatusSuspended.String() != "suspended" || StatusRetired.String() != "retired" || Status(9).String() != "status_9" {
		t.Error("names of statuses")
	}
}

// FuzzValues: what parses re-encodes identically.
func FuzzValues(f *testing.F) {
	for _, b := range values {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, c := range codecs {
			if got, err := c(b); err == nil && !bytes.Equal(got, b) {
				t.Fatalf("%s %x re-encodes as %x", name, b, got)
			}
		}
	})
}
