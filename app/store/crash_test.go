package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// crashes clones a file system as a crash would leave it, at every n-th write,
// sync, creation, renaming or removal.
type crashes struct {
	fs    *vfs.MemFS
	every int
	kept  int // percent of what was not synced that survives

	mu      sync.Mutex
	rng     *rand.Rand
	ops     int
	flushed bool   // a table was written
	durable uint64 // the last height that was synced before now
	done    uint64 // the last height whose commit has begun
	clones  []clone
}

// clone is a crashed file system and what it may hold.
type clone struct {
	op              string
	fs              *vfs.MemFS
	durable, latest uint64
}

func (c *crashes) String() string { return "crashes" }

// MaybeError implements errorfs.Injector: it never fails anything.
func (c *crashes) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops++
	c.flushed = c.flushed || strings.HasSuffix(op.Path, ".sst")
	if c.ops%c.every != 0 {
		return nil
	}
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: c.kept, RNG: c.rng}
	c.clones = append(c.clones, clone{
		op: fmt.Sprintf("operation %d (%v %s)", c.ops, op.Kind, op.Path),
		fs: c.fs.CrashClone(cfg), durable: c.durable, latest: c.done,
	})
	return nil
}

// singly is a MemFS that takes its lock once for each call. MemFS.ReuseForWrite takes
// it for reading twice, and when a clone begins in between, by a flush in the
// background, both wait for ever.
type singly struct{ *vfs.MemFS }

func (s singly) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.Rename(old, name); err != nil {
		return nil, err
	}
	return s.OpenReadWrite(name, category)
}

func (c *crashes) begin(height uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = height
}

func (c *crashes) synced(height uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = height
}

// TestCrashAtEveryWrite commits a sequence of blocks as a node does, CometBFT's
// synced writes between ours that don't sync, on a file system that drops what
// was not synced. Whatever write the power fails at: what is there afterwards is
// the whole state after one block, no earlier than the last sync, and the blocks
// that are missing can be committed again to the same app hash.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, kept := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("unsynced kept %d%%", kept), func(t *testing.T) {
			every := 1
			if kept > 0 { // a random part: one in three is enough
				every = 3
			}
			mem := vfs.NewCrashableMem()
			c := &crashes{fs: mem, every: every, kept: kept, rng: rand.New(rand.NewPCG(uint64(kept), 1))}
			m := runUntilCrash(t, errorfs.Wrap(singly{mem}, c), c)
			if len(c.clones) < 100/every || !c.flushed {
				t.Fatalf("only %d crashes, or the memtable was never flushed", len(c.clones))
			}
			for _, cl := range c.clones {
				recovered(t, m, cl)
			}
			t.Logf("%d crashes", len(c.clones))
		})
	}
}

// runUntilCrash commits 24 blocks and returns the model of them.
func runUntilCrash(t *testing.T, fs vfs.FS, c *crashes) *model {
	t.Helper()
	e, st := openState(t, fs)
	m := newModel(7)
	db := e.DB("state")
	for range 24 {
		b := m.grow(t, st)
		c.begin(b.Height)
		// CometBFT saves the block, synced, before it lets us commit.
		if err := db.SetSync([]byte("block"), fmt.Appendf(nil, "%d", b.Height)); err != nil {
			t.Fatal(err)
		}
		if b.Height > 0 {
			c.synced(b.Height - 1)
		}
		if err := st.Commit(b); err != nil {
			t.Fatal(err)
		}
		if b.Height%9 == 8 { // as when blocks are pruned
			if err := st.Sync(); err != nil {
				t.Fatal(err)
			}
			c.synced(b.Height)
		}
	}
	closeState(t, e, st)
	return m
}

// recovered opens a crashed file system, checks it, and commits the rest.
func recovered(t *testing.T, m *model, c clone) {
	t.Helper()
	e, err := Open("db", Options{FS: c.fs, MemTableBytes: 64 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatalf("%s: %v", c.op, err)
	}
	st, err := OpenState(e)
	if err != nil {
		t.Fatalf("%s: %v", c.op, err)
	}
	defer closeState(t, e, st)
	next := uint64(0)
	if tip := st.Tip(); tip != nil {
		next = tip.Height + 1
		if tip.Height > c.latest || tip.Height < c.durable {
			t.Fatalf("%s: height %d, synced %d, latest %d", c.op, tip.Height, c.durable, c.latest)
		}
		tip.Release()
		m.checkBoth(t, st)
	} else if c.durable > 0 {
		t.Fatalf("%s: nothing left, synced %d", c.op, c.durable)
	}
	saved, err := e.DB("state").Get([]byte("block"))
	if err != nil || (next > 0 && saved == nil) {
		t.Fatalf("%s: ours survived without CometBFT's: %q, %v", c.op, saved, err)
	}
	for i := next; i < min(next+1, uint64(len(m.blocks))); i++ {
		b := m.blocks[i]
		again := Block{Tip: Tip{Height: b.Height, Time: b.Time}, Rows: b.Rows, Entries: b.Entries, Places: b.Places, Results: b.Results}
		seal(t, st, &again)
		if again.AppHash != b.AppHash {
			t.Fatalf("%s: block %d again: app hash %v, want %v", c.op, i, again.AppHash, b.AppHash)
		}
		if err := st.Commit(again); err != nil {
			t.Fatalf("%s: %v", c.op, err)
		}
		m.checkBoth(t, st)
	}
}

// TestCorruptRows: rows that this package would not have written are an error
// when they are read, not a wrong answer.
func TestCorruptRows(t *testing.T) {
	tests := []struct {
		name string
		key  []byte
	}{
		{"tip", keyTip},
		{"undo record", numberKey(spaceUndo, 9)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			e, st := openState(t, fs)
			m := newModel(5)
			for range 10 {
				if err := st.Commit(m.grow(t, st)); err != nil {
					t.Fatal(err)
				}
			}
			good, err := get(e.db, tt.key)
			if err != nil || good == nil {
				t.Fatalf("%q, %v", good, err)
			}
			for _, bad := range [][]byte{{}, good[:len(good)-1], append(good[:len(good):len(good)], 0), {0x80}} {
				if err := e.db.Set(tt.key, bad, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := OpenState(e); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%x: %v", bad, err)
				}
			}
			closeState(t, e, st)
		})
	}
}
