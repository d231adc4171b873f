package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"mtmledger/internal/disk"
)

// written counts the bytes that are written.
type written struct {
	*disk.Crash
	bytes atomic.Int64
}

type writtenFile struct {
	disk.File
	w *written
}

func (w *written) Create(name string) (disk.File, error) {
	f, err := w.Crash.Create(name)
	return writtenFile{f, w}, err
}

func (f writtenFile) Write(b []byte) (int, error) {
	f.w.bytes.Add(int64(len(b)))
	return f.File.Write(b)
}

func crowdConfig(fsys disk.FS) Config {
	cfg := small(fsys)
	cfg.SegmentBytes = 64 << 10
	cfg.MaxGroup = 64 << 10
	return cfg
}

// crowd is traffic of which some entries stay undecided.
type crowd struct {
	t         *testing.T
	s         *Spool
	r         *results
	id        uint32
	undecided map[uint64]bool
	bytes     int64 // of the undecided entries
	appended  int64 // bytes ever appended
	stay      func(id uint32) bool
}

func (c *crowd) add(payload int) {
	c.t.Helper()
	c.id++
	e := entry(c.id)
	e.Payload = append(e.Payload, make([]byte, payload)...)
	eventually(c.t, "room", func() bool {
		err := c.s.Append(e, c.r, c.id)
		if err != nil && !errors.Is(err, ErrFull) {
			c.t.Fatal(err)
		}
		return err == nil
	})
	c.appended += int64(e.frameSize())
}

// decide reads n entries and decides those that do not stay.
func (c *crowd) decide(n int) {
	c.t.Helper()
	for n > 0 {
		list := next(c.t, c.s, n)
		n -= len(list)
		for i := range list {
			if c.stay(uint32(list[i].Time)) {
				c.undecided[list[i].Seq] = true
				c.bytes += int64(list[i].frameSize())
				continue
			}
			c.s.Done(Committed, list[i].Seq)
		}
	}
	if b := balance(c.t, c.s); b.Spooled != uint64(len(c.undecided)) {
		c.t.Fatalf("%d undecided, %+v", len(c.undecided), b)
	}
}

// reopen closes the spool, cuts the power, and opens it again.
func (c *crowd) reopen(fsys *disk.Crash) *Spool {
	c.t.Helper()
	if err := c.s.Close(); err != nil {
		c.t.Fatal(err)
	}
	s := open(c.t, crowdConfig(fsys.Restart()))
	if b := balance(c.t, s); b.Spooled != uint64(len(c.undecided)) {
		c.t.Fatalf("%d undecided, %+v", len(c.undecided), b)
	}
	return s
}

// back reads n entries, which must be undecided ones, and returns the last one's
// number.
func (c *crowd) back(s *Spool, n int) (last uint64) {
	c.t.Helper()
	got := map[uint64]bool{}
	for len(got) < n {
		for _, e := range next(c.t, s, n-len(got)) {
			if !c.undecided[e.Seq] || got[e.Seq] || uint64(e.Time) != e.Seq {
				c.t.Fatalf("entry %d came back", e.Seq)
			}
			got[e.Seq] = true
			last = max(last, e.Seq)
		}
	}
	return last
}

// TestUndecidedInFront: a few undecided entries in the oldest segment do not fill
// the spool.
func TestUndecidedInFront(t *testing.T) {
	fsys := disk.NewCrash()
	c := &crowd{t: t, s: open(t, crowdConfig(fsys)), r: newResults(), undecided: map[uint64]bool{}}
	c.stay = func(id uint32) bool { return id <= 80 }
	for range 5000 {
		for range 10 {
			c.add(250)
		}
		c.decide(10)
	}
	s := c.reopen(fsys)
	defer s.Close()
	c.back(s, 80)
	none(t, s)
}

// TestUndecidedAnywhere: entries of all sizes that stay undecided, up to almost
// three quarters of the spool, leave room for others; and the room costs a bounded
// amount of copying.
func TestUndecidedAnywhere(t *testing.T) {
	for _, percent := range []int64{10, 40, 70} {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			w := &written{Crash: disk.NewCrash()}
			cfg := crowdConfig(w)
			rng := rand.New(rand.NewPCG(uint64(percent), 1))
			c := &crowd{t: t, s: open(t, cfg), r: newResults(), undecided: map[uint64]bool{}}
			c.stay = func(uint32) bool { return c.bytes < cfg.MaxBytes*percent/100 && rng.IntN(4) == 0 }
			for c.appended < 20*cfg.MaxBytes {
				n := 1 + rng.IntN(20)
				for range n {
					c.add(rng.IntN(20) * rng.IntN(100))
				}
				c.decide(n)
				if b := c.s.Stats().Bytes; b > cfg.MaxBytes+3*cfg.SegmentBytes {
					t.Fatalf("%d bytes, limit %d", b, cfg.MaxBytes)
				}
			}
			if b := w.bytes.Load(); b > 5*c.appended {
				t.Fatalf("%d bytes written for %d appended", b, c.appended)
			} else {
				t.Logf("%.2f bytes written for each appended", float64(b)/float64(c.appended))
			}
			s := c.reopen(w.Crash)
			defer s.Close()
			c.back(s, len(c.undecided))
			none(t, s)
		})
	}
}

