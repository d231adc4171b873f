package store

import (
	"bytes"
	"errors"
	"testing"

	"mtmledger/crypto/merkle"
)

// rowKinds are the rows of this package's own, each read and written again.
var rowKinds = []struct {
	name  string
	again func(b []byte) ([]byte, error)
}{
	{"tip", func(b []byte) ([]byte, error) { return again(decodeTip(b)) }},
	{"undo", func(b []byte) ([]byte, error) { return again(decodeUndo(b)) }},
	{"height", func(b []byte) ([]byte, error) { return again(decodeHeight(7, b)) }},
	{"outcome", func(b []byte) ([]byte, error) { return again(decodeOutcome(b)) }},
	{"block", func(b []byte) ([]byte, error) { return again(decodeBlock(7, b)) }},
}

func again[T interface{ encode() []byte }](row T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return row.encode(), nil
}

// FuzzRow: what is read as a row is the only encoding of what it says.
func FuzzRow(f *testing.F) {
	log := new(merkle.Frontier)
	for i := range byte(5) {
		log.Append(merkle.LeafHash([]byte{i}))
	}
	tip := Tip{Height: 9, Time: -1, AppHash: merkle.Hash{3}, Log: log, Trie: merkle.Ref{Depth: 9, Prefix: merkle.Key{0x55, 0x80}, Hash: merkle.Hash{2}}}
	empty := Tip{Log: new(merkle.Frontier)}
	for kind, rows := range [][]interface{ encode() []byte }{
		{tip, empty},
		{undo{before: empty}, undo{tip, []merkle.Change{{Key: merkle.Key{1}}, {Key: merkle.Key{2}, Value: []byte{}}, {Key: merkle.Key{3}, Value: []byte("v")}}}},
		{HeightInfo{}, HeightInfo{Time: 5, AppHash: merkle.Hash{1}, LogSize: 1 << 40, Hashes: [][32]byte{{1}, {2}}}},
		{Outcome{}, Outcome{Height: 4, Time: 5, Data: []byte("result")}},
		{BlockInfo{}, BlockInfo{Count: 300, Height: 8, Time: 1 << 50}},
	} {
		for _, row := range rows {
			f.Add(uint8(kind), row.encode())
		}
	}
	odd := undo{empty, []merkle.Change{{Key: merkle.Key{1}}}}.encode()
	odd[len(empty.encode())+1]++ // three halves of rows, of which two are there
	f.Add(uint8(1), odd)
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		kind := rowKinds[int(n)%len(rowKinds)]
		got, err := kind.again(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: unnamed error %v", kind.name, err)
			}
			return
		}
		if !bytes.Equal(got, b) {
			t.Errorf("%s %x is written as %x", kind.name, b, got)
		}
	})
}
