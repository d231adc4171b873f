package app

import (
	"bytes"
	"testing"

	"github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// TestProposalOrder: whatever order batches arrive in, they are proposed so
// that no stream's numbers go backwards.
func TestProposalOrder(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d1, d2 := c.device("one"), c.device("two")
	b1 := l.Batch(d1.Statement(2), d2.Statement(1))
	b2 := l.Batch(d1.Statement(1))
	b3 := l.Batch(d2.Statement(1), d1.Statement(1))
	op := l.Operation(now, ledger.OpenStream{Device: d1.ID, Name: "more"})
	for i, order := range [][][]byte{{b1, b2, b3, op}, {b3, b2, b1, op}, {op, b3, b1, b2}, {b2, op, b3, b1}} {
		got := c.prepare(1<<20, order...)
		if len(got) != 4 || !bytes.Equal(got[0], op) || !bytes.Equal(got[1], b1) || !bytes.Equal(got[2], b2) || !bytes.Equal(got[3], b3) {
			t.Errorf("order %d: wrong", i)
		}
	}
	// Numbers that go both ways: no order is right, every one is there.
	x := l.Batch(d1.StatementAt(10, 1), d2.StatementAt(20, 1))
	y := l.Batch(d2.StatementAt(10, 1), d1.StatementAt(20, 1))
	if got := c.prepare(1<<20, x, y); len(got) != 2 {
		t.Errorf("%d of a cycle proposed", len(got))
	}
}

// TestProposalFits: what is proposed never takes more than CometBFT allows, at
// every limit.
func TestProposalFits(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	var txs types.Txs
	for i := range 5 {
		txs = append(txs, l.Batch(d.Statement(1+10*i)))
	}
	raw := txs.ToSliceOfBytes()
	all := types.ComputeProtoSizeForTxs(txs)
	for limit := int64(0); limit <= all+1; limit++ {
		got := types.ToTxs(c.prepare(limit, raw...))
		if err := got.Validate(limit); err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		if limit >= all && len(got) != len(txs) {
			t.Fatalf("limit %d: %d proposed", limit, len(got))
		}
	}
}

// always is a quota without end.
func always(*entry) (bool, error) { return true, nil }

// TestFairChoice: when not all fits, organisations get about the same, and so do the
// bridges of each, whoever has how many; each bridge's transactions stay in order; nothing
// is left out that there is room for.
func TestFairChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cs []claim
		waiting := map[crypto.ID]map[crypto.ID]int64{}
		var all int64
		for i := range rapid.IntRange(0, 60).Draw(t, "transactions") {
			org := crypto.ID{byte(rapid.IntRange(1, 3).Draw(t, "organisation"))}
			bridge := crypto.ID{org[0], byte(rapid.IntRange(1, 4).Draw(t, "bridge"))}
			e := &entry{payer: org, sender: bridge, size: rapid.Int64Range(1, 100).Draw(t, "bytes"), arrival: uint64(i + 1)}
			cs = append(cs, claim{entry: e})
			if waiting[org] == nil {
				waiting[org] = map[crypto.ID]int64{}
			}
			waiting[org][bridge] += e.size
			all += e.size
		}
		limit := rapid.Int64Range(0, 4000).Draw(t, "limit")
		got, err := choose(cs, limit, always)
		if err != nil {
			t.Fatal(err)
		}
		had := map[crypto.ID]int64{}
		last := map[crypto.ID]uint64{}
		var total int64
		for _, e := range got {
			if last[e.sender] >= e.arrival {
				t.Fatalf("bridge %v out of order", e.sender)
			}
			last[e.sender] = e.arrival
			had[e.payer] += e.size
			had[e.sender] += e.size
			total += e.size
		}
		if total > limit || total < min(limit-100, all) {
			t.Fatalf("%d bytes of %d, %d wait", total, limit, all)
		}
		for org, bridges := range waiting {
			var sum int64
			for _, w := range bridges {
				sum += w
			}
			share := limit/int64(len(waiting)) - 100
			if had[org] < min(sum, share) {
				t.Fatalf("organisation %v has %d of %d waiting, share %d: %v", org, had[org], sum, share, had)
			}
			for bridge, w := range bridges {
				if share := had[org]/int64(len(bridges)) - 200; had[bridge] < min(w, share) {
					t.Fatalf("bridge %v has %d of %d waiting, share %d: %v", bridge, had[bridge], w, share, had)
				}
			}
		}
	})
}

// TestFairOperations: organisations take turns with their operations, which leave room for
// batches; alone they may have the whole block.
func TestFairOperations(t *testing.T) {
	operation := func(payer byte, arrival uint64) claim {
		return claim{entry: &entry{operation: true, payer: crypto.ID{payer}, size: 10, arrival: arrival}}
	}
	var flood []claim
	for i := range uint64(100) {
		flood = append(flood, operation(1, i+1))
	}
	if got, err := choose(flood, 500, always); err != nil || len(got) != 50 {
		t.Errorf("alone: %d operations, %v", len(got), err)
	}
	trickle := operation(2, 101)
	batch := claim{entry: &entry{payer: crypto.ID{3}, size: 200, arrival: 102}}
	got, err := choose(append(flood, trickle, batch), 500, always)
	arrivals := map[uint64]bool{}
	for _, e := range got {
		arrivals[e.arrival] = true
	}
	if err != nil || len(got) != 26 || !arrivals[101] || got[25].arrival != 102 {
		t.Errorf("%d transactions, the other's operation %v, %v", len(got), arrivals[101], err)
	}
}

// TestTurnsAreRemembered: who was served in the last blocks comes after who was not, so a
// block that is full with one transaction of each of some doesn't begin with them again;
// who comes back after a pause has saved nothing up.
func TestTurnsAreRemembered(t *testing.T) {
	b := newBacklog()
	limits := &record.Parameters{StatementsPerBridge: 1000, BytesPerBridge: 1 << 30, StatementsPerOrganisation: 1000, BytesPerOrganisation: 1 << 30}
	served := map[byte]int{}
	arrive := func(org byte, n int) {
		for i := range n {
			e := &entry{hash: [32]byte{org, byte(i), byte(served[org])}, payer: crypto.ID{org}, sender: crypto.ID{org}, size: 100}
			if code := b.admit(e, limits, false); code != ledger.CodeOK {
				t.Fatal(code)
			}
			b.entered(e.hash)
		}
	}
	block := func() {
		got, err := choose(b.claims(), 200, always)
		if err != nil || len(got) != 2 {
			t.Fatalf("%d chosen, %v", len(got), err)
		}
		made := &store.Block{}
		for _, e := range got {
			made.Results = append(made.Results, store.Result{Hash: e.hash})
			served[e.payer[0]]++
		}
		b.committed(made)
	}
	for org := range byte(10) {
		arrive(org, 20)
	}
	for range 5 {
		block()
	}
	for org := range byte(10) {
		if served[org] != 1 {
			t.Errorf("after five blocks organisation %d was served %d times", org, served[org])
		}
	}
	arrive(10, 50) // late, and many: it begins where the others are
	for range 11 {
		block()
	}
	for org := range byte(11) {
		if want := 3; served[org] != want && !(org == 10 && served[org] == 2) {
			t.Errorf("at the end organisation %d was served %d times, want %d", org, served[org], want)
		}
	}
}
