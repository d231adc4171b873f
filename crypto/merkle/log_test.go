package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"

	tdmerkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// smallSizes bounds the logs that are tried exhaustively.
const smallSizes = 70

// testEntry is entry i of the test logs and of the vectors.
func testEntry(i int) []byte { return fmt.Appendf(nil, "entry %d", i) }

func testLeaves(n int) []Hash {
	leaves := make([]Hash, n)
	for i := range leaves {
		leaves[i] = LeafHash(testEntry(i))
	}
	return leaves
}

// naiveRoot is MTH of RFC 9162 section 2.1.1, word for word.
func naiveRoot(leaves []Hash) Hash {
	switch len(leaves) {
	case 0:
		return EmptyRoot
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return NodeHash(naiveRoot(leaves[:k]), naiveRoot(leaves[k:]))
}

// memTiles is a TileReader over a map.
type memTiles map[tileID][]Hash

var errNoTile = errors.New("no such tile")

func (m memTiles) Tile(level uint8, index uint64) ([]Hash, error) {
	hashes, ok := m[tileID{level, index}]
	if !ok {
		return nil, errNoTile
	}
	return hashes, nil
}

func (m memTiles) write(tiles []Tile) {
	for _, tile := range tiles {
		m[tileID{tile.Level, tile.Index}] = tile.Hashes
	}
}

func newMemTiles(t testing.TB, leaves []Hash) memTiles {
	t.Helper()
	m := memTiles{}
	tiles, err := NewTiles(0, m, leaves)
	if err != nil {
		t.Fatal(err)
	}
	m.write(tiles)
	return m
}

// tlogHashes is the same log as golang.org/x/mod/sumdb/tlog stores it.
type tlogHashes []tlog.Hash

func (s tlogHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, s[i])
	}
	return out, nil
}

func newTlog(t testing.TB, n int) tlogHashes {
	t.Helper()
	var s tlogHashes
	for i := range n {
		hashes, err := tlog.StoredHashes(int64(i), testEntry(i), s)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, hashes...)
	}
	return s
}

func fromTlog(hashes []tlog.Hash) []Hash {
	var out []Hash
	for _, h := range hashes {
		out = append(out, Hash(h))
	}
	return out
}

func toSlices(path []Hash) [][]byte {
	var out [][]byte
	for i := range path {
		out = append(out, path[i][:])
	}
	return out
}

func TestFrontier(t *testing.T) {
	leaves := testLeaves(600)
	stored := newTlog(t, len(leaves))
	f := new(Frontier)
	for n := 0; ; n++ {
		if f.Size() != uint64(n) || f.Root() != naiveRoot(leaves[:n]) {
			t.Fatalf("size %d: frontier differs from the definition", n)
		}
		if want, err := tlog.TreeHash(int64(n), stored); err != nil || (n > 0 && f.Root() != Hash(want)) {
			t.Fatalf("size %d: frontier differs from tlog (%v)", n, err)
		}
		again, err := NewFrontier(f.Size(), f.Hashes())
		if err != nil || again.Root() != f.Root() {
			t.Fatalf("size %d: does not survive storing: %v", n, err)
		}
		if n == len(leaves) {
			break
		}
		clone := f.Clone()
		f.Append(leaves[n])
		if clone.Root() != naiveRoot(leaves[:n]) {
			t.Fatalf("size %d: appending changed a clone", n)
		}
	}
}

func TestNewFrontierRefuses(t *testing.T) {
	for _, c := range []struct {
		size   uint64
		hashes int
	}{{0, 1}, {1, 0}, {1, 2}, {3, 1}, {3, 3}, {MaxLogSize, 62}, {MaxLogSize + 1, 1}, {math.MaxUint64, 64}} {
		if _, err := NewFrontier(c.size, make([]Hash, c.hashes)); !errors.Is(err, ErrMalformedFrontier) {
			t.Errorf("size %d with %d hashes: %v", c.size, c.hashes, err)
		}
	}
	if _, err := NewFrontier(MaxLogSize, make([]Hash, 63)); err != nil {
		t.Errorf("full log: %v", err)
	}
}

