package simtest

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// GenesisTime is the time of every simulated genesis, in µs: 2026-01-01T00:00:00Z.
const GenesisTime = 1_767_225_600_000_000

// BlockTime is the time from block to block, in µs.
const BlockTime = 1_000_000

// TB is the part of testing.TB that the helpers need; *rapid.T has it too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Config is the cast of a chain. Every organisation has one bridge from genesis on.
type Config struct {
	ID            string // chain id; "sim" if empty
	Organisations int    // at least 1
	Devices       int    // of each organisation, enrolled
	Streams       int    // of each device, opened
	Admins        int    // admin keys of each organisation; 0 means 1
	Threshold     int    // how many of them must sign; 0 means 1
	Validators    int    // of each organisation, of power 10
	Parameters    ledger.GenesisParameters
	Verify        func([]crypto.Item) []bool // nil: one by one, by crypto.Verify
}

// Chain is a ledger that grows by Block.
type Chain struct {
	ID            string
	Height        uint64
	Time          int64 // of the last block, µs
	AppState      []byte
	Store         *Store
	Organisations []*Organisation
	Bridges       []*Bridge
	Devices       []*Device
	Streams       []*Stream
	Blocks        []*Block // the genesis is Blocks[0]

	Misbehaviour []state.Misbehaviour // of validators, for the next block
	Absent       []crypto.PublicKey   // validators that sign no block

	t        TB
	verify   func([]crypto.Item) []bool
	replayed []state.Address // signers for the next block; nil: all who are not absent
}

// Block is a block as it was applied.
type Block struct {
	Height  uint64
	Time    int64
	Txs     [][]byte
	Results []state.Result
	Entries []state.Entry
	Changes []merkle.Change
	Updates []state.ValidatorUpdate

	Misbehaviour []state.Misbehaviour
	Signers      []state.Address // of the block before
	AppHash      merkle.Hash     // of the state after the block
}

// New returns a chain with its cast: the genesis at height 0, the devices enrolled in
// block 1 and their streams opened in block 2, where the configuration has some.
func New(t TB, cfg Config) *Chain {
	t.Helper()
	c := newChain(t, cfg)
	for i := range max(cfg.Organisations, 1) {
		o := newOrganisation(fmt.Sprintf("organisation %d", i))
		c.equip(o, cfg)
		o.Bridges = []*Bridge{o.NewBridge(c, fmt.Sprintf("bridge %d", i))}
		c.Organisations = append(c.Organisations, o)
		c.Bridges = append(c.Bridges, o.Bridges...)
	}
	c.AppState = AppState(c.Organisations, cfg.Parameters)
	c.genesis()
	c.enrolDevices(cfg.Devices)
	c.openStreams(cfg.Streams)
	return c
}

func newChain(t TB, cfg Config) *Chain {
	c := &Chain{ID: cfg.ID, Time: GenesisTime, Store: NewStore(), t: t, verify: cfg.Verify}
	if c.ID == "" {
		c.ID = "sim"
	}
	if c.verify == nil {
		c.verify = verifyEach
	}
	return c
}

func (c *Chain) genesis() {
	c.t.Helper()
	v := state.NewView(c.Store, 0)
	c.must(state.Genesis(v, c.ID, c.AppState, GenesisTime))
	c.commit(v, &Block{Time: GenesisTime})
}

func (c *Chain) enrolDevices(n int) {
	c.t.Helper()
	var txs [][]byte
	for _, o := range c.Organisations {
		for range n {
			d := o.NewDevice(c, fmt.Sprintf("device %d", len(c.Devices)))
			c.Devices = append(c.Devices, d)
			txs = append(txs, d.Enrol())
		}
	}
	c.mustBlock(txs)
}

func (c *Chain) openStreams(n int) {
	c.t.Helper()
	var txs [][]byte
	for _, d := range c.Devices {
		for i := range n {
			s := d.NewStream(fmt.Sprintf("stream %d", i))
			c.Streams = append(c.Streams, s)
			txs = append(txs, s.Open())
		}
	}
	c.mustBlock(txs)
}

