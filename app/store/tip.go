package store

import (
	"errors"
	"fmt"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
)

// ErrCorrupt is wrapped by every error about stored bytes that this package
// would not have written.
var ErrCorrupt = errors.New("store: corrupt database")

// rowVersion is the first element of every row of this package's own.
const rowVersion = 1

// maxFrontier is the greatest number of hashes of a log frontier.
const maxFrontier = 64

// Tip is the committed state after a block: everything that the next block
// starts from.
type Tip struct {
	Height  uint64 // 0 after genesis
	Time    int64  // block time, µs since the Unix epoch
	AppHash merkle.Hash
	Log     *merkle.Frontier // of the log; not to be changed
	Trie    merkle.Ref       // root of the records
}

func (t Tip) encode() []byte {
	b := dcbor.AppendArray(nil, 6)
	b = dcbor.AppendUint(b, rowVersion)
	b = dcbor.AppendUint(b, t.Height)
	b = dcbor.AppendInt(b, t.Time)
	b = dcbor.AppendBytes(b, t.AppHash[:])
	b = appendFrontier(b, t.Log)
	ref, _ := t.Trie.AppendBinary(nil) // never fails
	return dcbor.AppendBytes(b, ref)
}

func appendFrontier(b []byte, f *merkle.Frontier) []byte {
	b = dcbor.AppendArray(b, 2)
	b = dcbor.AppendUint(b, f.Size())
	var hashes []byte
	for _, h := range f.Hashes() {
		hashes = append(hashes, h[:]...)
	}
	return dcbor.AppendBytes(b, hashes)
}

func decodeTip(b []byte) (Tip, error) {
	r := dcbor.NewReader(b)
	t := readTip(r)
	if err := r.Done(); err != nil {
		return Tip{}, fmt.Errorf("%w: tip: %w", ErrCorrupt, err)
	}
	return t, nil
}

func readTip(r *dcbor.Reader) (t Tip) {
	r.ExpectArray(6)
	r.ExpectUint(rowVersion)
	t.Height = r.Uint()
	t.Time = r.Int()
	r.Fixed(t.AppHash[:])
	t.Log = readFrontier(r)
	ref, err := merkle.ParseRef(r.Bytes(merkle.RefSize))
	if err != nil {
		r.Fail(err)
	}
	t.Trie = ref
	return t
}

func readFrontier(r *dcbor.Reader) *merkle.Frontier {
	r.ExpectArray(2)
	size := r.Uint()
	hashes, err := splitHashes(r.Bytes(maxFrontier * merkle.HashSize))
	if err != nil {
		r.Fail(err)
		return nil
	}
	f, err := merkle.NewFrontier(size, hashes)
	if err != nil {
		r.Fail(err)
	}
	return f
}

func splitHashes(b []byte) ([]merkle.Hash, error) {
	if len(b)%merkle.HashSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes of hashes", ErrCorrupt, len(b))
	}
	hashes := make([]merkle.Hash, len(b)/merkle.HashSize)
	for i := range hashes {
		copy(hashes[i][:], b[i*merkle.HashSize:])
	}
	return hashes, nil
}

// undo is what takes a block back: the tip before it, and the rows it changed
// as they were. Trie nodes are not kept, because a trie is the same whatever
// order its rows came in: they are computed from the rows. Entries, tiles and
// index rows are found by the size of the log.
type undo struct {
	before Tip
	rows   []merkle.Change // sorted; nil Value: there was none
}

func (u undo) encode() []byte {
	b := dcbor.AppendArray(nil, 2)
	b = append(b, u.before.encode()...)
	b = dcbor.AppendArray(b, 2*len(u.rows))
	for _, c := range u.rows {
		b = dcbor.AppendBytes(b, c.Key[:])
		if c.Value == nil {
			b = dcbor.AppendNull(b)
		} else {
			b = dcbor.AppendBytes(b, c.Value)
		}
	}
	return b
}

