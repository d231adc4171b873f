package state_test

import (
	"testing"

	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// BenchmarkApplyDerived applies a batch of statements with as many inputs as there may be,
// each under the last of as many grants as there may be.
func BenchmarkApplyDerived(b *testing.B) {
	c := simtest.New(b, simtest.Config{Organisations: 2, Devices: 1, Streams: 2})
	source, s := c.Streams[0], c.Streams[3]
	txs := [][]byte{c.Batch(source.At(1, 20))}
	for i := range uint64(ledger.MaxGrants) {
		txs = append(txs, by(c, 0, ledger.Grant{Stream: source.ID, Grantee: c.Organisations[1].ID, Rights: ledger.RightDerive, First: 8 - i}))
	}
	c.Block(txs...)
	inputs := make([]ledger.Input, ledger.MaxInputs)
	for i := range inputs {
		inputs[i] = inputOf(source, 1, 1)
	}
	var raws [][]byte
	for i := range uint64(100) {
		raws = append(raws, c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1 + i,
			Readings: make([]ledger.Reading, 1), Inputs: inputs}))
	}
	tx, err := ledger.ParseTransaction(c.Batch(raws...))
	if err != nil {
		b.Fatal(err)
	}
	verdicts := make([]ledger.Code, 1+len(raws))
	b.ReportAllocs()
	for b.Loop() {
		v := newView(c)
		if r := state.Apply(v, next(c), tx, verdicts); len(r.Indexes) != len(raws) {
			b.Fatal(r.Codes)
		}
	}
	b.ReportMetric(float64(b.N*len(raws)*len(inputs))/b.Elapsed().Seconds(), "inputs/s")
}
