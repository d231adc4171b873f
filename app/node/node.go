package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	cfg "github.com/cometbft/cometbft/config"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"mtmledger/app"
	"mtmledger/app/client"
	"mtmledger/app/query"
	"mtmledger/app/signer"
	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/internal/port"
)

// Errors that end a node.
var (
	// ErrConsensus: CometBFT's consensus has failed and stands still.
	ErrConsensus = errors.New("node: consensus failure")
	// ErrStalled: no block was committed for Config.StallAfter.
	ErrStalled = errors.New("node: no new block")
	// ErrHung: the node could not be closed in time, because something in it never
	// returned.
	ErrHung = errors.New("node: not closed")
	// ErrStopped is returned to those who use a node that has ended.
	ErrStopped = errors.New("node: stopped")
)

// ErrVersion ends a node that doesn't know the rules of the next block.
var ErrVersion = app.ErrVersion

// outdatedGrace is how long such a node goes on passing blocks and votes to others.
const outdatedGrace = 5 * time.Second

// closeTime bounds closing: what usually takes longest is 2 s for the RPC server and
// 10 s for readers of the database.
const closeTime = 15 * time.Second

// Node is a running ledger node.
type Node struct {
	cfg Config
	id  Identity
	log *slog.Logger

	engine  *store.Engine
	state   *store.State
	app     *app.App
	clients *app.Clients
	queries *query.Handler
	comet   *cmtnode.Node
	signer  *signer.Client // nil when the key is in the home
	local   *client.Local
	rpc     *http.Server // nil when off

	life   context.Context // ends with the node
	end    context.CancelFunc
	once   sync.Once
	why    error         // set before life ends
	moved  atomic.Int64  // when the height last changed, as supervise saw it: ns since the Unix epoch
	closed chan struct{} // closed when everything is closed
	failed error         // in closing; set before closed is closed
	done   chan struct{} // closed with closed, or when closing hangs
	err    error         // set before done is closed
}

// Start runs the node of cfg.Home until Stop, a failure, or the end of ctx.
// It returns when the blocks of the last run are replayed and the node takes
// transactions.
func Start(ctx context.Context, cfg Config, logger *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		cfg:    cfg.withDefaults(),
		log:    logger,
		closed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	n.moved.Store(time.Now().UnixNano())
	n.life, n.end = context.WithCancel(context.Background())
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.closeInTime())
	}
	go n.supervise(ctx)
	return n, nil
}

func (n *Node) start(ctx context.Context) (err error) {
	if n.id, err = n.cfg.identity(); err != nil {
		return err
	}
	doc, err := ReadGenesis(n.cfg.Home)
	if err != nil {
		return err
	}
	if err := n.choosePorts(); err != nil {
		return err
	}
	if err := n.openApp(doc.ChainID); err != nil {
		return err
	}
	if err := n.newComet(ctx, doc); err != nil {
		return err
	}
	c := n.comet.Config().Mempool
	n.clients.SetPool(n.comet.Mempool(), c.Size, c.MaxTxsBytes)
	n.local = client.NewLocal(backend{n})
	if err := n.comet.Start(); err != nil {
		return fmt.Errorf("node: start: %w", err)
	}
	return n.serveRPC()
}

// choosePorts replaces port 0 in the addresses by a free port.
func (n *Node) choosePorts() (err error) {
	if n.cfg.RPCListen != Off {
		if n.cfg.RPCListen, err = freePort(n.cfg.RPCListen); err != nil {
			return err
		}
	}
	n.cfg.P2PListen, err = freePort(n.cfg.P2PListen)
	return err
}

func freePort(address string) (string, error) {
	host, given, err := net.SplitHostPort(address)
	if err != nil || given != "0" {
		return address, err
	}
	free, err := port.Free(host, 1)
	if err != nil {
		return "", fmt.Errorf("node: %w", err)
	}
	return free[0], nil
}

// openApp opens the database and the application over it.
func (n *Node) openApp(chain string) (err error) {
	dir := filepath.Join(n.cfg.Home, "data", "ledger.db")
	n.engine, err = store.Open(dir, store.Options{CacheBytes: n.cfg.CacheBytes, Logger: n.log})
	if err != nil {
		return err
	}
	if n.state, err = store.OpenState(n.engine); err != nil {
		return err
	}
	n.queries = query.NewHandler(n.state)
	n.app, err = app.New(app.Config{
		State:        n.state,
		Query:        n.queries,
		Workers:      n.cfg.Workers,
		RetainBlocks: n.cfg.RetainBlocks,
		Version:      n.cfg.version,
		Logger:       n.log,
	})
	if err != nil {
		return err
	}
	n.app.SetChain(chain)
	if err := n.app.CheckVersion(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	n.clients = app.NewClients(n.app, n.cfg.Workers)
	return nil
}

// newComet makes the CometBFT node, which replays what the application lacks.
// CometBFT panics on a damaged home.
func (n *Node) newComet(ctx context.Context, doc *types.GenesisDoc) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrHome, r)
		}
	}()
	cc := cometConfig(n.cfg)
	if err := cc.ValidateBasic(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	nodeKey, err := p2p.LoadNodeKey(cc.NodeKeyFile())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHome, err)
	}
	pv, err := n.privValidator(ctx, doc.ChainID, nodeKey)
	if err != nil {
		return err
	}
	n.comet, err = cmtnode.NewNodeWithContext(ctx, cc, pv, nodeKey, n.clients,
		func() (*types.GenesisDoc, error) { return doc, nil },
		n.database,
		cmtnode.DefaultMetricsProvider(cc.Instrumentation),
		cometLogger{log: n.log, failed: n.consensusFailed},
	)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if err := keepEarly(n.comet); err != nil {
		return err
	}
	chain, err := newChain(doc.ChainID, n.comet.BlockStore(), sm.NewStore(n.engine.DB("state"), sm.StoreOptions{}), n.state)
	if err != nil {
		return err
	}
	n.app.SetArchive(chain.Keep)
	n.queries.SetChain(cometChain{chain, n})
	return nil
}

