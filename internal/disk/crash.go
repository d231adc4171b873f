package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
)

// ErrCrashed is returned by every operation after the crash.
var ErrCrashed = errors.New("disk: crashed")

// ErrInjected is returned by the operation that FailAt chose.
var ErrInjected = errors.New("disk: injected failure")

// Fault says what becomes of the operation at which a Crash file system crashes.
type Fault uint8

const (
	// Failed: the operation had no lasting effect. Unsynced bytes are lost.
	Failed Fault = iota
	// Persisted: the operation, and all unsynced bytes and names before it, are
	// on disk, though the caller was told that it failed.
	Persisted
	// Torn: the operation failed, but half (rounded up) of each file's unsynced
	// bytes, its own included, reached the disk.
	Torn
	// Renamed: the operation took effect, and all names are on disk, but of the
	// contents only what was synced: what file systems with a metadata journal do.
	Renamed
)

// Faults lists all faults, for tests that try each.
var Faults = []Fault{Failed, Persisted, Torn, Renamed}

// String returns the fault's name.
func (f Fault) String() string {
	switch f {
	case Failed:
		return "failed"
	case Persisted:
		return "persisted"
	case Torn:
		return "torn"
	case Renamed:
		return "renamed"
	}
	return fmt.Sprintf("fault_%d", uint8(f))
}

// inode is a file's content.
type inode struct {
	data   []byte // as the process sees it
	synced []byte // as a crash leaves it; never written in place
}

// Crash is a file system in memory that models power loss. Every operation that
// changes something (Create, OpenAppend of a new file, Write, Sync, Truncate,
// Rename, Remove, MkdirAll of a new directory, SyncDir) counts as a step. Its
// methods may be called from several goroutines.
type Crash struct {
	mu      sync.Mutex
	names   map[string]*inode // as the process sees them
	durable map[string]*inode // as a crash leaves them
	dirs    map[string]bool
	saved   map[string]bool // directories that a crash leaves
	locks   map[string]bool
	steps   int
	at      int // crash at this step; 0 = never
	fault   Fault
	failAt  int // fail, without a crash, at this step; 0 = never
	crashed bool
}

var _ FS = (*Crash)(nil)

// NewCrash returns an empty file system that does not crash by itself. It also
// serves as a plain file system in memory.
func NewCrash() *Crash {
	return &Crash{
		names: map[string]*inode{}, durable: map[string]*inode{},
		dirs: map[string]bool{}, saved: map[string]bool{}, locks: map[string]bool{},
	}
}

// CrashAt makes the file system crash at step number step (counted from 1, from
// the beginning), with the given fault.
func (c *Crash) CrashAt(step int, fault Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.fault = step, fault
}

// FailAt makes step number step fail with ErrInjected, without any effect and
// without a crash.
func (c *Crash) FailAt(step int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failAt = step
}

// Steps is the number of steps so far.
func (c *Crash) Steps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps
}

// Crashed tells whether the crash has happened.
func (c *Crash) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crashed
}

// Restart returns the file system as the next start finds it: only what the
// crash left (or, if there was none, what a power loss now would leave). The old
// one must not be used any more.
func (c *Crash) Restart() *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.crashed {
		c.crash(Failed)
	}
	n := NewCrash()
	for name, node := range c.durable {
		if !reachable(c.saved, filepath.Dir(name)) {
			continue
		}
		data := slices.Clone(node.synced)
		kept := &inode{data: data, synced: data[:len(data):len(data)]}
		n.names[name], n.durable[name] = kept, kept
	}
	for dir := range c.saved {
		if reachable(c.saved, dir) {
			n.dirs[dir], n.saved[dir] = true, true
		}
	}
	return n
}

// Kill returns the file system as the next start finds it when only the process
// dies: everything written is there, and what was not synced still is not. The
// old one must not be used any more. Kill must not follow a crash.
func (c *Crash) Kill() *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashed = true
	n := NewCrash()
	n.names, n.durable, n.dirs, n.saved = c.names, c.durable, c.dirs, c.saved
	c.names, c.durable, c.dirs, c.saved = nil, nil, nil, nil
	return n
}

// reachable tells whether dir and all its parents are in saved.
func reachable(saved map[string]bool, dir string) bool {
	for ; !isRoot(dir); dir = filepath.Dir(dir) {
		if !saved[dir] {
			return false
		}
	}
	return true
}

// crash decides what is left.
func (c *Crash) crash(fault Fault) {
	c.crashed = true
	for _, node := range c.names {
		switch fault {
		case Persisted:
			node.synced = node.data
		case Torn:
			node.tear()
		}
	}
	if fault == Persisted || fault == Renamed {
		c.durable = c.names
		for d := range c.dirs {
			c.saved[d] = true
		}
	}
}

// tear lets half of the bytes after the synced ones reach the disk.
func (n *inode) tear() {
	if extra := len(n.data) - len(n.synced); extra > 0 && bytes.HasPrefix(n.data, n.synced) {
		n.synced = n.data[:len(n.synced)+(extra+1)/2]
	}
}

// step counts an operation and does it, unless this is where the crash happens.
func (c *Crash) step(do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashed {
		return ErrCrashed
	}
	c.steps++
	if c.steps == c.failAt {
		return ErrInjected
	}
	if c.steps != c.at {
		return do()
	}
	if c.fault != Failed {
		_ = do() // what it would answer, nobody hears
	}
	c.crash(c.fault)
	return ErrCrashed
}

