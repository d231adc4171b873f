package mqttbridge

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mtmledger/internal/disk"
)

func TestMetrics(t *testing.T) {
	d := newDevice(1)
	cfg := testConfig(t, newFake(bridgeKey.Public(), d))
	registry := prometheus.NewPedanticRegistry()
	cfg.Registerer = registry
	r := start(t, cfg)
	r.ingest(d.topic(), d.statement(t, 1, 1))
	r.ingest(d.topic(), d.statement(t, 1, 1))
	r.ingest(d.topic(), []byte("garbage"))
	r.settled()
	got := gather(t, registry)
	want := map[string]float64{
		"mtm_bridge_messages_total/committed": 1, "mtm_bridge_messages_total/duplicate": 1,
		"mtm_bridge_messages_total/dead_lettered": 1, "mtm_bridge_messages_total/received": 3, "mtm_bridge_spooled": 0,
		"mtm_bridge_dead_letters_total/malformed": 1, "mtm_bridge_ready": 1, "mtm_bridge_items": 0,
	}
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s = %v, want %v", name, g, v)
		}
	}
	if got["mtm_bridge_commit_seconds"] < 1 || got["mtm_bridge_transactions_total"] < 1 {
		t.Errorf("%v", got)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if got := gather(t, registry); len(got) != 0 {
		t.Errorf("still registered: %v", got)
	}
}

// gather returns the values by name and label.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// TestBadResult: a result that does not fit the transaction is not believed; the
// statements are submitted again.
func TestBadResult(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	f.short = true
	r := start(t, testConfig(t, f))
	r.ingest(d.topic(), d.statement(t, 1, 1))
	eventually(t, "trouble", func() bool { return r.troubles.has("commit") })
	f.set(func(f *fakeLedger) { f.short = false })
	if c := r.settled(); c != (Counts{Received: 1, Duplicate: 1}) { // of itself
		t.Fatalf("%+v", c)
	}
}

// TestFullDisk: a spool that can't store makes the bridge not ready, until it can.
func TestFullDisk(t *testing.T) {
	f := &fullDisk{FS: disk.NewCrash()}
	d := newDevice(1)
	cfg := testConfig(t, newFake(bridgeKey.Public(), d))
	cfg.FS = f
	r := start(t, cfg)
	f.full.Store(true)
	if err := r.Ingest(t.Context(), d.topic(), d.statement(t, 1, 1)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("ingested: %v", err)
	}
	err := r.Ready()
	if !errors.Is(err, ErrNotReady) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "tried again after") {
		t.Fatalf("ready: %v", err)
	}
	f.full.Store(false)
	r.ingest(d.topic(), d.statement(t, 1, 1))
	r.settled()
	if err := r.Ready(); err != nil {
		t.Fatal(err)
	}
}

// fullDisk has no room for another file while it is told so.
type fullDisk struct {
	disk.FS
	full atomic.Bool
}

func (f *fullDisk) Create(name string) (disk.File, error) {
	if f.full.Load() {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name)
}

func TestClose(t *testing.T) {
	cfg := testConfig(t, newFake(bridgeKey.Public()))
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err == nil {
		t.Fatal("two bridges in one folder")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err != ErrStarted {
		t.Fatalf("ran after Close: %v", err)
	}
}
