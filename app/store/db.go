package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	dbm "github.com/cometbft/cometbft-db"
)

// Errors of a DB, as cometbft-db's backends have them.
var (
	errKeyEmpty    = errors.New("store: key cannot be empty")
	errValueNil    = errors.New("store: value cannot be nil")
	errBatchClosed = errors.New("store: batch has been written or closed")
)

// DB is cometbft-db's interface over one key space of an Engine. Set, Delete
// and Batch.Write don't sync, their Sync forms do; a sync makes every earlier
// write of the whole Engine durable. Iterators see the moment they were made.
// Close ends this DB only.
type DB struct {
	e      *Engine
	prefix []byte
}

var _ dbm.DB = (*DB)(nil)

// DB returns the key space name, one of CometBFT's database ids (blockstore,
// state, evidence, tx_index, light). Equal names share one key space.
func (e *Engine) DB(name string) *DB {
	prefix := append([]byte{spaceComet}, name...)
	return &DB{e: e, prefix: append(prefix, 0)}
}

func (d *DB) key(k []byte) []byte {
	out := make([]byte, 0, len(d.prefix)+len(k))
	return append(append(out, d.prefix...), k...)
}

// Get returns the value at key, nil when there is none.
func (d *DB) Get(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, errKeyEmpty
	}
	if err := d.e.acquire(); err != nil {
		return nil, err
	}
	defer d.e.release()
	return get(d.e.db, d.key(key))
}

// Has reports whether key has a value.
func (d *DB) Has(key []byte) (bool, error) {
	v, err := d.Get(key)
	return v != nil, err
}

// Set writes without syncing.
func (d *DB) Set(key, value []byte) error { return d.set(key, value, pebble.NoSync) }

// SetSync writes and syncs.
func (d *DB) SetSync(key, value []byte) error { return d.set(key, value, pebble.Sync) }

func (d *DB) set(key, value []byte, o *pebble.WriteOptions) error {
	if len(key) == 0 {
		return errKeyEmpty
	}
	if value == nil {
		return errValueNil
	}
	if err := d.e.acquire(); err != nil {
		return err
	}
	defer d.e.release()
	return d.e.db.Set(d.key(key), value, o)
}

// Delete deletes without syncing.
func (d *DB) Delete(key []byte) error { return d.delete(key, pebble.NoSync) }

// DeleteSync deletes and syncs.
func (d *DB) DeleteSync(key []byte) error { return d.delete(key, pebble.Sync) }

func (d *DB) delete(key []byte, o *pebble.WriteOptions) error {
	if len(key) == 0 {
		return errKeyEmpty
	}
	if err := d.e.acquire(); err != nil {
		return err
	}
	defer d.e.release()
	return d.e.db.Delete(d.key(key), o)
}

// Close ends the use of this DB. The Engine stays open for the others.
func (d *DB) Close() error { return nil }

// Print does nothing: a node's database is not for a terminal.
func (d *DB) Print() error { return nil }

// Stats returns Pebble's metrics as text.
func (d *DB) Stats() map[string]string {
	if d.e.acquire() != nil {
		return nil
	}
	defer d.e.release()
	return map[string]string{"database.type": "pebble", "metrics": d.e.db.Metrics().String()}
}

// Compact compacts [start, end) of this key space; nil bounds mean its ends.
func (d *DB) Compact(start, end []byte) error {
	lower, upper := d.bounds(start, end)
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	if err := d.e.acquire(); err != nil {
		return err
	}
	defer d.e.release()
	return d.e.db.Compact(context.Background(), lower, upper, true)
}

// bounds maps a domain of this key space to one of the Engine.
func (d *DB) bounds(start, end []byte) (lower, upper []byte) {
	lower = d.key(start)
	if end != nil {
		return lower, d.key(end)
	}
	return lower, prefixEnd(d.prefix)
}

// prefixEnd returns the first key after all that begin with prefix, nil when
// there is none.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// Iterator iterates over [start, end) upwards.
func (d *DB) Iterator(start, end []byte) (dbm.Iterator, error) {
	return d.iterator(start, end, false)
}

// ReverseIterator iterates over [start, end) downwards.
func (d *DB) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	return d.iterator(start, end, true)
}

func (d *DB) iterator(start, end []byte, reverse bool) (dbm.Iterator, error) {
	if (start != nil && len(start) == 0) || (end != nil && len(end) == 0) {
		return nil, errKeyEmpty
	}
	it := &iterator{d: d, start: start, end: end, reverse: reverse}
	lower, upper := d.bounds(start, end)
	if bytes.Compare(lower, upper) >= 0 {
		return it, nil
	}
	if err := d.e.acquire(); err != nil {
		return nil, err
	}
	inner, err := d.e.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		d.e.release()
		return nil, fmt.Errorf("store: iterator: %w", err)
	}
	it.it = inner
	if reverse {
		inner.Last()
	} else {
		inner.First()
	}
	return it, nil
}

// iterator is a dbm.Iterator; it == nil is one over an empty domain.
type iterator struct {
	d          *DB
	it         *pebble.Iterator
	start, end []byte
	reverse    bool
}

func (i *iterator) Domain() (start, end []byte) { return i.start, i.end }

func (i *iterator) Valid() bool { return i.it != nil && i.it.Valid() }

func (i *iterator) Next() {
	i.mustBeValid()
	if i.reverse {
		i.it.Prev()
	} else {
		i.it.Next()
	}
}

func (i *iterator) Key() []byte {
	i.mustBeValid()
	return bytes.Clone(i.it.Key()[len(i.d.prefix):])
}

func (i *iterator) Value() []byte {
	i.mustBeValid()
	return append([]byte{}, i.it.Value()...)
}

func (i *iterator) Error() error {
	if i.it == nil {
		return nil
	}
	return i.it.Error()
}

func (i *iterator) Close() error {
	if i.it == nil {
		return nil
	}
	err := i.it.Close()
	i.it = nil
	i.d.e.release()
	return err
}

// mustBeValid panics as dbm.Iterator's contract says: using an iterator past
// its end is a mistake of the caller, never of the data.
func (i *iterator) mustBeValid() {
	if !i.Valid() {
		panic("store: iterator is invalid")
	}
}

// NewBatch returns an empty batch; writing it is atomic.
func (d *DB) NewBatch() dbm.Batch { return &batch{d: d, ops: d.e.db.NewBatch()} }

// batch is a dbm.Batch; ops is nil once written or closed.
type batch struct {
	d   *DB
	ops *pebble.Batch
}

func (b *batch) Set(key, value []byte) error {
	if len(key) == 0 {
		return errKeyEmpty
	}
	if value == nil {
		return errValueNil
	}
	if b.ops == nil {
		return errBatchClosed
	}
	return b.ops.Set(b.d.key(key), value, nil)
}

func (b *batch) Delete(key []byte) error {
	if len(key) == 0 {
		return errKeyEmpty
	}
	if b.ops == nil {
		return errBatchClosed
	}
	return b.ops.Delete(b.d.key(key), nil)
}

func (b *batch) Write() error { return b.commit(pebble.NoSync) }

func (b *batch) WriteSync() error { return b.commit(pebble.Sync) }

func (b *batch) commit(o *pebble.WriteOptions) error {
	if b.ops == nil {
		return errBatchClosed
	}
	if err := b.d.e.acquire(); err != nil {
		return err
	}
	defer b.d.e.release()
	if err := b.ops.Commit(o); err != nil {
		return err
	}
	return b.Close()
}

func (b *batch) Close() error {
	if b.ops == nil {
		return nil
	}
	err := b.ops.Close()
	b.ops = nil
	return err
}
