package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// How long things are kept, in heights.
const (
	// UndoDepth is how many blocks can be taken back.
	UndoDepth = 16
	// ResultDepth is how long a transaction's result can be asked for.
	ResultDepth = 10_000
)

// Errors of a State.
var (
	ErrHeight = errors.New("store: wrong height")
	ErrNoUndo = errors.New("store: too far back to undo")
)

// State is the committed state of the ledger and its archive. One goroutine
// commits; views are taken and read by any.
type State struct {
	e *Engine

	mu   sync.Mutex // guards the fields below and the views' refs
	tip  *View
	prev *View // the block before, nil when it can't be had

	nodes *generations[merkle.NodeID, merkle.Node] // of the tip's trie
	rows  *rowCache                                // of the tip
}

// Block is everything that committing one block writes.
type Block struct {
	Tip                        // after the block
	Entries [][]byte           // new entries of the log, in order
	Places  []Place            // of those that are statements
	Tiles   []merkle.Tile      // changed tiles of the log
	Rows    []merkle.Change    // changed rows, sorted
	Nodes   []merkle.NodeWrite // changed branches of the trie
	Results []Result           // of the transactions, in order
}

// Place says which numbers of which stream an entry holds.
type Place struct {
	Stream crypto.ID
	First  uint64
	Index  uint64 // in the log
}

// Result is what became of a transaction.
type Result struct {
	Hash [32]byte
	Data []byte // state.Result, encoded
}

// OpenState opens the ledger's state in an engine. Close it before the engine.
func OpenState(e *Engine) (*State, error) {
	st := &State{
		e:     e,
		nodes: newGenerations[merkle.NodeID, merkle.Node](nodeCacheSize),
		rows:  newRowCache(),
	}
	return st, st.load()
}

// Empty reports whether nothing was ever committed, not even the genesis.
func (st *State) Empty() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.tip == nil
}

// load makes the views of what is stored.
func (st *State) load() error {
	b, err := get(st.e.db, keyTip)
	if err != nil || b == nil {
		return err
	}
	tip, err := decodeTip(b)
	if err != nil {
		return err
	}
	st.rows.reset(tip.Height)
	view, err := st.newView(tip, nil)
	if err != nil {
		return err
	}
	prev, err := st.undone(view)
	if err != nil {
		st.release(view)
		return err
	}
	st.mu.Lock()
	st.tip, st.prev = view, prev
	st.mu.Unlock()
	return nil
}

// newView takes a snapshot of the engine; the view has one reference.
func (st *State) newView(tip Tip, over *overlay) (*View, error) {
	if err := st.e.acquire(); err != nil {
		return nil, err
	}
	return &View{Tip: tip, st: st, snap: st.e.db.NewSnapshot(), refs: 1, over: over}, nil
}

// Tip returns the state after the last block. Release it.
// Before the first commit it is nil.
func (st *State) Tip() *View {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.hold(st.tip)
}

// Previous returns the state one block before the last, which is the last that
// a signed header commits to; nil when there is none. Release it.
func (st *State) Previous() *View {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.hold(st.prev)
}

func (st *State) hold(v *View) *View {
	if v != nil {
		v.refs++
	}
	return v
}

func (st *State) release(v *View) {
	if v == nil {
		return
	}
	st.mu.Lock()
	v.refs--
	last := v.refs == 0
	st.mu.Unlock()
	if last {
		v.snap.Close() // frees memory; it reports misuse by panicking, no failure
		st.e.release()
	}
}

// Close drops the views. Those that others hold stay good until released.
func (st *State) Close() {
	st.mu.Lock()
	tip, prev := st.tip, st.prev
	st.tip, st.prev = nil, nil
	st.mu.Unlock()
	st.release(tip)
	st.release(prev)
}

// Commit writes a block in one atomic batch. It does not sync: docs/design/
// storage.md says why nothing is lost by it. The genesis is block 0; every
// other follows the tip.
func (st *State) Commit(b Block) error {
	tip := st.Tip()
	defer st.release(tip)
	switch {
	case tip == nil && b.Height != 0, tip != nil && b.Height != tip.Height+1:
		return fmt.Errorf("%w: commit of block %d", ErrHeight, b.Height)
	}
	w := st.e.db.NewBatch()
	defer w.Close()
	if err := st.write(w, tip, b); err != nil {
		return fmt.Errorf("store: commit of block %d: %w", b.Height, err)
	}
	if err := w.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("store: commit of block %d: %w", b.Height, err)
	}
	updateNodes(st.nodes, b.Nodes)
	st.rows.advance(b.Height, b.Rows)
	return st.advance(b.Tip)
}

// advance makes the committed block the tip and the tip the previous one.
func (st *State) advance(t Tip) error {
	view, err := st.newView(t, nil)
	if err != nil {
		return err
	}
	st.mu.Lock()
	old := st.prev
	st.prev, st.tip = st.tip, view
	st.mu.Unlock()
	st.release(old)
	return nil
}

