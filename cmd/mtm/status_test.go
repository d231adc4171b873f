package main

import (
	"slices"
	"testing"

	"mtmledger/app/client"
	"mtmledger/ledger"
)

// TestRefusedLines: each way has a line of its own, and only if something was refused.
func TestRefusedLines(t *testing.T) {
	if lines := refusedLines(client.Refused{}); len(lines) != 0 {
		t.Errorf("nothing was refused, but %q", lines)
	}
	got := refusedLines(client.Refused{
		Transactions: []client.CodeCount{{Code: ledger.CodeWrongChain, Count: 2}, {Code: ledger.CodeUnknownBridge, Count: 1}},
		Queries:      []client.CodeCount{{Code: ledger.CodeFutureHeight, Count: 3}},
	})
	want := []string{"    refused transactions: wrong_chain 2 unknown_bridge 1", "    refused queries: future_height 3"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