// look does something that changes nothing.
func (c *Crash) look(do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashed {
		return ErrCrashed
	}
	return do()
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (c *Crash) needDir(op, name string) error {
	if dir := filepath.Dir(name); !isRoot(dir) && !c.dirs[dir] {
		return pathError(op, name, fs.ErrNotExist)
	}
	return nil
}

// Create implements FS.
func (c *Crash) Create(name string) (File, error) {
	name = filepath.Clean(name)
	f := &crashFile{fs: c, name: name}
	err := c.step(func() error {
		if err := c.needDir("create", name); err != nil {
			return err
		}
		if f.node = c.names[name]; f.node == nil {
			f.node = &inode{}
			c.names[name] = f.node
		}
		f.node.data = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenAppend implements FS.
func (c *Crash) OpenAppend(name string) (File, error) {
	name = filepath.Clean(name)
	f := &crashFile{fs: c, name: name}
	err := c.look(func() error {
		f.node = c.names[name]
		return c.needDir("open", name)
	})
	if err != nil {
		return nil, err
	}
	if f.node == nil {
		return c.Create(name)
	}
	return f, nil
}

// Open implements FS.
func (c *Crash) Open(name string) (Reader, error) {
	name = filepath.Clean(name)
	f := &crashFile{fs: c, name: name}
	err := c.look(func() error {
		if f.node = c.names[name]; f.node == nil {
			return pathError("open", name, fs.ErrNotExist)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadFile implements FS.
func (c *Crash) ReadFile(name string) (data []byte, err error) {
	name = filepath.Clean(name)
	err = c.look(func() error {
		node := c.names[name]
		if node == nil {
			return pathError("open", name, fs.ErrNotExist)
		}
		data = slices.Clone(node.data)
		return nil
	})
	return data, err
}

// Rename implements FS.
func (c *Crash) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	return c.step(func() error {
		node := c.names[from]
		if node == nil {
			return pathError("rename", from, fs.ErrNotExist)
		}
		if err := c.needDir("rename", to); err != nil {
			return err
		}
		delete(c.names, from)
		c.names[to] = node
		return nil
	})
}

// Remove implements FS.
func (c *Crash) Remove(name string) error {
	name = filepath.Clean(name)
	return c.step(func() error {
		if c.names[name] == nil {
			return pathError("remove", name, fs.ErrNotExist)
		}
		delete(c.names, name)
		return nil
	})
}

// List implements FS.
func (c *Crash) List(dir string) (names []string, err error) {
	dir = filepath.Clean(dir)
	err = c.look(func() error {
		if !isRoot(dir) && !c.dirs[dir] {
			return pathError("open", dir, fs.ErrNotExist)
		}
		for name := range c.names {
			if filepath.Dir(name) == dir {
				names = append(names, filepath.Base(name))
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// MkdirAll implements FS.
func (c *Crash) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	var exists bool
	if err := c.look(func() error { exists = isRoot(dir) || c.dirs[dir]; return nil }); err != nil || exists {
		return err
	}
	return c.step(func() error {
		for ; !isRoot(dir); dir = filepath.Dir(dir) {
			c.dirs[dir] = true
		}
		return nil
	})
}

// SyncDir implements FS.
func (c *Crash) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	return c.step(func() error {
		if !isRoot(dir) && !c.dirs[dir] {
			return pathError("sync", dir, fs.ErrNotExist)
		}
		for name := range c.durable {
			if filepath.Dir(name) == dir && c.names[name] != c.durable[name] {
				delete(c.durable, name)
			}
		}
		for name, node := range c.names {
			if filepath.Dir(name) == dir {
				c.durable[name] = node
			}
		}
		for d := range c.dirs {
			if filepath.Dir(d) == dir {
				c.saved[d] = true
			}
		}
		return nil
	})
}

type crashLock struct {
	fs   *Crash
	name string
}

// Lock implements FS. Locks do not outlive Restart.
func (c *Crash) Lock(name string) (io.Closer, error) {
	name = filepath.Clean(name)
	err := c.look(func() error {
		if err := c.needDir("lock", name); err != nil {
			return err
		}
		if c.locks[name] {
			return ErrLocked
		}
		c.locks[name] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return crashLock{c, name}, nil
}

// Close releases the lock.
func (l crashLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// crashFile is an open file of a Crash.
type crashFile struct {
	fs   *Crash
	name string
	node *inode
}

// Write implements File. Bytes are only ever added behind those there, so that
// synced may share the array.
func (f *crashFile) Write(b []byte) (int, error) {
	err := f.fs.step(func() error {
		f.node.data = append(f.node.data, b...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// Sync implements File.
func (f *crashFile) Sync() error {
	return f.fs.step(func() error {
		n := len(f.node.data)
		f.node.synced = f.node.data[:n:n]
		return nil
	})
}

// Truncate implements File.
func (f *crashFile) Truncate(size int64) error {
	return f.fs.step(func() error {
		if size < 0 || size > int64(len(f.node.data)) {
			return pathError("truncate", f.name, fs.ErrInvalid)
		}
		f.node.data = slices.Clone(f.node.data[:size])
		return nil
	})
}

// ReadAt implements Reader.
func (f *crashFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.fs.look(func() error {
		if off < 0 {
			return pathError("read", f.name, fs.ErrInvalid)
		}
		if off < int64(len(f.node.data)) {
			n = copy(b, f.node.data[off:])
		}
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// Size implements Reader.
func (f *crashFile) Size() (size int64, err error) {
	err = f.fs.look(func() error { size = int64(len(f.node.data)); return nil })
	return size, err
}

// Close implements File and Reader. What was not synced stays so.
func (f *crashFile) Close() error { return nil }
