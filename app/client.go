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
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/types"

	"mtmledger/ledger"
)

// Bounds of the transactions that wait to be checked. One more is refused as
// overloaded at once: CometBFT's pool calls from a peer's receiving goroutine,
// which must never wait, or votes do.
const (
	maxChecks     = 4_096
	maxCheckBytes = 64 << 20
)

// groupBytes is how much is checked at once when more waits: a few hundred signatures,
// verified together.
const groupBytes = 128 << 10

// Pool is what Clients needs of CometBFT's pool.
type Pool interface {
	Lock()
	Unlock()
	Size() int
	SizeBytes() int64
	Update(int64, types.Txs, []*abci.ExecTxResult, mempool.PreCheckFunc, mempool.PostCheckFunc) error
}

// Clients makes CometBFT's connections to an App in this process. Calls go
// straight through, without the one mutex of CometBFT's own client, except that
// transactions are checked by a few workers: in the order they came in as far as it is
// cheap and says whose they are, then, those that there is room for, in fair turns.
//
// A worker hands its verdict over under the pool's lock. So a transaction can't
// enter the pool in the middle of a block's update, and one that was committed
// while it waited is known to be.
type Clients struct {
	app    *App
	pool   atomic.Pointer[pool]
	jobs   chan *job
	bytes  atomic.Int64  // of jobs
	more   chan struct{} // some are admitted
	blocks chan struct{} // one was committed
	alone  atomic.Bool
	quit   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once

	mu       sync.Mutex
	admitted turns
	results  map[*entry]*job
	ours     map[[32]byte]int // transactions of this node's clients
}

type pool struct {
	Pool
	maxCount int
	maxBytes int64
}

type job struct {
	tx   []byte
	res  *abcicli.ReqRes
	hash [32]byte // once it is admitted
}

// NewClients returns the connections to a; Close ends its workers. 0 of those that
// verify means one a CPU.
func NewClients(a *App, workers int) *Clients {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c := newClients(a)
	c.wg.Go(c.screening)
	for range workers {
		c.wg.Go(c.verifying)
	}
	c.wg.Go(c.sweep)
	return c
}

func newClients(a *App) *Clients {
	return &Clients{
		app: a, jobs: make(chan *job, maxChecks), quit: make(chan struct{}),
		more: make(chan struct{}, 1), blocks: make(chan struct{}, 1),
		results: make(map[*entry]*job), ours: make(map[[32]byte]int),
	}
}

