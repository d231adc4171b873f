package app

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	abcicli "github.com/cometbft/cometbft/abci/client"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/libs/service"

	"mtmledger/ledger"
)

// Bounds of the transactions that wait to be checked. One more is refused as
// overloaded at once: CometBFT's pool calls from a peer's receiving goroutine,
// which must never wait, or votes do.
const (
	maxChecks     = 4_096
	maxCheckBytes = 64 << 20
)

// groupBytes is how much a worker checks at once when more waits: a few hundred
// signatures, verified together.
const groupBytes = 128 << 10

// Pool is what Clients needs of CometBFT's pool.
type Pool interface {
	Lock()
	Unlock()
	Size() int
	SizeBytes() int64
}

// Clients makes CometBFT's connections to an App in this process. Calls go
// straight through, without the one mutex of CometBFT's own client, except that
// transactions are checked by a few workers.
//
// A worker hands its verdict over under the pool's lock. So a transaction can't
// enter the pool in the middle of a block's update, and one that was committed
// while it waited is known to be.
type Clients struct {
	app   *App
	pool  atomic.Pointer[pool]
	jobs  chan *job
	bytes atomic.Int64
	alone atomic.Bool
	quit  chan struct{}
	wg    sync.WaitGroup
	once  sync.Once
}

type pool struct {
	Pool
	maxCount int
	maxBytes int64
}

type job struct {
	tx  []byte
	res *abcicli.ReqRes
}

// NewClients returns the connections to a; Close ends its workers. 0 workers
// means one a CPU.
func NewClients(a *App, workers int) *Clients {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c := &Clients{app: a, jobs: make(chan *job, maxChecks), quit: make(chan struct{})}
	for range workers {
		c.wg.Add(1)
		go c.work()
	}
	return c
}

// SetPool tells which pool the transactions go into and its limits. The node
// calls it before CometBFT starts.
func (c *Clients) SetPool(p Pool, maxCount int, maxBytes int64) {
	c.pool.Store(&pool{p, maxCount, maxBytes})
}

// NewABCIClient implements CometBFT's proxy.ClientCreator.
func (c *Clients) NewABCIClient() (abcicli.Client, error) {
	cl := &abciClient{Application: c.app, c: c}
	cl.BaseService = *service.NewBaseService(nil, "ledger", cl)
	return cl, nil
}

// RefusePeers makes CometBFT refuse every new peer from now on. A node that stops
// calls it first: CometBFT's switch stops before its listener does, and a peer that
// comes in between is never closed. As long as this process lived, the others would
// take that dead connection for the node and turn away its next run.
func (c *Clients) RefusePeers() { c.alone.Store(true) }

// Close ends the workers. Transactions still waiting get no answer.
func (c *Clients) Close() {
	c.once.Do(func() { close(c.quit) })
	c.wg.Wait()
}

func (c *Clients) work() {
	defer c.wg.Done()
	for {
		select {
		case <-c.quit:
			return
		case j := <-c.jobs:
			group := c.group(j)
			txs := make([][]byte, len(group))
			for i, j := range group {
				txs[i] = j.tx
			}
			for i, err := range c.app.checkAll(txs) {
				c.deliver(group[i], c.app.response(err))
				c.bytes.Add(-int64(len(txs[i])))
			}
		}
	}
}

// group returns a job with those that wait behind it, as many as are checked at
// once.
func (c *Clients) group(first *job) []*job {
	group, size := []*job{first}, len(first.tx)
	for size < groupBytes {
		select {
		case j := <-c.jobs:
			group, size = append(group, j), size+len(j.tx)
		default:
			return group
		}
	}
	return group
}

// response is CheckTx's answer, and counts a refusal.
func (a *App) response(err error) *abci.ResponseCheckTx {
	if err == nil {
		return &abci.ResponseCheckTx{}
	}
	code := ledger.CodeOf(err)
	a.refused.Transactions.Add(code)
	return &abci.ResponseCheckTx{Code: uint32(code), Log: err.Error()}
}

// enqueue takes a transaction to check, or answers at once that it can't.
func (c *Clients) enqueue(req *abci.RequestCheckTx) *abcicli.ReqRes {
	j := &job{tx: req.Tx, res: abcicli.NewReqRes(abci.ToRequestCheckTx(req))}
	if c.bytes.Add(int64(len(j.tx))) <= maxCheckBytes {
		select {
		case c.jobs <- j:
			return j.res
		default:
		}
	}
	c.bytes.Add(-int64(len(j.tx)))
	answer(j, c.app.response(ledger.CodeOverloaded.Err()))
	return j.res
}

// deliver hands a verdict to the pool.
func (c *Clients) deliver(j *job, res *abci.ResponseCheckTx) {
	p := c.pool.Load()
	if p == nil {
		answer(j, res)
		return
	}
	p.Lock()
	defer p.Unlock()
	if res.Code == abci.CodeTypeOK {
		res = c.lastLook(p, j.tx, res)
	}
	answer(j, res)
}

// lastLook refuses what the pool would drop silently or keep in vain.
func (c *Clients) lastLook(p *pool, tx []byte, res *abci.ResponseCheckTx) *abci.ResponseCheckTx {
	if p.Size() >= p.maxCount || p.SizeBytes()+int64(len(tx)) > p.maxBytes {
		return c.app.response(ledger.CodeOverloaded.Err())
	}
	if _, found, err := c.app.committed(ledger.TxHash(tx)); err == nil && found {
		return c.app.response(ledger.CodeReplayed.Err())
	}
	return res
}

func answer(j *job, res *abci.ResponseCheckTx) {
	j.res.Response = abci.ToResponseCheckTx(res)
	j.res.Done()
	j.res.InvokeCallback()
}

// abciClient is one connection.
type abciClient struct {
	service.BaseService
	abci.Application
	c *Clients
}

var _ abcicli.Client = (*abciClient)(nil)

func (cl *abciClient) Error() error { return nil }

// Flush has nothing to wait for: verdicts come under the pool's lock.
func (cl *abciClient) Flush(context.Context) error { return nil }

func (cl *abciClient) Echo(_ context.Context, msg string) (*abci.ResponseEcho, error) {
	return &abci.ResponseEcho{Message: msg}, nil
}

// filterPath begins the questions of CometBFT whether it may take a peer
// (its setting FilterPeers).
const filterPath = "/p2p/filter/"

// Query answers those about peers itself.
func (cl *abciClient) Query(ctx context.Context, req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	if !strings.HasPrefix(req.Path, filterPath) {
		return cl.Application.Query(ctx, req)
	}
	if cl.c.alone.Load() {
		return &abci.ResponseQuery{Code: uint32(ledger.CodeOverloaded), Log: "this node is stopping"}, nil
	}
	return &abci.ResponseQuery{}, nil
}

// SetResponseCallback is for rechecks, which this node doesn't do.
func (cl *abciClient) SetResponseCallback(abcicli.Callback) {}

// CheckTxAsync checks a transaction in a worker.
func (cl *abciClient) CheckTxAsync(_ context.Context, req *abci.RequestCheckTx) (*abcicli.ReqRes, error) {
	return cl.c.enqueue(req), nil
}
