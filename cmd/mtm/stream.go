package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

func newStream() *cobra.Command {
	return group("stream", "A stream: open, list, describe, transfer, close", append(streamOps(), newStreamOpen(), newStreamList())...)
}

func newStreamOpen() *cobra.Command {
	var (
		a            act
		device, name string
	)
	cmd := &cobra.Command{
		Use: "open", Short: "Open a stream of an enrolled device",
		Example: `  mtm stream open --home ledger --device press-3 --name temperature
  mtm stream open --home ledger --device press-3 --name temperature --propose      # several admin keys must sign
  mtm stream open --home edge --device press-3 --name temperature --as press-3     # the device signs`,
	}
	a.flags(cmd)
	a.proposeFlags(cmd)
	cmd.Flags().StringVar(&device, "device", "", "name or id of the device")
	cmd.Flags().StringVar(&name, "name", "", "name of the stream")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "device name", func(s *session) error { return s.openStream(cmd, device, name) })
	}
	return cmd
}

// openStream opens a stream of a device, and notes it down in the folder if the device is
// there.
func (s *session) openStream(cmd *cobra.Command, device, name string) error {
	d := s.ownDevice(device)
	id, err := crypto.ParseID(device)
	switch {
	case d != nil:
		id = d.ID
	case err != nil:
		return withHint(fmt.Errorf("%w: device %q", testnet.ErrUnknown, device), "mtm enrol --home %s --device %s, or the device's id", s.home, device)
	}
	body := ledger.OpenStream{Device: id, Name: name}
	return s.put(cmd, body, func() error {
		r := recorded{ID: ledger.StreamID(s.chain, id, name), Name: name}
		return s.establish(cmd, body, "stream", r, func() error { return s.noteStream(d, name) })
	})
}

// noteStream writes a stream of a device of the folder into its manifest.
func (s *session) noteStream(d *testnet.Device, name string) error {
	if d == nil {
		return nil
	}
	_, err := s.m.AddStream(d.Name, name)
	return err
}

// listed is the JSON form of a stream in the list.
type listed struct {
	Device string    `json:"device"`
	Name   string    `json:"name"`
	ID     crypto.ID `json:"id"`
	Mark   uint64    `json:"mark"` // greatest number used
	Gaps   uint64    `json:"gaps"` // open gaps
}

func newStreamList() *cobra.Command {
	var (
		t      target
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the streams of this folder's devices",
		Example: "  mtm stream list --home ledger --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, c, done, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			if m == nil {
				return usagef("--home must hold the devices")
			}
			list, lines := []listed{}, []string{}
			for _, d := range m.Devices {
				for _, s := range d.Streams {
					info, err := c.Stream(cmd.Context(), s.ID)
					if err != nil {
						return err
					}
					list = append(list, listed{d.Name, s.Name, s.ID, info.Mark, info.GapCount})
					lines = append(lines, fmt.Sprintf("%s  %-20s %-24s to number %d, %d gaps", s.ID, d.Name, s.Name, info.Mark, info.GapCount))
				}
			}
			return report(cmd, asJSON, list, lines...)
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
