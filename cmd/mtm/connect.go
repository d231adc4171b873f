package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/app/node"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

// ledgerClient is what the commands ask a node; client.Local and client.Remote
// are both one.
type ledgerClient interface {
	testnet.Ledger
	Status(ctx context.Context) (client.Status, error)
	Stream(ctx context.Context, id crypto.ID) (client.StreamInfo, error)
	Statements(ctx context.Context, stream crypto.ID, from uint64, n int) ([]client.Statement, uint64, error)
	CertificateFrom(ctx context.Context, q client.CertificateRequest) ([]byte, error)
}

// openHome reads the manifest of a folder.
func openHome(home string) (*testnet.Manifest, error) {
	m, err := testnet.Load(home)
	if errors.Is(err, testnet.ErrNoManifest) {
		return nil, withHint(err, "mtm init --home %s   or   mtm demo --home %s", home, home)
	}
	return m, err
}

// target says which ledger a command talks to.
type target struct {
	home, node string
}

func (t *target) flags(cmd *cobra.Command) {
	homeFlag(cmd, &t.home)
	cmd.Flags().StringVar(&t.node, "node", "", "host:port of a node's RPC (default: the nodes of --home, or its own node while none runs)")
}

// probe is how long one node may take to answer that it is there.
const probe = 2 * time.Second

// connect returns a client of a running node of the ledger. While none runs it
// starts the home's own node for as long as the command takes. The manifest is
// nil when --node is given and --home holds no ledger.
func (t *target) connect(ctx context.Context) (*testnet.Manifest, ledgerClient, func(), error) {
	m, err := openHome(t.home)
	if t.node != "" {
		if err != nil {
			m = nil
		}
		c := client.NewRemote(t.node)
		if _, err := c.Status(ctx); err != nil {
			c.Close()
			return nil, nil, nil, withHint(fmt.Errorf("node %s: %w", t.node, err), "is it running there? mtm status --node %s", t.node)
		}
		return m, c, c.Close, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if c := reachable(ctx, m); c != nil {
		return m, c, c.Close, nil
	}
	return startOwn(ctx, m)
}

// reachable returns a client of the first validator that answers, or nil.
func reachable(ctx context.Context, m *testnet.Manifest) *client.Remote {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	for _, url := range m.RPC() {
		c := client.NewRemote(url)
		if _, err := c.Status(ctx); err == nil {
			return c
		}
		c.Close()
	}
	return nil
}

// ownSignerWait is how long a command's own node waits for a signer: one that signs for
// this ledger dials all the time.
const ownSignerWait = 5 * time.Second

func startOwn(ctx context.Context, m *testnet.Manifest) (*testnet.Manifest, ledgerClient, func(), error) {
	cfg, err := node.LoadConfig(m.Path(m.Validators[0].Home))
	if err != nil {
		return nil, nil, nil, err
	}
	cfg.RPCListen = node.Off
	if cfg.SignerListen != "" {
		cfg.SignerWait = ownSignerWait
	}
	n, err := node.Start(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, nil, withHint(fmt.Errorf("no node of this ledger answers, and its own can't start: %w", err),
			"mtm validator run --home %s", m.Dir)
	}
	return m, n.Client(), func() { _ = n.Stop() }, nil
}

// resolveStream finds a stream by id, or by name in the manifest.
func resolveStream(m *testnet.Manifest, name string) (crypto.ID, error) {
	if m != nil {
		_, s, err := m.Stream(name)
		if err == nil {
			return s.ID, nil
		}
		if id, idErr := crypto.ParseID(name); idErr == nil {
			return id, nil
		}
		return crypto.ID{}, withHint(err, "mtm stream list --home %s", m.Dir)
	}
	id, err := crypto.ParseID(name)
	if err != nil {
		return id, usagef("without the ledger's folder --stream must be an id: %w", err)
	}
	return id, nil
}

// certificate asks until the state that holds the readings is signed for: one
// block after they were committed.
func certificate(ctx context.Context, c ledgerClient, q client.CertificateRequest, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		file, err := c.CertificateFrom(ctx, q)
		if err == nil || ledger.CodeOf(err) != ledger.CodeFutureHeight {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}
