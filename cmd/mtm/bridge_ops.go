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