// TestInclusionExhaustive compares every proof of every small log with two other
// implementations and tries to pass it for another leaf, index or size.
func TestInclusionExhaustive(t *testing.T) {
	leaves := testLeaves(smallSizes)
	tiles := newMemTiles(t, leaves)
	stored := newTlog(t, smallSizes)
	for size := 1; size <= smallSizes; size++ {
		root := naiveRoot(leaves[:size])
		for index := range size {
			path, err := InclusionProof(tiles, uint64(size), uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			want, err := tlog.ProveRecord(int64(size), int64(index), stored)
			if err != nil || !slices.Equal(path, fromTlog(want)) {
				t.Fatalf("%d of %d: path differs from tlog (%v)", index, size, err)
			}
			if err := tdmerkle.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaves[index][:], toSlices(path), root[:]); err != nil {
				t.Fatalf("%d of %d: transparency-dev refuses: %v", index, size, err)
			}
			got, err := VerifyInclusion(leaves[index], uint64(index), uint64(size), path)
			if err != nil || got != root {
				t.Fatalf("%d of %d: %v", index, size, err)
			}
			refuteInclusion(t, leaves, index, size, path, root)
		}
	}
}

// refuteInclusion checks that a good path proves nothing else.
func refuteInclusion(t *testing.T, leaves []Hash, index, size int, path []Hash, root Hash) {
	t.Helper()
	accepts := func(leaf Hash, index, size int, path []Hash) bool {
		got, err := VerifyInclusion(leaf, uint64(index), uint64(size), path)
		return err == nil && got == root
	}
	if other := leaves[(index+1)%len(leaves)]; accepts(other, index, size, path) {
		t.Fatalf("%d of %d: accepts another leaf", index, size)
	}
	for i := range size + 1 {
		if i != index && accepts(leaves[index], i, size, path) {
			t.Fatalf("%d of %d: accepts index %d", index, size, i)
		}
	}
	if accepts(leaves[index], index, size, append(slices.Clone(path), Hash{1})) {
		t.Fatalf("%d of %d: accepts a longer path", index, size)
	}
	if len(path) > 0 && accepts(leaves[index], index, size, path[:len(path)-1]) {
		t.Fatalf("%d of %d: accepts a shorter path", index, size)
	}
	for i := range path {
		bad := slices.Clone(path)
		bad[i][i%HashSize] ^= 1
		if accepts(leaves[index], index, size, bad) {
			t.Fatalf("%d of %d: accepts a changed hash %d", index, size, i)
		}
	}
}

// TestInclusionLarge compares the implied roots of arbitrary paths in logs of
// all sizes, also with a path too short or too long.
func TestInclusionLarge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Uint64Range(1, MaxLogSize).Draw(rt, "size") >> rapid.IntRange(0, 62).Draw(rt, "shift")
		size = max(size, 1)
		index := rapid.Uint64Range(0, size-1).Draw(rt, "index")
		path := make([]Hash, rapid.IntRange(0, 64).Draw(rt, "hashes"))
		if rapid.Bool().Draw(rt, "right length") {
			path = make([]Hash, leastHashes(0, size, []uint64{index}))
		}
		for i := range path {
			path[i] = Hash{byte(i), 1}
		}
		leaf := Hash{7}
		want, wantErr := tdmerkle.RootFromInclusionProof(rfc6962.DefaultHasher, index, size, leaf[:], toSlices(path))
		got, err := VerifyInclusion(leaf, index, size, path)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got[:], want) {
			t.Fatalf("%d of %d, %d hashes: %v, transparency-dev: %v", index, size, len(path), err, wantErr)
		}
	})
}

func TestConsistencyExhaustive(t *testing.T) {
	leaves := testLeaves(smallSizes)
	tiles := newMemTiles(t, leaves)
	stored := newTlog(t, smallSizes)
	roots := make([]Hash, smallSizes+1)
	for n := range roots {
		roots[n] = naiveRoot(leaves[:n])
	}
	for size := 0; size <= smallSizes; size++ {
		for old := 0; old <= size; old++ {
			path, err := ConsistencyProof(tiles, uint64(old), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			if old > 0 {
				want, err := tlog.ProveTree(int64(size), int64(old), stored)
				if err != nil || !slices.Equal(path, fromTlog(want)) {
					t.Fatalf("%d to %d: path differs from tlog (%v)", old, size, err)
				}
			}
			if err := tdmerkle.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), toSlices(path), roots[old][:], roots[size][:]); err != nil {
				t.Fatalf("%d to %d: transparency-dev refuses: %v", old, size, err)
			}
			if err := VerifyConsistency(uint64(old), uint64(size), roots[old], roots[size], path); err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			refuteConsistency(t, roots, old, size, path)
		}
	}
}

