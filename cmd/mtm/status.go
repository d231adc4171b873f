package main

import (
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/cmd/mtm/internal/service"
	"mtmledger/testnet"
)

// homeStatus is the JSON form of a folder's state.
type homeStatus struct {
	testnet.Comparison
	Bridge  *service.Status `json:"bridge,omitempty"` // absent while it does not run
	Running []string        `json:"running"`          // processes that `mtm testnet up` started
}

func newStatus() *cobra.Command {
	var (
		t      target
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "status", Short: "Show the height, app hash and accounting of a ledger",
		Long: `Asks every validator of the folder and its bridge how they are, and compares the
validators' app hashes at every height. With --node it asks that node alone.
Exit code 1: no validator answers, or two disagree.`,
		Example: `  mtm status --home ledger
  mtm status --node 127.0.0.1:26657 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.node != "" {
				return nodeStatus(cmd, t.node, asJSON)
			}
			m, err := openHome(t.home)
			if err != nil {
				return err
			}
			return compareStatus(cmd, m, asJSON)
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func nodeStatus(cmd *cobra.Command, address string, asJSON bool) error {
	c := client.NewRemote(address)
	defer c.Close()
	s, err := c.Status(cmd.Context())
	if err != nil {
		return withHint(fmt.Errorf("node %s: %w", address, err), "mtm validator run --home HOME")
	}
	return report(cmd, asJSON, map[string]any{
		"chain": s.Chain, "height": s.Height, "app_hash": hex.EncodeToString(s.AppHash[:]), "log_size": s.LogSize,
		"node_id": s.NodeID, "key": s.Key, "peers": s.Peers, "catching_up": s.CatchingUp,
		"pool_transactions": s.PoolCount, "pool_bytes": s.PoolBytes, "disk_bytes": s.DiskBytes, "signed_height": s.SignedHeight,
		"refused": s.Refused,
	}, append([]string{fmt.Sprintf("%s  height %d  app hash %x  %d entries  %d peers", s.Chain, s.Height, s.AppHash, s.LogSize, s.Peers)},
		refusedLines(s.Refused)...)...)
}

// refusedLines says what a node refused since its start, by code; nothing: no lines.
func refusedLines(r client.Refused) (lines []string) {
	for _, part := range []struct {
		of     string
		counts []client.CodeCount
	}{{"transactions", r.Transactions}, {"in blocks", r.Committed}, {"queries", r.Queries}} {
		if len(part.counts) == 0 {
			continue
		}
		line := "    refused " + part.of + ":"
		for _, c := range part.counts {
			line += fmt.Sprintf(" %s %d", c.Code, c.Count)
		}
		lines = append(lines, line)
	}
	return lines
}

func compareStatus(cmd *cobra.Command, m *testnet.Manifest, asJSON bool) error {
	c, err := m.Compare(cmd.Context())
	if err != nil {
		return err
	}
	out := homeStatus{Comparison: c, Running: m.Running()}
	if s, err := service.Ask(cmd.Context(), m.Bridge.HTTP); err == nil {
		out.Bridge = &s
	}
	if err := report(cmd, asJSON, out, statusLines(out)...); err != nil {
		return err
	}
	switch {
	case c.Agree:
		return nil
	case len(c.DifferAt) > 0:
		return withHint(fmt.Errorf("validators disagree at heights %v", c.DifferAt),
			"stop the ledger and keep all homes: this must not happen")
	default:
		return withHint(fmt.Errorf("no validator of %s answers", m.Chain), "mtm testnet up --home %s   or   mtm validator run --home %s", m.Dir, m.Dir)
	}
}

func statusLines(s homeStatus) []string {
	lines := []string{"ledger " + s.Chain}
	for _, v := range s.Validators {
		if !v.Running {
			lines = append(lines, fmt.Sprintf("  validator %s  %s  not running", v.Name, v.RPC))
			continue
		}
		lines = append(lines, fmt.Sprintf("  validator %s  %s  height %d  app hash %s  %d entries  %d peers",
			v.Name, v.RPC, v.Height, v.AppHash, v.LogSize, v.Peers))
		lines = append(lines, refusedLines(v.Refused)...)
	}
	if s.Agree {
		lines = append(lines, fmt.Sprintf("  same app hash at every height from %d to %d", s.From, s.To))
	}
	if s.Bridge == nil {
		return append(lines, "  bridge  not running")
	}
	n := s.Bridge.Counts
	return append(lines, fmt.Sprintf("  bridge  %s  received %d = committed %d + duplicate %d + dead-lettered %d + spooled %d",
		s.Bridge.MQTT, n.Received, n.Committed, n.Duplicate, n.DeadLettered, n.Spooled))
}
