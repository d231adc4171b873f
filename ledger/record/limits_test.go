package record

import (
	"encoding/binary"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// TestListLimits: every list in a value at its limit and with one more.
func TestListLimits(t *testing.T) {
	number := func(i int) (b [16]byte) {
		binary.BigEndian.PutUint64(b[:], uint64(i+1))
		return b
	}
	for _, tt := range []struct {
		name  string
		most  int
		parse codec
		value func(n int) []byte
	}{
		{"members", ledger.MaxMembers, again(ParseMembers), func(n int) []byte {
			return Members{listOf(n, func(i int) crypto.ID { return number(i) })}.Encode()
		}},
		{"admins", ledger.MaxAdminKeys, again(ParseAdmins), func(n int) []byte {
			return Admins{listOf(n, func(i int) crypto.KeyID { return crypto.KeyID{byte(i)} })}.Encode()
		}},
		{"validators", ledger.MaxValidators, again(ParseValidatorSet), func(n int) []byte {
			return ValidatorSet{listOf(n, func(i int) Validator {
				v := Validator{Power: ledger.MaxPower}
				id := number(i)
				copy(v.Key[:], id[:])
				return v
			})}.Encode()
		}},
		{"approvals", ledger.MaxApprovals, again(ParseApprovals), func(n int) []byte {
			return Approvals{make([]Approval, n)}.Encode()
		}},
		{"access", ledger.MaxAccess, again(ParseAccess), func(n int) []byte { return Access{make([]crypto.ID, n)}.Encode() }},
		{"inputs", ledger.MaxInputs, again(ParseDerived), func(n int) []byte {
			return Derived{Last: 1, Inputs: make([]ledger.Input, n)}.Encode()
		}},
		{"spans", MaxSpans, again(ParseSpans), func(n int) []byte {
			return Spans(listOf(n, func(i int) Span { return Span{uint64(2*i + 1), uint64(2*i + 2)} })).Encode()
		}},
		{"parts", ledger.MaxParts, again(ParseParts), func(n int) []byte { return manyParts(n).Encode() }},
		{"power", ledger.MaxPower, again(ParseValidator), func(n int) []byte { return Validator{Power: uint64(n)}.Encode() }},
		{"fleet", ledger.MaxFleet, again(ParseManifest), func(n int) []byte { return Manifest{Count: uint64(n)}.Encode() }},
		{"body", ledger.MaxOperation, again(ParseProposal), func(n int) []byte { return Proposal{Body: make([]byte, n)}.Encode() }},
		{"purpose", ledger.MaxPurpose, again(ParseGrant), func(n int) []byte { return Grant{Purpose: string(make([]byte, n))}.Encode() }},
		{"name", MaxText, again(ParseDeviceStream), func(n int) []byte { return DeviceStream{string(make([]byte, n))}.Encode() }},
	} {
		if _, err := tt.parse(tt.value(tt.most)); err != nil {
			t.Errorf("%s of %d: %v", tt.name, tt.most, err)
		}
		if _, err := tt.parse(tt.value(tt.most + 1)); err == nil {
			t.Errorf("%s of %d is accepted", tt.name, tt.most+1)
		}
	}
}

func listOf[T any](n int, of func(int) T) (list []T) {
	for i := range n {
		list = append(list, of(i))
	}
	return list
}
