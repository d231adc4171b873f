package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mtmledger/internal/disk"
)

// results collects what receipts are told, by id.
type results struct {
	mu   sync.Mutex
	errs map[uint32]error
	n    atomic.Int64
}

func newResults() *results { return &results{errs: map[uint32]error{}} }

func (r *results) Stored(id uint32, err error) {
	r.mu.Lock()
	r.errs[id] = err
	r.mu.Unlock()
	r.n.Add(1)
}

// acked returns the ids that were stored.
func (r *results) acked() (ids []uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, err := range r.errs {
		if err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("timeout: %s", what)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func small(fs disk.FS) Config {
	return Config{FS: fs, Dir: "bridge/spool", SegmentBytes: 1024, MaxBytes: 1 << 20, MarkDelay: time.Millisecond}
}

func open(t *testing.T, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Spool, r *results, ids ...uint32) {
	t.Helper()
	for _, id := range ids {
		if err := s.Append(entry(id), r, id); err != nil {
			t.Fatal(err)
		}
	}
}

func entry(id uint32) Entry {
	return Entry{Time: int64(id), Topic: fmt.Sprintf("t/%d", id), Payload: fmt.Appendf(nil, "payload %d", id)}
}

func next(t *testing.T, s *Spool, max int) []Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e, err := s.Next(ctx, max)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drain reads n entries and checks that each is whole.
func drain(t *testing.T, s *Spool, n int) (entries []Entry) {
	t.Helper()
	for len(entries) < n {
		for _, e := range next(t, s, n-len(entries)) {
			if w := entry(uint32(e.Time)); e.Topic != w.Topic || string(e.Payload) != string(w.Payload) {
				t.Fatalf("entry %d came back as %+v", e.Time, e)
			}
			entries = append(entries, e)
		}
	}
	return entries
}

func none(t *testing.T, s *Spool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e, err := s.Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, %v; want nothing", e, err)
	}
}

func balance(t *testing.T, s *Spool) Counts {
	t.Helper()
	c := s.Counts()
	if !c.Balanced() {
		t.Fatalf("unbalanced: %+v", c)
	}
	return c
}

func sequence(first, n uint32) (ids []uint32) {
	for i := range n {
		ids = append(ids, first+i)
	}
	return ids
}

func seqs(entries []Entry) (s []uint64) {
	for _, e := range entries {
		s = append(s, e.Seq)
	}
	return s
}

func TestQueue(t *testing.T) {
	fs := disk.NewCrash()
	s := open(t, small(fs))
	r := newResults()
	put(t, s, r, sequence(1, 100)...)
	got := drain(t, s, 100)
	for i, e := range got {
		if e.Seq != uint64(i+1) || e.Time != int64(i+1) {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	eventually(t, "receipts", func() bool { return len(r.acked()) == 100 })
	s.Done(Committed, seqs(got[:50])...)
	s.Done(Duplicate, 51)
	s.Done(DeadLettered, 52, 52, 51, 1, 1000) // known ones count once, unknown ones never
	want := Counts{100, 50, 1, 1, 48}
	if c := balance(t, s); c != want {
		t.Fatalf("counts %+v, want %+v", c, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, small(fs.Restart()))
	defer s.Close()
	if c := balance(t, s); c != want {
		t.Fatalf("counts after reopening %+v, want %+v", c, want)
	}
	left := drain(t, s, 48)
	if left[0].Seq != 53 || left[47].Seq != 100 {
		t.Fatalf("left %d..%d", left[0].Seq, left[47].Seq)
	}
	none(t, s)
	put(t, s, r, 101)
	if e := drain(t, s, 1)[0]; e.Seq != 101 {
		t.Fatalf("next sequence %d", e.Seq)
	}
}

func TestClosed(t *testing.T) {
	fs := disk.NewCrash()
	s := open(t, small(fs))
	if _, err := Open(small(fs)); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(entry(1), nil, 0); !errors.Is(err, ErrClosed) {
		t.Fatalf("append: %v", err)
	}
	if _, err := s.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Fatalf("next: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	s := open(t, Config{FS: disk.NewCrash(), Dir: "s"})
	defer s.Close()
	r := newResults()
	topic := string(make([]byte, MaxTopic))
	if err := s.Append(Entry{Topic: topic, Payload: make([]byte, MaxPayload)}, r, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(Entry{Topic: topic + "x"}, r, 2); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("topic: %v", err)
	}
	if err := s.Append(Entry{Payload: make([]byte, MaxPayload+1)}, r, 3); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("payload: %v", err)
	}
	if e := next(t, s, 5); len(e) != 1 || len(e[0].Payload) != MaxPayload {
		t.Fatal("the largest entry did not come back")
	}
	for _, c := range []Config{{Dir: "s"}, {FS: disk.NewCrash()}, {FS: disk.NewCrash(), Dir: "s", MaxBytes: 3 << 20, SegmentBytes: 1 << 20}, {FS: disk.NewCrash(), Dir: "s", SegmentBytes: 1023}} {
		if _, err := Open(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestFull: a full spool refuses, loses nothing, and has room again when entries
// are done.
func TestFull(t *testing.T) {
	cfg := small(disk.NewCrash())
	cfg.MaxBytes = 8 << 10
	s := open(t, cfg)
	defer s.Close()
	r := newResults()
	var taken uint32
	for {
		err := s.Append(entry(taken+1), r, taken+1)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
		eventually(t, "stored", func() bool { return r.n.Load() == int64(taken) })
	}
	if b := s.Stats().Bytes; b > cfg.MaxBytes {
		t.Fatalf("%d bytes, limit %d", b, cfg.MaxBytes)
	}
	room := s.Room()
	s.Done(Committed, seqs(drain(t, s, int(taken)))...)
	select {
	case <-room:
	case <-time.After(10 * time.Second):
		t.Fatal("no room")
	}
	eventually(t, "room", func() bool { return s.Append(entry(taken+1), r, taken+1) == nil })
	if c := balance(t, s); c.Committed != uint64(taken) {
		t.Fatalf("%+v", c)
	}
}

// TestCleaning: entries that stay for long do not keep the spool full.
func TestCleaning(t *testing.T) {
	cfg := small(disk.NewCrash())
	cfg.MaxBytes = 16 << 10
	s := open(t, cfg)
	r := newResults()
	put(t, s, r, 1, 2)
	stuck := drain(t, s, 2)
	for id := uint32(3); id < 3000; id++ {
		eventually(t, "room", func() bool { return s.Append(entry(id), r, id) == nil })
		e := drain(t, s, 1)
		if e[0].Time != int64(id) {
			t.Fatalf("got entry %d, want %d", e[0].Time, id)
		}
		s.Done(Committed, e[0].Seq)
	}
	if c := balance(t, s); c.Spooled != 2 || c.Received != 2999 {
		t.Fatalf("%+v", c)
	}
	if n := s.Stats().Segments; n > 17 {
		t.Fatalf("%d segments", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.FS = cfg.FS.(*disk.Crash).Restart()
	s = open(t, cfg)
	defer s.Close()
	left := drain(t, s, 2)
	if left[0].Seq != stuck[0].Seq || left[1].Seq != stuck[1].Seq {
		t.Fatalf("left %v, want %v", seqs(left), seqs(stuck))
	}
	none(t, s)
	s.Done(DeadLettered, 1)
	s.Done(Committed, 2)
	if c := balance(t, s); c != (Counts{2999, 2998, 0, 1, 0}) {
		t.Fatalf("%+v", c)
	}
}

// TestBehind: a reader that falls behind is served from the files, in order.
func TestBehind(t *testing.T) {
	cfg := small(disk.NewCrash())
	cfg.Memory = 1024
	s := open(t, cfg)
	defer s.Close()
	r := newResults()
	rng := rand.New(rand.NewPCG(1, 2))
	var put, got uint32
	for got < 2000 {
		for range rng.IntN(60) {
			put++
			if err := s.Append(entry(put), r, put); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range drain(t, s, min(rng.IntN(50), int(put-got))) {
			got++
			if e.Time != int64(got) {
				t.Fatalf("got entry %d, want %d", e.Time, got)
			}
			s.Done(Committed, e.Seq)
		}
	}
	balance(t, s)
}

// TestUnbalanced: an entry that is lost from the segments, or counted and never
// there, shows in the counts of the running spool.
func TestUnbalanced(t *testing.T) {
	for name, damage := range map[string]func(s *Spool){
		"segment lost":   func(s *Spool) { s.segs = s.segs[1:] },
		"count of taken": func(s *Spool) { s.now.received++ },
		"count of done":  func(s *Spool) { s.now.done[Committed]++ },
		"lost mark":      func(s *Spool) { s.mark(3) },
	} {
		s := open(t, small(disk.NewCrash()))
		defer s.Close()
		r := newResults()
		for id := range uint32(100) {
			put(t, s, r, id)
			eventually(t, "stored", func() bool { return r.n.Load() == int64(id+1) })
		}
		s.Done(Duplicate, seqs(drain(t, s, 2))...)
		balance(t, s)
		s.mu.Lock()
		damage(s)
		s.mu.Unlock()
		if c := s.Counts(); c.Balanced() {
			t.Errorf("%s: %+v is taken for balanced", name, c)
		}
	}
}

// TestConcurrent: many waiters share syncs, and Counts balance all the time.
func TestConcurrent(t *testing.T) {
	s := open(t, Config{FS: disk.OS{}, Dir: t.TempDir()})
	defer s.Close()
	const workers, each = 8, 500
	var wg sync.WaitGroup
	r := newResults()
	for w := range uint32(workers) {
		wg.Go(func() {
			for i := range uint32(each) {
				id := w*each + i
				if err := s.Append(entry(id), r, id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for got := 0; got < workers*each; {
		e := next(t, s, 64)
		got += len(e)
		s.Done(Committed, seqs(e)...)
		balance(t, s)
	}
	wg.Wait()
	eventually(t, "receipts", func() bool { return r.n.Load() == workers*each })
	if n := s.Stats().Syncs; n > workers*each/2 {
		t.Fatalf("%d syncs for %d entries", n, workers*each)
	}
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(Config{FS: disk.OS{}, Dir: b.TempDir(), MaxBytes: 8 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	payload := make([]byte, 220)
	var stored atomic.Int64
	receipt := receiptFunc(func(uint32, error) { stored.Add(1) })
	go func() {
		for {
			e, err := s.Next(b.Context(), 1024)
			if err != nil {
				return
			}
			s.Done(Committed, seqs(e)...)
		}
	}()
	b.ReportAllocs()
	topic := "mtm/1/up/0123456789012345678901/0123456789012345678901"
	for b.Loop() {
		for s.Append(Entry{Topic: topic, Payload: payload}, receipt, 1) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	for stored.Load() < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(b.N)/float64(s.Stats().Syncs), "entries/sync")
}

type receiptFunc func(uint32, error)

func (f receiptFunc) Stored(id uint32, err error) { f(id, err) }
