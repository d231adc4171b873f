package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// testTime bounds everything a test waits for.
const testTime = 2 * time.Minute

// newHome makes a home of the test ledger, with this node as the validator.
func newHome(t testing.TB, l *ledgertest.Ledger) string {
	t.Helper()
	home := t.TempDir()
	_, err := Init(home, InitOptions{
		Chain: ledgertest.Chain, AppState: l.Genesis(), Time: time.Now().Add(-time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return home
}

func startNode(t testing.TB, home string, change func(*Config)) *Node {
	t.Helper()
	cfg := Config{Home: home, BlockInterval: 10 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("NODE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop() })
	return n
}

// submitter is what both clients do.
type submitter interface {
	Submit(ctx context.Context, tx []byte) error
	Wait(ctx context.Context, hash [32]byte) (ledger.TxResult, error)
	Certificate(ctx context.Context, stream crypto.ID, first, last uint64) ([]byte, error)
	Status(ctx context.Context) (client.Status, error)
	AppHash(ctx context.Context, height uint64) (client.HeightInfo, error)
}

// commit submits a transaction and waits for it.
func commit(t testing.TB, c submitter, tx []byte) ledger.TxResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	err := c.Submit(ctx, tx)
	for ledger.CodeOf(err).Retryable() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // between polls
		err = c.Submit(ctx, tx)
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Wait(ctx, ledger.TxHash(tx))
	if err != nil {
		t.Fatal(err)
	}
	if res.Code != ledger.CodeOK {
		t.Fatalf("transaction refused: %v", res.Code)
	}
	return res
}

// certificate asks until the state is signed for.
func certificate(t testing.TB, c submitter, stream crypto.ID, first, last uint64) []byte {
	t.Helper()
	deadline := time.Now().Add(testTime)
	for {
		file, err := c.Certificate(t.Context(), stream, first, last)
		if err == nil {
			return file
		}
		if ledger.CodeOf(err) != ledger.CodeFutureHeight || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // between polls
	}
}

// setUp enrols a device and opens its stream.
func setUp(t testing.TB, c submitter, d *ledgertest.Device) {
	t.Helper()
	now := time.Now().Unix()
	commit(t, c, d.Enrol(now))
	commit(t, c, d.Open(now))
}

func TestNode(t *testing.T) {
	l := ledgertest.New(t)
	home := newHome(t, l)
	root, err := TrustRoot(home)
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, home, nil)
	d := l.Device("press")
	setUp(t, n.Client(), d)

	res := commit(t, n.Client(), l.Batch(d.Statement(3), d.Statement(1)))
	if len(res.Codes) != 2 || len(res.Indexes) != 2 {
		t.Fatalf("result %+v", res)
	}
	remote := client.NewRemote(n.RPCAddress())
	defer remote.Close()
	res2 := commit(t, remote, l.Batch(d.Statement(2)))
	if res2.Height <= res.Height || res2.Indexes[0] != res.Indexes[1]+1 {
		t.Fatalf("first %+v, then %+v", res, res2)
	}
	for _, c := range []submitter{n.Client(), remote} {
		file := certificate(t, c, d.Stream, 2, 3)
		f, err := proof.Verify(file, root)
		if err != nil {
			t.Fatal(err)
		}
		if f.Index != res.Indexes[0] || f.Height != res.Height || f.Owner != l.Organisation {
			t.Fatalf("finding %+v, result %+v", f, res)
		}
	}
	restarted(t, home, n, l, d, root)
}

// restarted stops the node, starts it again and goes on.
func restarted(t *testing.T, home string, n *Node, l *ledgertest.Ledger, d *ledgertest.Device, root proof.TrustRoot) {
	before, err := n.Client().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, home, nil)
	h, err := n.Client().AppHash(t.Context(), before.Height)
	if err != nil || h.AppHash != before.AppHash || h.LogSize != before.LogSize {
		t.Fatalf("after restart %+v, %v; before %+v", h, err, before)
	}
	// The state one block back comes from the undo record now.
	if _, err := proof.Verify(certificate(t, n.Client(), d.Stream, 1, 1), root); err != nil {
		t.Fatal(err)
	}
	res := commit(t, n.Client(), l.Batch(d.Statement(5)))
	if res.Height <= before.Height || res.Indexes[0] != before.LogSize {
		t.Fatalf("after restart %+v; before %+v", res, before)
	}
	if _, err := proof.Verify(certificate(t, n.Client(), d.Stream, 7, 11), root); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Client().Status(t.Context()); err == nil {
		t.Fatal("a stopped node answers")
	}
	if err := n.Client().Submit(t.Context(), l.Batch(d.Statement(1))); !errors.Is(err, ErrStopped) {
		t.Fatalf("submit to a stopped node: %v", err)
	}
}
