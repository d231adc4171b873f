package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/cmd/mtm/internal/uplink"
	"mtmledger/crypto"
	"mtmledger/testnet"
)

func newDevice() *cobra.Command {
	return group("device", "A device: its key, its readings, its record", append(deviceOps(), newKeygen(), newDeviceRun())...)
}

func newKeygen() *cobra.Command {
	var (
		home, name string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use: "keygen", Short: "Make the key of a device",
		Long: `Makes the key of a device, readable by its user alone, and puts the device into the
folder's manifest. A device that is there already keeps its key.`,
		Example: "  mtm device keygen --home ledger --device press-3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return usagef("--device is required")
			}
			m, err := openHome(home)
			if err != nil {
				return err
			}
			d, err := m.AddDevice(name)
			if err != nil {
				return err
			}
			key, err := m.DeviceKey(d)
			if err != nil {
				return err
			}
			path := m.Path(d.Home, "key.pem")
			return report(cmd, asJSON, struct {
				Device crypto.ID        `json:"device"`
				Name   string           `json:"name"`
				Key    crypto.PublicKey `json:"key"`
				File   string           `json:"file"`
			}{d.ID, d.Name, key.Public(), path},
				fmt.Sprintf("device %s (%s), key in %s", d.Name, d.ID, path),
				fmt.Sprintf("next: mtm enrol --home %s --device %s", home, name))
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&name, "device", "", "name of the device")
	return cmd
}

// deviceOptions say what a device sends and where.
type deviceOptions struct {
	home, name string
	broker     string
	sensors    bool
	file       string
	stream     string
	perCount   int
	every      time.Duration
	period     time.Duration
	asJSON     bool
}

func newDeviceRun() *cobra.Command {
	var o deviceOptions
	cmd := &cobra.Command{
		Use: "run", Short: "Run a device: send readings until done or interrupted",
		Long: `Signs readings, keeps them until the ledger acknowledged them, and sends them by
MQTT: this machine's sensors, or the lines of a file. It goes on where it stopped,
also after a power cut; running it again on a file that was sent sends nothing.`,
		Example: `  mtm device run --home ledger --device press-3 --replay log.csv
  mtm device run --home net --device processor --sensors --broker tcp://127.0.0.1:1883`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.name == "" {
				return usagef("--device is required")
			}
			if o.sensors == (o.file != "") {
				return usagef("say what to send: --sensors or --replay FILE")
			}
			if o.perCount < 1 {
				return usagef("--readings-per-statement must be at least 1")
			}
			return deviceRun(cmd, o)
		},
	}
	homeFlag(cmd, &o.home)
	jsonFlag(cmd, &o.asJSON)
	f := cmd.Flags()
	f.StringVar(&o.name, "device", "", "name of the device")
	f.StringVar(&o.broker, "broker", "", "URL of the MQTT broker (default: the bridge's own)")
	f.BoolVar(&o.sensors, "sensors", false, "send this machine's sensors")
	f.StringVar(&o.file, "replay", "", "send the lines of this file, one reading a line")
	f.StringVar(&o.stream, "stream", "", "name of the stream for --replay (default: the file's name)")
	f.IntVar(&o.perCount, "readings-per-statement", 100, "most readings in a statement, for --replay")
	f.DurationVar(&o.every, "every", time.Second, "pause between readings of a sensor, or between statements of a file if given")
	f.DurationVar(&o.period, "for", 0, "stop after this time (default: when done or interrupted)")
	return cmd
}

// drainTime is how long a device waits for acknowledgements in the end.
const drainTime = 30 * time.Second

func deviceRun(cmd *cobra.Command, o deviceOptions) error {
	m, err := openHome(o.home)
	if err != nil {
		return err
	}
	d, err := m.Device(o.name)
	if err != nil {
		return withHint(err, "mtm enrol --home %s --device %s", o.home, o.name)
	}
	broker := o.broker
	if broker == "" {
		broker = "tcp://" + m.Bridge.MQTT
	}
	link, err := openLink(m, d, broker, nil, logger(cmd, false))
	if err != nil {
		return err
	}
	defer link.Close()
	ctx := cmd.Context()
	if o.period > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.period)
		defer cancel()
	}
	if o.sensors {
		err = sendSensors(ctx, link, d, o.every)
	} else {
		err = o.sendFile(cmd, ctx, link, d)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	return finishDevice(cmd, link, o.asJSON)
}

// finishDevice waits for the last acknowledgements and says what came of it.
func finishDevice(cmd *cobra.Command, link *uplink.Link, asJSON bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), drainTime)
	defer cancel()
	if cmd.Context().Err() != nil {
		cancel() // interrupted: what is not acknowledged is kept for the next run
	}
	drained := link.Drain(ctx)
	s := link.Stats()
	if err := report(cmd, asJSON, s, fmt.Sprintf("sent %d readings, %d acknowledged, %d refused, %d kept for the next run",
		s.Sent, s.Acknowledged, s.Refused, s.Pending)); err != nil {
		return err
	}
	if s.Refused > 0 {
		return withHint(fmt.Errorf("%d readings were refused for good: %s", s.Refused, s.LastRefusal), "mtm bridge dead-letters")
	}
	if drained != nil && cmd.Context().Err() == nil {
		return withHint(fmt.Errorf("%d readings are not acknowledged: %w", s.Pending, drained), "is the bridge running? They are kept; run the device again")
	}
	return nil
}

func (o deviceOptions) sendFile(cmd *cobra.Command, ctx context.Context, link *uplink.Link, d *testnet.Device) error {
	pause := time.Duration(0)
	if cmd.Flags().Changed("every") {
		pause = o.every
	}
	name := o.stream
	if name == "" {
		name = streamName(o.file)
	}
	for _, s := range d.Streams {
		if s.Name == name || s.ID.String() == name {
			_, err := sendFile(ctx, link, s.Name, o.file, o.perCount, pause)
			return err
		}
	}
	return withHint(fmt.Errorf("%w: stream %q of device %s", testnet.ErrUnknown, name, d.Name),
		"mtm stream open --home %s --device %s --name %s", o.home, d.Name, name)
}

// sendSensors samples the sensors of a device until ctx ends.
func sendSensors(ctx context.Context, link *uplink.Link, d *testnet.Device, every time.Duration) error {
	if every <= 0 {
		return usagef("--every must be positive")
	}
	list, err := sourcesOf(ctx, link, d)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return withHint(fmt.Errorf("device %s has no stream named like a sensor of this machine", d.Name),
			"mtm stream open --device %s --name cpu", d.Name)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, s := range list {
			if err := s.send(ctx, link); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
