package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
)

// undone returns the view of the block before view's, nil when its undo record
// is gone.
func (st *State) undone(view *View) (*View, error) {
	b, err := get(view.snap, numberKey(spaceUndo, view.Height))
	if err != nil || b == nil {
		return nil, err
	}
	u, err := decodeUndo(b)
	if err != nil {
		return nil, err
	}
	over, err := u.overlay(view)
	if err != nil {
		return nil, err
	}
	return st.newView(u.before, over)
}

// overlay computes what an undo record changes, rows and branches of the trie.
func (u undo) overlay(after *View) (*overlay, error) {
	ref, writes, err := merkle.Update(after, after.Trie, u.rows)
	if err != nil {
		return nil, fmt.Errorf("store: undo: %w", err)
	}
	if ref != u.before.Trie {
		return nil, fmt.Errorf("%w: undo record of height %d gives another trie", ErrCorrupt, after.Height)
	}
	o := &overlay{
		rows:  make(map[merkle.Key][]byte, len(u.rows)),
		nodes: make(map[merkle.NodeID]*merkle.Node, len(writes)),
	}
	for _, c := range u.rows {
		o.rows[c.Key] = c.Value
		o.keys = append(o.keys, c.Key)
	}
	for _, w := range writes {
		o.nodes[w.ID] = w.Node
	}
	return o, nil
}

// Rollback takes blocks back until height is the last one, durably, each in one
// atomic step. Views taken before stay as they are. Nothing else may commit or
// build a block meanwhile.
func (st *State) Rollback(height uint64) error {
	for {
		tip := st.Tip()
		if tip == nil || height > tip.Height {
			st.release(tip)
			return fmt.Errorf("%w: rollback to %d", ErrHeight, height)
		}
		if height == tip.Height {
			st.release(tip)
			return st.e.Sync()
		}
		err := st.undoLast(tip)
		st.release(tip)
		if err != nil {
			return err
		}
	}
}

// undoLast takes the last block back.
func (st *State) undoLast(tip *View) error {
	b, err := get(tip.snap, numberKey(spaceUndo, tip.Height))
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%w: block %d", ErrNoUndo, tip.Height)
	}
	u, err := decodeUndo(b)
	if err != nil {
		return err
	}
	over, err := u.overlay(tip)
	if err != nil {
		return err
	}
	w := st.e.db.NewBatch()
	defer w.Close()
	if err := writeUndone(w, tip, u, over); err != nil {
		return fmt.Errorf("store: undo of block %d: %w", tip.Height, err)
	}
	if err := w.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("store: undo of block %d: %w", tip.Height, err)
	}
	st.nodes.reset()
	st.Close()
	return st.load()
}

func writeUndone(w *pebble.Batch, tip *View, u undo, over *overlay) error {
	for _, c := range u.rows {
		if err := setOrDelete(w, rowKey(c.Key), c.Value); err != nil {
			return err
		}
	}
	for id, n := range over.nodes {
		var value []byte
		if n != nil {
			value = merkle.EncodeNode(*n)
		}
		if err := setOrDelete(w, nodeKey(id), value); err != nil {
			return err
		}
	}
	for index := u.before.Log.Size(); index < tip.LogSize(); index++ {
		if err := deleteEntry(w, tip, index); err != nil {
			return err
		}
	}
	if err := w.Delete(numberKey(spaceBlock, u.before.Log.Size()), nil); err != nil {
		return err
	}
	if err := forget(w, tip, tip.Height); err != nil {
		return err
	}
	if err := w.Delete(numberKey(spaceUndo, tip.Height), nil); err != nil {
		return err
	}
	return w.Set(keyTip, u.before.encode(), nil)
}

func deleteEntry(w *pebble.Batch, tip *View, index uint64) error {
	e, err := tip.Entry(index)
	if err != nil {
		return err
	}
	// An entry that is no statement is an operation: it has no place.
	if s, err := ledger.ParseStatement(e); err == nil {
		if err := w.Delete(streamKey(s.Stream, s.First), nil); err != nil {
			return err
		}
	}
	return w.Delete(numberKey(spaceEntry, index), nil)
}
