package testnet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"mtmledger/app/client"
	"mtmledger/testnet/baseline"
	"mtmledger/testnet/load"
)

// samples are CPU time and memory of a benchmark's processes.
type samples struct {
	validators []*process.Process
	bridge     *process.Process
	load       *process.Process

	begin, end CPU
	from, to   uint64 // heights
	result     load.Result

	mu  sync.Mutex
	rss RSS
}

func newSamples(n *Net, loadPID int) *samples {
	s := &samples{load: live(loadPID)}
	for _, v := range n.Manifest.Validators {
		if p := n.Process("validator-" + v.Name); p != nil {
			s.validators = append(s.validators, live(p.PID()))
		}
	}
	if p := n.Process("bridge"); p != nil {
		s.bridge = live(p.PID())
	}
	return s
}

// live returns a process to ask, nil when it is gone.
func live(pid int) *process.Process {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return nil
	}
	return p
}

func cpuSeconds(p *process.Process) float64 {
	if p == nil {
		return 0
	}
	t, err := p.Times()
	if err != nil {
		return 0
	}
	return t.User + t.System
}

func mebibytes(p *process.Process) float64 {
	if p == nil {
		return 0
	}
	info, err := p.MemoryInfo()
	if err != nil {
		return 0
	}
	return float64(info.RSS) / (1 << 20)
}

// take reads the processor time used so far.
func (s *samples) take() CPU {
	c := CPU{Bridge: cpuSeconds(s.bridge), Load: cpuSeconds(s.load), Seconds: float64(time.Now().UnixMilli()) / 1000}
	for _, v := range s.validators {
		c.Validators += cpuSeconds(v)
	}
	return c
}

// watch looks at memory until stop is called.
func (s *samples) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.look()
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

func (s *samples) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.validators {
		s.rss.Validator = max(s.rss.Validator, mebibytes(v))
	}
	s.rss.Bridge = max(s.rss.Bridge, mebibytes(s.bridge))
	s.rss.Load = max(s.rss.Load, mebibytes(s.load))
}

// fill writes what was sampled into a result.
func (s *samples) fill(r *BenchResult) {
	r.Load = s.result
	r.ReadingsPerSec = s.result.ReadingsPerSec
	r.StatementsPerSec = float64(s.result.Statements) / s.result.Seconds
	r.LatencyP50, r.LatencyP99 = s.result.LatencyP50, s.result.LatencyP99
	r.CPU = CPU{
		Validators: s.end.Validators - s.begin.Validators, Bridge: s.end.Bridge - s.begin.Bridge,
		Load: s.end.Load - s.begin.Load, Seconds: s.end.Seconds - s.begin.Seconds,
	}
	r.RSS = s.rss
}

// blocks counts the transactions and blocks committed while measuring.
func (s *samples) blocks(ctx context.Context, node *client.Remote, r *BenchResult) error {
	var transactions uint64
	for h := s.from + 1; h <= s.to; h++ {
		info, err := node.AppHash(ctx, h)
		if err != nil {
			return fmt.Errorf("testnet: block %d: %w", h, err)
		}
		transactions += info.Count
	}
	if r.CPU.Seconds > 0 {
		r.TxPerSec = float64(transactions) / r.CPU.Seconds
		r.BlocksPerSec = float64(s.to-s.from) / r.CPU.Seconds
	}
	return nil
}

// listens tells whether somebody accepts connections.
func listens(ctx context.Context, address string) (bool, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false, err
	}
	return true, c.Close()
}

// BaselineResult is plain CometBFT with a trivial application.
type BaselineResult struct {
	baseline.Result
	CPUSeconds float64 `json:"cpu_seconds"` // of all nodes, feeding included
}

// Bounds of a baseline: how long one is measured, and the transactions that are
// under way on all nodes; more of them only make CometBFT's pool slower.
const (
	baselineFor    = 10 * time.Second
	baselineWindow = 10_000
)

// baselines measures transactions of the size of one statement with one
// reading, and of the size that transactions of several validators do best with.
func (c BenchConfig) baselines(ctx context.Context) ([]BaselineResult, error) {
	var list []BaselineResult
	for _, size := range []int{250, 4096} {
		c.Progress(fmt.Sprintf("baseline: trivial application, transactions of %d bytes", size))
		b, err := c.baseline(ctx, size)
		if err != nil {
			return list, err
		}
		list = append(list, b)
	}
	return list, nil
}

func (c BenchConfig) baseline(ctx context.Context, size int) (BaselineResult, error) {
	m, err := Generate(c.Dir+"/baseline-"+strconv.Itoa(size), Options{Validators: c.Validators})
	if err != nil {
		return BaselineResult{}, err
	}
	window := max(min(windowBytes/size, baselineWindow)/c.Validators, 100)
	var (
		cmds []*exec.Cmd
		outs []*strings.Builder
	)
	for _, v := range m.Validators {
		cmd := exec.CommandContext(ctx, c.binary(), "bench", "baseline", "--home", m.Dir, "--validator", v.Name,
			"--for", min(c.For, baselineFor).String(), "--tx-bytes", strconv.Itoa(size), "--window", strconv.Itoa(window))
		out := &strings.Builder{}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			return BaselineResult{}, fmt.Errorf("testnet: start baseline: %w", err)
		}
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	return gather(cmds, outs)
}

// gather waits for all nodes; the result is the first node's.
func gather(cmds []*exec.Cmd, outs []*strings.Builder) (b BaselineResult, err error) {
	for i, cmd := range cmds {
		if waitErr := cmd.Wait(); waitErr != nil && err == nil {
			err = fmt.Errorf("testnet: baseline: %w", waitErr)
		}
		b.CPUSeconds += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		if i == 0 && err == nil {
			err = json.Unmarshal([]byte(outs[0].String()), &b.Result)
		}
	}
	return b, err
}
