package main

import (
	"testing"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestAnswersTo: a sound answer to another question is refused.
func TestAnswersTo(t *testing.T) {
	org, device := crypto.ID{1}, crypto.ID{2}
	lo, hi := record.Range(record.FamilyOrganisationDevice, org)
	list, child := proof.ListQuery(lo, hi), record.OrganisationDeviceRow(org, device)
	ask := client.AnswerRequest{Questions: []client.Question{{Query: list, Follow: record.FamilyDevice, History: true}}}
	rows := []proof.Row{{Key: child}}
	about := func(id crypto.ID) proof.Result {
		return proof.Result{Query: proof.AtQuery(record.FamilyDevice, id, 0)}
	}
	page := func(q proof.Query, rows []proof.Row, about ...proof.Result) *proof.Answered {
		return &proof.Answered{Results: append([]proof.Result{{Query: q, Rows: rows}}, about...)}
	}
	cover := client.AnswerRequest{Cover: &client.RangeRequest{Stream: crypto.ID{3}, First: 1, Last: 9}}
	covered := func(stream crypto.ID, first, last uint64) *proof.Answered {
		return &proof.Answered{Cover: &proof.Cover{Claim: proof.Claim{Stream: stream, First: first, Last: last}}}
	}
	entries := client.AnswerRequest{Entries: []uint64{4}}
	tests := []struct {
		name string
		q    client.AnswerRequest
		page *proof.Answered
		want bool
	}{
		{"the list", ask, page(list, rows, about(device)), true},
		{"an empty list", ask, page(list, nil), true},
		{"a page of it", ask, page(proof.ListQuery(lo, child), rows, about(device)), true},
		{"an empty page of it", ask, page(proof.ListQuery(lo, child), nil), false},
		{"a page from elsewhere", ask, page(proof.ListQuery(child, hi), rows, about(device)), false},
		{"another list", ask, page(proof.ListQuery(record.Range(record.FamilyOrganisationDevice, device)), nil), false},
		{"its last row only", ask, page(proof.Query{Kind: proof.QueryPredecessor, Lo: lo, Hi: hi}, rows, about(device)), false},
		{"nothing", ask, &proof.Answered{}, false},
		{"nothing about the rows", ask, page(list, rows), false},
		{"about another row", ask, page(list, rows, about(org)), false},
		{"the cover", cover, covered(crypto.ID{3}, 1, 9), true},
		{"the begin of the cover", cover, covered(crypto.ID{3}, 1, 5), true},
		{"a later part", cover, covered(crypto.ID{3}, 2, 9), false},
		{"a cover of another stream", cover, covered(crypto.ID{4}, 1, 9), false},
		{"no cover", cover, &proof.Answered{}, false},
		{"the entry", entries, &proof.Answered{Entries: []proof.Entry{{Index: 4}}}, true},
		{"another entry", entries, &proof.Answered{Entries: []proof.Entry{{Index: 5}}}, false},
		{"no entry", entries, &proof.Answered{}, false},
	}
	for _, tt := range tests {
		if err := answersTo(tt.q, tt.page); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
