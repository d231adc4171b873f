package main

import (
	"context"
	"fmt"

	"mtmledger/cmd/mtm/internal/service"
	"mtmledger/cmd/mtm/internal/view"
	"mtmledger/testnet"
)

// testnetFrame is what the live view of a testnet shows. It asks for the state
// of now only: comparing every height is `mtm testnet status`.
func testnetFrame(ctx context.Context, m *testnet.Manifest) []string {
	lines := []string{view.Bold("MTM Ledger testnet " + m.Chain + "   (interrupt to stop)"), ""}
	for _, v := range m.Ask(ctx) {
		if !v.Running {
			lines = append(lines, fmt.Sprintf("validator %-3s not running", v.Name))
			continue
		}
		lines = append(lines, fmt.Sprintf("validator %-3s height %6d   app hash %.16s   %8d entries   %d peers",
			v.Name, v.Height, v.AppHash, v.LogSize, v.Peers))
	}
	lines = append(lines, "")
	s, err := service.Ask(ctx, m.Bridge.HTTP)
	if err != nil {
		return append(lines, "bridge        not running")
	}
	return append(lines, accountLine(s))
}

func accountLine(s service.Status) string {
	n := s.Counts
	return fmt.Sprintf("bridge        received %d = committed %d + duplicate %d + dead-lettered %d + spooled %d",
		n.Received, n.Committed, n.Duplicate, n.DeadLettered, n.Spooled)
}