// refuteConsistency checks that a good path proves nothing else.
func refuteConsistency(t *testing.T, roots []Hash, old, size int, path []Hash) {
	t.Helper()
	accepts := func(oldRoot, newRoot Hash, path []Hash) bool {
		return VerifyConsistency(uint64(old), uint64(size), oldRoot, newRoot, path) == nil
	}
	if accepts(Hash{1}, roots[size], path) {
		t.Fatalf("%d to %d: accepts another old root", old, size)
	}
	if old > 0 && accepts(roots[old], Hash{1}, path) {
		t.Fatalf("%d to %d: accepts another new root", old, size)
	}
	if accepts(roots[old], roots[size], append(slices.Clone(path), Hash{1})) {
		t.Fatalf("%d to %d: accepts a longer path", old, size)
	}
	for i := range path {
		bad := slices.Clone(path)
		bad[i][0] ^= 1
		if accepts(roots[old], roots[size], bad) {
			t.Fatalf("%d to %d: accepts a changed hash %d", old, size, i)
		}
		if accepts(roots[old], roots[size], slices.Delete(slices.Clone(path), i, i+1)) {
			t.Fatalf("%d to %d: accepts the path without hash %d", old, size, i)
		}
	}
}

// checkMulti makes a multi-proof and checks it, its size and its changes.
func checkMulti(t *testing.T, tiles TileReader, leaves []Hash, root Hash, indexes []uint64) {
	t.Helper()
	size := uint64(len(leaves))
	path, err := MultiProof(tiles, size, indexes)
	if err != nil {
		t.Fatal(err)
	}
	given := make([]Hash, len(indexes))
	for i, index := range indexes {
		given[i] = leaves[index]
	}
	if got, err := VerifyMulti(given, indexes, size, path); err != nil || got != root {
		t.Fatalf("%v of %d: %v", indexes, size, err)
	}
	if want := leastHashes(0, size, indexes); len(path) != want {
		t.Fatalf("%v of %d: %d hashes, least is %d", indexes, size, len(path), want)
	}
	for _, bad := range [][]Hash{append(slices.Clone(path), Hash{}), path[:max(0, len(path)-1)]} {
		if _, err := VerifyMulti(given, indexes, size, bad); len(bad) != len(path) && !errors.Is(err, ErrPathLength) {
			t.Fatalf("%v of %d: path of %d hashes: %v", indexes, size, len(bad), err)
		}
	}
	for i := range path {
		bad := slices.Clone(path)
		bad[i][31] ^= 0x80
		if got, err := VerifyMulti(given, indexes, size, bad); err != nil || got == root {
			t.Fatalf("%v of %d: accepts a changed hash", indexes, size)
		}
	}
	for i := range given {
		bad := slices.Clone(given)
		bad[i][0] ^= 1
		if got, err := VerifyMulti(bad, indexes, size, path); err != nil || got == root {
			t.Fatalf("%v of %d: accepts a changed leaf", indexes, size)
		}
	}
}

// leastHashes counts the greatest subtrees of [lo, hi) without any index.
func leastHashes(lo, hi uint64, indexes []uint64) int {
	held := 0
	for _, i := range indexes {
		if lo <= i && i < hi {
			held++
		}
	}
	switch {
	case held == 0:
		return 1
	case hi-lo == 1:
		return 0
	}
	mid := lo + 1<<(bits.Len64(hi-lo-1)-1)
	return leastHashes(lo, mid, indexes) + leastHashes(mid, hi, indexes)
}

func TestMultiExhaustive(t *testing.T) {
	leaves := testLeaves(smallSizes)
	tiles := newMemTiles(t, leaves)
	for size := 1; size <= 9; size++ { // every set of indexes
		root := naiveRoot(leaves[:size])
		for set := uint64(1); set < 1<<size; set++ {
			var indexes []uint64
			for i := range size {
				if set>>i&1 == 1 {
					indexes = append(indexes, uint64(i))
				}
			}
			checkMulti(t, tiles, leaves[:size], root, indexes)
		}
	}
	for size := 10; size <= smallSizes; size++ { // every run, and one index as a plain proof
		root := naiveRoot(leaves[:size])
		for from := range size {
			var indexes []uint64
			for i := from; i < size; i++ {
				indexes = append(indexes, uint64(i))
				if (i-from)%7 == 0 || i == size-1 {
					checkMulti(t, tiles, leaves[:size], root, indexes)
				}
			}
			single, err := MultiProof(tiles, uint64(size), []uint64{uint64(from)})
			if err != nil {
				t.Fatal(err)
			}
			path, err := InclusionProof(tiles, uint64(size), uint64(from))
			if err != nil || len(path) != len(single) {
				t.Fatalf("%d of %d: multi-proof of one has %d hashes, path %d (%v)", from, size, len(single), len(path), err)
			}
		}
	}
}