// database gives CometBFT its key space of the node's one database.
func (n *Node) database(c *cfg.DBContext) (dbm.DB, error) { return closing{n.engine.DB(c.ID)}, nil }

// closing is a database that reads as empty once it is closed. Goroutines of
// CometBFT's reactors outlive its Stop by up to a second; its block store panics on
// any error, and takes a missing value well.
type closing struct{ *store.DB }

func (d closing) Get(key []byte) ([]byte, error) {
	value, err := d.DB.Get(key)
	if errors.Is(err, store.ErrClosed) {
		return nil, nil
	}
	return value, err
}

// fail ends the node because of err, if nothing else has.
func (n *Node) fail(err error) {
	n.once.Do(func() {
		n.why = err
		n.end()
	})
}

// consensusFailed ends the node because CometBFT's consensus has failed. A node that
// stands before rules that it doesn't know stays a little longer: it has the block with
// them, and passes it on to those who need it to stop at the same height.
func (n *Node) consensusFailed(err error) {
	old := n.app.CheckVersion()
	if old == nil {
		n.fail(err)
		return
	}
	stop := time.AfterFunc(outdatedGrace, func() { n.fail(fmt.Errorf("node: %w", old)) })
	context.AfterFunc(n.life, func() { stop.Stop() })
}

// supervise waits for the end: a failure, a stall, Stop, or ctx.
func (n *Node) supervise(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	height, since := n.height(), time.Now()
	for {
		select {
		case <-ctx.Done():
			n.fail(nil)
		case <-n.life.Done():
			n.err = errors.Join(n.why, n.closeInTime())
			close(n.done)
			return
		case <-tick.C:
			h := n.height()
			n.checkSigner(h)
			if h != height {
				height, since = h, time.Now()
				n.moved.Store(since.UnixNano())
			} else if n.cfg.StallAfter > 0 && time.Since(since) > n.cfg.StallAfter {
				n.fail(fmt.Errorf("%w for %v after height %d", ErrStalled, n.cfg.StallAfter, h))
			}
		}
	}
}

// height is the last committed one.
func (n *Node) height() uint64 {
	tip := n.state.Tip()
	if tip == nil {
		return 0
	}
	defer tip.Release()
	return tip.Height
}

// closeInTime is close, except that it gives up. CometBFT's Stop waits for its
// consensus, which may never return from a block: from a disk that doesn't answer, for
// one. The database then stays open, because it is in use; the process should exit, and
// the next start replays what was not synced.
func (n *Node) closeInTime() error {
	go func() {
		n.failed = n.close()
		close(n.closed)
	}()
	select {
	case <-n.closed:
		return n.failed
	case <-time.After(n.cfg.closeTime):
		return fmt.Errorf("%w after %v: CometBFT or the database hangs; the process must end", ErrHung, n.cfg.closeTime)
	}
}

// close ends what was started, CometBFT first and the database last. Blocks
// committed without a sync are made durable; without that they'd be replayed.
func (n *Node) close() error {
	n.closeRPC()
	if n.comet != nil && n.comet.IsRunning() {
		n.clients.RefusePeers()
		if err := n.comet.Stop(); err != nil {
			n.log.Error("stopping CometBFT", "error", err)
		}
		n.comet.Wait()
	}
	if err := n.closeSigner(); err != nil {
		n.log.Error("closing the signer's address", "error", err)
	}
	if n.clients != nil {
		n.clients.Close()
	}
	if n.app != nil {
		n.app.Close()
	}
	if n.queries != nil {
		n.queries.Close()
	}
	if n.state != nil {
		n.state.Close()
	}
	if n.engine == nil {
		return nil
	}
	return errors.Join(n.engine.Sync(), n.engine.Close())
}

// Client returns a client of this node.
func (n *Node) Client() *client.Local { return n.local }

// Wait blocks until the node has ended and returns why: nil after Stop or the
// end of Start's ctx, else the failure. The process should then exit; after ErrHung it
// must, for parts of the node still run and the home stays locked.
func (n *Node) Wait() error {
	<-n.done
	return n.err
}

// Stop ends the node and waits until everything is closed. It returns what
// Wait returns.
func (n *Node) Stop() error {
	n.fail(nil)
	return n.Wait()
}

// Done is closed when the node has ended, as Wait says.
func (n *Node) Done() <-chan struct{} { return n.done }

// RPCAddress returns host:port of the RPC server, empty when it is off.
func (n *Node) RPCAddress() string {
	if n.cfg.RPCListen == Off {
		return ""
	}
	return n.cfg.RPCListen
}

// P2PAddress returns id@host:port for Config.Peers of other nodes.
func (n *Node) P2PAddress() string { return n.id.NodeID + "@" + n.cfg.P2PListen }

// ID returns the p2p id.
func (n *Node) ID() string { return n.id.NodeID }

// PublicKey returns the consensus key.
func (n *Node) PublicKey() crypto.PublicKey { return n.id.Key }
