package state_test

import (
	"encoding/binary"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// aloneDecides is a consortium whose first organisation decides alone: one in a thousand members is
// enough for a vote.
func aloneDecides(t *testing.T) *simtest.Chain {
	t.Helper()
	c := simtest.New(t, simtest.Config{Organisations: 1, Validators: 1})
	p := row(t, c, record.ParametersRow(0), record.ParametersRow(0), record.ParseParameters)
	p.VoteNum, p.VoteDen = 1, ledger.MaxVoteDen
	set(t, c, record.ParametersRow(0), p.Encode())
	return c
}

// idNumber is the id with a number; ids ascend with it.
func idNumber(i int) (id crypto.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
}

func TestMostMembers(t *testing.T) {
	c := aloneDecides(t)
	all := record.Members{Organisations: []crypto.ID{c.Organisations[0].ID}}
	for i := range ledger.MaxMembers - 2 {
		all = all.With(idNumber(i))
	}
	set(t, c, record.MembersRow(c.Height), all.Encode())
	propose(t, c, ledger.CodeOK, c.Admit(simtest.NewOrganisation("the last")))
	if n := len(row(t, c, record.MembersRow(0), record.MembersRow(c.Height+1), record.ParseMembers).Organisations); n != ledger.MaxMembers {
		t.Errorf("%d members", n)
	}
	propose(t, c, ledger.CodeTooMany, c.Admit(simtest.NewOrganisation("one too many")))
	propose(t, c, ledger.CodeOK, ledger.Remove{Organisation: simtest.NewOrganisation("the last").ID})
	propose(t, c, ledger.CodeOK, c.Admit(simtest.NewOrganisation("one too many")))
}

func TestMostValidators(t *testing.T) {
	c := aloneDecides(t)
	o := c.Organisations[0]
	var all record.ValidatorSet
	for i := range ledger.MaxValidators - 1 {
		var key crypto.PublicKey
		binary.BigEndian.PutUint64(key[:], uint64(i))
		all = all.With(record.Validator{Organisation: o.ID, Key: key, Power: 10})
	}
	set(t, c, record.ValidatorSetRow(0), all.Encode())
	join := func(name string) ledger.SetValidator {
		return ledger.SetValidator{Organisation: o.ID, Key: simtest.Key(name).Public(), Power: 10}
	}
	propose(t, c, ledger.CodeOK, join("the last"))
	if n := len(validators(t, c, c.Height+2).Validators); n != ledger.MaxValidators {
		t.Errorf("%d validators", n)
	}
	propose(t, c, ledger.CodeTooMany, join("one too many"))
	leave := join("the last")
	leave.Power = 0
	propose(t, c, ledger.CodeOK, leave)
	propose(t, c, ledger.CodeOK, join("one too many"))
}

// TestMostApprovals: replaced keys count too, lest the row grow for ever.
func TestMostApprovals(t *testing.T) {
	for _, tt := range []struct {
		before int
		code   ledger.Code
	}{{ledger.MaxApprovals - 1, ledger.CodeOK}, {ledger.MaxApprovals, ledger.CodeTooMany}} {
		c := simtest.New(t, simtest.Config{Organisations: 2, Admins: 2, Threshold: 2})
		o := c.Organisations[0]
		id := propose(t, c, ledger.CodeOK, ledger.Describe{Subject: o.ID})
		var list record.Approvals
		for i := range tt.before {
			list.List = append(list.List, record.Approval{Key: crypto.KeyID{byte(1 + i)}, Height: c.Height})
		}
		set(t, c, record.ApprovalRow(id, o.ID), list.Encode())
		expect(t, c, tt.code, c.Approve(o, 1, id))
		got := row(t, c, record.ApprovalRow(id, o.ID), record.ApprovalRow(id, o.ID), record.ParseApprovals)
		if len(got.List) != ledger.MaxApprovals {
			t.Errorf("%d approvals", len(got.List))
		}
	}
}

// TestMostAdmins: an organisation takes as many keys as it may have, and acts with them.
func TestMostAdmins(t *testing.T) {
	c := simtest.New(t, simtest.Config{})
	o := c.Organisations[0]
	body := ledger.SetAdmins{Threshold: 1}
	for i := range ledger.MaxAdminKeys {
		body.Keys = append(body.Keys, simtest.Key(idNumber(i).String()).Public())
	}
	apply(t, c, by(c, 0, body))
	last := simtest.Key(idNumber(ledger.MaxAdminKeys - 1).String())
	apply(t, c, c.Operation(last, o.ID, ledger.Describe{Subject: o.ID}))
}
