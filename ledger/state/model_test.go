package state_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
)

// Environment of TestModel. The seed is rapid's own flag, -rapid.seed.
const runsEnv = "MTM_MODEL_RUNS" // ledgers to grow; more than the default for a long run

const (
	modelRuns   = 190 // ledgers
	modelBlocks = 60  // of a ledger, on average
	modelSeed   = 20_260_101
)

// TestModel grows random ledgers block by block and compares everything that the rules say
// with what the naive ledger says: the code of each transaction and statement, each index,
// each entry, every row, what CometBFT is told. Invariants are checked on the records
// and the log alone. The default seed is fixed, so that it can be required that every
// kind of operation succeeded and every code was given.
func TestModel(t *testing.T) {
	runs := os.Getenv(runsEnv)
	usual := runs == "" && !testing.Short() && flag.Lookup("rapid.seed").Value.String() == "0"
	if runs == "" {
		runs = fmt.Sprint(modelRuns)
	}
	setDefault(t, "rapid.checks", runs)
	setDefault(t, "rapid.steps", fmt.Sprint(modelBlocks))
	setDefault(t, "rapid.seed", fmt.Sprint(modelSeed))
	seen := newCoverage()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, seen)
		t.Repeat(map[string]func(*rapid.T){"block": m.block})
	})
	t.Log(seen)
	if usual && !t.Failed() {
		seen.require(t)
	}
}

// setDefault sets a flag of rapid, unless the command line did, for this test.
func setDefault(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	old := f.Value.String()
	if old != f.DefValue {
		return
	}
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(old) })
}

// model drives the rules and the naive ledger side by side.
type model struct {
	c    *simtest.Chain
	n    *naive
	cast *cast
	inv  *invariants
	seen *coverage

	past [][]byte // operations that were accepted

	last  ledger.Grant // the last one drawn, to be given again
	burst int          // how often

	moved  crypto.ID          // the device last drawn to be transferred
	sold   crypto.ID          // the stream
	failed map[crypto.ID]bool // proposals whose last approval was refused

	fleets map[merkle.Hash]*ledger.Fleet // the lists behind manifests
}

func newModel(t *rapid.T, seen *coverage) *model {
	cfg := simtest.Config{Organisations: 3, Devices: 1, Streams: 1, Validators: rapid.SampledFrom([]int{1, 2, 1, 2, 0}).Draw(t, "validators")}
	if cfg.Admins = rapid.IntRange(1, 2).Draw(t, "admins"); cfg.Admins == 2 && odd(t, 5, "threshold") {
		cfg.Threshold, cfg.Devices, cfg.Streams = 2, 0, 0
	}
	cfg.Parameters = ledger.GenesisParameters{
		OpenGaps: rapid.Uint64Range(1, 4).Draw(t, "open gaps"), NotAfter: 3_600, ClockAhead: 60,
		StatementsPerBridge: rapid.Uint64Range(5, 16).Draw(t, "statements of a bridge"), BytesPerBridge: ledger.MaxStatement,
		StatementsPerOrganisation: rapid.Uint64Range(6, 20).Draw(t, "statements of an organisation"), BytesPerOrganisation: 80_000,
	}
	c := simtest.New(t, cfg)
	genesis, err := ledger.ParseGenesis(c.AppState)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{c: c, n: newNaive(c.ID, genesis, genesis.Entry(c.ID), simtest.GenesisTime, seen.operation), cast: newCast(c.ID), seen: seen, failed: make(map[crypto.ID]bool), fleets: make(map[merkle.Hash]*ledger.Fleet)}
	m.n.voted = seen.voted
	m.inv = newInvariants(c)
	for _, b := range c.Blocks[1:] {
		before := len(m.n.log)
		m.n.begin(b.Height, b.Time)
		m.n.signs(nil)
		for _, tx := range b.Txs {
			m.n.transaction(tx)
		}
		m.n.end(before)
		m.inv.check(t, b)
	}
	m.compareLog(t, 0)
	m.compareRows(t)
	return m
}

// delays are what passes between blocks besides simtest.BlockTime, µs.
var delays = []int64{0, 0, 0, 0, 0, 1, 999_999, 500_000, 4_000_000, 30_000_000}

// delay draws one of these, or what is missing to the edge of a grant or manifest, so that a block's
// time is the first or the last at which it counts.
func (m *model) delay(t *rapid.T) int64 {
	next := m.c.Time + simtest.BlockTime
	var edges []int64
	for _, g := range m.n.grants {
		for _, edge := range []int64{g.From, g.Until} {
			if edge > next {
				edges = append(edges, edge-next)
			}
		}
	}
	for _, f := range m.n.manifests {
		if f.Until > next {
			edges = append(edges, f.Until-next)
		}
	}
	if len(edges) > 0 && odd(t, 3, "edge of a grant") {
		return one(t, "edge", edges) - one(t, "before", []int64{0, 0, 1})
	}
	return one(t, "delay", delays)
}

