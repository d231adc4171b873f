package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/node"
	"mtmledger/testnet"
	"mtmledger/testnet/baseline"
	"mtmledger/testnet/load"
)

func newBench() *cobra.Command {
	var (
		c      testnet.BenchConfig
		rate   string
		asJSON bool
		keep   bool
	)
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure the ledger's speed on this machine",
		Long: `Runs validators, a bridge and a load generator as processes of their own, measures
from a device's publishing to the ledger's acknowledgement, then measures plain
CometBFT with a trivial application for comparison. The generator shares the
machine; its processor time is reported apart. It checks no signature of an
acknowledgement, and signs statements beforehand unless --presign=false.`,
		Example: `  mtm bench --validators 4 --readings-per-statement 100 --streams 100 --rate max --for 20s --json
  mtm bench --rate 5000 --for 10s`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Rate, err = parseRate(rate); err != nil {
				return err
			}
			if c.For < time.Second {
				return usagef("--for must be at least 1s")
			}
			if c.Dir == "" {
				if c.Dir, err = os.MkdirTemp("", "mtm-bench-"); err != nil {
					return err
				}
				if !keep {
					defer os.RemoveAll(c.Dir)
				}
			}
			c.Progress = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			r, err := testnet.Bench(cmd.Context(), c)
			if err != nil {
				return err
			}
			return report(cmd, asJSON, r, benchLines(r)...)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Validators, "validators", 1, "number of validators")
	f.IntVar(&c.Count, "readings-per-statement", 1, "readings in each statement")
	f.IntVar(&c.Streams, "streams", 50, "number of streams")
	f.IntVar(&c.Devices, "devices", 0, "number of devices, a connection each (default: one a stream, at most 50)")
	f.IntVar(&c.Bytes, "reading-bytes", 40, "size of a reading")
	f.StringVar(&rate, "rate", "max", "readings a second, or max")
	f.DurationVar(&c.For, "for", 20*time.Second, "how long to measure")
	f.DurationVar(&c.Warm, "warm", 3*time.Second, "how long to send before measuring")
	f.IntVar(&c.Window, "window", 0, "statements under way (default: about 8 MiB of them)")
	f.BoolVar(&c.Presign, "presign", true, "sign statements before measuring")
	f.BoolVar(&c.Baseline, "baseline", true, "also measure CometBFT with a trivial application")
	f.StringVar(&c.Dir, "home", "", "folder for all homes (default: a temporary one)")
	f.BoolVar(&keep, "keep", false, "keep the temporary folder")
	jsonFlag(cmd, &asJSON)
	cmd.AddCommand(newBenchLoad(), newBenchBaseline(), newBenchShow())
	return cmd
}

func parseRate(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	rate, err := strconv.ParseFloat(s, 64)
	if err != nil || !(rate > 0) {
		return 0, usagef("--rate %q: want max or readings a second", s)
	}
	return rate, nil
}

func benchLines(r testnet.BenchResult) []string {
	lines := []string{
		fmt.Sprintf("%d validator(s), %d streams, %d reading(s) of %d bytes a statement, rate %v, %d CPUs",
			r.Validators, r.Streams, r.Count, r.Bytes, r.Rate, r.Machine.CPUs),
		fmt.Sprintf("committed     %.0f readings/s = %.0f statements/s = %.0f tx/s in %.1f blocks/s",
			r.ReadingsPerSec, r.StatementsPerSec, r.TxPerSec, r.BlocksPerSec),
		fmt.Sprintf("latency       %.0f ms median, %.0f ms at 99 %% (device to acknowledgement)", r.LatencyP50, r.LatencyP99),
		fmt.Sprintf("CPU seconds   validators %.1f, bridge %.1f, load %.1f in %.1f s", r.CPU.Validators, r.CPU.Bridge, r.CPU.Load, r.CPU.Seconds),
		fmt.Sprintf("memory MiB    validator %.0f, bridge %.0f, load %.0f", r.RSS.Validator, r.RSS.Bridge, r.RSS.Load),
		fmt.Sprintf("disk          %.0f bytes a reading on a validator", r.DiskBytesReading),
	}
	for _, b := range r.Baseline {
		lines = append(lines, fmt.Sprintf("baseline      %.0f tx/s of %d bytes (%.1f MB/s), %.0f ms median", b.PerSecond, b.TxBytes, b.MBPerSecond, b.LatencyP50))
	}
	return lines
}

// newBenchShow prints a kept result for people.
func newBenchShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Print a result that was written with --json", Hidden: true,
		Example: "  mtm bench show result.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var r testnet.BenchResult
			if err := json.Unmarshal(b, &r); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return report(cmd, false, r, benchLines(r)...)
		},
	}
}

// newBenchLoad is the load generator, a process of its own.
func newBenchLoad() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "load", Short: "Send load by a plan file", Hidden: true,
		Example: "  mtm bench load --plan load.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			var p load.Plan
			if err := json.Unmarshal(b, &p); err != nil {
				return fmt.Errorf("plan %s: %w", file, err)
			}
			r, err := load.Run(cmd.Context(), p, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		},
	}
	cmd.Flags().StringVar(&file, "plan", "load.json", "the plan")
	return cmd
}

// newBenchBaseline is one node of the baseline, a process of its own.
func newBenchBaseline() *cobra.Command {
	var (
		home, name string
		c          baseline.Config
	)
	cmd := &cobra.Command{
		Use: "baseline", Short: "Run one node of the baseline", Hidden: true,
		Example: "  mtm bench baseline --home fresh --validator 0 --for 5s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(home)
			if err != nil {
				return err
			}
			v, err := m.Validator(name)
			if err != nil {
				return err
			}
			for i := range m.Validators {
				if &m.Validators[i] == v {
					c.Feeder = uint32(i)
				}
			}
			if c.Node, err = node.LoadConfig(m.Path(v.Home)); err != nil {
				return err
			}
			r, err := baseline.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		},
	}
	homeFlag(cmd, &home)
	cmd.Flags().StringVar(&name, "validator", "0", "name of the validator")
	cmd.Flags().DurationVar(&c.For, "for", 5*time.Second, "how long to measure")
	cmd.Flags().DurationVar(&c.Warm, "warm", 2*time.Second, "how long to feed before measuring")
	cmd.Flags().IntVar(&c.TxBytes, "tx-bytes", 250, "size of a transaction")
	cmd.Flags().IntVar(&c.Window, "window", 10_000, "transactions under way")
	return cmd
}
