package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/cmd/mtm/internal/service"
	"mtmledger/internal/disk"
	"mtmledger/mqttbridge"
	"mtmledger/testnet"
)

func newBridge() *cobra.Command {
	return group("bridge", "Run a bridge, enrol and remove it, look at its dead letters", newBridgeRun(), newBridgeEnrol(), newBridgeRemove(), newDeadLetters(), newReplay())
}

func newBridgeRun() *cobra.Command {
	var (
		t        target
		external string
		asJSON   bool
		verbose  bool
	)
	cmd := &cobra.Command{
		Use: "run", Short: "Run the bridge until it is interrupted",
		Long: `Takes statements by MQTT, keeps them durably, submits them in signed transactions
until they are committed, and answers devices with signed acknowledgements.
Without --broker it carries its own MQTT broker, on loopback.`,
		Example: `  mtm bridge run --home ledger
  mtm bridge run --home ledger --broker tcp://broker.plant:1883`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(t.home)
			if err != nil {
				return err
			}
			addresses := m.RPC()
			if t.node != "" {
				addresses = []string{t.node}
			}
			nodes := service.NewNodes(addresses...)
			defer nodes.Close()
			s, err := service.New(service.Config{Manifest: m, Ledger: nodes, External: external, Logger: logger(cmd, verbose)})
			if err != nil {
				return withHint(err, "is this bridge running already? mtm status --home %s", t.home)
			}
			err = report(cmd, asJSON, map[string]any{"bridge": m.Bridge.ID, "chain": m.Chain, "mqtt": s.MQTT(), "http": m.Bridge.HTTP},
				fmt.Sprintf("bridge %s of %s, MQTT on %s, status on http://%s/status", m.Bridge.ID, m.Chain, s.MQTT(), m.Bridge.HTTP))
			if err != nil {
				return err
			}
			return s.Run(cmd.Context())
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&external, "broker", "", "URL of another MQTT broker: tcp://, ssl://, ws:// or wss://")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log to standard error")
	return cmd
}

// bridgeDir is where the bridge keeps its spool and dead letters.
func bridgeDir(m *testnet.Manifest) string { return m.Path(m.Bridge.Home, "data") }

func newDeadLetters() *cobra.Command {
	var (
		home   string
		most   int
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "dead-letters", Short: "List the messages that could not be committed, with reasons",
		Example: "  mtm bridge dead-letters --home ledger --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 1 {
				return usagef("--max must be at least 1")
			}
			m, err := openHome(home)
			if err != nil {
				return err
			}
			letters, err := mqttbridge.ReadDeadLetters(disk.OS{}, bridgeDir(m), most)
			if err != nil {
				return err
			}
			if letters == nil {
				letters = []mqttbridge.DeadLetter{}
			}
			lines := []string{fmt.Sprintf("%d dead letters", len(letters))}
			for _, l := range letters {
				lines = append(lines, fmt.Sprintf("%d  %s  %s  %d bytes  %s", l.ID, l.Reason, l.Topic, l.Size, l.Text))
			}
			return report(cmd, asJSON, letters, lines...)
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().IntVar(&most, "max", 100, "list at most this many, the newest")
	return cmd
}

func newReplay() *cobra.Command {
	var (
		home   string
		ids    []uint
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "replay", Short: "Give dead letters to the running bridge again",
		Long: `Gives dead letters to the running bridge again, as messages newly received: all,
or those given with --id. Do it after what was wrong is put right, for example
after the device was enrolled.`,
		Example: "  mtm bridge replay --home ledger --id 17 --id 18",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(home)
			if err != nil {
				return err
			}
			list := make([]uint64, len(ids))
			for i, id := range ids {
				list[i] = uint64(id)
			}
			n, err := service.AskReplay(cmd.Context(), m.Bridge.HTTP, list)
			if err != nil {
				return withHint(err, "the bridge must run: mtm bridge run --home %s", home)
			}
			return report(cmd, asJSON, service.Replayed{Replayed: n}, fmt.Sprintf("%d messages given to the bridge again", n))
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().UintSliceVar(&ids, "id", nil, "a dead letter's number; may be repeated (default: all)")
	return cmd
}
