package state_test

import (
	"fmt"
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
	store *simtest.Store
	at    state.Block
	txs   []*ledger.Transaction
	good  []ledger.Code
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
	out := &bench{store: c.Store, at: state.Block{Chain: c.ID, Height: c.Height + 1, Time: c.Time + simtest.BlockTime}}
	order := uint64(1)
	for range benchStatements / benchBatch {
		var raws [][]byte
		for range benchBatch {
			order = order*6364136223846793005 + 1442695040888963407
			s := all[order>>33%uint64(streams)]
			reading := ledger.Reading{Time: simtest.GenesisTime, Content: make([]byte, 40)}
			raws = append(raws, s.Sign(s.Number, reading))
			s.Number++
		}
		tx, err := ledger.ParseTransaction(c.Batch(raws...))
		if err != nil {
			b.Fatal(err)
		}
		out.txs = append(out.txs, tx)
	}
	out.good = make([]ledger.Code, 1+benchBatch)
	return out
}

func allValid(items []crypto.Item) []bool {
	valid := make([]bool, len(items))
	for i := range valid {
		valid[i] = true
	}
	return valid
}

// BenchmarkApply is the cost of a statement, signatures apart: parsing, the rules and the
// changed rows, in blocks of 10,000 statements.
func BenchmarkApply(b *testing.B) {
	for _, streams := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			bench := newBench(b, streams)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				v := state.NewView(bench.store, bench.store.LogSize())
				for _, tx := range bench.txs {
					r := state.Apply(v, bench.at, tx, bench.good)
					if len(r.Indexes) != benchBatch {
						b.Fatalf("%d statements accepted: %v", len(r.Indexes), r.Codes[0])
					}
				}
				state.EndBlock(v, bench.at)
				v.Changes()
				if v.Err() != nil {
					b.Fatal(v.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchStatements), "ns/statement")
		})
	}
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
