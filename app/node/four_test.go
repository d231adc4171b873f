package node

import (
	"fmt"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// fourHomes makes the homes of a ledger with four validators, and the Config to
// start each with.
func fourHomes(t *testing.T, l *ledgertest.Ledger) []Config {
	t.Helper()
	o := InitOptions{Chain: ledgertest.Chain, AppState: l.Genesis(), Time: time.Now().Add(-time.Hour)}
	var cfgs []Config
	var peers []string
	for i := range 4 {
		home := t.TempDir()
		id, err := InitKeys(home)
		if err != nil {
			t.Fatal(err)
		}
		addr, err := freePort(DefaultListen)
		if err != nil {
			t.Fatal(err)
		}
		o.Validators = append(o.Validators, Validator{Name: fmt.Sprint("validator ", i), Key: id.Key, Power: 10})
		cfgs = append(cfgs, Config{Home: home, P2PListen: addr, BlockInterval: 20 * time.Millisecond})
		peers = append(peers, id.NodeID+"@"+addr)
	}
	doc, err := NewGenesis(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfgs {
		if err := WriteGenesis(cfgs[i].Home, doc); err != nil {
			t.Fatal(err)
		}
		for j, p := range peers {
			if i != j {
				cfgs[i].Peers = append(cfgs[i].Peers, p)
			}
		}
	}
	return cfgs
}

func (c Config) copyTo(to *Config) { *to = c }

// TestFourValidators: four nodes commit the same app hash at every height; one
// that was away catches up; certificates carry three votes.
func TestFourValidators(t *testing.T) {
	l := ledgertest.New(t)
	cfgs := fourHomes(t, l)
	var nodes []*Node
	for _, c := range cfgs {
		nodes = append(nodes, startNode(t, c.Home, c.copyTo))
	}
	d := l.Device("press")
	setUp(t, nodes[0].Client(), d)
	for i := range 4 {
		commit(t, nodes[i].Client(), l.Batch(d.Statement(2)))
	}
	if err := nodes[3].Stop(); err != nil {
		t.Fatal(err)
	}
	var last ledger.TxResult
	for range 3 {
		last = commit(t, nodes[0].Client(), l.Batch(d.Statement(1)))
	}
	nodes[3] = startNode(t, cfgs[3].Home, cfgs[3].copyTo)
	agree(t, nodes, last.Height)

	root, err := TrustRoot(cfgs[0].Home)
	if err != nil {
		t.Fatal(err)
	}
	f, err := proof.Verify(certificate(t, nodes[3].Client(), d.Stream, 9, 9), root)
	if err != nil {
		t.Fatal(err)
	}
	if f.Validators != 4 || f.Signed != 3 {
		t.Errorf("%d of %d validators' votes", f.Signed, f.Validators)
	}
}

// agree waits until every node has a height and compares the app hashes.
func agree(t *testing.T, nodes []*Node, height uint64) {
	t.Helper()
	deadline := time.Now().Add(testTime)
	for h := uint64(1); h <= height; h++ {
		want, err := nodes[0].Client().AppHash(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range nodes[1:] {
			got, err := n.Client().AppHash(t.Context(), h)
			for ledger.CodeOf(err) == ledger.CodeFutureHeight && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond) // between polls
				got, err = n.Client().AppHash(t.Context(), h)
			}
			if err != nil || got.AppHash != want.AppHash {
				t.Fatalf("node %d at height %d: %x, %v; want %x", i+1, h, got.AppHash, err, want.AppHash)
			}
		}
	}
}
