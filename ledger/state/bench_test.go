package state_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

const (
	benchDevices    = 100
	benchStatements = 10_000 // of each block, one 40-byte reading each
	benchBatch      = 500
)

// bench is a chain with n streams of 100 devices and a block of statements in random order
// of streams, one reading each.
type bench struct {
	store    *simtest.Store
	at       state.Block
	txs      []*ledger.Transaction
	good     []ledger.Code
	accepted int // of its statements
}

// newBench builds the stream rows directly: opening 100,000 streams by operations would
// take longer than the benchmark.
func newBench(b *testing.B, streams int) *bench {
	c := simtest.New(b, simtest.Config{Devices: benchDevices, Verify: allValid})
	v := make(map[merkle.Key][]byte)
	all := make([]*simtest.Stream, streams)
	for i := range all {
		d := c.Devices[i%benchDevices]
		all[i] = d.NewStream(fmt.Sprint("stream ", i))
		v[record.StreamRow(all[i].ID)] = record.StreamHead{Device: d.ID}.Encode()
	}
	if err := c.Store.Commit(simtest.Sorted(v), nil); err != nil {
		b.Fatal(err)
	}
	var raws [][]byte
	order := uint64(1)
	for range benchStatements {
		order = order*6364136223846793005 + 1442695040888963407
		s := all[order>>33%uint64(streams)]
		reading := ledger.Reading{Time: simtest.GenesisTime, Content: make([]byte, 40)}
		raws = append(raws, s.Sign(s.Number, reading))
		s.Number++
	}
	return blockOf(b, c, benchStatements, raws)
}

// newAdversary is a block of one device that makes the rules look for gaps: it fills the
// thousand gaps of a stream but the first, in random order, and then repeats used numbers
// and, each tenth time, derives from all of it.
func newAdversary(b *testing.B) *bench {
	c := holed(b)
	s, other := c.Streams[0], c.Streams[1]
	raws := filled(c, "mixed")
	rng := rand.New(rand.NewPCG(5, 6))
	derived := uint64(0)
	for i := range benchStatements - holes {
		if i%10 > 0 {
			raws = append(raws, s.At(2+rng.Uint64N(2*holes+1), 1))
			continue
		}
		derived++
		raws = append(raws, c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: other.ID, First: derived,
			Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(s, 2+rng.Uint64N(holes), 2*holes+2)}}))
	}
	return blockOf(b, c, holes+int(derived), raws)
}

// blockOf is a block of statements, of which so many are to be accepted.
func blockOf(b *testing.B, c *simtest.Chain, accepted int, raws [][]byte) *bench {
	out := &bench{store: c.Store, at: next(c), good: make([]ledger.Code, 1+benchBatch), accepted: accepted}
	for batch := range slices.Chunk(raws, benchBatch) {
		tx, err := ledger.ParseTransaction(c.Batch(batch...))
		if err != nil {
			b.Fatal(err)
		}
		out.txs = append(out.txs, tx)
	}
	return out
}

// apply applies the block.
func (x *bench) apply(b *testing.B) {
	v := state.NewView(x.store, x.store.LogSize())
	accepted := 0
	for _, tx := range x.txs {
		accepted += len(state.Apply(v, x.at, tx, x.good).Indexes)
	}
	state.EndBlock(v, x.at)
	v.Changes()
	if v.Err() != nil || accepted != x.accepted {
		b.Fatalf("%d statements accepted, want %d (%v)", accepted, x.accepted, v.Err())
	}
}

func allValid(items []crypto.Item) []bool {
	valid := make([]bool, len(items))
	for i := range valid {
		valid[i] = true
	}
	return valid
}

// BenchmarkApply is the cost of a statement, signatures apart: parsing, the rules and the
// changed rows, in blocks of 10,000 statements; and of one that an adversary made.
func BenchmarkApply(b *testing.B) {
	run := func(name string, block func(b *testing.B) *bench) {
		b.Run(name, func(b *testing.B) {
			bench := block(b)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				bench.apply(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchStatements), "ns/statement")
		})
	}
	for _, streams := range []int{1_000, 10_000, 100_000} {
		run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) *bench { return newBench(b, streams) })
	}
	run("adversary", newAdversary)
}

// BenchmarkSignatures is the cost of finding the signers of a statement, verification apart.
func BenchmarkSignatures(b *testing.B) {
	bench := newBench(b, 10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for _, tx := range bench.txs {
			if _, err := state.Signatures(bench.store, bench.at, tx); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchStatements), "ns/statement")
}
