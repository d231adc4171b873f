package client

import (
	"context"
	"fmt"

	"mtmledger/app/query"
	"mtmledger/ledger"
)

// Backend is a node in this process, as Local needs it.
type Backend interface {
	// Query answers a query of package query.
	Query(ctx context.Context, path string, request []byte) ([]byte, error)
	// Submit checks a transaction and puts it into the pool.
	Submit(ctx context.Context, tx []byte) error
	// Outcome waits until a transaction is committed.
	Outcome(ctx context.Context, hash [32]byte) (query.TxOutcome, error)
}

// Local is a client of a node in this process. Safe for concurrent use.
type Local struct {
	reads
	b Backend
}

// NewLocal returns a client of b.
func NewLocal(b Backend) *Local { return &Local{reads: reads{localTransport{b}}, b: b} }

type localTransport struct{ b Backend }

func (t localTransport) query(ctx context.Context, path string, request []byte) ([]byte, error) {
	return t.b.Query(ctx, path, request)
}

// Submit gives a transaction to the node. nil means that the node checked it
// and has it in its pool, now or already, or committed; one in the pool may
// still be lost with the node.
func (l *Local) Submit(ctx context.Context, tx []byte) error {
	return l.submitted(ctx, tx, l.b.Submit(ctx, tx))
}

// Wait returns what became of a transaction once it is committed. It waits
// until ctx ends, also for one that nobody submitted.
func (l *Local) Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error) {
	o, err := l.b.Outcome(ctx, txHash)
	if err != nil {
		return ledger.TxResult{}, fmt.Errorf("client: wait: %w", coded(err))
	}
	return txResult(o)
}