func (st *State) write(w *pebble.Batch, tip *View, b Block) error {
	if tip != nil {
		if err := writeUndo(w, tip, b); err != nil {
			return err
		}
	}
	for _, c := range b.Rows {
		if err := setOrDelete(w, rowKey(c.Key), c.Value); err != nil {
			return err
		}
	}
	for _, n := range b.Nodes {
		var value []byte
		if n.Node != nil {
			value = merkle.EncodeNode(*n.Node)
		}
		if err := setOrDelete(w, nodeKey(n.ID), value); err != nil {
			return err
		}
	}
	if err := writeLog(w, b); err != nil {
		return err
	}
	if err := st.writeResults(w, tip, b); err != nil {
		return err
	}
	return w.Set(keyTip, b.Tip.encode(), nil)
}

func setOrDelete(w *pebble.Batch, key, value []byte) error {
	if value == nil {
		return w.Delete(key, nil)
	}
	return w.Set(key, value, nil)
}

// writeUndo writes the undo record of b and deletes the oldest.
func writeUndo(w *pebble.Batch, tip *View, b Block) error {
	u := undo{before: tip.Tip, rows: make([]merkle.Change, len(b.Rows))}
	for i, c := range b.Rows {
		old, err := tip.Get(c.Key)
		if err != nil {
			return err
		}
		u.rows[i] = merkle.Change{Key: c.Key, Value: old}
	}
	if b.Height > UndoDepth {
		if err := w.Delete(numberKey(spaceUndo, b.Height-UndoDepth), nil); err != nil {
			return err
		}
	}
	return w.Set(numberKey(spaceUndo, b.Height), u.encode(), nil)
}

// writeLog writes entries, tiles, and where to find the entries again.
func writeLog(w *pebble.Batch, b Block) error {
	first := b.Log.Size() - uint64(len(b.Entries))
	for i, e := range b.Entries {
		index := first + uint64(i)
		if err := w.Set(numberKey(spaceEntry, index), e, nil); err != nil {
			return err
		}
	}
	for _, p := range b.Places {
		if err := w.Set(streamKey(p.Stream, p.First), numberKey(0, p.Index)[1:], nil); err != nil {
			return err
		}
	}
	for _, t := range b.Tiles {
		value := make([]byte, 0, len(t.Hashes)*merkle.HashSize)
		for _, h := range t.Hashes {
			value = append(value, h[:]...)
		}
		if err := w.Set(tileKey(t.Level, t.Index), value, nil); err != nil {
			return err
		}
	}
	if len(b.Entries) == 0 {
		return nil
	}
	info := BlockInfo{First: first, Count: uint64(len(b.Entries)), Height: b.Height, Time: b.Time}
	return w.Set(numberKey(spaceBlock, first), info.encode(), nil)
}

// writeResults writes the results of b's transactions and deletes the oldest.
// A transaction that was committed before keeps its first result.
func (st *State) writeResults(w *pebble.Batch, tip *View, b Block) error {
	info := HeightInfo{Height: b.Height, Time: b.Time, AppHash: b.AppHash, LogSize: b.Log.Size()}
	seen := make(map[[32]byte]bool, len(b.Results))
	for _, r := range b.Results {
		if tip != nil {
			if _, found, err := tip.Outcome(r.Hash); err != nil {
				return err
			} else if found {
				continue
			}
		}
		if seen[r.Hash] {
			continue
		}
		seen[r.Hash] = true
		info.Hashes = append(info.Hashes, r.Hash)
		o := Outcome{Height: b.Height, Time: b.Time, Data: r.Data}
		if err := w.Set(resultKey(r.Hash), o.encode(), nil); err != nil {
			return err
		}
	}
	if b.Height > ResultDepth {
		if err := forget(w, tip, b.Height-ResultDepth); err != nil {
			return err
		}
	}
	return w.Set(numberKey(spaceHeight, b.Height), info.encode(), nil)
}

// forget deletes a height and the results of its transactions.
func forget(w *pebble.Batch, v *View, height uint64) error {
	info, err := v.Block(height)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, h := range info.Hashes {
		if err := w.Delete(resultKey(h), nil); err != nil {
			return err
		}
	}
	return w.Delete(numberKey(spaceHeight, height), nil)
}

// PutLight keeps a light block for ever.
func (st *State) PutLight(height uint64, b []byte) error {
	if err := st.e.acquire(); err != nil {
		return err
	}
	defer st.e.release()
	return st.e.db.Set(numberKey(spaceLight, height), b, pebble.NoSync)
}

// Sync makes everything committed durable.
func (st *State) Sync() error { return st.e.Sync() }

// Size returns the bytes of the whole database on disk.
func (st *State) Size() uint64 { return st.e.Size() }

// Lights calls each for the light blocks that PutLight kept, by height.
func (st *State) Lights(each func(height uint64, b []byte) error) error {
	if err := st.e.acquire(); err != nil {
		return err
	}
	defer st.e.release()
	it, err := st.e.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceLight}, UpperBound: []byte{spaceLight + 1},
	})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := each(number(it.Key()), append([]byte{}, it.Value()...)); err != nil {
			return err
		}
	}
	return it.Error()
}
