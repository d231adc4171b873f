package state_test

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

var modelAttributes = []ledger.Attribute{{Name: "model", Text: "M"}}

// TestDeterminism applies the blocks of random ledgers, which have everything that
// TestModel draws, again and again, on one and on several processors (and, as always in
// Go, with other seeds of all maps): the changes, entries, results and app hashes are the
// same at every height.
func TestDeterminism(t *testing.T) {
	setDefault(t, "rapid.checks", "8")
	setDefault(t, "rapid.steps", "100")
	setDefault(t, "rapid.seed", "1")
	seen := newCoverage()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, seen)
		t.Repeat(map[string]func(*rapid.T){"block": m.block})
		for _, procs := range []int{1, 2, 8} {
			old := runtime.GOMAXPROCS(procs)
			got := m.c.Replay(t)
			runtime.GOMAXPROCS(old)
			for h, b := range m.c.Blocks {
				compareBlocks(t, got.Blocks[h], b)
			}
		}
	})
}

func compareBlocks(t simtest.TB, got, want *simtest.Block) {
	t.Helper()
	if !slices.EqualFunc(got.Changes, want.Changes, func(a, b merkle.Change) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
	}) {
		t.Fatalf("height %d: changes differ", want.Height)
	}
	if !slices.EqualFunc(got.Entries, want.Entries, func(a, b state.Entry) bool {
		return a.Index == b.Index && bytes.Equal(a.Bytes, b.Bytes)
	}) {
		t.Fatalf("height %d: entries differ", want.Height)
	}
	if !slices.EqualFunc(got.Results, want.Results, func(a, b state.Result) bool {
		return bytes.Equal(a.Encode(), b.Encode())
	}) {
		t.Fatalf("height %d: results differ", want.Height)
	}
	if !slices.Equal(got.Updates, want.Updates) {
		t.Fatalf("height %d: updates of validators differ", want.Height)
	}
	if got.AppHash != want.AppHash {
		t.Fatalf("height %d: app hash %v, want %v", want.Height, got.AppHash, want.AppHash)
	}
	if !slices.IsSortedFunc(want.Changes, func(a, b merkle.Change) int { return bytes.Compare(a.Key[:], b.Key[:]) }) {
		t.Fatalf("height %d: changes are not sorted", want.Height)
	}
}
