package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
	"mtmledger/ledger"
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

// establish records a body that makes something, if it is not there already, and then
// calls noted.
func (s *session) establish(cmd *cobra.Command, body ledger.Body, what string, r recorded, noted func() error) error {
	done, err := s.submit(body)
	if err != nil && ledger.CodeOf(err) != ledger.CodeExists {
		return s.explain(err, body)
	}
	r.Created, r.Height = err == nil, done.Height
	if err := noted(); err != nil {
		return err
	}
	return report(cmd, s.asJSON, r, r.line(what))
}

func newEnrol() *cobra.Command {
	var (
		a      act
		device string
	)
	cmd := &cobra.Command{
		Use: "enrol", Short: "Enrol a device with the organisation's key",
		Long: `Enrols a device: the organisation signs that the device is its own, the device
signs that it holds its key. The device's key is made if there is none. Its key
counts from the block after.`,
		Example: `  mtm device keygen --home ledger --device press-3
  mtm enrol --home ledger --device press-3
  mtm enrol --home ledger --device press-3 --propose      # several admin keys must sign`,
	}
	a.flags(cmd)
	a.proposeFlags(cmd)
	cmd.Flags().StringVar(&device, "device", "", "name of the device")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "device", func(s *session) error { return s.enrol(cmd, device) })
	}
	return cmd
}

func (s *session) enrol(cmd *cobra.Command, name string) error {
	if s.m == nil {
		return usagef("--home must hold the device's key; enrol a device that is elsewhere by its proof of possession: mtm device enrol-many")
	}
	d, err := s.m.AddDevice(name)
	if err != nil {
		return err
	}
	key, err := s.m.DeviceKey(d)
	if err != nil {
		return err
	}
	possession, err := ledger.SignPossession(key, s.chain, s.actor)
	if err != nil {
		return fmt.Errorf("enrol %s: %w", d.Name, err)
	}
	body := ledger.EnrolDevice{Possession: possession}
	return s.put(cmd, body, func() error {
		return s.establish(cmd, body, "device", recorded{ID: d.ID, Name: d.Name}, func() error { return nil })
	})
}
