package state_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger/state"
)

// TestDeterminism applies the same random blocks again and again, on one and on several
// processors (and, as always in Go, with other seeds of all maps): the changes, entries,
// results and app hashes are the same at every height.
func TestDeterminism(t *testing.T) {
	want := randomChain(t, 200)
	for _, procs := range []int{1, 2, 8} {
		old := runtime.GOMAXPROCS(procs)
		got := want.Replay(t)
		runtime.GOMAXPROCS(old)
		for h, b := range want.Blocks {
			compareBlocks(t, got.Blocks[h], b)
		}
	}
}

// randomChain makes blocks of everything that there is, good and bad, from a fixed seed.
func randomChain(t *testing.T, blocks int) *simtest.Chain {
	c := simtest.New(t, simtest.Config{Organisations: 3, Devices: 4, Streams: 3})
	rng := rand.New(rand.NewPCG(1, 2))
	for range blocks {
		var txs [][]byte
		for range rng.IntN(4) {
			bridge := c.Bridges[rng.IntN(len(c.Bridges))]
			var raws [][]byte
			for range 1 + rng.IntN(20) {
				s := c.Streams[rng.IntN(len(c.Streams))]
				raws = append(raws, s.At(s.Number+uint64(rng.IntN(6)), 1+rng.IntN(3)))
				s.Number += uint64(rng.IntN(5))
			}
			txs = append(txs, bridge.Batch(raws...))
		}
		if rng.IntN(3) == 0 {
			d := c.Organisations[rng.IntN(3)].NewDevice(c, string(rune('a'+rng.IntN(26))))
			txs = append(txs, d.Enrol(), d.NewStream("s").OpenByOwner())
		}
		rng.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
		c.Block(txs...)
	}
	return c
}

func compareBlocks(t *testing.T, got, want *simtest.Block) {
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
	if got.AppHash != want.AppHash {
		t.Fatalf("height %d: app hash %v, want %v", want.Height, got.AppHash, want.AppHash)
	}
	if !slices.IsSortedFunc(want.Changes, func(a, b merkle.Change) int { return bytes.Compare(a.Key[:], b.Key[:]) }) {
		t.Fatalf("height %d: changes are not sorted", want.Height)
	}
}
