package node

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// bridge is a bridge of a member.
type bridge struct {
	t       *testing.T
	key     crypto.PrivateKey
	id      crypto.ID
	attempt atomic.Uint64
}

func (m *members) bridge(i int, name string) *bridge {
	m.t.Helper()
	b := &bridge{t: m.t, key: ledgertest.Key(name)}
	b.id = ledger.BridgeID(b.key.Public())
	p, err := ledger.SignPossession(b.key, ledgertest.Chain, m.org[i])
	if err != nil {
		m.t.Fatal(err)
	}
	m.operation(i, ledger.EnrolBridge{Possession: p})
	return b
}

// batch has about so many bytes of what is no statement: it takes its place in pool and
// block, and nothing in the ledger.
func (b *bridge) batch(size int) []byte {
	var raws [][]byte
	for ; size > 0; size -= 4000 {
		raws = append(raws, bytes.Repeat([]byte{'x'}, min(size, 4000)))
	}
	batch, err := ledger.SignBatch(b.key, ledgertest.Chain, b.id, b.attempt.Add(1), time.Now().UnixMicro(), raws)
	if err != nil {
		b.t.Error(err)
		return nil
	}
	return batch.Bytes()
}

const floodBatch = 470_000

// TestPoolRemovedBridge: what waits of a bridge when it is removed leaves the pool of every
// node, is refused by name when it comes again, and keeps nobody out of a block.
func TestPoolRemovedBridge(t *testing.T) {
	m := newMembers(t, 2, nil)
	for i := range m.cfg {
		m.cfg[i].BlockInterval, m.cfg[i].Heartbeat = 2*time.Second, DefaultHeartbeat
		m.start(i)
	}
	b := m.bridge(0, "removed")
	var signed, waiting [][]byte
	for range 26 {
		signed = append(signed, b.batch(floodBatch)) // three blocks' worth
	}
	remove := m.sign(0, ledger.RemoveBridge{Bridge: b.id}).Bytes()
	if err := m.node[0].Client().Submit(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	for _, tx := range signed {
		if err := m.node[0].Client().Submit(t.Context(), tx); ledger.CodeOf(err) == ledger.CodeRetired {
			break // a slow machine
		} else if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, tx)
	}
	if len(waiting) < 20 {
		t.Skipf("only %d batches came before the bridge was removed", len(waiting))
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	removed, err := m.node[0].Client().Wait(ctx, ledger.TxHash(remove))
	if err != nil || removed.Code != ledger.CodeOK {
		t.Fatal(removed, err)
	}
	_, res := m.operation(1, ledger.Describe{Subject: m.org[1]})
	if res.Height > removed.Height+3 {
		t.Errorf("the bridge was removed at %d, another member's operation came at %d", removed.Height, res.Height)
	}
	for i, n := range m.node {
		until(t, fmt.Sprintf("pool %d is empty", i), func() bool { return n.comet.Mempool().Size() == 0 })
	}
	last := waiting[len(waiting)-1]
	for _, n := range m.node {
		if err := n.Client().Submit(t.Context(), last); ledger.CodeOf(err) != ledger.CodeRetired {
			t.Errorf("sent again: %v, want %v", err, ledger.CodeRetired)
		}
	}
	m.agreed(res.Height)
}

// TestPoolFlood: while several bridges of one member send all they can, another member's
// operations and small batches are in one of the next blocks, through whichever node they
// come.
func TestPoolFlood(t *testing.T) {
	const bridges, tries, most = 3, 4, 6
	m := newMembers(t, 2, nil)
	for i := range m.node {
		m.start(i)
	}
	var flooders []*bridge
	for i := range bridges {
		flooders = append(flooders, m.bridge(0, fmt.Sprint("flooder ", i)))
	}
	trickle := m.bridge(1, "trickle")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i := range 4 * bridges {
		b := flooders[i%bridges]
		wg.Go(func() {
			for ctx.Err() == nil {
				tx := b.batch(floodBatch)
				for ledger.CodeOf(m.node[0].Client().Submit(ctx, tx)).Retryable() && ctx.Err() == nil {
					time.Sleep(5 * time.Millisecond) // between tries
				}
			}
		})
	}
	until(t, "the pool is flooded", func() bool { return m.node[0].comet.Mempool().SizeBytes() > 4*MaxBlockBytes })
	for i := range tries {
		n := m.node[i%2]
		for what, tx := range map[string][]byte{
			"an operation": m.sign(1, ledger.Describe{Subject: m.org[1]}).Bytes(),
			"a batch":      trickle.batch(200),
		} {
			before := m.node[0].height()
			if err := n.Client().Submit(ctx, tx); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			waits, cancel := context.WithTimeout(ctx, testTime)
			res, err := n.Client().Wait(waits, ledger.TxHash(tx))
			cancel()
			if err != nil || res.Code != ledger.CodeOK {
				t.Fatal(what, res.Code, err)
			}
			t.Logf("%s through node %d waited %d blocks; %d MiB in its pool", what, i%2, res.Height-before, n.comet.Mempool().SizeBytes()>>20)
			if res.Height > before+most {
				t.Errorf("%s through node %d waited %d blocks", what, i%2, res.Height-before)
			}
		}
	}
	stop()
	wg.Wait()
	m.agreed(m.node[0].height())
}
