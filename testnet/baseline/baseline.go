// Package baseline measures plain CometBFT with a trivial application on this
// machine: transactions of random bytes, no signature checked, nothing stored by
// the application. It is the yardstick for what the ledger adds.
//
// Consensus, blocks and peer-to-peer are tuned as the ledger's nodes are
// (package app/node); the stores are CometBFT's default engine. Each node feeds
// its own pool in-process, keeping a bounded number of transactions under way,
// and the latency is from that feeding to the block's execution.
package baseline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"

	"mtmledger/app/node"
)

// Config says what one node does.
type Config struct {
	Node    node.Config   // home made by package node; its addresses and peers are used
	Feeder  uint32        // number of this node among those that feed
	TxBytes int           // size of a transaction, at least 16
	Window  int           // transactions of this node under way
	Warm    time.Duration // fed but not measured
	For     time.Duration // measured
}

// Result is what this node saw committed, by any feeder, while it measured.
type Result struct {
	TxBytes      int     `json:"tx_bytes"`
	Transactions uint64  `json:"transactions"`
	PerSecond    float64 `json:"tx_per_s"`
	MBPerSecond  float64 `json:"mb_per_s"`
	LatencyP50   float64 `json:"latency_p50_ms"` // of this node's own
	LatencyP99   float64 `json:"latency_p99_ms"`
	Blocks       uint64  `json:"blocks"`
}

// app accepts everything and computes nothing.
type app struct {
	abci.BaseApplication
	feeder uint32
	window chan struct{}

	mu       sync.Mutex
	measured bool
	count    uint64
	blocks   uint64
	height   int64
	latency  []time.Duration
	sent     map[uint64]time.Time
}

// header is what a transaction begins with: feeder and number.
const header = 12

// FinalizeBlock accepts every transaction and frees the window of its feeder.
func (a *app) FinalizeBlock(_ context.Context, req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	now := time.Now()
	results := make([]*abci.ExecTxResult, len(req.Txs))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, tx := range req.Txs {
		results[i] = &abci.ExecTxResult{}
		if len(tx) < header || binary.BigEndian.Uint32(tx) != a.feeder {
			continue
		}
		number := binary.BigEndian.Uint64(tx[4:])
		if at, ok := a.sent[number]; ok {
			delete(a.sent, number)
			<-a.window
			if a.measured {
				a.latency = append(a.latency, now.Sub(at))
			}
		}
	}
	a.height = req.Height
	if a.measured {
		a.count += uint64(len(req.Txs))
		a.blocks++
	}
	return &abci.ResponseFinalizeBlock{TxResults: results, AppHash: make([]byte, 32)}, nil
}

func (a *app) measure(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.measured = on
}

func (a *app) sending(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[number] = time.Now()
}

func (a *app) started() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.height >= 1
}

// Run runs one node for Warm and For, feeding it, and returns what it saw.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.TxBytes < header+4 || c.Window < 1 || c.For <= 0 {
		return Result{}, errors.New("baseline: TxBytes, Window and For are needed")
	}
	a := &app{feeder: c.Feeder, window: make(chan struct{}, c.Window), sent: map[uint64]time.Time{}}
	n, err := start(c.Node, a)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		_ = n.Stop() // fails only if it has stopped
		n.Wait()
	}()
	if err := untilStarted(ctx, a); err != nil {
		return Result{}, err
	}
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	fed := make(chan error, 1)
	go func() { fed <- a.feed(feeding, n.Mempool(), c.TxBytes) }()
	if err := pause(ctx, c.Warm); err != nil {
		return Result{}, err
	}
	a.measure(true)
	begin := time.Now()
	err = pause(ctx, c.For)
	a.measure(false)
	took := time.Since(begin)
	stop()
	if err := errors.Join(err, <-fed); err != nil {
		return Result{}, err
	}
	return a.result(c.TxBytes, took), nil
}

func (a *app) result(size int, took time.Duration) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.latency)
	at := func(q float64) float64 {
		if len(a.latency) == 0 {
			return 0
		}
		return a.latency[int(q*float64(len(a.latency)-1))].Seconds() * 1000
	}
	perSecond := float64(a.count) / took.Seconds()
	return Result{
		TxBytes: size, Transactions: a.count, PerSecond: perSecond, MBPerSecond: perSecond * float64(size) / 1e6,
		LatencyP50: at(0.5), LatencyP99: at(0.99), Blocks: a.blocks,
	}
}

// feed keeps the window full until ctx ends.
func (a *app) feed(ctx context.Context, pool mempool.Mempool, size int) error {
	random := rand.NewChaCha8([32]byte{byte(a.feeder)})
	for number := uint64(0); ; number++ {
		select {
		case a.window <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		tx := make([]byte, size)
		_, _ = random.Read(tx) // never fails
		binary.BigEndian.PutUint32(tx, a.feeder)
		binary.BigEndian.PutUint64(tx[4:], number)
		a.sending(number)
		if err := pool.CheckTx(tx, nil, mempool.TxInfo{}); err != nil {
			return fmt.Errorf("baseline: feed: %w", err)
		}
	}
}

func untilStarted(ctx context.Context, a *app) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !a.started() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func start(c node.Config, a *app) (*cmtnode.Node, error) {
	cc := config(c)
	key, err := p2p.LoadNodeKey(cc.NodeKeyFile())
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	n, err := cmtnode.NewNode(cc, privval.LoadFilePV(cc.PrivValidatorKeyFile(), cc.PrivValidatorStateFile()), key,
		proxy.NewConnSyncLocalClientCreator(a), cmtnode.DefaultGenesisDocProviderFunc(cc), cfg.DefaultDBProvider,
		cmtnode.DefaultMetricsProvider(cc.Instrumentation), log.NewNopLogger())
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if err := n.Start(); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	return n, nil
}

// config is CometBFT's configuration, tuned as package app/node tunes it.
func config(c node.Config) *cfg.Config {
	cc := cfg.DefaultConfig()
	cc.SetRoot(c.Home)
	cc.DBPath = filepath.Join("data", "baseline")
	cc.Consensus.WalPath = filepath.Join("data", "baseline.wal", "wal")
	cc.RPC.ListenAddress = ""
	cc.TxIndex.Indexer = "null"
	cc.Storage.DiscardABCIResponses = true
	cc.Mempool.Recheck = false
	cc.Mempool.Size = 100_000
	cc.Mempool.CacheSize = 200_000
	cc.P2P.ListenAddress = "tcp://" + c.P2PListen
	cc.P2P.PersistentPeers = strings.Join(c.Peers, ",")
	cc.P2P.PexReactor, cc.P2P.AddrBookStrict, cc.P2P.AllowDuplicateIP = false, false, true
	cc.P2P.SendRate, cc.P2P.RecvRate = 100<<20, 100<<20
	cc.P2P.MaxPacketMsgPayloadSize = 64 << 10
	cc.P2P.FlushThrottleTimeout = 2 * time.Millisecond
	cc.Consensus.CreateEmptyBlocks = false
	cc.Consensus.TimeoutCommit = node.DefaultBlockInterval
	cc.Consensus.PeerGossipSleepDuration = 5 * time.Millisecond
	return cc
}
