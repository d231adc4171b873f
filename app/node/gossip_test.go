package node

import (
	"bytes"
	"testing"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/mock"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
	"github.com/cometbft/cometbft/proxy"
)

// TestEarlyTransactions: what peers send while the node catches up enters its pool
// afterwards, up to the bound.
func TestEarlyTransactions(t *testing.T) {
	mc := cfg.DefaultMempoolConfig()
	conn := abcicli.NewLocalClient(nil, abci.NewBaseApplication())
	pool := mempool.NewCListMempool(mc, proxy.NewAppConnMempool(conn, proxy.NopMetrics()), 1)
	g := &gossip{Reactor: mempool.NewReactor(mc, pool, true)}
	g.SetLogger(log.NewNopLogger())
	peer := mock.NewPeer(nil)
	g.InitPeer(peer)
	send := func(tx []byte) {
		g.Receive(p2p.Envelope{Src: peer, ChannelID: mempool.MempoolChannel, Message: &protomem.Txs{Txs: [][]byte{tx}}})
	}
	const size, n = 1 << 20, maxEarly>>20 - 1 // and the messages' frames
	for i := range n {
		send(bytes.Repeat([]byte{byte(i)}, size))
	}
	if pool.Size() != 0 {
		t.Fatal("a node that catches up takes transactions")
	}
	send(bytes.Repeat([]byte{n}, size)) // one too many
	send([]byte("small"))
	g.EnableInOutTxs()
	if pool.Size() != n+1 {
		t.Errorf("%d transactions in the pool, want %d", pool.Size(), n+1)
	}
	send([]byte("later"))
	if pool.Size() != n+2 || g.early != nil || g.bytes != 0 {
		t.Errorf("%d transactions in the pool, want %d; %d kept", pool.Size(), n+2, len(g.early))
	}
}