func TestLogProofArguments(t *testing.T) {
	tiles := newMemTiles(t, testLeaves(5))
	leaf := Hash{1}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"inclusion index":       {second(InclusionProof(tiles, 5, 5)), ErrLogIndex},
		"inclusion empty":       {second(InclusionProof(tiles, 0, 0)), ErrLogIndex},
		"inclusion size":        {second(InclusionProof(tiles, MaxLogSize+1, 0)), ErrLogSize},
		"inclusion tile":        {second(InclusionProof(tiles, 6, 0)), ErrTile},
		"inclusion no tile":     {second(InclusionProof(tiles, 300, 0)), errNoTile},
		"inclusion error":       {second(InclusionProof(memTiles{}, 2, 0)), errNoTile},
		"verify index":          {second(VerifyInclusion(leaf, 5, 5, nil)), ErrLogIndex},
		"verify size":           {second(VerifyInclusion(leaf, 0, math.MaxUint64, nil)), ErrLogSize},
		"verify full log":       {second(VerifyInclusion(leaf, MaxLogSize-1, MaxLogSize, make([]Hash, 62))), nil},
		"verify too long":       {second(VerifyInclusion(leaf, 0, 1, make([]Hash, 1))), ErrPathLength},
		"verify too short":      {second(VerifyInclusion(leaf, 0, 2, nil)), ErrPathLength},
		"consistency order":     {second(ConsistencyProof(tiles, 5, 4)), ErrLogSize},
		"consistency size":      {second(ConsistencyProof(tiles, 1, MaxLogSize+1)), ErrLogSize},
		"consistency error":     {second(ConsistencyProof(memTiles{}, 1, 2)), errNoTile},
		"verify order":          {VerifyConsistency(5, 4, leaf, leaf, nil), ErrLogSize},
		"verify same":           {VerifyConsistency(4, 4, leaf, Hash{2}, nil), ErrInconsistent},
		"verify same, path":     {VerifyConsistency(4, 4, leaf, leaf, make([]Hash, 1)), ErrPathLength},
		"verify from empty":     {VerifyConsistency(0, 4, leaf, leaf, nil), ErrInconsistent},
		"verify no path":        {VerifyConsistency(3, 4, leaf, leaf, nil), ErrPathLength},
		"verify old":            {VerifyConsistency(3, 4, leaf, leaf, make([]Hash, 3)), ErrInconsistent},
		"multi none":            {second(MultiProof(tiles, 5, nil)), ErrIndexesMissing},
		"multi order":           {second(MultiProof(tiles, 5, []uint64{2, 1})), ErrIndexesOrder},
		"multi twice":           {second(MultiProof(tiles, 5, []uint64{2, 2})), ErrIndexesOrder},
		"multi index":           {second(MultiProof(tiles, 5, []uint64{2, 5})), ErrLogIndex},
		"multi error":           {second(MultiProof(memTiles{}, 5, []uint64{2})), errNoTile},
		"verify multi none":     {second(VerifyMulti(nil, nil, 5, nil)), ErrIndexesMissing},
		"verify multi order":    {second(VerifyMulti(make([]Hash, 2), []uint64{1, 0}, 5, nil)), ErrIndexesOrder},
		"verify multi twice":    {second(VerifyMulti(make([]Hash, 2), []uint64{1, 1}, 5, nil)), ErrIndexesOrder},
		"verify multi count":    {second(VerifyMulti(make([]Hash, 1), []uint64{0, 1}, 5, nil)), ErrLeavesCount},
		"verify multi size":     {second(VerifyMulti(make([]Hash, 1), []uint64{0}, math.MaxUint64, nil)), ErrLogSize},
		"verify multi short":    {second(VerifyMulti(make([]Hash, 1), []uint64{0}, MaxLogSize, make([]Hash, 62))), ErrPathLength},
		"verify multi exact":    {second(VerifyMulti(make([]Hash, 1), []uint64{0}, MaxLogSize, make([]Hash, 63))), nil},
		"verify multi too long": {second(VerifyMulti(make([]Hash, 1), []uint64{0}, MaxLogSize, make([]Hash, 64))), ErrPathLength},
	} {
		if !errors.Is(c.err, c.want) || (c.want == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
}

// second returns the second of two results.
func second[T any](_ T, err error) error { return err }
