package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// ErrNotFound is returned where there is nothing under a key that must have
// something.
var ErrNotFound = errors.New("store: not found")

// View is the committed state after one block, immutable whatever is committed
// later. It implements state.Reader, merkle.NodeReader, merkle.ValueReader and
// merkle.TileReader, and reads the archive as it was. Safe for concurrent use
// until Release.
type View struct {
	Tip

	st   *State
	snap *pebble.Snapshot
	refs int // guarded by st.mu

	// over hides the rows and nodes of snap, which is one block ahead: a view
	// of the block before the tip, made after a restart.
	over *overlay
}

// overlay is the difference between a snapshot and the block before it.
type overlay struct {
	rows  map[merkle.Key][]byte
	keys  []merkle.Key // of rows, sorted
	nodes map[merkle.NodeID]*merkle.Node
}

// Release ends the use of a view that Tip or Previous returned.
func (v *View) Release() { v.st.release(v) }

// Get returns the value of a row, nil when there is none.
func (v *View) Get(k merkle.Key) ([]byte, error) {
	if v.over != nil {
		if value, ok := v.over.rows[k]; ok {
			return value, nil
		}
		return get(v.snap, rowKey(k))
	}
	if value, ok := v.st.rows.get(v.Height, k); ok {
		return value, nil
	}
	value, err := get(v.snap, rowKey(k))
	if err == nil {
		v.st.rows.put(v.Height, k, value)
	}
	return value, err
}

// Value returns the value of a row that is there.
func (v *View) Value(k merkle.Key) ([]byte, error) {
	value, err := v.Get(k)
	if err == nil && value == nil {
		err = fmt.Errorf("row %s: %w", k, ErrNotFound)
	}
	return value, err
}

// Predecessor returns the row with the greatest key in [lo, k]; a nil value
// means none.
func (v *View) Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	g := groupOf(k)
	if v.over != nil || groupOf(lo) != g || !isHistory(record.FamilyOf(k)) {
		return v.predecessor(lo, k)
	}
	last, ok := v.st.rows.getLast(v.Height, g)
	if !ok {
		first, end := record.Range(record.FamilyOf(k), record.IDOf(k))
		key, value, err := v.predecessor(first, end)
		if err != nil {
			return merkle.Key{}, nil, err
		}
		last = lastRow{key, value}
		v.st.rows.putLast(v.Height, g, last)
	}
	if last.value == nil || bytes.Compare(last.key[:], lo[:]) < 0 {
		return merkle.Key{}, nil, nil
	}
	if bytes.Compare(last.key[:], k[:]) <= 0 {
		return last.key, last.value, nil
	}
	return v.predecessor(lo, k)
}

// predecessor asks the database.
func (v *View) predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	if bytes.Compare(lo[:], k[:]) > 0 {
		return merkle.Key{}, nil, nil
	}
	it, err := v.rowsIn(lo, k)
	if err != nil {
		return merkle.Key{}, nil, err
	}
	defer it.Close()
	top, value := merkle.Key{}, []byte(nil)
	for ok := it.Last(); ok; ok = it.Prev() {
		copy(top[:], it.Key()[1:])
		if hidden := v.over != nil && v.over.has(top); !hidden {
			value = append([]byte{}, it.Value()...)
			break
		}
	}
	if err := it.Error(); err != nil {
		return merkle.Key{}, nil, err
	}
	if v.over != nil {
		if o, ok := v.over.last(lo, k); ok && (value == nil || bytes.Compare(o[:], top[:]) > 0) {
			return o, v.over.rows[o], nil
		}
	}
	if value == nil {
		return merkle.Key{}, nil, nil
	}
	return top, value, nil
}

// Scan calls each for the rows with keys in [lo, hi], ascending, until it
// returns false.
func (v *View) Scan(lo, hi merkle.Key, each func(k merkle.Key, value []byte) bool) error {
	if bytes.Compare(lo[:], hi[:]) > 0 {
		return nil
	}
	if v.over != nil {
		stored, rest := v.over.merge(lo, hi, each)
		defer rest()
		each = stored
	}
	it, err := v.rowsIn(lo, hi)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var k merkle.Key
		copy(k[:], it.Key()[1:])
		if !each(k, append([]byte{}, it.Value()...)) {
			break
		}
	}
	return it.Error()
}

// rowsIn iterates over the stored rows with keys in [lo, hi].
func (v *View) rowsIn(lo, hi merkle.Key) (*pebble.Iterator, error) {
	return v.iterate(rowKey(lo), append(rowKey(hi), 0))
}

