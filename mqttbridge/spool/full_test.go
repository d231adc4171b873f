package spool

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mtmledger/internal/disk"
)

// fullDisk has no room for another file or byte, until it was asked very often.
type fullDisk struct {
	*disk.Crash
	full  atomic.Bool
	tries atomic.Int64
}

const veryOften = 10000

func (f *fullDisk) refuse() error {
	if f.full.Load() && f.tries.Add(1) < veryOften {
		return syscall.ENOSPC
	}
	return nil
}

func (f *fullDisk) Create(name string) (disk.File, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	file, err := f.Crash.Create(name)
	return fullFile{file, f}, err
}

type fullFile struct {
	disk.File
	disk *fullDisk
}

func (f fullFile) Write(p []byte) (int, error) {
	if err := f.disk.refuse(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// TestFullDisk: on a disk that is full, groups are tried now and then, not in a loop,
// though there are very many marks; it is said; Close does not wait; and everything
// goes on when there is room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fullDisk{Crash: disk.NewCrash()}
		s := open(t, Config{FS: f, Dir: "s", SegmentBytes: 1024})
		defer s.Close()
		r := newResults()
		const n = 2 * manyMarks
		put(t, s, r, sequence(1, n)...)
		list := drain(t, s, n)
		f.full.Store(true)
		s.Done(Committed, seqs(list)...)
		time.Sleep(time.Minute)
		if tries := f.tries.Load(); tries < 10 || tries > 100 {
			t.Fatalf("%d tries in a minute", tries)
		}
		if st := s.Stats(); !errors.Is(st.Failure, syscall.ENOSPC) || st.Pause != maxRest*s.cfg.MarkDelay {
			t.Fatalf("%+v", st)
		}
		f.full.Store(false)
		const more = 50
		put(t, s, r, sequence(n+1, more)...)
		time.Sleep(maxRest * s.cfg.MarkDelay)
		if st := s.Stats(); len(r.acked()) != n+more || st.Failure != nil || st.Pause != 0 {
			t.Fatalf("stored %d, %+v", len(r.acked()), st)
		}
		f.full.Store(true)
		s.Done(Committed, seqs(drain(t, s, more))...)
		time.Sleep(time.Minute)
		began := time.Now()
		if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("closed: %v", err)
		}
		if waited := time.Since(began); waited > 0 {
			t.Fatalf("Close waited %v", waited)
		}
	})
}