// mustBlock makes a block, if there are transactions, that are all applied.
func (c *Chain) mustBlock(txs [][]byte) {
	c.t.Helper()
	if len(txs) == 0 {
		return
	}
	for i, r := range c.Block(txs...).Results {
		if r.Code != ledger.CodeOK {
			c.t.Fatalf("simtest: transaction %d refused: %v", i, r.Code)
		}
	}
}

// Block makes the next block, as a validator does: signatures resolved against the
// records before it and verified together, then every transaction applied in order.
// Bytes that are no transaction have their code as result.
func (c *Chain) Block(txs ...[]byte) *Block {
	c.t.Helper()
	b := &Block{Height: c.Height + 1, Time: c.Time + BlockTime, Txs: txs}
	at := state.Block{Chain: c.ID, Height: b.Height, Time: b.Time}
	parsed := make([]*ledger.Transaction, len(txs))
	checks := make([][]state.Check, len(txs))
	for i, raw := range txs {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			b.Results = append(b.Results, state.Result{Code: ledger.CodeOf(err)})
			continue
		}
		b.Results = append(b.Results, state.Result{})
		parsed[i] = tx
		checks[i], err = state.Signatures(c.Store, at, tx)
		c.must(err)
	}
	verdicts := c.verdicts(checks)
	v := state.NewView(c.Store, c.Store.LogSize())
	b.Signers = c.signers(b.Height - 1)
	state.RecordSignatures(v, at, b.Signers)
	for i, tx := range parsed {
		if tx != nil {
			b.Results[i] = state.Apply(v, at, tx, verdicts[i])
		}
	}
	state.RecordMisbehaviour(v, at, c.Misbehaviour)
	b.Misbehaviour, c.Misbehaviour = c.Misbehaviour, nil
	b.Updates = v.ValidatorUpdates(at)
	state.EndBlock(v, at)
	c.commit(v, b)
	c.Height, c.Time = b.Height, b.Time
	return b
}

// signers are the validators of a height that sign.
func (c *Chain) signers(height uint64) (list []state.Address) {
	if c.replayed != nil {
		return c.replayed
	}
	_, value, err := c.Store.Predecessor(record.ValidatorSetRow(0), record.ValidatorSetRow(height))
	c.must(err)
	set, err := record.ParseValidatorSet(value)
	c.must(err)
	for _, v := range set.Validators {
		if !slices.Contains(c.Absent, v.Key) {
			sum := sha256.Sum256(v.Key[:])
			list = append(list, state.Address(sum[:20]))
		}
	}
	return list
}

// verdicts verifies all signatures of a block at once.
func (c *Chain) verdicts(checks [][]state.Check) [][]ledger.Code {
	var items []crypto.Item
	for _, list := range checks {
		for _, check := range list {
			if check.Code == ledger.CodeOK {
				items = append(items, check.Item)
			}
		}
	}
	valid := c.verify(items)
	out := make([][]ledger.Code, len(checks))
	for i, list := range checks {
		for _, check := range list {
			ok := false
			if check.Code == ledger.CodeOK {
				ok, valid = valid[0], valid[1:]
			}
			out[i] = append(out[i], check.Verdict(ok))
		}
	}
	return out
}

func (c *Chain) commit(v *state.View, b *Block) {
	c.t.Helper()
	c.must(v.Err())
	b.Entries, b.Changes = v.Entries(), v.Changes()
	c.must(c.Store.Commit(b.Changes, b.Entries))
	b.AppHash = c.Store.AppHash()
	c.Blocks = append(c.Blocks, b)
}

func (c *Chain) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("simtest: %v", err)
	}
}

func verifyEach(items []crypto.Item) []bool {
	valid := make([]bool, len(items))
	for i, item := range items {
		valid[i] = crypto.Verify(item.Key, item.Message, item.Signature)
	}
	return valid
}

// Replay applies the blocks of a chain to a new store, from its genesis on. The new chain
// has no cast; its blocks are to be compared with the first one's.
func (c *Chain) Replay(t TB) *Chain {
	t.Helper()
	again := newChain(t, Config{ID: c.ID, Verify: c.verify})
	again.AppState = c.AppState
	again.genesis()
	for _, b := range c.Blocks[1:] {
		again.Misbehaviour, again.replayed = b.Misbehaviour, append([]state.Address{}, b.Signers...)
		again.Time = b.Time - BlockTime
		again.Block(b.Txs...)
	}
	return again
}
