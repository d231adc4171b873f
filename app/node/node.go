package node

import (
	"context"
	"log/slog"

	"mtmledger/app/client"
	"mtmledger/crypto"
)

// Node is a running ledger node.
type Node struct {
	cfg Config
	id  Identity
}

// Start runs the node of cfg.Home until Stop, a failure, or the end of ctx.
func Start(ctx context.Context, cfg Config, logger *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Node{cfg: cfg.withDefaults()}, nil
}

// Client returns a client of this node.
func (n *Node) Client() *client.Local { return nil }

// Wait blocks until the node has ended and returns why: nil after Stop or the
// end of Start's ctx, else the failure. The process should then exit.
func (n *Node) Wait() error { return nil }

// Stop ends the node and waits until everything is closed.
func (n *Node) Stop() error { return nil }

// RPCAddress returns host:port of the RPC server, empty when it is off.
func (n *Node) RPCAddress() string { return "" }

// P2PAddress returns id@host:port for Config.Peers of other nodes.
func (n *Node) P2PAddress() string { return "" }

// ID returns the p2p id.
func (n *Node) ID() string { return n.id.NodeID }

// PublicKey returns the consensus key.
func (n *Node) PublicKey() crypto.PublicKey { return n.id.Key }
