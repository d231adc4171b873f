package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/app/node"
	"mtmledger/cmd/mtm/internal/sensors"
	"mtmledger/cmd/mtm/internal/service"
	"mtmledger/cmd/mtm/internal/uplink"
	"mtmledger/cmd/mtm/internal/view"
	"mtmledger/testnet"
)

// demo is a running demo.
type demo struct {
	o       demoOptions
	m       *testnet.Manifest
	keep    string    // folder that outlives the demo
	begin   time.Time // when the devices began
	node    *node.Node
	client  *client.Local
	service *service.Service
	bridge  chan error // the bridge's end
	stopAll context.CancelFunc
	work    []*worker
	before  uint64 // readings committed before this run
}

// worker is one device with what it sends.
type worker struct {
	device *testnet.Device
	link   *uplink.Link
	files  []string // to replay; none: sensors
}

func runDemo(cmd *cobra.Command, o demoOptions) (err error) {
	d := &demo{o: o, bridge: make(chan error, 1)}
	temporary, err := d.folder()
	if err != nil {
		return err
	}
	if temporary != "" {
		defer os.RemoveAll(temporary)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.start(cmd); err != nil {
		return err
	}
	if err := d.watch(cmd); err != nil {
		return err
	}
	r, err := d.finish(cmd)
	if err != nil {
		return err
	}
	return report(cmd, o.asJSON, r, demoLines(r)...)
}

// folder opens or makes the ledger's folder and returns what to delete.
func (d *demo) folder() (temporary string, err error) {
	d.keep = d.o.home
	dir := d.o.home
	if dir == "" {
		if d.keep, err = os.MkdirTemp("", "mtm-demo-"); err != nil {
			return "", err
		}
		temporary = filepath.Join(d.keep, "ledger")
		dir = temporary
	}
	d.m, err = loadOrGenerate(dir, 1)
	if err == nil && len(d.m.Validators) != 1 {
		err = withHint(fmt.Errorf("%s holds a ledger of %d validators, a demo runs one", dir, len(d.m.Validators)),
			"mtm testnet up --home %s", dir)
	}
	return temporary, err
}

// start starts everything. An interrupt ends the devices only: the rest goes on
// until what they sent is committed.
func (d *demo) start(cmd *cobra.Command) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	d.stopAll = cancel
	cfg, err := node.LoadConfig(d.m.Path(d.m.Validators[0].Home))
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler) // failures come back as errors
	if d.o.verbose {
		log = logger(cmd, true)
	}
	if d.node, err = node.Start(ctx, cfg, log); err != nil {
		return withHint(err, "does another demo run in this folder? mtm status --home %s", d.m.Dir)
	}
	d.client = d.node.Client()
	if err := d.plan(cmd.Context()); err != nil {
		return err
	}
	if d.before, err = d.committed(cmd.Context()); err != nil {
		return err
	}
	d.service, err = service.New(service.Config{Manifest: d.m, Ledger: d.client, Logger: log})
	if err != nil {
		return err
	}
	go func() { d.bridge <- d.service.Run(ctx) }()
	for _, w := range d.work {
		if w.link, err = openLink(d.m, w.device, "tcp://"+d.service.MQTT(), nil, log); err != nil {
			return err
		}
	}
	return nil
}

// replayers is how many devices share the files.
const replayers = 3

// plan enrols the devices and opens the streams, and shares the files out.
func (d *demo) plan(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if len(d.o.files) > 0 {
		return d.planFiles(ctx)
	}
	all := sensors.All(ctx)
	for _, name := range sensors.Devices() {
		if _, err := d.m.Establish(ctx, d.client, name, streamsOf(all, name)...); err != nil {
			return err
		}
	}
	for _, name := range sensors.Devices() {
		dev, err := d.m.Device(name)
		if err != nil {
			return err
		}
		d.work = append(d.work, &worker{device: dev})
	}
	return nil
}

func (d *demo) planFiles(ctx context.Context) error {
	files := map[string][]string{}
	var names, streams []string
	for i, file := range d.o.files {
		if _, err := os.Stat(file); err != nil {
			return err
		}
		stream := streamName(file)
		if slices.Contains(streams, stream) {
			return usagef("two files would be stream %q: rename one", stream)
		}
		streams = append(streams, stream)
		name := fmt.Sprintf("replayer-%d", i%replayers+1)
		if dev, _, err := d.m.Stream(stream); err == nil {
			name = dev.Name // it was begun in an earlier run
		}
		if _, err := d.m.Establish(ctx, d.client, name, stream); err != nil {
			return err
		}
		if files[name] == nil {
			names = append(names, name)
		}
		files[name] = append(files[name], file)
	}
	for _, name := range names {
		dev, err := d.m.Device(name)
		if err != nil {
			return err
		}
		d.work = append(d.work, &worker{device: dev, files: files[name]})
	}
	return nil
}

// run sends what the device has to send.
func (w *worker) run(ctx context.Context, o demoOptions) error {
	if len(w.files) == 0 {
		return sendSensors(ctx, w.link, w.device, o.every)
	}
	for _, file := range w.files {
		if _, err := sendFile(ctx, w.link, streamName(file), file, o.perCount, 0); err != nil {
			return err
		}
	}
	return w.link.Drain(ctx)
}

