package merkle

import (
	"errors"
	"fmt"
	"math/bits"
)

// Geometry of tiles (C2SP tlog-tiles, "Merkle Tree").
const (
	TileHeight = 8               // levels of the tree in one tile
	TileWidth  = 1 << TileHeight // hashes in a full tile
)

// ErrTile is returned when a tile is shorter than the size of the log demands.
var ErrTile = errors.New("tile too short")

// Tile is a run of up to 256 hashes. Hashes[j] is the root of the complete
// subtree of 2^(8*Level) leaves whose number is 256*Index+j. A tile with fewer
// than 256 hashes is partial: it lies on the right edge of the log.
type Tile struct {
	Level  uint8
	Index  uint64
	Hashes []Hash
}

// TileReader reads tiles. Tile returns at least the hashes that a log of the
// size in question has; more are ignored. The result is not changed.
type TileReader interface {
	Tile(level uint8, index uint64) ([]Hash, error)
}

// NewTiles returns the tiles, complete and partial, that change when leaves are
// appended to a log of oldSize entries, in the order of level and index. Of the
// old log it reads only the partial tiles on the right edge. A partial tile
// replaces the earlier one of the same level and index.
func NewTiles(oldSize uint64, edge TileReader, leaves []Hash) ([]Tile, error) {
	if oldSize > MaxLogSize || uint64(len(leaves)) > MaxLogSize-oldSize {
		return nil, fmt.Errorf("%w: %d+%d", ErrLogSize, oldSize, len(leaves))
	}
	var tiles []Tile
	added := leaves
	for level := uint8(0); len(added) > 0; level++ {
		start := oldSize >> (TileHeight * level)
		row, err := tileRow(level, start, edge, added)
		if err != nil {
			return nil, err
		}
		tiles = append(tiles, row...)
		added = fullTileRoots(row)
	}
	return tiles, nil
}

// tileRow returns the tiles of one level that change when hashes are appended
// at position start of that level.
func tileRow(level uint8, start uint64, edge TileReader, added []Hash) ([]Tile, error) {
	var row []Tile
	for len(added) > 0 {
		tile := Tile{Level: level, Index: start / TileWidth}
		have := int(start % TileWidth)
		n := min(TileWidth-have, len(added))
		tile.Hashes = make([]Hash, 0, have+n)
		if have > 0 {
			old, err := readTile(edge, level, tile.Index, have)
			if err != nil {
				return nil, err
			}
			tile.Hashes = append(tile.Hashes, old[:have]...)
		}
		tile.Hashes = append(tile.Hashes, added[:n]...)
		row = append(row, tile)
		added, start = added[n:], start+uint64(n)
	}
	return row, nil
}

// fullTileRoots returns the roots of the full tiles of a row.
func fullTileRoots(row []Tile) []Hash {
	var roots []Hash
	for _, tile := range row {
		if len(tile.Hashes) == TileWidth {
			roots = append(roots, completeRoot(tile.Hashes))
		}
	}
	return roots
}

// completeRoot returns the root over 2^n hashes of complete subtrees.
func completeRoot(hashes []Hash) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return NodeHash(completeRoot(hashes[:half]), completeRoot(hashes[half:]))
}

// readTile reads a tile and checks that it has at least need hashes.
func readTile(tr TileReader, level uint8, index uint64, need int) ([]Hash, error) {
	hashes, err := tr.Tile(level, index)
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d: %w", level, index, err)
	}
	if len(hashes) < need {
		return nil, fmt.Errorf("%w: tile %d/%d has %d of %d hashes", ErrTile, level, index, len(hashes), need)
	}
	return hashes, nil
}

// tileID names a tile.
type tileID struct {
	level uint8
	index uint64
}

// nodes computes hashes of ranges of leaves from tiles. It reads a tile once.
type nodes struct {
	tiles TileReader
	seen  map[tileID][]Hash
}

func newNodes(tr TileReader) *nodes {
	return &nodes{tiles: tr, seen: make(map[tileID][]Hash)}
}

// complete returns the root of the complete subtree of 2^height leaves that
// starts at leaf first, a multiple of 2^height.
func (n *nodes) complete(height int, first uint64) (Hash, error) {
	level := uint8(height / TileHeight)
	start := first >> (TileHeight * level)
	count := 1 << (height % TileHeight)
	id := tileID{level, start / TileWidth}
	offset := int(start % TileWidth)
	hashes := n.seen[id]
	if len(hashes) < offset+count {
		var err error
		if hashes, err = readTile(n.tiles, id.level, id.index, offset+count); err != nil {
			return Hash{}, err
		}
		n.seen[id] = hashes
	}
	return completeRoot(hashes[offset : offset+count]), nil
}

// root returns the root over the leaves [lo, hi), a range that the tree of RFC
// 9162 has: lo is a multiple of the least power of two that is not below hi-lo.
func (n *nodes) root(lo, hi uint64) (Hash, error) {
	size := hi - lo
	if size&(size-1) == 0 {
		return n.complete(bits.TrailingZeros64(size), lo)
	}
	mid := lo + split(size)
	left, err := n.root(lo, mid)
	if err != nil {
		return Hash{}, err
	}
	right, err := n.root(mid, hi)
	if err != nil {
		return Hash{}, err
	}
	return NodeHash(left, right), nil
}

// split returns the greatest power of two that is less than n; n is at least 2.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
