package merkle

import (
	"crypto/sha256"
	"slices"
	"testing"
)

type logVectors struct {
	About       string              `json:"about"`
	Leaves      []leafVector        `json:"leaf_hashes"`
	Roots       []rootVector        `json:"roots"`
	Tiles       []tileVector        `json:"tiles"`
	Inclusion   []inclusionVector   `json:"inclusion"`
	Multi       []multiVector       `json:"multi"`
	Consistency []consistencyVector `json:"consistency"`
	AppHashes   []appHashVector     `json:"app_hashes"`
}

type leafVector struct {
	Entry hexBytes `json:"entry"`
	Hash  Hash     `json:"hash"`
}

type rootVector struct {
	Size     uint64 `json:"size"`
	Root     Hash   `json:"root"`
	Frontier []Hash `json:"frontier"`
}

type tileVector struct {
	Size   uint64 `json:"size"`
	Level  uint8  `json:"level"`
	Index  uint64 `json:"index"`
	Width  int    `json:"width"`
	SHA256 Hash   `json:"sha256"`
}

type inclusionVector struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Leaf  Hash   `json:"leaf_hash"`
	Index uint64 `json:"index"`
	Size  uint64 `json:"size"`
	Path  []Hash `json:"path"`
	Root  Hash   `json:"root"`
}

func (v inclusionVector) accepted() bool {
	root, err := VerifyInclusion(v.Leaf, v.Index, v.Size, v.Path)
	return err == nil && root == v.Root
}

type multiVector struct {
	Name    string   `json:"name"`
	OK      bool     `json:"ok"`
	Leaves  []Hash   `json:"leaf_hashes"`
	Indexes []uint64 `json:"indexes"`
	Size    uint64   `json:"size"`
	Path    []Hash   `json:"path"`
	Root    Hash     `json:"root"`
}

func (v multiVector) accepted() bool {
	root, err := VerifyMulti(v.Leaves, v.Indexes, v.Size, v.Path)
	return err == nil && root == v.Root
}

type consistencyVector struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	OldSize uint64 `json:"old_size"`
	NewSize uint64 `json:"new_size"`
	OldRoot Hash   `json:"old_root"`
	NewRoot Hash   `json:"new_root"`
	Path    []Hash `json:"path"`
}

func (v consistencyVector) accepted() bool {
	return VerifyConsistency(v.OldSize, v.NewSize, v.OldRoot, v.NewRoot, v.Path) == nil
}

type appHashVector struct {
	LogSize     uint64 `json:"log_size"`
	LogRoot     Hash   `json:"log_root"`
	RecordsRoot Hash   `json:"records_root"`
	AppHash     Hash   `json:"app_hash"`
}

// vectorLog is the log that the vectors are about.
type vectorLog struct {
	*testing.T
	leaves []Hash
	tiles  memTiles
}

func (l vectorLog) root(size uint64) Hash { return naiveRoot(l.leaves[:size]) }

func makeLogVectors(t *testing.T) logVectors {
	leaves := testLeaves(70_000)
	l := vectorLog{t, leaves, newMemTiles(t, leaves)}
	v := logVectors{
		About: "docs/spec/commitment.md, sections 1, 2 and 5. Bytes are hexadecimal. Entry i of the log is the text \"entry \" and i in decimal. Integers go up to 2^64-1.",
	}
	for _, entry := range [][]byte{{}, testEntry(0), testEntry(1), {0}} {
		v.Leaves = append(v.Leaves, leafVector{entry, LeafHash(entry)})
	}
	f := new(Frontier)
	for n := uint64(0); ; n++ {
		if n <= 9 || n >= 255 && n <= 257 || n == 70_000 {
			v.Roots = append(v.Roots, rootVector{n, f.Root(), append([]Hash{}, f.Hashes()...)})
		}
		if n == 70_000 {
			break
		}
		f.Append(leaves[n])
	}
	v.Tiles = l.tileVectors()
	v.Inclusion = l.inclusionVectors()
	v.Multi = l.multiVectors()
	v.Consistency = l.consistencyVectors()
	for _, size := range []uint64{0, 1, 257, MaxLogSize} {
		logRoot := EmptyRoot
		if size > 0 {
			logRoot = l.root(min(size, 257))
		}
		v.AppHashes = append(v.AppHashes, appHashVector{size, logRoot, leaves[0], AppHash(size, logRoot, leaves[0])})
	}
	return v
}

