package merkle

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestTilesBatches appends a log in batches of all kinds and compares every tile
// with those of tlog, which lays them out as C2SP tlog-tiles does.
func TestTilesBatches(t *testing.T) {
	const size = 2*TileWidth*TileWidth/8 + 300 // 16,684: more than 65 tiles at level 0
	leaves := testLeaves(size)
	stored := newTlog(t, size)
	for name, batch := range map[string]func(*rand.Rand) int{
		"one by one to 700": func(*rand.Rand) int { return 1 },
		"tiles":             func(*rand.Rand) int { return TileWidth },
		"mixed":             func(r *rand.Rand) int { return 1 + r.IntN(900) },
		"at once":           func(*rand.Rand) int { return size },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			tiles := memTiles{}
			end := size
			if name == "one by one to 700" {
				end = 700
			}
			n := 0
			for n < end {
				next := min(end, n+batch(r))
				changed, err := NewTiles(uint64(n), tiles, leaves[n:next])
				if err != nil {
					t.Fatal(err)
				}
				tiles.write(changed)
				n = next
			}
			compareWithTlog(t, tiles, stored, end)
		})
	}
}

// compareWithTlog checks that the tiles are those of a log of n entries, no more.
func compareWithTlog(t *testing.T, tiles memTiles, stored tlogHashes, n int) {
	t.Helper()
	count := 0
	for _, tile := range tlog.NewTiles(TileHeight, 0, int64(n)) {
		if tile.W != TileWidth && hasWider(tile, n) {
			continue
		}
		data, err := tlog.ReadTileData(tile, stored)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tiles.Tile(uint8(tile.L), uint64(tile.N))
		if err != nil || !slices.Equal(data, flatten(got)) {
			t.Fatalf("tile %v differs from tlog (%v)", tile, err)
		}
		count++
	}
	if count != len(tiles) {
		t.Fatalf("%d tiles, tlog has %d", len(tiles), count)
	}
}

// hasWider reports whether the log has more hashes of this tile.
func hasWider(tile tlog.Tile, n int) bool {
	return int64(n>>(TileHeight*tile.L)) > tile.N*TileWidth+int64(tile.W)
}

func flatten(hashes []Hash) []byte {
	var out []byte
	for i := range hashes {
		out = append(out, hashes[i][:]...)
	}
	return out
}

// TestTilesThirdLevel builds a log whose tiles reach level 2 and proves entries
// in it, at its size and at smaller ones, from the same tiles.
func TestTilesThirdLevel(t *testing.T) {
	const size = TileWidth*TileWidth + 2*TileWidth + 3
	leaves := testLeaves(size)
	tiles := newMemTiles(t, leaves)
	if hashes, err := tiles.Tile(2, 0); err != nil || len(hashes) != 1 || hashes[0] != naiveRoot(leaves[:TileWidth*TileWidth]) {
		t.Fatalf("tile 2/0: %d hashes, %v", len(hashes), err)
	}
	for _, n := range []int{size, size - 1, TileWidth * TileWidth, TileWidth*TileWidth - 1, 40_000} {
		root := naiveRoot(leaves[:n])
		for _, index := range []int{0, 1, 255, 256, 39_999, n - 1} {
			path, err := InclusionProof(tiles, uint64(n), uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := VerifyInclusion(leaves[index], uint64(index), uint64(n), path); err != nil || got != root {
				t.Errorf("%d of %d: %v", index, n, err)
			}
		}
		path, err := ConsistencyProof(tiles, 30_001, uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyConsistency(30_001, uint64(n), naiveRoot(leaves[:30_001]), root, path); err != nil {
			t.Errorf("30001 to %d: %v", n, err)
		}
		checkMulti(t, tiles, leaves[:n], root, []uint64{0, 255, 256, 257, 30_000, uint64(n - 1)})
	}
}

func TestNewTilesRefuses(t *testing.T) {
	tiles := newMemTiles(t, testLeaves(5))
	leaf := make([]Hash, 1)
	if _, err := NewTiles(6, tiles, leaf); !errors.Is(err, ErrTile) {
		t.Errorf("short edge: %v", err)
	}
	if _, err := NewTiles(256+1, tiles, leaf); !errors.Is(err, errNoTile) {
		t.Errorf("no edge: %v", err)
	}
	if _, err := NewTiles(MaxLogSize, tiles, leaf); !errors.Is(err, ErrLogSize) {
		t.Errorf("full log: %v", err)
	}
	if changed, err := NewTiles(5, memTiles{}, nil); err != nil || len(changed) != 0 {
		t.Errorf("nothing to append: %v, %v", changed, err)
	}
}
