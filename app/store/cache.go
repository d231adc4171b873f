package store

import "mtmledger/crypto/merkle"

// Working returns the last block's state for building the next one: branches of
// the trie come from a cache of decoded ones. Use it in one goroutine, and
// release the view as usual.
func (st *State) Working(tip *View) *Working { return &Working{View: tip, nodes: st.nodes} }

// Working is a View whose Node goes through the cache.
type Working struct {
	*View
	nodes *nodeCache
}

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

// nodeCacheSize bounds the decoded branches kept, at about 250 bytes each.
const nodeCacheSize = 100_000

// nodeCache keeps decoded branches of the last block's trie. Commit and the one
// builder of blocks use it, never at the same time.
type nodeCache struct {
	max   int
	young map[merkle.NodeID]merkle.Node
	old   map[merkle.NodeID]merkle.Node
}

func newNodeCache(max int) *nodeCache {
	c := &nodeCache{max: max}
	c.reset()
	return c
}

func (c *nodeCache) reset() {
	c.young = make(map[merkle.NodeID]merkle.Node)
	c.old = nil
}

// get finds a branch in either generation; one found in the old moves up.
func (c *nodeCache) get(id merkle.NodeID) (merkle.Node, bool) {
	if n, ok := c.young[id]; ok {
		return n, true
	}
	n, ok := c.old[id]
	if ok {
		c.put(id, n)
	}
	return n, ok
}

// put adds a branch; when half the room is used, the young become the old.
func (c *nodeCache) put(id merkle.NodeID, n merkle.Node) {
	if len(c.young) >= c.max/2 {
		c.old = c.young
		c.young = make(map[merkle.NodeID]merkle.Node, len(c.old))
	}
	c.young[id] = n
}

// apply follows a commit.
func (c *nodeCache) apply(writes []merkle.NodeWrite) {
	for _, w := range writes {
		if w.Node == nil {
			delete(c.young, w.ID)
			delete(c.old, w.ID)
			continue
		}
		c.put(w.ID, *w.Node)
		delete(c.old, w.ID)
	}
}