func (l vectorLog) tileVectors() (out []tileVector) {
	for _, size := range []uint64{1, 255, 256, 257, 70_000} {
		tiles := newMemTiles(l, l.leaves[:size])
		for _, id := range []tileID{{0, 0}, {0, 1}, {0, 273}, {1, 0}, {1, 1}, {2, 0}} {
			if hashes, ok := tiles[id]; ok {
				out = append(out, tileVector{size, id.level, id.index, len(hashes), sha256.Sum256(flatten(hashes))})
			}
		}
	}
	return out
}

func (l vectorLog) inclusion(index, size uint64) inclusionVector {
	path, err := InclusionProof(l.tiles, size, index)
	if err != nil {
		l.Fatal(err)
	}
	return inclusionVector{"good", true, l.leaves[index], index, size, append([]Hash{}, path...), l.root(size)}
}

func (l vectorLog) inclusionVectors() (out []inclusionVector) {
	for _, c := range [][2]uint64{{0, 1}, {0, 2}, {1, 2}, {2, 3}, {3, 7}, {6, 7}, {0, 8}, {256, 257}, {65_536, 70_000}, {69_999, 70_000}} {
		out = append(out, l.inclusion(c[0], c[1]))
	}
	for _, c := range []struct {
		name   string
		change func(v *inclusionVector)
	}{
		{"another leaf", func(v *inclusionVector) { v.Leaf = l.leaves[4] }},
		{"another root", func(v *inclusionVector) { v.Root = l.root(6) }},
		{"index of the sibling", func(v *inclusionVector) { v.Index = 2 }},
		{"index out of range", func(v *inclusionVector) { v.Index = 7 }},
		{"empty log", func(v *inclusionVector) { v.Index, v.Size = 0, 0 }},
		{"greater size", func(v *inclusionVector) { v.Size = 9 }},
		{"size out of range", func(v *inclusionVector) { v.Size = MaxLogSize + 1 }},
		{"path cut off", func(v *inclusionVector) { v.Path = v.Path[:2] }},
		{"no path", func(v *inclusionVector) { v.Path = []Hash{} }},
		{"path too long", func(v *inclusionVector) { v.Path = append(v.Path, l.leaves[0]) }},
		{"path with a hash first", func(v *inclusionVector) { v.Path = slices.Insert(v.Path, 0, l.leaves[0]) }},
		{"path reversed", func(v *inclusionVector) { slices.Reverse(v.Path) }},
		{"path with a flipped bit", func(v *inclusionVector) { v.Path[1][31] ^= 1 }},
	} {
		v := l.inclusion(3, 7)
		v.Name, v.OK = c.name, false
		c.change(&v)
		out = append(out, v)
	}
	return out
}

func (l vectorLog) multi(size uint64, indexes ...uint64) multiVector {
	path, err := MultiProof(l.tiles, size, indexes)
	if err != nil {
		l.Fatal(err)
	}
	v := multiVector{"good", true, nil, indexes, size, append([]Hash{}, path...), l.root(size)}
	for _, index := range indexes {
		v.Leaves = append(v.Leaves, l.leaves[index])
	}
	return v
}

func (l vectorLog) multiVectors() (out []multiVector) {
	out = append(out, l.multi(1, 0), l.multi(7, 0), l.multi(7, 6), l.multi(7, 2, 3), l.multi(7, 0, 1, 2, 3, 4, 5, 6),
		l.multi(11, 1, 4, 10), l.multi(70_000, 0, 255, 256, 65_535, 65_536, 69_999))
	for _, c := range []struct {
		name   string
		change func(v *multiVector)
	}{
		{"leaves swapped", func(v *multiVector) { v.Leaves[0], v.Leaves[1] = v.Leaves[1], v.Leaves[0] }},
		{"leaf missing", func(v *multiVector) { v.Leaves = v.Leaves[:2] }},
		{"leaf too many", func(v *multiVector) { v.Leaves = append(v.Leaves, l.leaves[0]) }},
		{"another leaf", func(v *multiVector) { v.Leaves[2] = l.leaves[9] }},
		{"nothing", func(v *multiVector) { v.Leaves, v.Indexes = []Hash{}, []uint64{} }},
		{"indexes descending", func(v *multiVector) { slices.Reverse(v.Indexes); slices.Reverse(v.Leaves) }},
		{"index twice", func(v *multiVector) { v.Indexes[1], v.Leaves[1] = v.Indexes[0], v.Leaves[0] }},
		{"index moved", func(v *multiVector) { v.Indexes[1] = 5 }},
		{"index out of range", func(v *multiVector) { v.Indexes[2] = 11 }},
		{"path cut off", func(v *multiVector) { v.Path = v.Path[:len(v.Path)-1] }},
		{"path too long", func(v *multiVector) { v.Path = append(v.Path, l.leaves[0]) }},
		{"path reversed", func(v *multiVector) { slices.Reverse(v.Path) }},
		{"path with a flipped bit", func(v *multiVector) { v.Path[0][0] ^= 0x80 }},
	} {
		v := l.multi(11, 1, 4, 10)
		v.Name, v.OK = c.name, false
		c.change(&v)
		out = append(out, v)
	}
	return out
}

