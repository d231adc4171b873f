package mqttbridge

import (
	"bytes"
	"log/slog"
	"os"
	"testing"

	"mtmledger/ledger"
)

func testLogger(t testing.TB) *slog.Logger {
	if os.Getenv("MTM_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestCommit(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	cfg := testConfig(t, f)
	rec := &recorder{}
	b := startWith(t, cfg, rec)
	const n = 500
	for i := range n {
		b.ingest(d.topic(), d.statement(t, uint64(3*i+1), 3))
	}
	if c := b.settled(); c != (Counts{Received: n, Committed: n}) {
		t.Fatalf("%+v", c)
	}
	eventually(t, "acknowledgements", func() bool { return len(rec.list()) == n })
	for i, a := range rec.list() {
		s, err := ledger.ParseStatement(d.statement(t, uint64(3*i+1), 3))
		if err != nil {
			t.Fatal(err)
		}
		if !a.Sign1.Verify(bridgeKey.Public()) || !a.Answers(testChain, s) || a.Code != 0 || a.Index != uint64(i+1) {
			t.Fatalf("acknowledgement %d: %+v", i, a)
		}
		found := f.used[d.stream][uint64(3*i+1)]
		if found.Index != a.Index || found.Height != a.Height || !bytes.Equal(found.Statement, rec.data[i].Statement) {
			t.Fatalf("statement %d: acknowledged %d/%d, committed %d/%d", i, a.Height, a.Index, found.Height, found.Index)
		}
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(); err == nil {
		t.Fatal("ready after the end")
	}
}

// startWith starts a bridge whose answers go to rec.
func startWith(t testing.TB, cfg Config, rec sink) *running {
	t.Helper()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.answers.sink = rec
	return run(t, b)
}
