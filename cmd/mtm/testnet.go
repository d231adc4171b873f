package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/cmd/mtm/internal/sensors"
	"mtmledger/cmd/mtm/internal/view"
	"mtmledger/testnet"
)

func newTestnet() *cobra.Command {
	return group("testnet", "Run several validators, a bridge and devices on this machine",
		newTestnetUp(), newTestnetStatus(), newTestnetDown())
}

// upOptions says what `testnet up` starts.
type upOptions struct {
	home       string
	validators int
	devices    int
	detach     bool
	period     time.Duration
	asJSON     bool
}

func newTestnetUp() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Start a testnet; make it first where there is none",
		Long: `Starts validators, a bridge and devices that report this machine's sensors, each a
process of its own on loopback, and watches them until it is interrupted. With
--detach they go on in the background until ` + "`mtm testnet down`" + `.`,
		Example: `  mtm testnet up --validators 4 --home net
  mtm testnet status --home net`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.devices < 0 || o.devices > len(sensors.Devices()) {
				return usagef("--devices must be 0 to %d", len(sensors.Devices()))
			}
			return testnetUp(cmd, o)
		},
	}
	homeFlag(cmd, &o.home)
	jsonFlag(cmd, &o.asJSON)
	cmd.Flags().IntVar(&o.validators, "validators", 4, "number of validators of a new testnet")
	cmd.Flags().IntVar(&o.devices, "devices", 3, "number of devices")
	cmd.Flags().BoolVar(&o.detach, "detach", false, "leave everything running in the background")
	cmd.Flags().DurationVar(&o.period, "for", 0, "stop after this time (default: when interrupted)")
	return cmd
}

// startTime bounds how long a testnet may take to make its first blocks.
const startTime = 2 * time.Minute

func testnetUp(cmd *cobra.Command, o upOptions) (err error) {
	m, err := loadOrGenerate(o.home, o.validators)
	if err != nil {
		return err
	}
	if running := m.Running(); len(running) > 0 {
		return withHint(fmt.Errorf("already running: %v", running), "mtm testnet status --home %s   or   mtm testnet down --home %s", o.home, o.home)
	}
	n := &testnet.Net{Manifest: m, Detached: o.detach}
	if o.detach {
		if n.Binary, err = keepBinary(m); err != nil {
			return err
		}
	}
	err = startAll(cmd.Context(), n, o.devices)
	if err == nil && o.detach {
		return compareStatus(cmd, m, o.asJSON)
	}
	if err == nil {
		err = watchTestnet(cmd, m, o.period)
	}
	if err == nil && o.asJSON {
		err = compareStatus(cmd, m, true)
	}
	return errors.Join(err, n.Stop())
}

func loadOrGenerate(home string, validators int) (*testnet.Manifest, error) {
	m, err := testnet.Load(home)
	if errors.Is(err, testnet.ErrNoManifest) {
		return testnet.Generate(home, testnet.Options{Validators: validators})
	}
	return m, err
}

// keepBinary puts a copy of this program into the folder: `go run` deletes its
// own.
func keepBinary(m *testnet.Manifest) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	path := m.Path("run", "mtm")
	if err := os.MkdirAll(m.Path("run"), 0o700); err != nil {
		return "", err
	}
	_ = os.Remove(path) // a running copy can't be written over
	return path, os.WriteFile(path, b, 0o700)
}

// startAll starts validators, enrols, then starts the bridge and the devices.
func startAll(ctx context.Context, n *testnet.Net, devices int) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := n.StartValidators(ctx); err != nil {
		return err
	}
	node := client.NewRemote(n.Manifest.Validators[0].RPC)
	defer node.Close()
	all := sensors.All(ctx)
	names := sensors.Devices()[:devices]
	for _, name := range names {
		if _, err := n.Manifest.Establish(ctx, node, name, streamsOf(all, name)...); err != nil {
			return err
		}
	}
	if _, err := n.StartBridge(); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := n.StartDevice(name, "--sensors"); err != nil {
			return err
		}
	}
	return nil
}

// streamsOf lists the streams that a device's sensors report on.
func streamsOf(all []sensors.Sensor, device string) []string {
	var names []string
	for _, s := range all {
		if s.Device == device {
			names = append(names, s.Stream)
		}
	}
	return names
}

// watchTestnet shows the testnet until it is over.
func watchTestnet(cmd *cobra.Command, m *testnet.Manifest, period time.Duration) error {
	ctx := cmd.Context()
	if period > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, period)
		defer cancel()
	}
	live := view.New(cmd.OutOrStdout())
	defer live.Close()
	if !live.Live() {
		fmt.Fprintf(cmd.ErrOrStderr(), "testnet %s runs in %s; stop it with an interrupt\n", m.Chain, m.Dir)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if live.Live() {
			live.Draw(testnetFrame(ctx, m))
		}
	}
}

func newTestnetStatus() *cobra.Command {
	var (
		home   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "status", Short: "Compare heights and app hashes of all validators",
		Example: "  mtm testnet status --home net --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(home)
			if err != nil {
				return err
			}
			return compareStatus(cmd, m, asJSON)
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func newTestnetDown() *cobra.Command {
	var (
		home   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "down", Short: "Stop all processes of a testnet",
		Example: "  mtm testnet down --home net",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(home)
			if err != nil {
				return err
			}
			stopped, err := m.Down()
			if err != nil {
				return err
			}
			return report(cmd, asJSON, map[string]any{"stopped": stopped}, fmt.Sprintf("stopped %d processes", len(stopped)))
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	return cmd
}