// block makes a block of drawn transactions and compares everything. The naive ledger
// applies each as it is drawn, so that the next one may build on it.
func (m *model) block(t *rapid.T) {
	m.c.Time += m.delay(t)
	before := len(m.n.log)
	m.n.begin(m.c.Height+1, m.c.Time+simtest.BlockTime)
	m.c.Absent = m.drawAbsent(t)
	m.n.signs(m.c.Absent)
	var txs [][]byte
	var codes []ledger.Code
	var all [][]ledger.Code
	for range one(t, "transactions", []int{3, 2, 4, 1, 6, 0, 9, 14}) {
		raw := m.transaction(t)
		code, statements := m.n.transaction(raw)
		m.seen.transaction(raw, code, statements)
		m.remember(raw, code)
		txs, codes, all = append(txs, raw), append(codes, code), append(all, statements)
	}
	m.c.Misbehaviour = m.drawMisbehaviour(t)
	m.n.misbehaves(m.c.Misbehaviour)
	m.n.end(before)
	b := m.c.Block(txs...)
	index := uint64(before)
	for i, got := range b.Results {
		if got.Code != codes[i] || !slices.Equal(got.Codes, all[i]) {
			t.Fatalf("height %d, transaction %d: %s\nresult %v %v, want %v %v", b.Height, i, m.cast.describe(txs[i]), got.Code, got.Codes, codes[i], all[i])
		}
		index = compareIndexes(t, index, got.Indexes, codes[i], all[i])
	}
	m.compareLog(t, before)
	m.compareRows(t)
	if want := m.n.updates(); !slices.Equal(b.Updates, want) {
		t.Fatalf("height %d: CometBFT is told %v of the validators, want %v", b.Height, b.Updates, want)
	}
	m.inv.check(t, b)
}

// remember keeps what later draws look at.
func (m *model) remember(raw []byte, code ledger.Code) {
	tx, err := ledger.ParseTransaction(raw)
	if err != nil || tx.Operation == nil {
		return
	}
	if approve, ok := tx.Operation.Body.(ledger.Approve); ok {
		m.failed[approve.Proposal] = code != ledger.CodeOK
	}
	if code == ledger.CodeOK {
		m.past = append(m.past, raw)
	}
}

// compareIndexes compares the indexes of a transaction, the next of which should be next.
func compareIndexes(t *rapid.T, next uint64, got []uint64, code ledger.Code, statements []ledger.Code) uint64 {
	var want []uint64
	for _, statement := range statements {
		if statement == ledger.CodeOK {
			want, next = append(want, next), next+1
		}
	}
	if code == ledger.CodeOK && len(statements) == 0 {
		want, next = append(want, next), next+1
	}
	if !slices.Equal(got, want) {
		t.Fatalf("log indexes %d, want %d", got, want)
	}
	return next
}

// compareLog compares the entries from an index on.
func (m *model) compareLog(t *rapid.T, from int) {
	if size := m.c.Store.LogSize(); size != uint64(len(m.n.log)) {
		t.Fatalf("log of %d entries, want %d", size, len(m.n.log))
	}
	for i := from; i < len(m.n.log); i++ {
		if got, err := m.c.Store.Entry(uint64(i)); err != nil || !bytes.Equal(got, m.n.log[i]) {
			t.Fatalf("entry %d differs (%v)", i, err)
		}
	}
}

// compareRows compares all rows.
func (m *model) compareRows(t *rapid.T) {
	want := m.n.rows()
	var wrong []string
	for _, k := range m.c.Store.Keys() {
		got, err := m.c.Store.Get(k)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[k]) {
			wrong = append(wrong, fmt.Sprintf("row %s is %x, want %x", m.cast.key(k), got, want[k]))
		}
		delete(want, k)
	}
	for _, k := range slices.SortedFunc(maps.Keys(want), func(a, b merkle.Key) int { return bytes.Compare(a[:], b[:]) }) {
		wrong = append(wrong, fmt.Sprintf("row %s is missing, want %x", m.cast.key(k), want[k]))
	}
	if len(wrong) > 0 {
		t.Fatalf("height %d: %d rows differ:\n%s", m.c.Height, len(wrong), strings.Join(wrong[:min(len(wrong), 8)], "\n"))
	}
}