// watch lets the devices work until they are done, time is up, or somebody
// interrupts, and shows it.
func (d *demo) watch(cmd *cobra.Command) error {
	d.begin = time.Now()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if d.o.period > 0 {
		ctx, cancel = context.WithTimeout(ctx, d.o.period)
		defer cancel()
	}
	ended := make(chan error, len(d.work))
	for _, w := range d.work {
		go func() { ended <- w.run(ctx, d.o) }()
	}
	failed := make(chan error, 1)
	go func() { failed <- d.node.Wait() }()
	live := view.New(cmd.ErrOrStderr())
	defer live.Close()
	if !live.Live() && d.o.period == 0 && len(d.o.files) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "the demo runs until it is interrupted; --for 20s ends it by itself")
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var first error
	for running := len(d.work); running > 0; {
		select {
		case err := <-ended:
			running--
			if err != nil && ctx.Err() == nil && first == nil {
				first = err
				cancel()
			}
		case err := <-failed:
			return endedEarly("validator", err)
		case err := <-d.bridge:
			d.bridge <- err
			return endedEarly("bridge", err)
		case <-tick.C:
			if live.Live() {
				live.Draw(d.frame(ctx))
			}
		}
	}
	return first
}

// errEnded is the reason of a part that ended without one.
var errEnded = errors.New("nobody stopped it, and it gave no reason")

// endedEarly says why a part of the demo ended too early.
func endedEarly(part string, err error) error {
	return fmt.Errorf("the %s ended: %w", part, cmp.Or(err, errEnded))
}

// finish waits for the last acknowledgements, proves a reading and gathers the
// result.
func (d *demo) finish(cmd *cobra.Command) (demoResult, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), drainTime)
	defer cancel()
	r := demoResult{Chain: d.m.Chain, Home: d.o.home}
	for _, w := range d.work {
		if err := w.link.Drain(ctx); err != nil {
			return r, fmt.Errorf("device %s: %d readings are not acknowledged: %w", w.device.Name, w.link.Stats().Pending, err)
		}
	}
	r.Seconds = time.Since(d.begin).Seconds()
	r.LatencyP50, r.LatencyP99 = d.latency()
	if err := d.fillStreams(ctx, &r); err != nil {
		return r, err
	}
	if err := d.settle(ctx, &r); err != nil {
		return r, err
	}
	if err := d.certify(ctx, &r); err != nil {
		return r, err
	}
	s, err := d.client.Status(ctx)
	r.Height, r.AppHash, r.LogSize = s.Height, hex.EncodeToString(s.AppHash[:]), s.LogSize
	return r, err
}

// settle waits until the bridge has decided on everything it received, and
// takes its accounts.
func (d *demo) settle(ctx context.Context, r *demoResult) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n := d.service.Bridge.Counts()
		r.Accounting, r.Duplicates, r.DeadLetters = n, n.Duplicate, n.DeadLettered
		r.Balanced = n.Balanced()
		if n.Spooled == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the bridge still keeps %d messages: %w", n.Spooled, ctx.Err())
		case <-tick.C:
		}
	}
}

// committed counts the readings committed on the demo's streams.
func (d *demo) committed(ctx context.Context) (n uint64, err error) {
	var r demoResult
	err = d.fillStreams(ctx, &r)
	return r.InLedger, err
}

// fillStreams asks for the state of every stream of the demo's devices.
func (d *demo) fillStreams(ctx context.Context, r *demoResult) error {
	for _, w := range d.work {
		for _, s := range w.device.Streams {
			info, err := d.client.Stream(ctx, s.ID)
			if err != nil {
				return fmt.Errorf("stream %s: %w", s.Name, err)
			}
			r.InLedger += info.Mark
			for _, g := range info.Gaps {
				r.InLedger -= g.Last - g.First + 1
			}
			r.Gaps += info.GapCount
			r.Streams = append(r.Streams, demoStream{s.Name, s.ID, w.device.Name, info.Mark, info.GapCount})
		}
	}
	r.Committed = r.InLedger - min(d.before, r.InLedger)
	return nil
}

// certify writes the certificate of the last reading of the first stream that
// has one, keeps the trust root beside it, and checks the one against the other.
func (d *demo) certify(ctx context.Context, r *demoResult) error {
	r.Trust = filepath.Join(d.keep, "trust.json")
	root, err := os.ReadFile(d.m.TrustPath())
	if err != nil {
		return err
	}
	if err := writeFile(r.Trust, root); err != nil {
		return err
	}
	for _, s := range r.Streams {
		if s.Mark == 0 {
			continue
		}
		out := filepath.Join(d.keep, "certificates", fmt.Sprintf("%s-%d.mtmcert", s.ID, s.Mark))
		q := client.CertificateRequest{RangeRequest: client.RangeRequest{Stream: s.ID, First: s.Mark, Last: s.Mark}}
		if _, err := prove(ctx, d.client, q, out, drainTime); err != nil {
			return err
		}
		if _, err := verifyFiles([]string{out}, r.Trust); err != nil {
			return fmt.Errorf("the certificate just written: %w", err)
		}
		r.Certificate, r.Verified = out, true
		return nil
	}
	return withHint(errors.New("no reading was committed, so there is nothing to prove"), "a longer --for")
}

// latency merges what the devices measured.
func (d *demo) latency() (p50, p99 float64) {
	var all []time.Duration
	for _, w := range d.work {
		all = append(all, w.link.Stats().Latency...)
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(q*float64(len(all)-1))].Seconds() * 1000 }
	return at(0.5), at(0.99)
}

// close ends everything in the order in which readings flow.
func (d *demo) close() error {
	var errs []error
	for _, w := range d.work {
		if w.link != nil {
			errs = append(errs, w.link.Close())
		}
	}
	if d.stopAll != nil {
		d.stopAll()
	}
	if d.service != nil {
		errs = append(errs, <-d.bridge)
	}
	if d.node != nil {
		errs = append(errs, d.node.Stop())
	}
	return errors.Join(errs...)
}
