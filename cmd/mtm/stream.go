package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
)

func newStream() *cobra.Command {
	return group("stream", "A stream: open, list, describe, transfer, close", append(streamOps(), newStreamOpen(), newStreamList())...)
}

func newStreamOpen() *cobra.Command {
	var (
		t            target
		device, name string
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use: "open", Short: "Open a stream of an enrolled device",
		Example: "  mtm stream open --home ledger --device press-3 --name temperature",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device == "" || name == "" {
				return usagef("--device and --name are required")
			}
			m, c, done, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			if m == nil {
				return usagef("--home must hold the organisation's key")
			}
			d, err := m.Device(device)
			if err != nil {
				return withHint(err, "mtm enrol --home %s --device %s", t.home, device)
			}
			result, created, err := m.Open(cmd.Context(), c, d, name)
			if err != nil {
				return err
			}
			s, err := m.AddStream(device, name)
			if err != nil {
				return err
			}
			r := recorded{s.ID, s.Name, created, result.Height}
			return report(cmd, asJSON, r, r.line("stream"))
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&device, "device", "", "name or id of the device")
	cmd.Flags().StringVar(&name, "name", "", "name of the stream")
	return cmd
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
