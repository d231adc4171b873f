package service

import (
	"context"
	"errors"
	"sync/atomic"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Nodes is a ledger behind several nodes: when one can't be reached, is overloaded or
// lags behind the next is asked. Other refusals are answers.
type Nodes struct {
	list []*client.Remote
	now  atomic.Uint32 // which one is asked first
}

// NewNodes returns the ledger behind the nodes with these RPC addresses.
func NewNodes(addresses ...string) *Nodes {
	n := &Nodes{}
	for _, a := range addresses {
		n.list = append(n.list, client.NewRemote(a))
	}
	return n
}

// Close ends all clients.
func (n *Nodes) Close() {
	for _, c := range n.list {
		c.Close()
	}
}

// each asks one node after the other until one answers.
func (n *Nodes) each(ask func(*client.Remote) error) error {
	start := n.now.Load()
	var errs []error
	for i := range n.list {
		at := (start + uint32(i)) % uint32(len(n.list))
		err := ask(n.list[at])
		if err == nil || refusal(err) || errors.Is(err, context.Canceled) {
			n.now.Store(at)
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// refusal tells a node's answer from a failure on the way, or a node that has no
// time or not the block that was asked about: another may.
func refusal(err error) bool {
	var e *ledger.Error
	return errors.As(err, &e) && e.Code != ledger.CodeOverloaded && e.Code != ledger.CodeFutureHeight
}

// Submit gives a transaction to a node.
func (n *Nodes) Submit(ctx context.Context, tx []byte) error {
	return n.each(func(c *client.Remote) error { return c.Submit(ctx, tx) })
}

// Wait waits at the node that answered last. If that one dies meanwhile the
// caller's context ends the wait, and the next Submit finds another.
func (n *Nodes) Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error) {
	return n.list[n.now.Load()].Wait(ctx, txHash)
}

// Key returns a device's key.
func (n *Nodes) Key(ctx context.Context, device crypto.ID, kid crypto.KeyID) (key crypto.PublicKey, err error) {
	err = n.each(func(c *client.Remote) error {
		key, err = c.Key(ctx, device, kid)
		return err
	})
	return key, err
}

// Find returns the committed statement that holds a number of a stream, as of a
// height or later.
func (n *Nodes) Find(ctx context.Context, stream crypto.ID, number, height uint64) (found ledger.Found, err error) {
	err = n.each(func(c *client.Remote) error {
		found, err = c.Find(ctx, stream, number, height)
		return err
	})
	return found, err
}
