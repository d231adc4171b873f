package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

const now = ledgertest.Time / 1_000_000

// chain is an App without CometBFT: it makes blocks of what it is given.
type chain struct {
	t   testing.TB
	l   *ledgertest.Ledger
	fs  vfs.FS
	e   *store.Engine
	st  *store.State
	app *App

	height int64
	hashes [][]byte // app hash by height
}

func newChain(t testing.TB, l *ledgertest.Ledger) *chain {
	t.Helper()
	c := &chain{t: t, l: l, fs: vfs.NewMem()}
	c.open(Config{})
	t.Cleanup(c.close)
	res, err := c.app.InitChain(t.Context(), genesis(l))
	if err != nil {
		t.Fatal(err)
	}
	c.hashes = [][]byte{res.AppHash}
	return c
}

func genesis(l *ledgertest.Ledger) *abci.RequestInitChain {
	return &abci.RequestInitChain{
		ChainId: ledgertest.Chain, AppStateBytes: l.Genesis(), InitialHeight: 1,
		Time: time.UnixMicro(ledgertest.Time).UTC(),
	}
}

func (c *chain) open(cfg Config) {
	c.t.Helper()
	var err error
	if c.e, err = store.Open("db", store.Options{FS: c.fs, MemTableBytes: 1 << 20, CacheBytes: 1 << 20}); err != nil {
		c.t.Fatal(err)
	}
	if c.st, err = store.OpenState(c.e); err != nil {
		c.t.Fatal(err)
	}
	cfg.State, cfg.Query = c.st, query.NewHandler(c.st)
	if c.app, err = New(cfg); err != nil {
		c.t.Fatal(err)
	}
	c.app.SetChain(ledgertest.Chain)
}

func (c *chain) close() {
	c.app.Close()
	c.st.Close()
	if err := c.e.Close(); err != nil {
		c.t.Error(err)
	}
}

// reopen restarts the application with other resources.
func (c *chain) reopen(cfg Config) {
	c.t.Helper()
	c.close()
	c.open(cfg)
	info, err := c.app.Info(context.Background(), &abci.RequestInfo{})
	if err != nil || info.LastBlockHeight != c.height || (c.height > 0 && !bytes.Equal(info.LastBlockAppHash, c.hashes[c.height])) {
		c.t.Fatalf("after reopening: %+v, %v; height %d, app hash %x", info, err, c.height, c.hashes[c.height])
	}
}

func blockTime(height int64) time.Time {
	return time.UnixMicro(ledgertest.Time + height*1_000_000).UTC()
}

// finalize executes a block without committing it.
func (c *chain) finalize(txs ...[]byte) *abci.ResponseFinalizeBlock {
	c.t.Helper()
	res, err := c.app.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{
		Height: c.height + 1, Time: blockTime(c.height + 1), Txs: txs,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// block makes a block of exactly these transactions.
func (c *chain) block(txs ...[]byte) []state.Result {
	c.t.Helper()
	res := c.finalize(txs...)
	if _, err := c.app.Commit(context.Background(), &abci.RequestCommit{}); err != nil {
		c.t.Fatal(err)
	}
	c.height++
	c.hashes = append(c.hashes, res.AppHash)
	out := make([]state.Result, len(txs))
	for i, r := range res.TxResults {
		var err error
		if out[i], err = state.DecodeResult(r.Data); err != nil || uint32(out[i].Code) != r.Code {
			c.t.Fatalf("result %x with code %d: %v", r.Data, r.Code, err)
		}
	}
	return out
}

func (c *chain) check(tx []byte) ledger.Code {
	c.t.Helper()
	res, err := c.app.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: tx})
	if err != nil {
		c.t.Fatal(err)
	}
	if (res.Code == 0) != (res.Log == "") {
		c.t.Fatalf("code %d without a text, or a text without a code: %q", res.Code, res.Log)
	}
	return ledger.Code(res.Code)
}

