package spool

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"mtmledger/internal/disk"
)

// gauged measures the heap whenever a segment is opened or read.
type gauged struct {
	*disk.Crash
	peak uint64
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (g *gauged) measure(name string) {
	if strings.HasSuffix(name, ".seg") {
		g.peak = max(g.peak, heap())
	}
}

func (g *gauged) Open(name string) (disk.Reader, error) {
	r, err := g.Crash.Open(name)
	g.measure(name)
	return r, err
}

func (g *gauged) ReadFile(name string) ([]byte, error) {
	data, err := g.Crash.ReadFile(name)
	g.measure(name)
	return data, err
}

// TestOpenMemory: opening a spool takes far less memory than its files have, and so
// does reading what is in it.
func TestOpenMemory(t *testing.T) {
	const payload, count, limit = 32 << 10, 1536, 12 << 20 // 48 MiB of payloads
	cfg := Config{FS: disk.NewCrash(), Dir: "s", SegmentBytes: 1 << 20, MaxBytes: 1 << 30, MaxGroup: 1 << 20}
	s := open(t, cfg)
	var stored atomic.Int64
	receipt := receiptFunc(func(_ uint32, err error) { stored.Add(1) })
	for i := range count {
		eventually(t, "room", func() bool {
			return s.Append(Entry{Time: int64(i), Payload: make([]byte, payload)}, receipt, 0) == nil
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := stored.Load(); n != count {
		t.Fatalf("stored %d", n)
	}
	g := &gauged{Crash: cfg.FS.(*disk.Crash).Restart()}
	cfg.FS = g
	before := heap()
	s = open(t, cfg)
	defer s.Close()
	if c := balance(t, s); c.Spooled != count {
		t.Fatalf("%+v", c)
	}
	check := func(what string) {
		if g.peak > before+limit {
			t.Fatalf("%s takes %d KiB, want at most %d", what, (g.peak-before)>>10, limit>>10)
		}
	}
	check("opening")
	for got := 0; got < count; {
		for _, e := range next(t, s, 64) {
			if e.Time != int64(got) {
				t.Fatalf("got entry %d, want %d", e.Time, got)
			}
			got++
		}
	}
	check("reading")
}
