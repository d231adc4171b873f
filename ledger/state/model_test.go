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
	"mtmledger/ledger/record"
)

// Environment of TestModel. The seed is rapid's own flag, -rapid.seed.
const runsEnv = "MTM_MODEL_RUNS" // ledgers to grow; more than the default for a long run

const (
	modelRuns   = 120 // ledgers
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
	m := &model{c: c, n: newNaive(c.ID, genesis, genesis.Entry(c.ID), simtest.GenesisTime, seen.applied), cast: newCast(c.ID), seen: seen}
	m.inv = newInvariants(c)
	for _, b := range c.Blocks[1:] {
		before := len(m.n.log)
		m.n.begin(b.Height, b.Time)
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

// block makes a block of drawn transactions and compares everything. The naive ledger
// applies each as it is drawn, so that the next one may build on it.
func (m *model) block(t *rapid.T) {
	m.c.Time += rapid.SampledFrom(delays).Draw(t, "delay")
	before := len(m.n.log)
	m.n.begin(m.c.Height+1, m.c.Time+simtest.BlockTime)
	var txs [][]byte
	var codes []ledger.Code
	var all [][]ledger.Code
	for range rapid.IntRange(0, 9).Draw(t, "transactions") {
		raw := m.transaction(t)
		code, statements := m.n.transaction(raw)
		m.seen.count(raw, code, statements)
		if code == ledger.CodeOK && len(statements) == 0 {
			m.past = append(m.past, raw)
		}
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

// coverage counts what happened over all runs.
type coverage struct {
	steps, statements int
	applied           map[ledger.Kind]int // operations, proposed ones when they were decided
	codes             map[ledger.Code]int
	byKind            map[string]map[ledger.Code]int
}

func newCoverage() *coverage {
	return &coverage{applied: make(map[ledger.Kind]int), codes: make(map[ledger.Code]int), byKind: make(map[string]map[ledger.Code]int)}
}

func (s *coverage) count(raw []byte, code ledger.Code, statements []ledger.Code) {
	what := "batch"
	if tx, err := ledger.ParseTransaction(raw); err != nil {
		what = "garbage"
	} else if tx.Operation != nil {
		what = tx.Operation.Body.Kind().String()
	}
	s.add(what, code)
	s.steps++
	for _, c := range statements {
		s.add("statement", c)
		s.statements++
	}
}

func (s *coverage) add(what string, code ledger.Code) {
	if s.byKind[what] == nil {
		s.byKind[what] = make(map[ledger.Code]int)
	}
	s.byKind[what][code]++
	s.codes[code]++
}

func (s *coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d transactions, %d statements\n", s.steps, s.statements)
	for _, what := range sorted(s.byKind) {
		fmt.Fprintf(&b, "%s:", what)
		for _, code := range sorted(s.byKind[what]) {
			fmt.Fprintf(&b, " %v %d", code, s.byKind[what][code])
		}
		b.WriteString("\n")
	}
	b.WriteString("applied, directly or by a proposal:")
	for _, kind := range sorted(s.applied) {
		fmt.Fprintf(&b, " %v %d", kind, s.applied[kind])
	}
	return b.String()
}

// neverSeen are the codes that the rules do not give to what parses, and why.
var neverSeen = map[ledger.Code]string{
	ledger.CodeInputsDisabled:  "not given out any more",
	ledger.CodePruned:          "of queries",
	ledger.CodeOverloaded:      "of the pool",
	ledger.CodeBadKey:          "of parsing",
	ledger.CodeNotEquivocation: "of parsing",
}

// require fails the test where it tested nothing.
func (s *coverage) require(t *testing.T) {
	for kind := ledger.Kind(1); !strings.HasPrefix(kind.String(), "kind_"); kind++ {
		if s.applied[kind] < 10 {
			t.Errorf("%v was applied %d times: the test does not test it", kind, s.applied[kind])
		}
	}
	for code := ledger.CodeOK; !strings.HasPrefix(code.String(), "code_"); code++ {
		why, never := neverSeen[code]
		switch {
		case never && s.codes[code] > 0:
			t.Errorf("%v was given, though it is %s", code, why)
		case !never && s.codes[code] == 0:
			t.Errorf("%v was never given: the test does not test it", code)
		}
	}
	if s.steps < 20_000 {
		t.Errorf("%d transactions, want tens of thousands", s.steps)
	}
}

// key describes the key of a row.
func (c *cast) key(k merkle.Key) string {
	return fmt.Sprintf("%v of %s, %x", record.FamilyOf(k), c.name(record.IDOf(k)), k[17:])
}

func (c *cast) name(id crypto.ID) string {
	if name, known := c.names[id]; known {
		return name
	}
	return id.String()
}
