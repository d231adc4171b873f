package state_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// TestDeterminism applies the same random blocks again and again, on one and on several
// processors (and, as always in Go, with other seeds of all maps): the changes, entries,
// results and app hashes are the same at every height.
var modelAttributes = []ledger.Attribute{{Name: "model", Text: "M"}}

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
		txs = append(txs, randomOwnership(t, c, rng)...)
		rng.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
		c.Block(txs...)
	}
	return c
}

// randomOwnership makes up to four operations and derived statements, good and bad.
func randomOwnership(t *testing.T, c *simtest.Chain, rng *rand.Rand) (txs [][]byte) {
	for range rng.IntN(5) {
		n := rng.IntN(len(c.Organisations))
		to := c.Organisations[rng.IntN(len(c.Organisations))].ID
		s, other := c.Streams[rng.IntN(len(c.Streams))], c.Streams[rng.IntN(len(c.Streams))]
		first := 1 + uint64(rng.IntN(9))
		switch rng.IntN(6) {
		case 0:
			txs = append(txs, by(c, n, ledger.Grant{Stream: s.ID, Grantee: to, Rights: 3, First: first, Last: first + 9}))
		case 1:
			txs = append(txs, by(c, n, ledger.Describe{Subject: s.Device.ID, Attributes: modelAttributes}))
		case 2:
			tx := by(c, n, ledger.Propose{Expires: c.Time/1e6 + 60, Body: ledger.TransferStream{Stream: s.ID, To: to, FromNow: first > 4}})
			id := ledger.MadeID(mustParse(t, tx).Digest())
			for i := range c.Organisations {
				txs = append(txs, by(c, i, ledger.Approve{Proposal: id}))
			}
			txs = append(txs, tx)
		case 3:
			txs = append(txs, by(c, n, evidence(t, s.At(first, 2), s.At(first+1, 2))))
		case 4:
			tx := by(c, n, ledger.TransferDevice{Device: s.Device.ID, To: to, WithStreams: true})
			txs = append(txs, tx, by(c, n, ledger.Propose{Expires: c.Time/1e6 + 60, Body: mustParse(t, tx).Body}))
		case 5:
			raw := c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: s.Number + 1000,
				Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(other, first, first)}})
			s.Number++
			txs = append(txs, c.Batch(raw))
		}
	}
	return txs
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
