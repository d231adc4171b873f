package store

import (
	"sync"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// Bounds of the caches, in items of about 250 bytes each.
const (
	nodeCacheSize = 100_000
	rowCacheSize  = 50_000
)

// generations is a map bounded to about max items: when the young are half of
// that, they become the old and the old are dropped.
type generations[K comparable, V any] struct {
	max        int
	young, old map[K]V
}

func newGenerations[K comparable, V any](max int) *generations[K, V] {
	return &generations[K, V]{max: max, young: make(map[K]V)}
}

func (g *generations[K, V]) get(k K) (V, bool) {
	if v, ok := g.young[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if len(g.young) >= g.max/2 {
		g.old = g.young
		g.young = make(map[K]V, len(g.old))
	}
	g.young[k] = v
}

func (g *generations[K, V]) remove(k K) {
	delete(g.young, k)
	delete(g.old, k)
}

func (g *generations[K, V]) reset() {
	g.young, g.old = make(map[K]V), nil
}

// Working is the last block's View for building the next one: branches of the
// trie come from a cache of decoded ones. One goroutine uses it.
type Working struct {
	*View
	nodes *generations[merkle.NodeID, merkle.Node]
}

// Working wraps a view that Tip returned, which is released as usual. Only the
// one builder of blocks calls it, and never while a block is committed.
func (st *State) Working(tip *View) *Working { return &Working{View: tip, nodes: st.nodes} }

// Node returns a branch of the trie.
func (w *Working) Node(id merkle.NodeID) (merkle.Node, error) {
	if n, ok := w.nodes.get(id); ok {
		return n, nil
	}
	n, err := w.View.Node(id)
	if err == nil {
		w.nodes.put(id, n)
	}
	return n, err
}

// updateNodes follows a commit.
func updateNodes(c *generations[merkle.NodeID, merkle.Node], writes []merkle.NodeWrite) {
	for _, w := range writes {
		if c.remove(w.ID); w.Node != nil {
			c.put(w.ID, *w.Node)
		}
	}
}

// group is what the rows of one thing share: family and id.
type group [17]byte

func groupOf(k merkle.Key) group { return group(k[:17]) }

// lastRow is the greatest row of a group; a nil value means the group is empty.
type lastRow struct {
	key   merkle.Key
	value []byte
}

// rowCache keeps rows of the last block, and of the groups that are histories
// their last row, because "in force now" is the question of every rule. What
// it answers is what the database would: a view uses it only while it is the
// last block's. Safe for concurrent use.
type rowCache struct {
	mu     sync.RWMutex
	height uint64
	rows   *generations[merkle.Key, []byte]
	last   *generations[group, lastRow]
}

func newRowCache() *rowCache {
	return &rowCache{
		rows: newGenerations[merkle.Key, []byte](rowCacheSize),
		last: newGenerations[group, lastRow](rowCacheSize),
	}
}

// isHistory tells whether a family's rows are one per change, by height.
func isHistory(f record.Family) bool {
	switch f {
	case record.FamilyParameters, record.FamilyOrganisation, record.FamilyBridge,
		record.FamilyDevice, record.FamilyOwner, record.FamilyParts:
		return true
	}
	return false
}

func (c *rowCache) get(height uint64, k merkle.Key) (value []byte, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.height != height {
		return nil, false
	}
	return c.rows.get(k)
}

func (c *rowCache) put(height uint64, k merkle.Key, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.height == height {
		c.rows.put(k, value)
	}
}

func (c *rowCache) getLast(height uint64, g group) (lastRow, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.height != height {
		return lastRow{}, false
	}
	return c.last.get(g)
}

func (c *rowCache) putLast(height uint64, g group, r lastRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.height == height {
		c.last.put(g, r)
	}
}

// advance follows a commit to height.
func (c *rowCache) advance(height uint64, changes []merkle.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height = height
	for _, ch := range changes {
		c.rows.put(ch.Key, ch.Value)
		c.last.remove(groupOf(ch.Key))
	}
}

// reset forgets everything; the last block is at height.
func (c *rowCache) reset(height uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height = height
	c.rows.reset()
	c.last.reset()
}
