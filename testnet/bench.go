package testnet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/testnet/load"
)

// BenchConfig says what a benchmark measures.
type BenchConfig struct {
	Dir        string // for all homes; must be empty or absent
	Binary     string // the mtm program; default: this one
	Validators int
	Count      int     // readings a statement
	Streams    int     //
	Bytes      int     // of a reading
	Rate       float64 // readings a second; 0: as fast as they are committed
	For        time.Duration
	Warm       time.Duration
	Window     int  // statements under way; 0: about 8 MiB of them
	Devices    int  // connections; 0: one a stream, at most 50
	Presign    bool // sign before measuring
	Baseline   bool // also measure CometBFT with a trivial application
	// Progress is told what is being done, in a line.
	Progress func(string)
}

// BenchResult is what was measured.
type BenchResult struct {
	Machine    Machine `json:"machine"`
	Validators int     `json:"validators"`
	Count      int     `json:"readings_per_statement"`
	Streams    int     `json:"streams"`
	Devices    int     `json:"devices"`
	Bytes      int     `json:"reading_bytes"`
	Rate       any     `json:"rate"` // "max" or readings a second
	Window     int     `json:"window"`

	ReadingsPerSec   float64 `json:"readings_per_s"`
	StatementsPerSec float64 `json:"statements_per_s"`
	TxPerSec         float64 `json:"tx_per_s"`
	BlocksPerSec     float64 `json:"blocks_per_s"`
	LatencyP50       float64 `json:"latency_p50_ms"`
	LatencyP99       float64 `json:"latency_p99_ms"`

	CPU              CPU     `json:"cpu_seconds"` // while measuring
	RSS              RSS     `json:"rss_mib"`     // the most that was seen
	DiskBytesReading float64 `json:"disk_bytes_per_reading"`
	LogGrowth        uint64  `json:"log_growth"` // entries added from the first statement to the end
	Agree            bool    `json:"validators_agree"`

	Load     load.Result      `json:"load"`
	Baseline []BaselineResult `json:"baseline,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPUs int    `json:"cpus"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

// CPU is processor time in seconds, by what used it.
type CPU struct {
	Validators float64 `json:"validators"` // all of them
	Bridge     float64 `json:"bridge"`
	Load       float64 `json:"load"`
	Seconds    float64 `json:"elapsed"`
}

// RSS is resident memory in MiB.
type RSS struct {
	Validator float64 `json:"validator"` // the largest
	Bridge    float64 `json:"bridge"`
	Load      float64 `json:"load"`
}

const (
	windowBytes     = 8 << 20   // of statements under way, if no window is given
	maxPresigned    = 512 << 20 // bytes of statements signed before
	maxConns        = 50
	presignPerSec   = 40_000    // statements a second that are signed before at rate max, at most
	presignReadings = 1_000_000 // likewise, readings
)

// plan is the load of a benchmark on a ledger.
func (c *BenchConfig) plan(m *Manifest) (load.Plan, error) {
	if c.Devices == 0 {
		c.Devices = min(c.Streams, maxConns)
	}
	size := 170 + c.Count*(c.Bytes+8)
	if c.Window == 0 {
		c.Window = min(max(windowBytes/size, 100), 20_000)
	}
	key, err := crypto.GenerateKey()
	if err != nil {
		return load.Plan{}, err
	}
	p := load.Plan{
		Chain: m.Chain, MQTT: m.Bridge.MQTT, Seed: [32]byte(key.Public()), Devices: c.Devices, Streams: c.Streams,
		Count: c.Count, Bytes: c.Bytes, Rate: c.Rate, Window: c.Window, Warm: c.Warm, For: c.For,
	}
	if c.Presign {
		perSecond := c.Rate / float64(c.Count)
		if c.Rate == 0 {
			perSecond = min(presignPerSec, presignReadings/float64(c.Count))
		}
		p.Presign = min(int((c.For+c.Warm).Seconds()*perSecond), maxPresigned/size)
	}
	return p, p.Check()
}

// Bench runs a ledger and a load, each as processes of their own, and measures.
func Bench(ctx context.Context, c BenchConfig) (r BenchResult, err error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	m, err := Generate(c.Dir, Options{Validators: c.Validators})
	if err != nil {
		return r, err
	}
	p, err := c.plan(m)
	if err != nil {
		return r, err
	}
	n := &Net{Manifest: m, Binary: c.Binary}
	defer func() { err = errors.Join(err, n.Stop()) }()
	c.Progress(fmt.Sprintf("starting %d validator(s) and a bridge", c.Validators))
	if err := n.StartValidators(ctx); err != nil {
		return r, err
	}
	if err := c.record(ctx, n, p); err != nil {
		return r, err
	}
	r = c.head()
	if err := c.measure(ctx, n, p, &r); err != nil {
		return r, err
	}
	if err := n.Stop(); err != nil {
		return r, err
	}
	if c.Baseline {
		r.Baseline, err = c.baselines(ctx)
	}
	return r, err
}

func (c BenchConfig) head() BenchResult {
	r := BenchResult{
		Machine:    Machine{runtime.NumCPU(), runtime.GOARCH, runtime.Version()},
		Validators: c.Validators, Count: c.Count, Streams: c.Streams, Devices: c.Devices, Bytes: c.Bytes,
		Rate: "max", Window: c.Window,
	}
	if c.Rate > 0 {
		r.Rate = c.Rate
	}
	return r
}

// record enrols the load's devices and starts the bridge.
func (c BenchConfig) record(ctx context.Context, n *Net, p load.Plan) error {
	c.Progress(fmt.Sprintf("enrolling %d devices, opening %d streams", p.Devices, p.Streams))
	node := client.NewRemote(n.Manifest.Validators[0].RPC)
	defer node.Close()
	admin, err := n.Manifest.AdminKey()
	if err != nil {
		return err
	}
	if err := p.Record(ctx, node, admin, n.Manifest.Organisation.ID); err != nil {
		return err
	}
	if _, err := n.StartBridge(); err != nil {
		return err
	}
	return n.Until(ctx, "the bridge listens", func(ctx context.Context) (bool, error) {
		return listens(ctx, n.Manifest.Bridge.MQTT)
	})
}

// measure runs the load and samples around it.
func (c BenchConfig) measure(ctx context.Context, n *Net, p load.Plan, r *BenchResult) error {
	node := client.NewRemote(n.Manifest.Validators[0].RPC)
	defer node.Close()
	before, err := node.Status(ctx)
	if err != nil {
		return err
	}
	home := n.Manifest.Path(n.Manifest.Validators[0].Home)
	diskBefore := folderSize(home)
	c.Progress(fmt.Sprintf("sending %d-reading statements on %d streams for %v", c.Count, c.Streams, c.For))
	s, err := c.runLoad(ctx, n, p, node)
	if err != nil {
		return err
	}
	after, err := node.Status(ctx)
	if err != nil {
		return err
	}
	s.fill(r)
	r.LogGrowth = after.LogSize - before.LogSize
	if readings := r.LogGrowth * uint64(c.Count); readings > 0 {
		r.DiskBytesReading = float64(folderSize(home)-diskBefore) / float64(readings)
	}
	if err := s.blocks(ctx, node, r); err != nil {
		return err
	}
	compared, err := n.Manifest.Compare(ctx)
	r.Agree = compared.Agree
	return err
}

// runLoad runs the generator and takes samples when it begins and ends.
func (c BenchConfig) runLoad(ctx context.Context, n *Net, p load.Plan, node *client.Remote) (*samples, error) {
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	file := n.Manifest.Path("load.json")
	if err := os.WriteFile(file, plan, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, c.binary(), "bench", "load", "--plan", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("testnet: start load: %w", err)
	}
	s := newSamples(n, cmd.Process.Pid)
	stop := s.watch(ctx)
	err = s.follow(ctx, out, node)
	stop()
	return s, errors.Join(err, cmd.Wait())
}

func (c BenchConfig) binary() string {
	if c.Binary != "" {
		return c.Binary
	}
	self, err := os.Executable()
	if err != nil {
		return "mtm"
	}
	return self
}

// follow reads the generator's events and its result.
func (s *samples) follow(ctx context.Context, out io.Reader, node *client.Remote) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	var err error
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "begin":
			s.begin = s.take()
			if s.from, err = askHeight(ctx, node); err != nil {
				return err
			}
		case "end":
			s.end = s.take()
			if s.to, err = askHeight(ctx, node); err != nil {
				return err
			}
		default:
			if err := json.Unmarshal(lines.Bytes(), &s.result); err != nil {
				return fmt.Errorf("testnet: load said %q: %w", line, err)
			}
		}
	}
	return lines.Err()
}

// askHeight asks a node that may be too busy to answer at once.
func askHeight(ctx context.Context, node *client.Remote) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, heightWait)
	defer cancel()
	for {
		height, err := node.Height(ctx)
		if err == nil {
			return height, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("testnet: height while measuring: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// heightWait bounds how long a busy node may take to tell its height.
const heightWait = 10 * time.Second

// folderSize is how many bytes the files below a folder hold.
func folderSize(dir string) int64 {
	var sum int64
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			sum += info.Size()
		}
		return nil // files come and go while a database works
	})
	return sum
}