func (c *chain) process(txs ...[]byte) bool {
	c.t.Helper()
	res, err := c.app.ProcessProposal(context.Background(), &abci.RequestProcessProposal{
		Height: c.height + 1, Time: blockTime(c.height + 1), Txs: txs,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return res.Status == abci.ResponseProcessProposal_ACCEPT
}

func (c *chain) prepare(limit int64, txs ...[]byte) [][]byte {
	c.t.Helper()
	res, err := c.app.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{
		Height: c.height + 1, Time: blockTime(c.height + 1), Txs: txs, MaxTxBytes: limit,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return res.Txs
}

// device enrols a device and opens its stream.
func (c *chain) device(name string) *ledgertest.Device {
	c.t.Helper()
	d := c.l.Device(name)
	for _, r := range c.block(d.Enrol(now), d.Open(now)) {
		if r.Code != ledger.CodeOK {
			c.t.Fatalf("device %s: %v", name, r.Code)
		}
	}
	return d
}

func TestBlocks(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	txs := [][]byte{l.Batch(d.Statement(2), d.Statement(1)), l.Batch(d.Statement(4))}
	for _, tx := range txs {
		if code := c.check(tx); code != ledger.CodeOK {
			t.Fatalf("check: %v", code)
		}
	}
	if !c.process(txs...) {
		t.Fatal("good proposal rejected")
	}
	res := c.block(txs...)
	want := []uint64{3, 4, 5} // after genesis, enrolment and opening
	got := append(res[0].Indexes, res[1].Indexes...)
	for i := range want {
		if len(got) != 3 || got[i] != want[i] {
			t.Fatalf("indexes %v, want %v", got, want)
		}
	}
	if code := c.check(txs[0]); code != ledger.CodeReplayed {
		t.Errorf("committed transaction: %v", code)
	}
	if c.process(txs[0]) {
		t.Error("proposal with a committed transaction accepted")
	}
	if p := c.prepare(1<<20, txs[0]); len(p) != 0 {
		t.Error("committed transaction proposed")
	}
}

// TestEmptyBlocksChangeNothing: the app hash stays.
func TestEmptyBlocksChangeNothing(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	c.block()
	c.device("press")
	c.block()
	c.block(l.Batch([]byte("no statement")))
	c.block()
	for _, h := range []int{1, 3, 4, 5} {
		if !bytes.Equal(c.hashes[h], c.hashes[h-1]) {
			t.Errorf("block %d changed the app hash", h)
		}
	}
	if bytes.Equal(c.hashes[2], c.hashes[1]) {
		t.Error("enrolling changed nothing")
	}
}

// TestBadTransactions: every kind of bad transaction has its code in CheckTx,
// makes a proposal unacceptable or is refused in its block, and disturbs
// nothing.
func TestBadTransactions(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	stranger := ledgertest.New(t)
	stranger.Bridge = ledgertest.Key("stranger")
	stranger.BridgeID = ledger.BridgeID(stranger.Bridge.Public())
	impostor := ledgertest.New(t)
	impostor.Bridge = ledgertest.Key("stranger") // under the bridge's name
	good := l.Batch(d.Statement(1))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	expired := l.Operation(now-7200, ledger.OpenStream{Device: d.ID, Name: "late"})
	other, err := ledger.SignBatch(l.Bridge, "other-chain", l.BridgeID, 1, 0, [][]byte{d.StatementAt(50, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		tx    []byte
		check ledger.Code // from CheckTx
		block ledger.Code // in a block, if somebody proposed it
		valid bool        // may stand in a proposal
	}{
		{"empty", []byte{}, ledger.CodeMalformed, ledger.CodeMalformed, false},
		{"garbage", []byte("garbage"), ledger.CodeMalformed, ledger.CodeMalformed, false},
		{"truncated", good[:len(good)/2], ledger.CodeMalformed, ledger.CodeMalformed, false},
		{"trailing byte", append(bytes.Clone(good), 0), ledger.CodeMalformed, ledger.CodeMalformed, false},
		{"too large", make([]byte, ledger.MaxTransaction+1), ledger.CodeTooLarge, ledger.CodeTooLarge, false},
		{"signature flipped", flipped, ledger.CodeBadSignature, ledger.CodeBadSignature, false},
		{"unknown bridge", stranger.Batch(d.StatementAt(60, 1)), ledger.CodeUnknownBridge, ledger.CodeUnknownBridge, false},
		{"unknown key of a bridge", impostor.Batch(d.StatementAt(60, 1)), ledger.CodeUnknownKey, ledger.CodeUnknownKey, false},
		{"other chain", other.Bytes(), ledger.CodeWrongChain, ledger.CodeWrongChain, false},
		{"statement alone", d.StatementAt(70, 1), ledger.CodeMalformed, ledger.CodeMalformed, false},
		{"device again", d.Enrol(now), ledger.CodeReplayed, ledger.CodeReplayed, true},
		{"stream again", l.Operation(now+1, ledger.OpenStream{Device: d.ID, Name: d.Name}), ledger.CodeExists, ledger.CodeExists, true},
		{"expired", expired, ledger.CodeExpired, ledger.CodeExpired, true},
		{"stream of nobody", l.Operation(now, ledger.OpenStream{Device: crypto.ID{1}, Name: "x"}), ledger.CodeOK, ledger.CodeUnknownDevice, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The device's enrolment is committed, so its bytes are known.
			if code := c.check(tt.tx); code != tt.check {
				t.Errorf("check: %v, want %v", code, tt.check)
			}
			before := c.finalize()
			res := c.finalize(tt.tx)
			if code := ledger.Code(res.TxResults[0].Code); code != tt.block {
				t.Errorf("in a block: %v, want %v", code, tt.block)
			}
			if !bytes.Equal(res.AppHash, before.AppHash) {
				t.Error("a refused transaction changed the app hash")
			}
			if tt.valid {
				return
			}
			if c.process(tt.tx) {
				t.Error("proposal accepted")
			}
			if c.process(good, tt.tx) {
				t.Error("proposal with a good one before it accepted")
			}
			if p := c.prepare(1<<20, tt.tx, good); len(p) != 1 || !bytes.Equal(p[0], good) {
				t.Errorf("%d proposed", len(p))
			}
		})
	}
	if c.process(good, good) {
		t.Error("proposal with a transaction twice accepted")
	}
	if p := c.prepare(1<<20, good, good); len(p) != 1 {
		t.Errorf("a transaction proposed %d times", len(p))
	}
}

// TestOneBadStatement: bad statements don't disturb the good ones beside them.
func TestOneBadStatement(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d, unknown := c.device("press"), l.Device("unknown")
	first := d.Statement(1)
	flipped := d.StatementAt(5, 1)
	flipped[len(flipped)-1] ^= 1
	raws := [][]byte{
		first, []byte("garbage"), flipped, unknown.Statement(1), d.StatementAt(1, 1), d.Statement(2),
	}
	want := []ledger.Code{
		ledger.CodeOK, ledger.CodeMalformed, ledger.CodeBadSignature, ledger.CodeUnknownDevice, ledger.CodeUsed, ledger.CodeOK,
	}
	tx := l.Batch(raws...)
	if code := c.check(tx); code != ledger.CodeOK {
		t.Fatalf("check: %v", code)
	}
	if !c.process(tx) {
		t.Fatal("proposal rejected")
	}
	res := c.block(tx)[0]
	for i, code := range want {
		if res.Codes[i] != code {
			t.Errorf("statement %d: %v, want %v", i, res.Codes[i], code)
		}
	}
	if len(res.Indexes) != 2 {
		t.Errorf("indexes %v", res.Indexes)
	}
	tip := c.st.Tip()
	defer tip.Release()
	for n, index := range map[uint64]uint64{1: res.Indexes[0], 2: res.Indexes[1]} {
		if p, found, err := tip.StatementAt(d.Stream, n); err != nil || !found || p.Index != index {
			t.Errorf("number %d: %+v %v %v", n, p, found, err)
		}
	}
	if _, found, err := tip.StatementAt(unknown.Stream, 1); err != nil || found {
		t.Errorf("a refused statement is found: %v", err)
	}
}

// TestFinalizeBlockKeepsNothing: executing other blocks before leaves no trace,
// and what isn't committed is not there.
func TestFinalizeBlockKeepsNothing(t *testing.T) {
	l := ledgertest.New(t)
	c, other := newChain(t, l), newChain(t, l)
	d := c.device("press")
	other.device("press")
	tx, wrong := l.Batch(d.Statement(3)), l.Batch(d.StatementAt(2, 5))
	c.finalize(wrong)
	c.finalize()
	c.finalize(wrong, tx)
	tip := c.st.Tip()
	if tip.Height != 1 || tip.LogSize() != 3 {
		t.Fatalf("height %d, %d entries", tip.Height, tip.LogSize())
	}
	tip.Release()
	c.block(tx)
	other.block(tx)
	if !bytes.Equal(c.hashes[2], other.hashes[2]) {
		t.Fatal("app hashes differ")
	}
}

func TestCallsOutOfOrder(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	if _, err := c.app.Commit(t.Context(), &abci.RequestCommit{}); !errors.Is(err, errOrder) {
		t.Errorf("commit without a block: %v", err)
	}
	for _, h := range []int64{0, 2, -1} {
		if _, err := c.app.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: h}); !errors.Is(err, errOrder) {
			t.Errorf("block %d first: %v", h, err)
		}
	}
	// CometBFT repeats InitChain when the node ended before block 1.
	if res, err := c.app.InitChain(t.Context(), genesis(l)); err != nil || !bytes.Equal(res.AppHash, c.hashes[0]) {
		t.Errorf("genesis again: %v", err)
	}
	l.Admin = ledgertest.Key("somebody else")
	if _, err := c.app.InitChain(t.Context(), genesis(l)); err == nil {
		t.Error("another genesis was taken")
	}
	late := genesis(l)
	late.InitialHeight = 5
	if _, err := c.app.InitChain(t.Context(), late); err == nil {
		t.Error("initial height 5 was taken")
	}
	late.InitialHeight, late.AppStateBytes = 1, []byte("{}")
	if _, err := c.app.InitChain(t.Context(), late); err == nil {
		t.Error("a genesis without organisations was taken")
	}
}

// TestRestarts gives two applications the same random blocks, one of them
// restarted now and then with other numbers of workers, and CheckTx before
// some: their app hashes agree at every height.
func TestRestarts(t *testing.T) {
	l := ledgertest.New(t)
	a, b := newChain(t, l), newChain(t, l)
	rng := rand.New(rand.NewPCG(1, 2))
	var devices []*ledgertest.Device
	for i := range 4 {
		d := a.device(fmt.Sprint("device ", i))
		b.device(fmt.Sprint("device ", i))
		devices = append(devices, d)
	}
	for range 60 {
		txs := randomBlock(rng, l, devices)
		for _, tx := range txs {
			if rng.IntN(2) == 0 {
				b.check(tx)
			}
		}
		ra, rb := a.block(txs...), b.block(txs...)
		if fmt.Sprint(ra) != fmt.Sprint(rb) {
			t.Fatalf("results at height %d differ: %v, %v", a.height, ra, rb)
		}
		if !bytes.Equal(a.hashes[a.height], b.hashes[b.height]) {
			t.Fatalf("app hashes at height %d differ", a.height)
		}
		if rng.IntN(8) == 0 {
			b.reopen(Config{Workers: 1 + rng.IntN(3)})
		}
	}
}

// randomBlock has statements ahead, late, twice and wrong, and operations.
func randomBlock(rng *rand.Rand, l *ledgertest.Ledger, devices []*ledgertest.Device) (txs [][]byte) {
	for range rng.IntN(5) {
		var raws [][]byte
		for range 1 + rng.IntN(6) {
			d := devices[rng.IntN(len(devices))]
			s := d.StatementAt(uint64(1+rng.IntN(200)), 1+rng.IntN(5))
			if rng.IntN(10) == 0 {
				s[rng.IntN(len(s))] ^= byte(1 << rng.IntN(8))
			}
			raws = append(raws, s)
		}
		txs = append(txs, l.Batch(raws...))
	}
	if rng.IntN(3) == 0 {
		name := binary.BigEndian.AppendUint32(nil, rng.Uint32())
		d := l.Device(fmt.Sprintf("%x", name))
		txs = append(txs, d.Enrol(now), d.Open(now))
	}
	if rng.IntN(3) == 0 {
		txs = append(txs, []byte("garbage"))
	}
	return txs
}
