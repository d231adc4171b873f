package state_test

import (
	"testing"

	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// TestLeft: what belongs to a member that left is disposed of by the members' vote, as if
// its owner did it; nothing else is done in its name.
func TestLeft(t *testing.T) {
	c := consortium(t, simtest.Config{Devices: 1, Streams: 2})
	o, device, s, kept := c.Organisations, c.Devices[3], c.Streams[6], c.Streams[7]
	gone, bridge := o[3], c.Bridges[3]
	apply(t, c, c.Batch(s.Next(3)))
	given := apply(t, c, by(c, 3, ledger.Grant{Stream: s.ID, Grantee: o[1].ID, Rights: ledger.RightRead, First: 1}))[0]
	decide(t, c, ledger.CodeOK, ledger.Remove{Organisation: gone.ID})

	retire := ledger.Retire{Device: device.ID}
	expect(t, c, ledger.CodeNeedsProposal, by(c, 0, retire))
	expect(t, c, ledger.CodeNotOwner, c.Operation(c.Devices[0].Key, c.Devices[0].ID, retire))
	expect(t, c, ledger.CodeNotOwner, by(c, 0, ledger.Suspend{Device: device.ID}), by(c, 0, ledger.Describe{Subject: s.ID}))
	expect(t, c, ledger.CodeNotOwner, by(c, 0, ledger.TransferStream{Stream: s.ID, To: o[1].ID}))
	// Of three members two decide: neither the proposer nor the receiver alone.
	vote := func(want ledger.Code, body ledger.Body) *simtest.Block {
		t.Helper()
		id := propose(t, c, ledger.CodeOK, body)
		if got := proposal(t, c, id).Status; got != record.ProposalOpen {
			t.Fatalf("%v: decided by one", body.Kind())
		}
		return expect(t, c, want, c.Approve(o[1], 0, id))
	}
	vote(ledger.CodeOK, ledger.Revoke{Grant: given})
	vote(ledger.CodeGrantRevoked, ledger.Revoke{Grant: given})
	b := vote(ledger.CodeOK, ledger.CloseStream{Stream: s.ID})
	mustRow(t, c, record.ClosedRow(s.ID), record.Closed{Organisation: gone.ID, Height: b.Height}.Encode())
	vote(ledger.CodeOK, ledger.Compromise{Principal: device.ID, Key: device.Key.Public().KeyID(), From: 1})
	vote(ledger.CodeOK, ledger.Compromise{Principal: bridge.ID, Key: bridge.Key.Public().KeyID(), From: 1})
	vote(ledger.CodeOK, ledger.Compromise{Principal: gone.ID, Key: gone.Key.Public().KeyID(), From: 1})
	b = vote(ledger.CodeOK, ledger.TransferStream{Stream: kept.ID, To: o[0].ID})
	mustRow(t, c, record.OwnerRow(kept.ID, b.Height+1), record.Owner{Organisation: o[0].ID, Since: 2}.Encode())
	b = vote(ledger.CodeOK, ledger.TransferDevice{Device: device.ID, To: o[0].ID})
	mustRow(t, c, record.DeviceRow(device.ID, b.Height+1), record.Device{Organisation: o[0].ID}.Encode())
	expect(t, c, ledger.CodeOK, by(c, 0, retire))
}

// TestLeftByOwner: whose vote it takes is looked at when the last one agrees; who still
// answers for a thing needs none.
func TestLeftByOwner(t *testing.T) {
	c := consortium(t, simtest.Config{Devices: 1, Streams: 1})
	o := c.Organisations
	s := c.Streams[3]
	given := apply(t, c, by(c, 3, ledger.Grant{Stream: s.ID, Grantee: o[1].ID, Rights: ledger.RightRead, First: 1}))[0]
	if code := agreed(t, c, 3, 0, ledger.TransferStream{Stream: s.ID, To: o[0].ID}); code != ledger.CodeOK {
		t.Fatal(code)
	}
	// D's own proposal, not decided while it was a member, never is.
	own := apply(t, c, proposedBy(c, 3, ledger.TransferDevice{Device: c.Devices[3].ID, To: o[0].ID}))[0]
	decide(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	expect(t, c, ledger.CodeOK, c.Approve(o[0], 0, own), c.Approve(o[1], 0, own), c.Approve(o[2], 0, own))
	if got := proposal(t, c, own).Status; got != record.ProposalOpen {
		t.Error("a member that left agreed")
	}
	expect(t, c, ledger.CodeNeedsProposal, by(c, 2, ledger.Revoke{Grant: given}))
	expect(t, c, ledger.CodeOK, by(c, 0, ledger.Revoke{Grant: given}))
}
