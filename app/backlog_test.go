package app

import (
	"encoding/binary"
	"math"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// flooded is a backlog of a pool of a common size, without quotas.
type flooded struct {
	*backlog
	next uint64
}

func newFlooded() *flooded {
	b := newBacklog()
	b.limit(20_000, 256<<20)
	return &flooded{backlog: b}
}

func (f *flooded) admit(org, bridge byte, size int64, ours bool) bool {
	f.next++
	e := &entry{payer: crypto.ID{org}, sender: crypto.ID{org, bridge}, size: size}
	binary.BigEndian.PutUint64(e.hash[:], f.next)
	none := &record.Parameters{StatementsPerBridge: math.MaxInt32, BytesPerBridge: math.MaxInt32,
		StatementsPerOrganisation: math.MaxInt32, BytesPerOrganisation: math.MaxInt32}
	return f.backlog.admit(e, none, ours) == ledger.CodeOK
}

// flood admits what there is room for, and returns its bytes.
func (f *flooded) flood(org, bridge byte, size int64, ours bool) (sum int64) {
	for f.admit(org, bridge, size, ours) {
		sum += size
	}
	return sum
}

// TestRoom: however many organisations and bridges send all they can, something is left for
// others; peers have room for twice what a client of this node may send.
func TestRoom(t *testing.T) {
	const size = 500_000
	if mine, theirs := newFlooded().flood(1, 1, size, true), newFlooded().flood(1, 1, size, false); mine < 12<<20 || theirs < mine*3/2 {
		t.Errorf("one bridge has %d bytes, of a peer %d: less than some blocks", mine, theirs)
	}
	for _, size := range []int64{500_000, 300} {
		f := newFlooded()
		f.flood(1, 1, size, false)
		if !f.admit(1, 2, size, false) {
			t.Error("no room for another bridge of the organisation")
		}
		for bridge := range byte(20) {
			f.flood(1, bridge, size, false)
		}
		if one := f.batches[crypto.ID{1}]; one.size > 256<<20/4 || one.count > 20_000/4 {
			t.Errorf("one organisation has %d transactions, %d bytes", one.count, one.size)
		}
		for org := byte(2); org < 100; org++ {
			f.flood(org, 1, size, false)
		}
		if f.bytes >= 256<<20 || len(f.txs) >= 20_000 {
			t.Errorf("%d transactions, %d bytes: the pool is full", len(f.txs), f.bytes)
		}
		if !f.admit(200, 1, 1000, true) {
			t.Error("no room for one of somebody who has nothing here")
		}
	}
}

// TestBacklogEmpties: what left is forgotten, with everything counted of it.
func TestBacklogEmpties(t *testing.T) {
	f := newFlooded()
	for i := range byte(50) {
		f.admit(i%5, i%7, int64(i), false)
	}
	for hash := range f.txs {
		f.drop(hash)
		f.drop(hash)
	}
	if f.bytes != 0 || len(f.txs)+len(f.batches)+len(f.operations) != 0 {
		t.Errorf("%d bytes, %d transactions, %d organisations", f.bytes, len(f.txs), len(f.batches))
	}
}

// TestChecksInTurns: a transaction that comes behind a bridge's flood is not verified after
// all of it.
func TestChecksInTurns(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	other := *l
	other.Bridge = ledgertest.Key("other bridge")
	other.BridgeID = ledger.BridgeID(other.Bridge.Public())
	p, err := ledger.SignPossession(other.Bridge, ledgertest.Chain, l.Organisation)
	if err != nil {
		t.Fatal(err)
	}
	if res := c.block(l.Operation(now, ledger.EnrolBridge{Possession: p})); res[0].Code != ledger.CodeOK {
		t.Fatal(res)
	}
	const flood = 40
	clients := newClients(c.app) // without its goroutines
	var answers []int
	for i := range flood + 1 {
		tx := l.Batch(d.Statement(1000))
		if i == flood {
			tx = other.Batch(d.Statement(1))
		}
		clients.enqueue(&abci.RequestCheckTx{Tx: tx}).SetCallback(func(res *abci.Response) {
			if code := res.GetCheckTx().Code; code != 0 {
				t.Errorf("transaction %d: %v", i, ledger.Code(code))
			}
			answers = append(answers, i)
		})
		clients.screen([]*job{<-clients.jobs})
	}
	if len(answers) > 0 {
		t.Fatalf("answers %v before anything was verified", answers)
	}
	for {
		select {
		case <-clients.more:
			clients.verify(clients.turn())
			continue
		default:
		}
		break
	}
	if len(answers) != flood+1 || answers[0] != 0 || answers[1] != flood || clients.bytes.Load() != 0 || len(clients.results) > 0 {
		t.Errorf("the order of answers is %v, want %d after 0; %d bytes, %d jobs left", answers, flood, clients.bytes.Load(), len(clients.results))
	}
}