// SetPool tells which pool the transactions go into and its limits. The node
// calls it before CometBFT starts.
func (c *Clients) SetPool(p Pool, maxCount int, maxBytes int64) {
	c.app.backlog.limit(maxCount, maxBytes)
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

// Ours tells, until done is called, that a client of this node sent a transaction, not a
// peer. There is room for half as much from clients.
func (c *Clients) Ours(tx []byte) (done func()) {
	hash := ledger.TxHash(tx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ours[hash]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ours[hash]--; c.ours[hash] == 0 {
			delete(c.ours, hash)
		}
	}
}

func (c *Clients) isOurs(hash [32]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ours[hash] > 0
}

// screening does the first part of checking. It is one goroutine beside those that
// verify, so that whoever waits behind a flood waits only for what is cheap.
func (c *Clients) screening() {
	for {
		select {
		case <-c.quit:
			return
		case j := <-c.jobs:
			c.screen(c.group(j))
		}
	}
}

// verifying does the second part.
func (c *Clients) verifying() {
	for {
		select {
		case <-c.quit:
			return
		case <-c.more:
			c.verify(c.turn())
		}
	}
}

func (c *Clients) screen(group []*job) {
	txs := make([][]byte, len(group))
	for i, j := range group {
		txs[i] = j.tx
		c.bytes.Add(-int64(len(j.tx)))
	}
	es, p, errs := c.app.screen(txs)
	for i, j := range group {
		if errs[i] == nil {
			errs[i] = c.app.backlog.admit(es[i], p, c.isOurs(es[i].hash)).Err()
		}
		if errs[i] != nil {
			c.deliver(j, c.app.response(errs[i]))
			continue
		}
		j.hash = es[i].hash
		c.mu.Lock()
		c.results[es[i]] = j
		c.admitted.push(es[i], 0, 0)
		c.mu.Unlock()
		wake(c.more)
	}
}

// turn returns those that are verified next, together.
func (c *Clients) turn() (group []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for size := int64(0); size < groupBytes && c.admitted.length > 0; {
		e := c.admitted.next()
		group, size = append(group, e), size+e.size
	}
	if c.admitted.length > 0 {
		wake(c.more)
	}
	return group
}

func (c *Clients) verify(group []*entry) {
	for i, err := range c.app.verify(group) {
		e := group[i]
		c.mu.Lock()
		j := c.results[e]
		delete(c.results, e)
		c.mu.Unlock()
		if err != nil {
			c.app.backlog.drop(e.hash)
		}
		c.deliver(j, c.app.response(err))
	}
}

// wake makes sure that a signal of capacity 1 is given.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// sweep removes, after each block, what became impossible to propose from CometBFT's
// pool, which would ask for blocks because of it for ever.
func (c *Clients) sweep() {
	for {
		select {
		case <-c.quit:
			return
		case <-c.blocks:
		}
		if p := c.pool.Load(); p != nil && len(c.stale()) > 0 {
			c.evict(p)
		}
	}
}

func (c *Clients) stale() []*entry {
	tip := c.app.st.Tip()
	defer tip.Release()
	list, err := c.app.stale(tip)
	if err != nil {
		c.app.failed("sweep", err)
	}
	return list
}

// evict looks again, when no block can come in between, and tells the pool in the form of
// a block in which the transactions were refused: so it forgets them and would take them
// again, should they become possible once more.
func (c *Clients) evict(p *pool) {
	p.Lock()
	defer p.Unlock()
	tip := c.app.st.Tip()
	defer tip.Release()
	list, err := c.app.stale(tip)
	if err != nil {
		c.app.failed("sweep", err)
	}
	var (
		txs     types.Txs
		results []*abci.ExecTxResult
	)
	for _, e := range list {
		txs, results = append(txs, e.raw), append(results, &abci.ExecTxResult{Code: uint32(ledger.CodeSuspended)})
		c.app.backlog.drop(e.hash)
	}
	if len(list) == 0 {
		return
	}
	if err := p.Update(int64(tip.Height), txs, results, nil, nil); err != nil {
		c.app.log.Error("sweeping the pool", "error", err)
	}
	c.app.log.Info("transactions that can't be proposed any more left the pool", "height", tip.Height, "transactions", len(txs))
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

// deliver hands a verdict to the pool. A transaction that the pool takes, the backlog has.
func (c *Clients) deliver(j *job, res *abci.ResponseCheckTx) {
	p := c.pool.Load()
	if p != nil {
		p.Lock()
		defer p.Unlock()
	}
	if res.Code == abci.CodeTypeOK {
		if p != nil {
			res = c.lastLook(p, j, res)
		}
		if res.Code == abci.CodeTypeOK {
			c.app.backlog.entered(j.hash)
		} else {
			c.app.backlog.drop(j.hash)
		}
	}
	answer(j, res)
}

// lastLook refuses what the pool would drop silently or keep in vain.
func (c *Clients) lastLook(p *pool, j *job, res *abci.ResponseCheckTx) *abci.ResponseCheckTx {
	if p.Size() >= p.maxCount || p.SizeBytes()+int64(len(j.tx)) > p.maxBytes {
		return c.app.response(ledger.CodeOverloaded.Err())
	}
	if _, found, err := c.app.committed(j.hash); err == nil && found {
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

// Commit has the pool swept afterwards.
func (cl *abciClient) Commit(ctx context.Context, req *abci.RequestCommit) (*abci.ResponseCommit, error) {
	res, err := cl.Application.Commit(ctx, req)
	wake(cl.c.blocks)
	return res, err
}

// CheckTxAsync checks a transaction in a worker.
func (cl *abciClient) CheckTxAsync(_ context.Context, req *abci.RequestCheckTx) (*abcicli.ReqRes, error) {
	return cl.c.enqueue(req), nil
}