// TestRoomBeforeReading: after a restart, the space of what was decided before is
// freed even while nobody reads what is left, which then comes first.
func TestRoomBeforeReading(t *testing.T) {
	fsys := disk.NewCrash()
	c := &crowd{t: t, s: open(t, crowdConfig(fsys)), r: newResults(), undecided: map[uint64]bool{}}
	c.stay = func(id uint32) bool { return id%20 == 0 }
	for c.s.Stats().Bytes < 700<<10 { // above the half, so that there is something to clean
		c.add(1000)
		c.decide(1)
	}
	old, before := len(c.undecided), c.id
	c.s = c.reopen(fsys)
	fresh := 0
	for added := c.appended; c.appended-added < 600<<10; fresh++ {
		c.add(1000)
		c.undecided[uint64(c.id)] = true
	}
	if last := c.back(c.s, old); last > uint64(before) {
		t.Fatalf("entry %d came before older ones", last)
	}
	c.back(c.s, fresh)
	none(t, c.s)
	s := c.reopen(c.s.cfg.FS.(*disk.Crash))
	defer s.Close()
	c.back(s, old+fresh)
	none(t, s)
}

// unreadable refuses to open files while it is told to.
type unreadable struct {
	*disk.Crash
	on atomic.Bool
}

func (u *unreadable) Open(name string) (disk.Reader, error) {
	if u.on.Load() {
		return nil, errFault
	}
	return u.Crash.Open(name)
}

// TestCleanUnreadable: that a segment can't be read for the moment is said, hinders
// nothing else, and is tried again.
func TestCleanUnreadable(t *testing.T) {
	u := &unreadable{Crash: disk.NewCrash()}
	c := &crowd{t: t, s: open(t, crowdConfig(u)), r: newResults(), undecided: map[uint64]bool{}}
	defer c.s.Close()
	c.stay = func(id uint32) bool { return id <= 10 }
	u.on.Store(true)
	for c.s.Stats().Bytes < 600<<10 {
		c.add(1000)
		c.decide(1)
	}
	eventually(t, "failure", func() bool { return errors.Is(c.s.Stats().Failure, errFault) })
	u.on.Store(false)
	eventually(t, "cleaning", func() bool { return c.s.Stats().Failure == nil && c.s.Stats().Bytes < 512<<10 })
}

// TestCleanMissing: entries that should be in a segment and are not are reported.
func TestCleanMissing(t *testing.T) {
	c := &crowd{t: t, s: open(t, crowdConfig(disk.NewCrash())), r: newResults(), undecided: map[uint64]bool{}}
	defer c.s.Close()
	c.stay = func(id uint32) bool { return id <= 10 }
	for c.s.Stats().Bytes < 100<<10 {
		c.add(1000)
		c.decide(1)
	}
	c.s.mu.Lock()
	c.s.segs[0].cleaned = c.s.segs[0].size // as if it had nothing left
	c.s.mu.Unlock()
	for c.s.Stats().Bytes < 600<<10 {
		c.add(1000)
		c.decide(1)
	}
	eventually(t, "failure", func() bool { return errors.Is(c.s.Stats().Failure, ErrCorrupt) })
}

// TestCrashWhileCrowded cuts the power of a crowded spool at random operations, over
// and over, with Next far behind or not reading at all. Nothing that was stored and
// not decided is lost, nothing comes twice in a run, and there is room in the end.
func TestCrashWhileCrowded(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			h := newHistory(t)
			fsys := disk.NewCrash()
			for run := range 8 {
				fsys.CrashAt(fsys.Steps()+1+rng.IntN(400), disk.Faults[rng.IntN(len(disk.Faults))])
				h.wander(rng, crowdedConfig(fsys), uint32(run*1000))
				fsys = fsys.Restart()
				h.check(crowdedConfig(fsys))
			}
			s := open(t, crowdedConfig(fsys))
			defer s.Close()
			for _, e := range drain(t, s, int(s.Counts().Spooled)) {
				s.Done(DeadLettered, e.Seq)
			}
			eventually(t, "room", func() bool { return h.step(s, 9000) })
		})
	}
}

// wander appends, reads and decides at random until the disk crashes or 200 entries
// were tried. One in twenty is not decided in this run.
func (h *history) wander(rng *rand.Rand, cfg Config, id uint32) {
	s, err := Open(cfg)
	if err != nil {
		return
	}
	defer s.Close()
	stalled := rng.IntN(3) == 0
	left := s.Counts().Spooled // not given out yet
	given := map[uint64]bool{}
	for end := id + 200; id < end; id++ {
		if h.step(s, id) {
			left++
		} else if crashed(cfg) {
			return
		}
		if left == 0 || stalled && rng.IntN(50) > 0 {
			continue
		}
		list, err := s.Next(h.t.Context(), 1+rng.IntN(int(left)))
		if err != nil {
			if !crashed(cfg) {
				h.t.Fatal(err)
			}
			return
		}
		left -= uint64(len(list))
		for _, e := range list {
			if w := entry(uint32(e.Time)); given[e.Seq] || string(e.Payload) != string(w.Payload) {
				h.t.Fatalf("given out: %+v, before: %v", e, given[e.Seq])
			}
			given[e.Seq] = true
			if rng.IntN(20) > 0 {
				h.done[uint32(e.Time)] = true
				s.Done(Outcome(e.Time%3), e.Seq)
			}
		}
		balance(h.t, s)
	}
}
