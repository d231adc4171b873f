package node

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"

	"mtmledger/app/query"
	"mtmledger/ledger"
)

// backend is the node as its Local client sees it.
type backend struct{ n *Node }

// Query implements client.Backend.
func (b backend) Query(ctx context.Context, path string, request []byte) ([]byte, error) {
	return b.n.queries.Query(ctx, path, request)
}

// Submit implements client.Backend.
func (b backend) Submit(ctx context.Context, tx []byte) error {
	if b.n.comet.ConsensusReactor().WaitSync() {
		return b.n.refusedTx(ledger.Errorf(ledger.CodeOverloaded, "the node is catching up"))
	}
	defer b.n.clients.Ours(tx)()
	answer, failed := make(chan *abci.ResponseCheckTx, 1), make(chan error, 1)
	go func() { // the pool waits for a commit, and that may hang
		err := b.n.comet.Mempool().CheckTx(tx, func(res *abci.ResponseCheckTx) { answer <- res }, mempool.TxInfo{})
		if err != nil {
			failed <- err
		}
	}()
	select {
	case err := <-failed:
		return b.n.refusedTx(poolError(err))
	case res := <-answer:
		if code := ledger.Code(res.Code); code != ledger.CodeOK {
			return &ledger.Error{Code: code, Text: res.Log}
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.n.life.Done():
		return ErrStopped
	}
}

// refusedTx counts a transaction that the application was not asked about: it counts
// the others itself.
func (n *Node) refusedTx(err error) error {
	n.queries.Refused.Transactions.Add(refusalCode(err))
	return err
}

// poolError gives the pool's errors their codes; a transaction that it knows is
// no error.
func poolError(err error) error {
	var full mempool.ErrMempoolIsFull
	var large mempool.ErrTxTooLarge
	switch {
	case errors.Is(err, mempool.ErrTxInCache):
		return nil
	case errors.As(err, &full):
		return ledger.Errorf(ledger.CodeOverloaded, "%w", err)
	case errors.As(err, &large):
		return ledger.Errorf(ledger.CodeTooLarge, "%w", err)
	}
	return fmt.Errorf("node: pool: %w", err)
}

// Outcome implements client.Backend.
func (b backend) Outcome(ctx context.Context, hash [32]byte) (query.TxOutcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(b.n.life, func() { cancel(ErrStopped) })()
	o, err := b.n.app.Outcome(ctx, hash)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return query.TxOutcome{Height: o.Height, Time: o.Time, Data: o.Data}, err
}

// cometChain is the node's CometBFT as queries see it.
type cometChain struct {
	*chain
	n *Node
}

// Describe implements query.Chain.
func (c cometChain) Describe(s *query.Status) {
	s.Chain = c.id
	s.NodeID = c.n.id.NodeID
	s.Key = c.n.id.Key
	s.BaseHeight = uint64(max(c.blocks.Base(), 0))
	comet := c.n.comet
	s.CatchingUp = comet.ConsensusReactor().WaitSync()
	s.Peers = uint64(comet.Switch().Peers().Size())
	s.PoolCount = uint64(comet.Mempool().Size())
	s.PoolBytes = uint64(comet.Mempool().SizeBytes())
}
