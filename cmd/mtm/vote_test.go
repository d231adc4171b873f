package main

import (
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestListProposals: the pages of a list become one; each proposal has its status at the
// height of the answer.
func TestListProposals(t *testing.T) {
	row := func(id byte, expires int64, decided uint64) proof.Row {
		p := record.Proposal{Expires: expires, Decided: decided, Body: ledger.EncodeBody(ledger.Remove{Organisation: crypto.ID{9}})}
		if decided != 0 {
			p.Status = record.ProposalApplied
		}
		return proof.Row{Key: record.ProposalRow(crypto.ID{id}), Value: p.Encode()}
	}
	page := func(rows ...proof.Row) *proof.Answered {
		return &proof.Answered{AsOfHeight: 7, HeaderTime: 100_000_000, Results: []proof.Result{{Rows: rows}}}
	}
	pages := []*proof.Answered{page(row(1, 99, 0), row(2, 100, 0)), page(row(3, 99, 5)), page()}
	for status, want := range map[string][]byte{"": {1, 2, 3}, statusExpired: {1}, statusOpen: {2}, statusApplied: {3}} {
		list, err := listProposals(pages, status)
		if err != nil || list.All != 3 || list.AsOf != 7 || list.Pages != 3 || len(list.Proposals) != len(want) || len(list.lines()) != len(want)+1 {
			t.Errorf("%q: %+v (%v)", status, list, err)
			continue
		}
		for i, p := range list.Proposals {
			if p.Proposal != (crypto.ID{want[i]}) || p.Operation != "remove" {
				t.Errorf("%q: %+v", status, p)
			}
		}
	}
	bad := row(1, 1, 0)
	bad.Value = bad.Value[:len(bad.Value)-1]
	if _, err := listProposals([]*proof.Answered{page(bad)}, ""); err == nil {
		t.Error("a row that is none is listed")
	}
}