func (v *View) iterate(lower, upper []byte) (*pebble.Iterator, error) {
	return v.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

func (o *overlay) has(k merkle.Key) bool {
	_, ok := o.rows[k]
	return ok
}

// last returns the greatest overlaid key with a value in [lo, k].
func (o *overlay) last(lo, k merkle.Key) (merkle.Key, bool) {
	for i := len(o.keys) - 1; i >= 0; i-- {
		key := o.keys[i]
		if bytes.Compare(key[:], lo[:]) < 0 {
			break
		}
		if bytes.Compare(key[:], k[:]) <= 0 && o.rows[key] != nil {
			return key, true
		}
	}
	return merkle.Key{}, false
}

// Node returns a branch of the trie.
func (v *View) Node(id merkle.NodeID) (merkle.Node, error) {
	if v.over != nil {
		if n, ok := v.over.nodes[id]; ok {
			if n == nil {
				return merkle.Node{}, fmt.Errorf("node at depth %d: %w", id.Depth, ErrNotFound)
			}
			return *n, nil
		}
	}
	b, err := get(v.snap, nodeKey(id))
	if err != nil {
		return merkle.Node{}, err
	}
	if b == nil {
		return merkle.Node{}, fmt.Errorf("node at depth %d: %w", id.Depth, ErrNotFound)
	}
	return merkle.DecodeNode(b)
}

// Tile returns the hashes of a tile of the log, perhaps more than the log had.
func (v *View) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	b, err := get(v.snap, tileKey(level, index))
	if err != nil {
		return nil, err
	}
	return splitHashes(b)
}

// LogSize is the number of entries in the log.
func (v *View) LogSize() uint64 { return v.Log.Size() }

// Entry returns the bytes of an entry of the log.
func (v *View) Entry(index uint64) ([]byte, error) {
	if index >= v.LogSize() {
		return nil, fmt.Errorf("entry %d: %w", index, ErrNotFound)
	}
	b, err := get(v.snap, numberKey(spaceEntry, index))
	if err == nil && b == nil {
		err = fmt.Errorf("%w: entry %d is missing", ErrCorrupt, index)
	}
	return b, err
}

// BlockOf returns the block that an entry was committed in.
func (v *View) BlockOf(index uint64) (BlockInfo, error) {
	if index >= v.LogSize() {
		return BlockInfo{}, fmt.Errorf("entry %d: %w", index, ErrNotFound)
	}
	it, err := v.iterate(numberKey(spaceBlock, 0), numberKey(spaceBlock, index+1))
	if err != nil {
		return BlockInfo{}, err
	}
	defer it.Close()
	if !it.Last() {
		return BlockInfo{}, errors.Join(fmt.Errorf("%w: no block for entry %d", ErrCorrupt, index), it.Error())
	}
	return decodeBlock(number(it.Key()), it.Value())
}

// Position is where a statement stands: its first number and its log index.
type Position struct{ First, Index uint64 }

// StatementAt returns the statement of a stream with the greatest first number
// up to n. It is the one that holds n, if any does.
func (v *View) StatementAt(stream crypto.ID, n uint64) (p Position, found bool, err error) {
	it, err := v.iterate(streamKey(stream, 0), append(streamKey(stream, n), 0))
	if err != nil {
		return p, false, err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		if p, err = position(it); err != nil {
			return p, false, err
		}
		if p.Index < v.LogSize() {
			return p, true, nil
		}
	}
	return Position{}, false, it.Error()
}

// StatementsFrom calls each for the statements of a stream whose first number
// is at least n, ascending, until it returns false.
func (v *View) StatementsFrom(stream crypto.ID, n uint64, each func(Position) bool) error {
	it, err := v.iterate(streamKey(stream, n), prefixEnd(append([]byte{spaceStream}, stream[:]...)))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		p, err := position(it)
		if err != nil {
			return err
		}
		if p.Index < v.LogSize() && !each(p) {
			break
		}
	}
	return it.Error()
}

func position(it *pebble.Iterator) (Position, error) {
	if len(it.Value()) != 8 {
		return Position{}, fmt.Errorf("%w: stream index of %d bytes", ErrCorrupt, len(it.Value()))
	}
	return Position{First: number(it.Key()), Index: number(it.Value())}, nil
}

// Outcome returns what became of a committed transaction.
func (v *View) Outcome(hash [32]byte) (o Outcome, found bool, err error) {
	b, err := get(v.snap, resultKey(hash))
	if err != nil || b == nil {
		return Outcome{}, false, err
	}
	o, err = decodeOutcome(b)
	return o, err == nil && o.Height <= v.Height, err
}

// Block returns what was computed at a height, which ErrNotFound says is not
// kept any more or not reached.
func (v *View) Block(height uint64) (HeightInfo, error) {
	if height > v.Height {
		return HeightInfo{}, fmt.Errorf("height %d: %w", height, ErrNotFound)
	}
	b, err := get(v.snap, numberKey(spaceHeight, height))
	if err != nil {
		return HeightInfo{}, err
	}
	if b == nil {
		return HeightInfo{}, fmt.Errorf("height %d: %w", height, ErrNotFound)
	}
	return decodeHeight(height, b)
}

// Light returns the light block kept for a height, nil when there is none.
func (v *View) Light(height uint64) ([]byte, error) {
	return get(v.snap, numberKey(spaceLight, height))
}
