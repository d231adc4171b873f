package testnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"mtmledger/app/client"
)

// Net runs a manifest's ledger as processes of one binary, cmd/mtm.
type Net struct {
	Manifest *Manifest
	Binary   string // path of the mtm program
	Detached bool   // processes outlive this one

	mu    sync.Mutex
	procs map[string]*Process
}

// pollEvery is how often a condition is looked at while something waits for it.
const pollEvery = 20 * time.Millisecond

// ErrEnded says that a process ended that should run.
var ErrEnded = errors.New("testnet: process ended")

// Start starts a process of the ledger under a name of its own.
func (n *Net) Start(name string, args ...string) (*Process, error) {
	binary := n.Binary
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("testnet: %w", err)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.procs[name]; p != nil && p.Running() {
		return nil, fmt.Errorf("testnet: %s runs already", name)
	}
	p, err := launch(n.Manifest.Dir, binary, name, !n.Detached, args...)
	if err != nil {
		return nil, err
	}
	if n.procs == nil {
		n.procs = map[string]*Process{}
	}
	n.procs[name] = p
	return p, nil
}

// StartValidator starts validator i.
func (n *Net) StartValidator(i int) (*Process, error) {
	v := n.Manifest.Validators[i]
	return n.Start("validator-"+v.Name, "validator", "run", "--home", n.Manifest.Dir, "--validator", v.Name)
}

// StartBridge starts the bridge with its embedded broker.
func (n *Net) StartBridge(args ...string) (*Process, error) {
	return n.Start("bridge", append([]string{"bridge", "run", "--home", n.Manifest.Dir}, args...)...)
}

// StartDevice starts a device; args say what it sends.
func (n *Net) StartDevice(name string, args ...string) (*Process, error) {
	return n.Start("device-"+name, append([]string{"device", "run", "--home", n.Manifest.Dir, "--device", name}, args...)...)
}

// StartValidators starts all validators and waits until each has committed a
// block.
func (n *Net) StartValidators(ctx context.Context) error {
	for i := range n.Manifest.Validators {
		if _, err := n.StartValidator(i); err != nil {
			return err
		}
	}
	return n.Until(ctx, "every validator has a block", func(ctx context.Context) (bool, error) {
		for _, url := range n.Manifest.RPC() {
			if h, err := heightOf(ctx, url); err != nil || h == 0 {
				return false, err
			}
		}
		return true, nil
	})
}

// Process returns a process by name, nil if it was never started.
func (n *Net) Process(name string) *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.procs[name]
}

// Stop stops all processes: devices first, validators last.
func (n *Net) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for _, prefix := range []string{"device-", "load", "bridge", "validator-"} {
		var group sync.WaitGroup
		for name, p := range n.procs {
			if len(name) < len(prefix) || name[:len(prefix)] != prefix || !p.Running() {
				continue
			}
			group.Go(func() { _ = p.Stop() }) // how it ended is asked below
		}
		group.Wait()
	}
	for name, p := range n.procs {
		if p.Running() {
			errs = append(errs, fmt.Errorf("testnet: %s still runs", name))
		}
	}
	return errors.Join(errs...)
}

// Until polls a condition until it is true, ctx ends, or a started process has
// failed. Errors of the condition are its reason for not being true yet.
func (n *Net) Until(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ok, reason := condition(ctx)
		if ok && reason == nil {
			return nil
		}
		if err := n.failed(); err != nil {
			return fmt.Errorf("waiting until %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(ctx.Err(), reason))
		case <-tick.C:
		}
	}
}

// failed says which started process ended with an error by itself.
func (n *Net) failed() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, p := range n.procs {
		if p.Running() || p.Err() == nil || p.killed() {
			continue
		}
		return fmt.Errorf("%w: %s: %w\n%s", ErrEnded, name, p.Err(), p.LogTail())
	}
	return nil
}

// heightOf asks one node for its height.
func heightOf(ctx context.Context, url string) (uint64, error) {
	c := client.NewRemote(url)
	defer c.Close()
	return c.Height(ctx)
}
