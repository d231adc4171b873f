// Package store keeps everything a node keeps in one Pebble database: the
// ledger's committed state and archive (State) and, through a thin adapter
// (DB), CometBFT's own block, state and evidence stores.
//
// One database means one write-ahead log. Pebble recovers a prefix of it, so a
// write that CometBFT syncs makes every earlier write durable too, and what
// survives a crash is always a moment that really was. docs/design/storage.md
// says which writes sync and why.
//
// This package is the only importer of Pebble.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sizes of the one Pebble instance. A block of 4 MiB passes the memtable
// twice (as block parts and as entries), so it is far above Pebble's 4 MiB
// default; the cache is what a small machine can spare.
const (
	defaultCacheBytes = 64 << 20
	defaultMemTable   = 32 << 20
	walBytesPerSync   = 1 << 20
)

// Options configures an Engine. The zero value opens on the operating
// system's file system with the default cache.
type Options struct {
	// FS is the file system, vfs.Default when nil. Tests give a crashable one.
	FS vfs.FS
	// CacheBytes bounds Pebble's block cache; 0 means 64 MiB.
	CacheBytes int64
	// MemTableBytes bounds a memtable; 0 means 32 MiB.
	MemTableBytes uint64
	// Logger gets Pebble's own messages at debug level; nil drops them.
	Logger *slog.Logger
}

// Errors of an Engine.
var (
	ErrClosed = errors.New("store: closed")
	ErrInUse  = errors.New("store: readers still open")
)

// closeWait is how long Close waits for readers to finish.
const closeWait = 10 * time.Second

// Engine is one open Pebble database, shared by the ledger's State and by the
// DBs given to CometBFT. Safe for concurrent use. Close it last.
type Engine struct {
	db    *pebble.DB
	cache *pebble.Cache

	mu     sync.Mutex
	users  int
	closed bool
	idle   chan struct{} // made by Close, closed when users reaches 0
}

// Open opens the database in dir, creating it when it does not exist.
func Open(dir string, o Options) (*Engine, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTable
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	cache := pebble.NewCache(o.CacheBytes)
	db, err := pebble.Open(dir, pebbleOptions(o, cache))
	if err != nil {
		cache.Unref()
		return nil, fmt.Errorf("store: open %s: %w", dir, err)
	}
	return &Engine{db: db, cache: cache}, nil
}

func pebbleOptions(o Options, cache *pebble.Cache) *pebble.Options {
	po := &pebble.Options{
		FS:                          o.FS,
		Cache:                       cache,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		WALBytesPerSync:             walBytesPerSync,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLogger{o.Logger},
	}
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings {
		return pebble.DBCompressionFastest
	})
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return po
}

// Close closes the database after the operations, iterators and views in use
// are done. Later uses get ErrClosed. When something stays in use for 10 s it
// gives up with ErrInUse.
func (e *Engine) Close() error {
	if !e.beginClose() {
		return nil
	}
	select {
	case <-e.idle:
	case <-time.After(closeWait):
		return ErrInUse
	}
	err := e.db.Close()
	e.cache.Unref()
	if err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

func (e *Engine) beginClose() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.closed = true
	e.idle = make(chan struct{})
	if e.users == 0 {
		close(e.idle)
	}
	return true
}

// acquire keeps the database open until release.
func (e *Engine) acquire() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.users++
	return nil
}

func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users--
	if e.users == 0 && e.closed {
		close(e.idle)
	}
}

// Sync makes every write made so far durable.
func (e *Engine) Sync() error {
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	if err := e.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("store: sync: %w", err)
	}
	return nil
}

// Size returns the bytes the database takes on disk, 0 after Close.
func (e *Engine) Size() uint64 {
	if e.acquire() != nil {
		return 0
	}
	defer e.release()
	return e.db.Metrics().DiskSpaceUsage()
}

// get returns a copy of the value at key, nil when there is none.
func get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(v))
	copy(out, v)
	return out, closer.Close()
}

// pebbleLogger passes Pebble's messages to slog. Fatalf is only called by
// Pebble when the database can't go on; it must not return.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.log != nil {
		l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	if l.log != nil {
		l.log.Error("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic("pebble: " + fmt.Sprintf(format, args...))
}
