package testnet_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/testnet"
)

// binary is the mtm program that the tests run.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mtm-testnet-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "mtm")
	if out, err := exec.Command("go", "build", "-o", binary, "mtmledger/cmd/mtm").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// start makes a ledger with a device that has one stream, and starts
// validators and bridge. Everything is stopped when the test ends.
func start(t *testing.T, ctx context.Context, validators int) *testnet.Net {
	t.Helper()
	m, err := testnet.Generate(t.TempDir(), testnet.Options{Validators: validators})
	if err != nil {
		t.Fatal(err)
	}
	n := &testnet.Net{Manifest: m, Binary: binary}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			logs(t, m)
		}
	})
	if err := n.StartValidators(ctx); err != nil {
		t.Fatal(err)
	}
	c := client.NewRemote(m.Validators[0].RPC)
	defer c.Close()
	if _, err := m.Establish(ctx, c, deviceName, streamName); err != nil {
		t.Fatal(err)
	}
	if _, err := n.StartBridge(); err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	deviceName = "press"
	streamName = "log.csv"
	pollEvery  = 20 * time.Millisecond
)

// until polls until a condition holds or ctx ends.
func until(t *testing.T, ctx context.Context, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// height asks a validator for its height; 0 while it does not answer.
func height(ctx context.Context, v testnet.Validator) uint64 {
	c := client.NewRemote(v.RPC)
	defer c.Close()
	h, err := c.Height(ctx)
	if err != nil {
		return 0
	}
	return h
}

// mark asks for the greatest number committed on the test's stream.
func mark(ctx context.Context, m *testnet.Manifest) uint64 {
	_, s, err := m.Stream(streamName)
	if err != nil {
		return 0
	}
	for _, v := range m.Validators {
		c := client.NewRemote(v.RPC)
		info, err := c.Stream(ctx, s.ID)
		c.Close()
		if err == nil {
			return info.Mark
		}
	}
	return 0
}

// lines writes a file of n different lines.
func lines(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("time,value\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "2026-01-01 00:00:00,%d\n", i)
	}
	path := filepath.Join(t.TempDir(), streamName)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mtm runs the program once and returns its standard output.
func mtm(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		return out, fmt.Errorf("mtm %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// logs shows the end of every process's log.
func logs(t *testing.T, m *testnet.Manifest) {
	files, _ := filepath.Glob(m.Path("run", "*.log"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		t.Logf("%s:\n%s", filepath.Base(f), b[max(0, len(b)-3000):])
	}
}
