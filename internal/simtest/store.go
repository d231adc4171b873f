package simtest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger/state"
)

// Store holds the records, their trie, the log's entries and tiles in memory. It
// implements state.Reader, merkle.NodeReader, merkle.ValueReader and merkle.TileReader,
// and can be read from several goroutines while none commits.
type Store struct {
	mu      sync.RWMutex
	rows    map[merkle.Key][]byte
	keys    []merkle.Key // of rows, sorted
	nodes   map[merkle.NodeID]merkle.Node
	root    merkle.Ref
	tiles   map[tileID][]merkle.Hash
	log     *merkle.Frontier
	entries [][]byte
}

type tileID struct {
	level uint8
	index uint64
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		rows:  make(map[merkle.Key][]byte),
		nodes: make(map[merkle.NodeID]merkle.Node),
		tiles: make(map[tileID][]merkle.Hash),
		log:   new(merkle.Frontier),
	}
}

// Get implements state.Reader.
func (s *Store) Get(k merkle.Key) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rows[k], nil
}

// Predecessor implements state.Reader.
func (s *Store) Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, found := slices.BinarySearchFunc(s.keys, k, compareKeys)
	if !found {
		i--
	}
	if i < 0 || compareKeys(s.keys[i], lo) < 0 {
		return merkle.Key{}, nil, nil
	}
	return s.keys[i], s.rows[s.keys[i]], nil
}

// Value implements merkle.ValueReader.
func (s *Store) Value(k merkle.Key) ([]byte, error) {
	value, _ := s.Get(k)
	if value == nil {
		return nil, fmt.Errorf("simtest: no row %x", k)
	}
	return value, nil
}

// Node implements merkle.NodeReader.
func (s *Store) Node(id merkle.NodeID) (merkle.Node, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.nodes[id]
	if !ok {
		return merkle.Node{}, fmt.Errorf("simtest: no node at depth %d", id.Depth)
	}
	return n, nil
}

// Tile implements merkle.TileReader.
func (s *Store) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	hashes, ok := s.tiles[tileID{level, index}]
	if !ok {
		return nil, fmt.Errorf("simtest: no tile %d of level %d", index, level)
	}
	return hashes, nil
}

// Commit takes over the changes and entries of a view.
func (s *Store) Commit(changes []merkle.Change, entries []state.Entry) error {
	root, writes, err := merkle.Update(s, s.Root(), changes)
	if err != nil {
		return err
	}
	leaves := make([]merkle.Hash, len(entries))
	for i, e := range entries {
		leaves[i] = merkle.LeafHash(e.Bytes)
	}
	tiles, err := merkle.NewTiles(s.LogSize(), s, leaves)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.root = root
	s.setNodes(writes)
	s.setRows(changes)
	for _, t := range tiles {
		s.tiles[tileID{t.Level, t.Index}] = t.Hashes
	}
	for i, e := range entries {
		s.log.Append(leaves[i])
		s.entries = append(s.entries, bytes.Clone(e.Bytes))
	}
	return nil
}

func (s *Store) setNodes(writes []merkle.NodeWrite) {
	for _, w := range writes {
		if w.Node == nil {
			delete(s.nodes, w.ID)
		} else {
			s.nodes[w.ID] = *w.Node
		}
	}
}

// setRows merges the changes, which are sorted, into the rows.
func (s *Store) setRows(changes []merkle.Change) {
	keys := make([]merkle.Key, 0, len(s.keys)+len(changes))
	old := s.keys
	for _, c := range changes {
		i, found := slices.BinarySearchFunc(old, c.Key, compareKeys)
		keys = append(keys, old[:i]...)
		if found {
			i++
		}
		old = old[i:]
		if c.Value == nil {
			delete(s.rows, c.Key)
			continue
		}
		keys = append(keys, c.Key)
		s.rows[c.Key] = c.Value
	}
	s.keys = append(keys, old...)
}

// Root returns the root of the records.
func (s *Store) Root() merkle.Ref {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.root
}

// LogSize returns the number of entries.
func (s *Store) LogSize() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.Size()
}

// LogRoot returns the root of the log.
func (s *Store) LogRoot() merkle.Hash {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.Root()
}

// Entry returns the entry at index.
func (s *Store) Entry(index uint64) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if index >= uint64(len(s.entries)) {
		return nil, fmt.Errorf("simtest: no entry %d", index)
	}
	return s.entries[index], nil
}

// AppHash returns the app hash of the committed state.
func (s *Store) AppHash() merkle.Hash {
	return merkle.AppHash(s.LogSize(), s.LogRoot(), s.Root().RootHash())
}

// Keys returns the keys of all rows, sorted.
func (s *Store) Keys() []merkle.Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.keys)
}

func compareKeys(a, b merkle.Key) int { return bytes.Compare(a[:], b[:]) }

// Sorted returns rows as changes for Commit.
func Sorted(rows map[merkle.Key][]byte) []merkle.Change {
	changes := make([]merkle.Change, 0, len(rows))
	for k, value := range rows {
		changes = append(changes, merkle.Change{Key: k, Value: value})
	}
	slices.SortFunc(changes, func(a, b merkle.Change) int { return compareKeys(a.Key, b.Key) })
	return changes
}
