package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// TestGenesisValidators: the validators of CometBFT's genesis are those of the
// organisations, if these name any.
func TestGenesisValidators(t *testing.T) {
	key := func(n byte) crypto.PublicKey { return crypto.KeyFromSeed([32]byte{9, n}).Public() }
	update := func(n byte, power int64) abci.ValidatorUpdate {
		k := key(n)
		return abci.Ed25519ValidatorUpdate(k[:], power)
	}
	named := ledger.Genesis{Organisations: []ledger.GenesisOrganisation{{
		Name: "o", AdminKeys: []crypto.PublicKey{key(1)}, Threshold: 1,
		Validators: []ledger.GenesisValidator{{Key: key(2), Power: 10}, {Key: key(3), Power: 5}},
	}}}
	none := ledger.Genesis{Organisations: []ledger.GenesisOrganisation{{Name: "o", AdminKeys: []crypto.PublicKey{key(1)}, Threshold: 1}}}
	for _, tt := range []struct {
		name string
		g    ledger.Genesis
		set  []abci.ValidatorUpdate
		ok   bool
	}{
		{"the same", named, []abci.ValidatorUpdate{update(3, 5), update(2, 10)}, true},
		{"another power", named, []abci.ValidatorUpdate{update(3, 5), update(2, 11)}, false},
		{"one more", named, []abci.ValidatorUpdate{update(3, 5), update(2, 10), update(4, 1)}, false},
		{"another key", named, []abci.ValidatorUpdate{update(3, 5), update(4, 10)}, false},
		{"none", named, nil, false},
		{"nobody's", none, []abci.ValidatorUpdate{update(2, 10)}, true},
	} {
		raw, err := json.Marshal(tt.g)
		if err != nil {
			t.Fatal(err)
		}
		err = checkGenesisValidators(&abci.RequestInitChain{AppStateBytes: raw, Validators: tt.set})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestQuotas: a batch over its bridge's quota gets into neither pool nor proposal, and
// rejects a proposal.
func TestQuotas(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	now := int64(ledgertest.Time / 1_000_000)
	propose, err := ledger.SignOperation(l.Admin, ledger.Operation{
		Chain: ledgertest.Chain, Actor: ledger.OrganisationID(l.Admin.Public()), NotAfter: now + 600,
		Body: ledger.Propose{Expires: now + 600, Body: ledger.SetParameters{Values: []ledger.Parameter{{ID: ledger.ParameterStatementsPerBridge, Value: 2}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.block(propose.Bytes())
	c.block()
	batch := func(attempt uint64, n int) []byte {
		raws := make([][]byte, n)
		b, err := ledger.SignBatch(l.Bridge, ledgertest.Chain, ledger.BridgeID(l.Bridge.Public()), attempt, ledgertest.Time, raws)
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	small, next, large := batch(1, 2), batch(2, 1), batch(3, 3)
	process := func(txs ...[]byte) abci.ResponseProcessProposal_ProposalStatus {
		res, err := c.app.ProcessProposal(t.Context(), &abci.RequestProcessProposal{Height: c.height + 1, Txs: txs})
		if err != nil {
			t.Fatal(err)
		}
		return res.Status
	}
	if process(small) != abci.ResponseProcessProposal_ACCEPT || process(small, next) != abci.ResponseProcessProposal_REJECT ||
		process(large) != abci.ResponseProcessProposal_REJECT {
		t.Error("proposals")
	}
	res, err := c.app.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: c.height + 1, MaxTxBytes: 1 << 20, Txs: [][]byte{large, small, next}})
	if err != nil || len(res.Txs) != 1 || string(res.Txs[0]) != string(small) {
		t.Errorf("%d transactions proposed (%v)", len(res.Txs), err)
	}
	if code := ledger.CodeOf(c.app.check(large)); code != ledger.CodeQuota {
		t.Errorf("too large for a block: %v", code)
	}
	first := batch(10, 2)
	if code := c.admit(first, true); code != ledger.CodeOK {
		t.Error(code)
	}
	for i := range uint64(poolBlocks/2 - 1) {
		if code := c.admit(batch(11+i, 2), true); code != ledger.CodeOK {
			t.Errorf("batch %d: %v", i, code)
		}
	}
	if code := c.admit(small, true); code != ledger.CodeQuota {
		t.Errorf("one more from a client: %v", code)
	}
	for i := range uint64(poolBlocks / 2) {
		if code := c.admit(batch(50+i, 2), false); code != ledger.CodeOK {
			t.Errorf("batch %d of a peer: %v", i, code)
		}
	}
	if code := c.admit(small, false); code != ledger.CodeQuota {
		t.Errorf("one more from a peer: %v", code)
	}
	c.block(next)
	if code := c.admit(small, false); code != ledger.CodeQuota {
		t.Errorf("one more after a block with none of them: %v", code)
	}
	c.block(first)
	if code := c.admit(small, false); code != ledger.CodeOK {
		t.Errorf("after a block with one of them: %v", code)
	}
}

// TestRemovedBridge: what waits in the pool when its bridge is removed is refused by name,
// not proposed, and a proposal with it is rejected; in the block of the removal it counts.
func TestRemovedBridge(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	waits, later := l.Batch(d.Statement(1)), l.Batch(d.Statement(1))
	if code := c.check(waits); code != ledger.CodeOK || !c.process(waits) {
		t.Fatal(code)
	}
	if res := c.block(l.Operation(now, ledger.RemoveBridge{Bridge: l.BridgeID}), later); res[0].Code != ledger.CodeOK || res[1].Code != ledger.CodeOK {
		t.Fatal(res)
	}
	if len(c.prepare(1<<20, waits)) != 0 || c.process(waits) {
		t.Error("a removed bridge's batch in a proposal")
	}
	if code := c.check(waits); code != ledger.CodeRetired {
		t.Errorf("checked again: %v", code)
	}
	if code := c.block(waits)[0].Code; code != ledger.CodeRetired {
		t.Errorf("in a block: %v", code)
	}
}

// TestOperationQuotas: operations over the organisation's quota get into neither a proposal
// nor, beyond a few blocks' worth, the pool; batches don't use up what the pool keeps for
// operations, nor in a proposal what comes before them.
func TestOperationQuotas(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	limit := ledger.SetParameters{Values: []ledger.Parameter{{ID: ledger.ParameterStatementsPerOrganisation, Value: 2}}}
	if res := c.block(l.Operation(now, ledger.Propose{Expires: now + 600, Body: limit})); res[0].Code != ledger.CodeOK {
		t.Fatal(res)
	}
	c.block()
	describe := func(i int) []byte {
		return l.Operation(now, ledger.Describe{Subject: l.Organisation, Attributes: []ledger.Attribute{{Name: "site", Text: fmt.Sprint(i)}}})
	}
	a, b, over := describe(1), describe(2), describe(3)
	batch := l.Batch(d.Statement(1))
	if !c.process(a, b) || c.process(a, b, over) || c.process(a, b, batch) || !c.process(a, batch) {
		t.Error("proposals")
	}
	if got := c.prepare(1<<20, batch, a, b, over); len(got) != 2 || string(got[0]) != string(a) || string(got[1]) != string(b) {
		t.Errorf("%d transactions proposed, want the two operations", len(got))
	}
	for i := range poolBlocks {
		if code := c.admit(l.Batch(d.StatementAt(uint64(10+i), 1)), true); code != ledger.CodeOK {
			t.Fatalf("batch %d: %v", i, code)
		}
	}
	if code := c.admit(batch, true); code != ledger.CodeQuota {
		t.Errorf("one batch more: %v", code)
	}
	for i := range poolBlocks - 1 {
		if code := c.admit(describe(10+i), true); code != ledger.CodeOK {
			t.Fatalf("operation %d: %v", i, code)
		}
	}
	if code := c.admit(a, true); code != ledger.CodeOK {
		t.Error(code)
	}
	if code := c.admit(over, true); code != ledger.CodeQuota {
		t.Errorf("one operation more: %v", code)
	}
	if res := c.block(a, b, over); res[0].Code != ledger.CodeOK || res[2].Code != ledger.CodeQuota {
		t.Errorf("in a block: %v", res)
	}
	if code := c.admit(describe(50), true); code != ledger.CodeOK {
		t.Errorf("after a block: %v", code)
	}
}

// admit lets a transaction wait, as one of a client of this node or of a peer.
func (c *chain) admit(tx []byte, ours bool) ledger.Code {
	c.t.Helper()
	es, p, errs := c.app.screen([][]byte{tx})
	if errs[0] != nil {
		return ledger.CodeOf(errs[0])
	}
	code := c.app.backlog.admit(es[0], p, ours)
	if code == ledger.CodeOK {
		c.app.backlog.entered(es[0].hash)
	}
	return code
}

// TestPoolOperations: a quarter of poolOperations bytes of operations of one actor may wait
// here if clients of this node send them, whatever the quota.
func TestPoolOperations(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	taken, i := 0, 0
	for ; taken <= poolOperations; i++ {
		var list []ledger.Attribute
		for k := range 16 {
			list = append(list, ledger.Attribute{Name: fmt.Sprintf("a%02d", k), Data: make([]byte, 240)})
		}
		tx := l.Operation(now+int64(i), ledger.Describe{Subject: l.Organisation, Attributes: list})
		if code := c.admit(tx, true); code == ledger.CodeQuota {
			break
		} else if code != ledger.CodeOK {
			t.Fatal(code)
		}
		taken += len(tx)
	}
	if taken > poolOperations/4+4_000 || taken < poolOperations/4-4_000 {
		t.Errorf("%d bytes taken, want about %d", taken, poolOperations/4)
	}
}

// TestStale: what waits is stale once its sender may not sign any more or a quota is lowered
// below it, and nothing else is; neither is proposed.
func TestStale(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	large, small := l.Batch(d.Statement(1), d.Statement(1), d.Statement(1)), l.Batch(d.Statement(1))
	for _, tx := range [][]byte{large, small} {
		if code := c.admit(tx, true); code != ledger.CodeOK {
			t.Fatal(code)
		}
	}
	check := func(when string, stale, proposed int) {
		t.Helper()
		tip := c.st.Tip()
		defer tip.Release()
		list, err := c.app.stale(tip)
		if got := c.prepare(4 << 20); err != nil || len(list) != stale || len(got) != proposed {
			t.Errorf("%s: %d stale, %d proposed (%v), want %d, %d", when, len(list), len(got), err, stale, proposed)
		}
	}
	check("at first", 0, 2)
	limit := ledger.SetParameters{Values: []ledger.Parameter{{ID: ledger.ParameterStatementsPerBridge, Value: 2}}}
	c.block(l.Operation(now, ledger.Propose{Expires: now + 600, Body: limit}))
	c.block()
	check("the quota is lowered", 1, 1)
	c.block(l.Operation(now, ledger.RemoveBridge{Bridge: l.BridgeID}))
	check("the bridge is removed", 2, 0)
}

// TestStaleOperations: so is an operation whose admin key was replaced, and everything of a
// member that was voted out.
func TestStaleOperations(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	other := ledgertest.Key("other")
	id := ledger.OrganisationID(other.Public())
	proof, err := ledger.SignPossession(other, ledgertest.Chain, id)
	if err != nil {
		t.Fatal(err)
	}
	after := int64(now)
	sign := func(key crypto.PrivateKey, actor crypto.ID, body ledger.Body) []byte {
		after++ // each is another operation
		o, err := ledger.SignOperation(key, ledger.Operation{Chain: ledgertest.Chain, Actor: actor, NotAfter: after + 600, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return o.Bytes()
	}
	own := ledger.OrganisationID(l.Admin.Public())
	propose := func(body ledger.Body) []byte {
		return sign(l.Admin, own, ledger.Propose{Expires: now + 600, Body: body})
	}
	accepted := func(txs ...[]byte) {
		t.Helper()
		for _, r := range c.block(txs...) {
			if r.Code != ledger.CodeOK {
				t.Fatal(r.Code)
			}
		}
	}
	waits := func(tx []byte) {
		t.Helper()
		if code := c.admit(tx, true); code != ledger.CodeOK {
			t.Fatal(code)
		}
	}
	stale := func(when string, want ...[]byte) {
		t.Helper()
		tip := c.st.Tip()
		defer tip.Release()
		list, err := c.app.stale(tip)
		if err != nil || len(list) != len(want) {
			t.Fatalf("%s: %d stale, want %d (%v)", when, len(list), len(want), err)
		}
		for i, e := range list {
			if !bytes.Equal(e.raw, want[i]) {
				t.Errorf("%s: another is stale", when)
			}
		}
	}
	accepted(propose(ledger.Admit{Name: "other", Keys: []crypto.PublicKey{other.Public()}, Threshold: 1, Possession: proof}))
	mine, theirs := sign(l.Admin, own, ledger.Describe{Subject: own}), sign(other, id, ledger.Describe{Subject: id})
	waits(mine)
	waits(theirs)
	stale("at first")
	leave := propose(ledger.Remove{Organisation: id})
	o, err := ledger.ParseOperation(leave)
	if err != nil {
		t.Fatal(err)
	}
	accepted(leave, sign(other, id, ledger.Approve{Proposal: ledger.MadeID(o.Digest())}))
	stale("voted out", theirs)
	next := ledgertest.Key("next admin")
	accepted(sign(l.Admin, own, ledger.SetAdmins{Keys: []crypto.PublicKey{next.Public()}, Threshold: 1}))
	stale("the key is replaced", mine, theirs)
	if got := c.prepare(4 << 20); len(got) != 0 {
		t.Errorf("%d proposed", len(got))
	}
}