func (l vectorLog) consistency(from, to uint64) consistencyVector {
	path, err := ConsistencyProof(l.tiles, from, to)
	if err != nil {
		l.Fatal(err)
	}
	return consistencyVector{"good", true, from, to, l.root(from), l.root(to), append([]Hash{}, path...)}
}

func (l vectorLog) consistencyVectors() (out []consistencyVector) {
	for _, c := range [][2]uint64{{0, 0}, {0, 5}, {5, 5}, {1, 2}, {4, 8}, {4, 7}, {3, 7}, {6, 7}, {257, 70_000}, {65_536, 70_000}} {
		out = append(out, l.consistency(c[0], c[1]))
	}
	for _, c := range []struct {
		name   string
		change func(v *consistencyVector)
	}{
		{"another old root", func(v *consistencyVector) { v.OldRoot = l.root(2) }},
		{"another new root", func(v *consistencyVector) { v.NewRoot = l.root(6) }},
		{"roots swapped", func(v *consistencyVector) { v.OldRoot, v.NewRoot = v.NewRoot, v.OldRoot }},
		{"sizes swapped", func(v *consistencyVector) { v.OldSize, v.NewSize = 7, 3 }},
		{"another old size", func(v *consistencyVector) { v.OldSize = 4 }},
		{"another new size", func(v *consistencyVector) { v.NewSize = 9 }},
		{"same size, other root", func(v *consistencyVector) { v.OldSize, v.Path = 7, []Hash{} }},
		{"same size, with a path", func(v *consistencyVector) { v.OldSize, v.OldRoot = 7, v.NewRoot }},
		{"empty log, other root", func(v *consistencyVector) { v.OldSize, v.Path = 0, []Hash{} }},
		{"empty log, with a path", func(v *consistencyVector) { v.OldSize, v.OldRoot = 0, EmptyRoot }},
		{"no path", func(v *consistencyVector) { v.Path = []Hash{} }},
		{"path cut off", func(v *consistencyVector) { v.Path = v.Path[:len(v.Path)-1] }},
		{"path too long", func(v *consistencyVector) { v.Path = append(v.Path, l.leaves[0]) }},
		{"path with a flipped bit", func(v *consistencyVector) { v.Path[2][5] ^= 1 }},
	} {
		v := l.consistency(3, 7)
		v.Name, v.OK = c.name, false
		c.change(&v)
		out = append(out, v)
	}
	return out
}

// TestLogVectors checks that the file is what the code makes, and then that each
// vector in the file, as any implementation reads it, holds.
func TestLogVectors(t *testing.T) {
	var v logVectors
	checkVectorsFile(t, logVectorsFile, makeLogVectors(t), &v)
	for _, c := range v.Leaves {
		if LeafHash(c.Entry) != c.Hash {
			t.Errorf("leaf %x", c.Entry)
		}
	}
	for _, c := range v.Roots {
		if c.Root != naiveRoot(testLeaves(int(c.Size))) {
			t.Errorf("root of %d", c.Size)
		}
		if f, err := NewFrontier(c.Size, c.Frontier); err != nil || f.Root() != c.Root {
			t.Errorf("frontier of %d: %v", c.Size, err)
		}
	}
	for _, c := range v.Inclusion {
		if c.accepted() != c.OK {
			t.Errorf("inclusion of %d in %d, %s: %v", c.Index, c.Size, c.Name, !c.OK)
		}
	}
	for _, c := range v.Multi {
		if c.accepted() != c.OK {
			t.Errorf("multi-proof of %v in %d, %s: %v", c.Indexes, c.Size, c.Name, !c.OK)
		}
	}
	for _, c := range v.Consistency {
		if c.accepted() != c.OK {
			t.Errorf("consistency of %d and %d, %s: %v", c.OldSize, c.NewSize, c.Name, !c.OK)
		}
	}
	for _, c := range v.AppHashes {
		if AppHash(c.LogSize, c.LogRoot, c.RecordsRoot) != c.AppHash {
			t.Errorf("app hash of %d", c.LogSize)
		}
	}
}
