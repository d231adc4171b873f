package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mtmledger/app/query"
	"mtmledger/ledger"
)

// pollInterval is how often Remote asks for a new height while somebody waits.
const pollInterval = 25 * time.Millisecond

// ErrClosed is returned to those who wait when a Remote is closed.
var ErrClosed = errors.New("client: closed")

// Remote is a client of a node over CometBFT's RPC. Safe for concurrent use.
//
// However many transactions are waited for, one poller asks: for the height,
// and after a new block once for all of them.
type Remote struct {
	reads
	rpc *rpc

	mu      sync.Mutex
	waiting map[[32]byte][]chan query.TxOutcome
	fresh   bool // waiters were added since the last look
	polling bool
	ctx     context.Context
	cancel  context.CancelFunc
}

// NewRemote returns a client of the node whose RPC listens on address, e.g.
// 127.0.0.1:26657 or http://127.0.0.1:26657. Nothing is sent yet.
func NewRemote(address string) *Remote {
	r := &Remote{rpc: newRPC(address), waiting: make(map[[32]byte][]chan query.TxOutcome)}
	r.reads = reads{r.rpc}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close ends the poller; those who wait get ErrClosed.
func (r *Remote) Close() {
	r.cancel()
	r.rpc.http.CloseIdleConnections()
}

// Submit gives a transaction to the node, as Local.Submit does.
func (r *Remote) Submit(ctx context.Context, tx []byte) error {
	return r.submitted(ctx, tx, r.rpc.submit(ctx, tx))
}

// Wait returns what became of a transaction once it is committed. It waits
// until ctx ends, also while the node can't be reached.
func (r *Remote) Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error) {
	ch := r.register(txHash)
	select {
	case o := <-ch:
		return txResult(o)
	case <-ctx.Done():
		r.forget(txHash, ch)
		return ledger.TxResult{}, fmt.Errorf("client: wait: %w", coded(ctx.Err()))
	case <-r.ctx.Done():
		return ledger.TxResult{}, coded(ErrClosed)
	}
}

func (r *Remote) register(hash [32]byte) chan query.TxOutcome {
	ch := make(chan query.TxOutcome, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[hash] = append(r.waiting[hash], ch)
	r.fresh = true
	if !r.polling {
		r.polling = true
		go r.poll()
	}
	return ch
}

func (r *Remote) forget(hash [32]byte, ch chan query.TxOutcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.waiting[hash][:0]
	for _, c := range r.waiting[hash] {
		if c != ch {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		delete(r.waiting, hash)
		return
	}
	r.waiting[hash] = rest
}

// poll runs while somebody waits.
func (r *Remote) poll() {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var seen uint64
	for {
		hashes, fresh, more := r.pending()
		if !more {
			return
		}
		// A node that can't be reached is asked again at the next tick.
		if height, err := r.Height(r.ctx); err == nil && (height != seen || fresh) {
			if r.look(hashes) == nil {
				seen = height
			} else {
				r.markFresh()
			}
		} else if err != nil && fresh {
			r.markFresh()
		}
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// pending returns what is waited for, and ends the poller when nothing is.
func (r *Remote) pending() (hashes [][32]byte, fresh, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		r.polling = false
		return nil, false, false
	}
	hashes = make([][32]byte, 0, len(r.waiting))
	for h := range r.waiting {
		hashes = append(hashes, h)
	}
	fresh, r.fresh = r.fresh, false
	return hashes, fresh, true
}

func (r *Remote) markFresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh = true
}

// look asks for all hashes, as many at once as a request may have.
func (r *Remote) look(hashes [][32]byte) error {
	for len(hashes) > 0 {
		n := min(len(hashes), query.MaxHashes)
		var res query.Results
		err := r.ask(r.ctx, query.PathResults, &query.ResultsRequest{Hashes: hashes[:n]}, &res)
		if err != nil {
			return err
		}
		for _, o := range res.List {
			if o.Place < uint64(n) {
				r.deliver(hashes[o.Place], o)
			}
		}
		hashes = hashes[n:]
	}
	return nil
}

func (r *Remote) deliver(hash [32]byte, o query.TxOutcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ch := range r.waiting[hash] {
		ch <- o
	}
	delete(r.waiting, hash)
}
