package state_test

import (
	"strings"
	"testing"

	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

func TestGenesis(t *testing.T) {
	c := simtest.New(t, simtest.Config{ID: "g", Organisations: 2, Parameters: ledger.GenesisParameters{OpenGaps: 7}})
	want, err := ledger.GenesisEntry("g", c.AppState)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Store.Entry(0); err != nil || string(got) != string(want) {
		t.Errorf("entry 0 is %x, want %x (%v)", got, want, err)
	}
	for _, o := range c.Organisations {
		key := o.Key.Public()
		value, _ := c.Store.Get(record.KeyRow(o.ID, key.KeyID()))
		row, err := record.ParseKey(value)
		if err != nil || row.Public != key || row.ValidAt(0) || !row.ValidAt(1) {
			t.Errorf("key of %s: %+v (%v)", o.Name, row, err)
		}
	}
	value, _ := c.Store.Get(record.ParametersRow(0))
	p, err := record.ParseParameters(value)
	want7 := ledger.GenesisParameters{OpenGaps: 7}.Values()
	if err != nil || p.ClockAhead != ledger.MaxClockAhead || p.NotAfter != ledger.MaxNotAfter || p.OpenGaps != want7[2].Value || p.VoteDen != 3 {
		t.Errorf("parameters %+v (%v)", p, err)
	}
}

func TestGenesisRefused(t *testing.T) {
	good := string(simtest.New(t, simtest.Config{}).AppState)
	for _, c := range []struct{ name, chain, app string }{
		{"no chain id", "", good},
		{"chain id too long", strings.Repeat("c", ledger.MaxChain+1), good},
		{"nothing", "g", ""},
		{"no organisations", "g", "{}"},
	} {
		v := state.NewView(simtest.NewStore(), 0)
		if err := state.Genesis(v, c.chain, []byte(c.app), 0); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	c := simtest.New(t, simtest.Config{})
	if err := state.Genesis(newView(c), "g", []byte(good), 0); err == nil {
		t.Error("a second genesis: accepted")
	}
}

// TestGenesisBlock: a block applied to the very view of the genesis, before anything is
// committed, is the block that it is after.
func TestGenesisBlock(t *testing.T) {
	c := simtest.New(t, simtest.Config{})
	tx, err := ledger.ParseTransaction(c.Organisations[0].NewDevice(c, "d").Enrol())
	if err != nil {
		t.Fatal(err)
	}
	good := make([]ledger.Code, 2)
	v := state.NewView(simtest.NewStore(), 0)
	if err := state.Genesis(v, c.ID, c.AppState, simtest.GenesisTime); err != nil {
		t.Fatal(err)
	}
	genesis := len(v.Changes())
	applyTo(v, c, tx, good)
	state.EndBlock(v, next(c))
	w := newView(c)
	applyTo(w, c, tx, good)
	state.EndBlock(w, next(c))
	if len(v.Changes()) != genesis+len(w.Changes()) {
		t.Errorf("%d changes, want %d and %d", len(v.Changes()), genesis, len(w.Changes()))
	}
	for _, change := range w.Changes() {
		if got, _ := v.Get(change.Key); string(got) != string(change.Value) {
			t.Errorf("%v row %x, want %x", record.FamilyOf(change.Key), got, change.Value)
		}
	}
	if v.Entries()[1].Index != w.Entries()[0].Index || v.LogSize() != w.LogSize() {
		t.Error("entries differ")
	}
}
