package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
)

// recorded is the JSON form of an operation's outcome.
type recorded struct {
	ID      crypto.ID `json:"id"`
	Name    string    `json:"name"`
	Created bool      `json:"created"` // false: it was there before
	Height  uint64    `json:"height,omitempty"`
}

func (r recorded) line(what string) string {
	if !r.Created {
		return fmt.Sprintf("%s %s (%s) was there already", what, r.Name, r.ID)
	}
	return fmt.Sprintf("%s %s (%s), committed at height %d", what, r.Name, r.ID, r.Height)
}

func newEnrol() *cobra.Command {
	var (
		t      target
		device string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "enrol", Short: "Enrol a device with the organisation's key",
		Long: `Enrols a device: the organisation signs that the device is its own, the device
signs that it holds its key. The device's key is made if there is none. Its key
counts from the block after.`,
		Example: `  mtm device keygen --home ledger --device press-3
  mtm enrol --home ledger --device press-3`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device == "" {
				return usagef("--device is required")
			}
			m, c, done, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			if m == nil {
				return usagef("--home must hold the organisation's key")
			}
			d, err := m.AddDevice(device)
			if err != nil {
				return err
			}
			result, created, err := m.Enrol(cmd.Context(), c, d)
			if err != nil {
				return err
			}
			r := recorded{d.ID, d.Name, created, result.Height}
			return report(cmd, asJSON, r, r.line("device"))
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&device, "device", "", "name of the device")
	return cmd
}
