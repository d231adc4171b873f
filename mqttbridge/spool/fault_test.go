package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"mtmledger/internal/disk"
)

// history is what a test knows of a spool: it outlives crashes.
type history struct {
	t     *testing.T
	acked map[uint32]bool // told stored
	sent  map[uint32]bool // appended
	done  map[uint32]bool // Done was called
}

func newHistory(t *testing.T) *history {
	return &history{t, map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}}
}

// step appends one entry, waits for its receipt, and reports whether it was stored.
func (h *history) step(s *Spool, id uint32) bool {
	answer := make(chan error, 1)
	h.sent[id] = true
	err := s.Append(entry(id), receiptFunc(func(_ uint32, err error) { answer <- err }), id)
	if err == nil {
		select {
		case err = <-answer:
		case <-time.After(10 * time.Second):
			h.t.Fatal("no receipt")
		}
	}
	if err != nil {
		return false
	}
	h.acked[id] = true
	return true
}

// finish marks some of the entries that are given out: all but every seventh.
func (h *history) finish(s *Spool, n int) {
	for _, e := range drain(h.t, s, n) {
		if e.Time%7 != 0 {
			h.done[uint32(e.Time)] = true
			s.Done(Outcome(e.Time%3), e.Seq)
		}
	}
	balance(h.t, s)
}

// check opens the spool anew and compares it with the history.
func (h *history) check(cfg Config) {
	h.t.Helper()
	s := open(h.t, cfg)
	defer s.Close()
	c := balance(h.t, s)
	back := map[uint32]bool{}
	for _, e := range drain(h.t, s, int(c.Spooled)) {
		id := uint32(e.Time)
		if back[id] || !h.sent[id] {
			h.t.Fatalf("entry %d came back twice, or from nowhere", id)
		}
		back[id] = true
	}
	for id := range h.acked {
		if !back[id] && !h.done[id] {
			h.t.Fatalf("acknowledged entry %d is lost", id)
		}
	}
	if c.Received < uint64(len(h.acked)) || c.Received > uint64(len(h.sent)) {
		h.t.Fatalf("received %d, acknowledged %d, sent %d", c.Received, len(h.acked), len(h.sent))
	}
	none(h.t, s)
}

const workload = 120

// work runs the workload and closes the spool; errors end it early.
func (h *history) work(cfg Config, from uint32) {
	s, err := Open(cfg)
	if err != nil {
		return
	}
	defer s.Close()
	if n := s.Counts().Spooled; n > 0 {
		h.finish(s, int(n))
	}
	pending := 0
	for id := from; id < from+workload; id++ {
		if !h.step(s, id) {
			if crashed(cfg) {
				return
			}
			continue // as a client would: the next one
		}
		if pending++; pending == 5 {
			h.finish(s, pending)
			pending = 0
		}
	}
}

func crashed(cfg Config) bool { return cfg.FS.(interface{ Crashed() bool }).Crashed() }

func faultConfig(fsys disk.FS) Config {
	// Small enough that the workload begins and deletes segments, and cleans.
	return Config{FS: fsys, Dir: "b/s", SegmentBytes: 1024, MaxBytes: 8192, MaxGroup: 1024, MarkDelay: time.Microsecond}
}

// crowdedConfig is so small that every entry that stays is copied over and over.
func crowdedConfig(fsys disk.FS) Config {
	cfg := faultConfig(fsys)
	cfg.MaxBytes = 4096
	return cfg
}

// TestCrashAnywhere crashes at every operation of the file system, in every way.
func TestCrashAnywhere(t *testing.T) {
	for name, config := range map[string]func(disk.FS) Config{"roomy": faultConfig, "crowded": crowdedConfig} {
		steps := stepsOf(t, config)
		for _, fault := range disk.Faults {
			for at := 1; at <= steps; at++ {
				t.Run(fmt.Sprintf("%s/%v/%d", name, fault, at), func(t *testing.T) {
					h := newHistory(t)
					crash := disk.NewCrash()
					crash.CrashAt(at, fault)
					h.work(config(crash), 1)
					again := crash.Restart()
					h.check(config(again))
					h.work(config(again), 1+workload)
					h.check(config(again.Restart()))
				})
			}
		}
	}
}

