package app

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
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

// TestFairChoice: when not all fits, bridges get about the same, and nothing is
// left out that there is room for.
func TestFairChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cs []candidate
		waiting := map[crypto.ID]int64{}
		for i := range rapid.IntRange(0, 60).Draw(t, "transactions") {
			id := crypto.ID{byte(rapid.IntRange(1, 4).Draw(t, "bridge"))}
			size := rapid.Int64Range(1, 100).Draw(t, "bytes")
			tx := &ledger.Transaction{Batch: &ledger.Batch{Bridge: id}}
			cs = append(cs, candidate{parsedTx: &parsedTx{tx: tx}, place: i, bytes: size})
			waiting[id] += size
		}
		limit := rapid.Int64Range(0, 4000).Draw(t, "limit")
		got := choose(cs, limit)
		room := limit
		if len(waiting) > 1 {
			room /= fairShare
		}
		had := map[crypto.ID]int64{}
		last := map[crypto.ID]int{}
		var total int64
		for _, c := range got {
			id := c.tx.Batch.Bridge
			if at, ok := last[id]; ok && at >= c.place {
				t.Fatalf("bridge %v out of order", id)
			}
			last[id] = c.place
			had[id] += c.bytes
			total += c.bytes
		}
		if total > room {
			t.Fatalf("%d bytes of %d", total, room)
		}
		for id, w := range waiting {
			share := room/int64(len(waiting)) - 100
			if had[id] < min(w, share) {
				t.Fatalf("bridge %v has %d of %d waiting, share %d: %v", id, had[id], w, share, fmt.Sprint(had))
			}
		}
	})
}

// TestFairOperations: organisations take turns with their operations, which leave room for
// batches; alone they may have the whole block.
func TestFairOperations(t *testing.T) {
	operation := func(payer byte, place int) candidate {
		tx := &ledger.Transaction{Operation: &ledger.Operation{}}
		return candidate{parsedTx: &parsedTx{tx: tx}, place: place, bytes: 10, payer: crypto.ID{payer}}
	}
	var flood []candidate
	for i := range 100 {
		flood = append(flood, operation(1, i))
	}
	if got := choose(flood, 500); len(got) != 50 {
		t.Errorf("alone: %d operations", len(got))
	}
	trickle := operation(2, 100)
	batch := candidate{parsedTx: &parsedTx{tx: &ledger.Transaction{Batch: &ledger.Batch{Bridge: crypto.ID{3}}}}, place: 101, bytes: 200}
	got := choose(append(flood, trickle, batch), 500)
	places := map[int]bool{}
	for _, c := range got {
		places[c.place] = true
	}
	if len(got) != 26 || !places[100] || !places[101] || got[25].place != 101 {
		t.Errorf("%d transactions, the other's operation %v, the batch %v", len(got), places[100], places[101])
	}
}
