package mqttbridge

import (
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
	eventually(t, "answers", func() bool { return rec.count() == 2*n })
	inOrder(t, f, []device{d}, 3*n)
	for _, o := range rec.list() {
		found := f.used[d.stream][o.First]
		s, err := ledger.ParseStatement(found.Statement)
		if err != nil || !o.Answers(s) || o.Code != 0 {
			t.Fatalf("outcome %+v, %v", o, err)
		}
		if found.Index != o.Index || found.Height != o.Height {
			t.Fatalf("number %d: acknowledged %d/%d, committed %d/%d", o.First, o.Height, o.Index, found.Height, found.Index)
		}
	}
	for _, c := range rec.data {
		s, err := ledger.ParseStatement(c.Statement)
		if err != nil || f.used[d.stream][s.First].Index != c.Index {
			t.Fatalf("data %+v, %v", c, err)
		}
	}
	if len(rec.data) != n {
		t.Fatalf("%d data, want %d", len(rec.data), n)
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
