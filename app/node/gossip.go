package node

import (
	"errors"
	"sync"

	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
)

// maxEarly bounds the bytes of transactions that wait until a node has caught up.
const maxEarly = 16 << 20

// poolReactor names CometBFT's reactor that gossips transactions.
const poolReactor = "MEMPOOL"

// gossip is CometBFT's reactor of the pool, except that it loses nothing while this
// node catches up. CometBFT's own drops what peers send in that time, and they never
// send it again. On a ledger that makes no empty blocks such a transaction may wait
// in one validator's pool for several heartbeats, until that validator's turn to
// propose comes.
type gossip struct {
	*mempool.Reactor

	mu    sync.Mutex
	early []p2p.Envelope
	bytes int
}

var errNoPool = errors.New("node: CometBFT has no flooding pool")

// keepEarly replaces the reactor of a node that isn't started yet.
func keepEarly(n *cmtnode.Node) error {
	found, _ := n.Switch().Reactor(poolReactor)
	r, ok := found.(*mempool.Reactor)
	if !ok {
		return errNoPool
	}
	cmtnode.CustomReactors(map[string]p2p.Reactor{poolReactor: &gossip{Reactor: r}})(n)
	return nil
}

// Receive keeps a peer's transactions until the node takes them, or passes them on.
func (g *gossip) Receive(e p2p.Envelope) {
	if !g.keep(e) {
		g.Reactor.Receive(e)
	}
}

// keep says whether it kept e, or had to drop it.
func (g *gossip) keep(e p2p.Envelope) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.WaitSync() {
		return false
	}
	txs, ok := e.Message.(*protomem.Txs)
	if !ok {
		return false
	}
	if size := txs.Size(); g.bytes+size <= maxEarly {
		g.bytes += size
		g.early = append(g.early, e)
	}
	return true
}

// EnableInOutTxs is called once the node has caught up.
func (g *gossip) EnableInOutTxs() {
	g.Reactor.EnableInOutTxs()
	g.mu.Lock()
	early := g.early
	g.early, g.bytes = nil, 0
	g.mu.Unlock()
	for _, e := range early {
		g.Reactor.Receive(e)
	}
}