func stepsOf(t *testing.T, config func(disk.FS) Config) int {
	crash := disk.NewCrash()
	h := newHistory(t)
	h.work(config(crash), 1)
	if len(h.acked) != workload {
		t.Fatalf("acknowledged %d of %d", len(h.acked), workload)
	}
	steps := crash.Steps()
	h.check(config(crash.Restart()))
	return steps
}

// faulty fails one operation, which is done all the same or not, and goes on.
type faulty struct {
	*disk.Crash
	n, at   int
	persist bool
}

var errFault = errors.New("fault")

func (f *faulty) try(do func() error) error {
	f.n++
	if f.n != f.at {
		return do()
	}
	if f.persist {
		do()
	}
	return errFault
}

func (f *faulty) Create(name string) (file disk.File, err error) {
	err = f.try(func() (err error) { file, err = f.Crash.Create(name); return err })
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f}, nil
}

func (f *faulty) Remove(name string) error {
	return f.try(func() error { return f.Crash.Remove(name) })
}

func (f *faulty) SyncDir(dir string) error {
	return f.try(func() error { return f.Crash.SyncDir(dir) })
}

type faultyFile struct {
	disk.File
	f *faulty
}

func (f faultyFile) Write(b []byte) (n int, err error) {
	err = f.f.try(func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f faultyFile) Sync() error { return f.f.try(f.File.Sync) }

// TestFailureAnywhere fails every operation once, with and without effect, while
// the spool goes on; then the power goes.
func TestFailureAnywhere(t *testing.T) {
	for name, config := range map[string]func(disk.FS) Config{"roomy": faultConfig, "crowded": crowdedConfig} {
		count := &faulty{Crash: disk.NewCrash()}
		newHistory(t).work(config(count), 1)
		for _, persist := range []bool{false, true} {
			for at := 1; at <= count.n; at++ {
				t.Run(fmt.Sprintf("%s/%v/%d", name, persist, at), func(t *testing.T) {
					h := newHistory(t)
					f := &faulty{Crash: disk.NewCrash(), at: at, persist: persist}
					h.work(config(f), 1)
					if f.n < f.at {
						t.Skip("not reached this time") // marks are grouped by time
					}
					h.check(config(f.Crash.Restart()))
				})
			}
		}
	}
}

// TestCorrupt: changed and lost files are reported, not glossed over.
func TestCorrupt(t *testing.T) {
	damage := map[string]func(fsys *disk.Crash, names []string) error{
		"flipped byte": func(fsys *disk.Crash, names []string) error {
			return edit(fsys, names[1], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		},
		"cut": func(fsys *disk.Crash, names []string) error {
			return edit(fsys, names[1], func(b []byte) []byte { return b[:len(b)-1] })
		},
		"header": func(fsys *disk.Crash, names []string) error {
			return edit(fsys, names[1], func(b []byte) []byte { b[12] ^= 1; return b })
		},
		"lost": func(fsys *disk.Crash, names []string) error { return fsys.Remove(names[1]) },
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			crash := disk.NewCrash()
			cfg := small(crash)
			s := open(t, cfg)
			r := newResults()
			for id := uint32(1); id < 100; id++ {
				put(t, s, r, id)
				eventually(t, "stored", func() bool { return r.n.Load() == int64(id) })
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, g := range s.segs {
				names = append(names, s.path(g.id))
			}
			if err := do(crash, names); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(cfg); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("opened: %v", err)
			}
		})
	}
}

func edit(fsys *disk.Crash, name string, change func([]byte) []byte) error {
	data, err := fsys.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(change(data))
	return errors.Join(err, f.Sync(), f.Close())
}

// TestForeignFiles: other files in the directory are left alone.
func TestForeignFiles(t *testing.T) {
	crash := disk.NewCrash()
	s := open(t, small(crash))
	h := newHistory(t)
	h.step(s, 1)
	s.Close()
	for _, name := range []string{"README", "1.seg", "zzzzzzzzzzzzzzzz.seg"} {
		f, err := crash.Create("bridge/spool/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	h.check(small(crash))
	for _, name := range []string{"README", "1.seg", "zzzzzzzzzzzzzzzz.seg"} {
		if _, err := crash.ReadFile("bridge/spool/" + name); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was deleted", name)
		}
	}
}
