package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// wait returns why a node ended, or fails when it goes on.
func wait(t *testing.T, n *Node) error {
	t.Helper()
	select {
	case <-n.Done():
		return n.Wait()
	case <-time.After(testTime):
		t.Fatal("the node goes on")
		return nil
	}
}

// TestConsensusFailureEndsTheNode: the line that CometBFT logs when consensus
// has panicked is all it takes.
func TestConsensusFailureEndsTheNode(t *testing.T) {
	n := startNode(t, newHome(t, ledgertest.New(t)), nil)
	var out bytes.Buffer
	l := cometLogger{log: slog.New(slog.NewTextHandler(&out, nil)), failed: n.fail}
	l.With("module", "consensus").Error("some other error", "err", "x")
	select {
	case <-n.life.Done():
		t.Fatal("any error ends the node")
	default:
	}
	l.With("module", "consensus").Error("CONSENSUS FAILURE!!!", "err", "the cause", "stack", "...")
	if err := wait(t, n); !errors.Is(err, ErrConsensus) || !strings.Contains(err.Error(), "the cause") {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(out.String(), "module=consensus") {
		t.Errorf("log %q", out.String())
	}
}

// TestConsensusPanicIsSeen: a failure of the database under a block ends the
// node, not only CometBFT's consensus.
func TestConsensusPanicIsSeen(t *testing.T) {
	n := startNode(t, newHome(t, ledgertest.New(t)), func(c *Config) { c.Heartbeat = time.Second })
	n.state.Close() // no last block any more: the next one fails
	if err := wait(t, n); !errors.Is(err, ErrConsensus) {
		t.Errorf("ended with %v", err)
	}
}

// TestStallEndsTheNode: one of two validators can't make a block alone.
func TestStallEndsTheNode(t *testing.T) {
	l := ledgertest.New(t)
	home := t.TempDir()
	id, err := InitKeys(home)
	if err != nil {
		t.Fatal(err)
	}
	other := ledgertest.Key("the absent validator").Public()
	_, err = Init(home, InitOptions{
		Chain: ledgertest.Chain, AppState: l.Genesis(), Time: time.Now().Add(-time.Hour),
		Validators: []Validator{{Name: "here", Key: id.Key, Power: 10}, {Name: "absent", Key: other, Power: 10}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, home, func(c *Config) { c.Heartbeat, c.StallAfter = time.Second, 2*time.Second })
	if err := wait(t, n); !errors.Is(err, ErrStalled) {
		t.Errorf("ended with %v", err)
	}
}

// hang keeps a node's consensus in a Commit, as a disk that doesn't answer does, and
// returns when it is there. The end of the test frees it.
func hang(t *testing.T, l *ledgertest.Ledger, n *Node) {
	t.Helper()
	release := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	n.app.SetArchive(func(uint64) error {
		cancel()
		<-release
		return nil
	})
	t.Cleanup(func() {
		close(release)
		<-n.closed // before the home is deleted
		if n.failed != nil {
			t.Errorf("closing, once it hangs no more: %v", n.failed)
		}
	})
	d := l.Device("press")
	setUp(t, n.Client(), d)
	for ctx.Err() == nil {
		tx := l.Batch(d.Statement(1))
		if n.Client().Submit(ctx, tx) == nil {
			_, _ = n.Client().Wait(ctx, ledger.TxHash(tx)) // until ctx ends
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatalf("no block is pruned at height %d", n.height())
	}
}

// TestHungConsensusEndsTheNode: a node whose consensus never returns from a block ends
// all the same, with the reason, and leaves the database open under it.
func TestHungConsensusEndsTheNode(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*Node)
		want []error
	}{
		{"stalled", func(*Node) {}, []error{ErrStalled, ErrHung}},
		{"stopped", func(n *Node) { n.fail(nil) }, []error{ErrHung}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := ledgertest.New(t)
			n := startNode(t, newHome(t, l), func(c *Config) {
				c.BlockInterval, c.RetainBlocks = time.Microsecond, MinRetainBlocks
				c.Heartbeat, c.StallAfter, c.closeTime = time.Second, 2*time.Second, 100*time.Millisecond
			})
			hang(t, l, n)
			impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := n.Client().Submit(impatient, l.Batch(l.Device("press").Statement(1))); err == nil {
				t.Error("a transaction was checked under a commit")
			}
			tt.end(n)
			err := wait(t, n)
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("ended with %v, want %v", err, want)
				}
			}
			if n.state.Empty() || n.engine.Size() == 0 {
				t.Error("the database is closed under its user")
			}
		})
	}
}

// TestIdleIsNoStall: an idle ledger has a heartbeat, which changes no app hash.
func TestIdleIsNoStall(t *testing.T) {
	n := startNode(t, newHome(t, ledgertest.New(t)), func(c *Config) { c.Heartbeat, c.StallAfter = time.Second, 3*time.Second })
	deadline := time.Now().Add(testTime)
	for n.height() < 6 {
		if time.Now().After(deadline) {
			t.Fatalf("height %d", n.height())
		}
		select {
		case <-n.Done():
			t.Fatalf("ended: %v", n.Wait())
		case <-time.After(10 * time.Millisecond): // between polls
		}
	}
	first, err := n.Client().AppHash(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	last, err := n.Client().AppHash(t.Context(), 6)
	if err != nil || first.AppHash != last.AppHash {
		t.Errorf("app hash %x, then %x, %v", first.AppHash, last.AppHash, err)
	}
}

// TestHomeInUse: a second node on one home is an error, and the first goes on.
func TestHomeInUse(t *testing.T) {
	l := ledgertest.New(t)
	home := newHome(t, l)
	n := startNode(t, home, nil)
	if _, err := Start(t.Context(), Config{Home: home}, nil); err == nil {
		t.Fatal("two nodes on one home")
	}
	setUp(t, n.Client(), l.Device("press"))
}

// TestPruning: old blocks go, what they hold stays provable.
func TestPruning(t *testing.T) {
	l := ledgertest.New(t)
	home := newHome(t, l)
	n := startNode(t, home, func(c *Config) { c.BlockInterval, c.RetainBlocks = time.Microsecond, MinRetainBlocks })
	d := l.Device("press")
	setUp(t, n.Client(), d)
	for n.height() < 2*MinRetainBlocks+5 {
		commit(t, n.Client(), l.Batch(d.Statement(1)))
	}
	s, err := n.Client().Status(t.Context())
	if err != nil || s.BaseHeight != MinRetainBlocks {
		t.Fatalf("oldest block %d, %v", s.BaseHeight, err)
	}
	root, err := TrustRoot(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(certificate(t, n.Client(), d.Stream, 1, 1), root); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Client().AppHash(t.Context(), s.Height+1000); ledger.CodeOf(err) != ledger.CodeFutureHeight {
		t.Errorf("future height: %v", err)
	}
}
