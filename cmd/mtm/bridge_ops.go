package main

import (
	"github.com/spf13/cobra"

	"mtmledger/ledger"
)

func newBridgeEnrol() *cobra.Command {
	cmd := &cobra.Command{
		Use: "enrol", Short: "Enrol this folder's bridge with the organisation's key",
		Long: `Enrols the bridge of the folder of an organisation that joined later. The bridge that
mtm init makes is enrolled by the genesis.`,
		Example: "  mtm bridge enrol --home d",
	}
	return operation(cmd, "", func(s *session) (ledger.Body, error) {
		if s.m == nil {
			return nil, usagef("--home must hold the bridge")
		}
		key, err := s.m.BridgeKey()
		if err != nil {
			return nil, err
		}
		p, err := ledger.SignPossession(key, s.chain, s.actor)
		return ledger.EnrolBridge{Possession: p}, err
	})
}

func newBridgeRemove() *cobra.Command {
	var bridge string
	cmd := &cobra.Command{
		Use: "remove", Short: "End a bridge of the organisation for ever",
		Long: `Ends a bridge of the organisation that signs: from the next block on its batches are
refused (retired), those under way too. What it acknowledged stays acknowledged. Stop
the bridge first, and let another one take its place; mtm query bridges lists all.`,
		Example: `  mtm bridge remove --home d
  mtm bridge remove --home ledger --bridge ID`,
	}
	cmd.Flags().StringVar(&bridge, "bridge", "", "id of the bridge (default: that of --home)")
	return operation(cmd, "", func(s *session) (ledger.Body, error) {
		if bridge != "" {
			id, err := idFlag("bridge", bridge)
			return ledger.RemoveBridge{Bridge: id}, err
		}
		if s.m == nil {
			return nil, usagef("--bridge is required without --home")
		}
		key, err := s.m.BridgeKey()
		if err != nil {
			return nil, err
		}
		return ledger.RemoveBridge{Bridge: ledger.BridgeID(key.Public())}, nil
	})
}