func decodeUndo(b []byte) (undo, error) {
	var u undo
	r := dcbor.NewReader(b)
	r.ExpectArray(2)
	u.before = readTip(r)
	n := r.Array(len(b))
	if n%2 != 0 {
		r.Fail(dcbor.ErrLength)
	}
	for i := 0; i < n && r.Err() == nil; i += 2 {
		var c merkle.Change
		r.Fixed(c.Key[:])
		if !r.Null() {
			c.Value = r.Bytes(merkle.MaxValueSize)
		}
		u.rows = append(u.rows, c)
	}
	if err := r.Done(); err != nil {
		return undo{}, fmt.Errorf("%w: undo record: %w", ErrCorrupt, err)
	}
	return u, nil
}

// HeightInfo is what the application computed at a height.
type HeightInfo struct {
	Height  uint64
	Time    int64
	AppHash merkle.Hash
	LogSize uint64
	Hashes  [][32]byte // of its transactions
}

func (h HeightInfo) encode() []byte {
	b := dcbor.AppendArray(nil, 5)
	b = dcbor.AppendUint(b, rowVersion)
	b = dcbor.AppendInt(b, h.Time)
	b = dcbor.AppendBytes(b, h.AppHash[:])
	b = dcbor.AppendUint(b, h.LogSize)
	var hashes []byte
	for _, x := range h.Hashes {
		hashes = append(hashes, x[:]...)
	}
	return dcbor.AppendBytes(b, hashes)
}

func decodeHeight(height uint64, b []byte) (HeightInfo, error) {
	h := HeightInfo{Height: height}
	r := dcbor.NewReader(b)
	r.ExpectArray(5)
	r.ExpectUint(rowVersion)
	h.Time = r.Int()
	r.Fixed(h.AppHash[:])
	h.LogSize = r.Uint()
	hashes, err := splitHashes(r.Bytes(len(b)))
	if err != nil {
		r.Fail(err)
	}
	if err := r.Done(); err != nil {
		return HeightInfo{}, fmt.Errorf("%w: height %d: %w", ErrCorrupt, height, err)
	}
	h.Hashes = make([][32]byte, len(hashes))
	for i, x := range hashes {
		h.Hashes[i] = x
	}
	return h, nil
}

// Outcome is what became of a transaction.
type Outcome struct {
	Height uint64
	Time   int64
	Data   []byte // state.Result, encoded
}

func (o Outcome) encode() []byte {
	b := dcbor.AppendArray(nil, 3)
	b = dcbor.AppendUint(b, o.Height)
	b = dcbor.AppendInt(b, o.Time)
	return dcbor.AppendBytes(b, o.Data)
}

func decodeOutcome(b []byte) (o Outcome, err error) {
	r := dcbor.NewReader(b)
	r.ExpectArray(3)
	o.Height = r.Uint()
	o.Time = r.Int()
	o.Data = r.Bytes(len(b))
	if err := r.Done(); err != nil {
		return Outcome{}, fmt.Errorf("%w: outcome: %w", ErrCorrupt, err)
	}
	return o, nil
}

// BlockInfo places the entries of a block in the log.
type BlockInfo struct {
	First, Count uint64
	Height       uint64
	Time         int64
}

func (i BlockInfo) encode() []byte {
	b := dcbor.AppendArray(nil, 3)
	b = dcbor.AppendUint(b, i.Count)
	b = dcbor.AppendUint(b, i.Height)
	return dcbor.AppendInt(b, i.Time)
}

func decodeBlock(first uint64, b []byte) (BlockInfo, error) {
	i := BlockInfo{First: first}
	r := dcbor.NewReader(b)
	r.ExpectArray(3)
	i.Count = r.Uint()
	i.Height = r.Uint()
	i.Time = r.Int()
	if err := r.Done(); err != nil {
		return BlockInfo{}, fmt.Errorf("%w: block at index %d: %w", ErrCorrupt, first, err)
	}
	return i, nil
}
