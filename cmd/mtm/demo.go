package main

import (
	"time"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
	"mtmledger/mqttbridge"
)

// demoOptions are the flags of `mtm demo`.
type demoOptions struct {
	home     string
	files    []string
	period   time.Duration
	every    time.Duration
	perCount int
	asJSON   bool
	verbose  bool
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the whole way of a reading in one process, and prove one",
		Long: `Starts one validator, an MQTT broker, a bridge and three devices in this process.
The devices report this machine's sensors, or replay files: one line one reading,
one stream a file. In the end it writes a certificate of the last reading, checks
it offline, and says what to try next.

On a terminal it shows what happens. Without --home the ledger is deleted in the
end; the certificate and the trust root stay.`,
		Example: `  mtm demo
  mtm demo --for 20s --json
  mtm demo --home H --replay machine.csv --replay frames.ndjson.gz`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.period < 0 || o.every <= 0 {
				return usagef("--for and --every must be positive")
			}
			if o.perCount < 1 {
				return usagef("--readings-per-statement must be at least 1")
			}
			return runDemo(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.home, "home", "", "keep the ledger in this folder, or go on with the one there (default: a temporary one)")
	f.StringArrayVar(&o.files, "replay", nil, "replay this file instead of the sensors: .csv, .tsv, .ndjson, .jsonl, plain or .gz; may be repeated")
	f.DurationVar(&o.period, "for", 0, "stop after this time (default: when interrupted, or all files are committed)")
	f.DurationVar(&o.every, "every", 250*time.Millisecond, "pause between readings of a sensor")
	f.IntVar(&o.perCount, "readings-per-statement", 100, "most readings in a statement of a replayed file")
	f.BoolVar(&o.verbose, "verbose", false, "log to standard error")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// demoResult is the JSON object of a demo.
type demoResult struct {
	Chain       string            `json:"chain"`
	Committed   uint64            `json:"committed"`  // readings committed by this run
	InLedger    uint64            `json:"in_ledger"`  // readings committed on the demo's streams, ever
	Duplicates  uint64            `json:"duplicates"` // messages that were in the ledger already
	Gaps        uint64            `json:"gaps"`       // open gaps of the demo's streams
	DeadLetters uint64            `json:"dead_letters"`
	Height      uint64            `json:"height"`
	AppHash     string            `json:"app_hash"`
	LogSize     uint64            `json:"log_size"`
	LatencyP50  float64           `json:"latency_p50_ms"` // from signing to the verified acknowledgement
	LatencyP99  float64           `json:"latency_p99_ms"`
	Certificate string            `json:"certificate"`
	Trust       string            `json:"trust"`
	Verified    bool              `json:"verified"` // the certificate, offline, against the trust root
	Home        string            `json:"home,omitempty"`
	Seconds     float64           `json:"seconds"`
	Accounting  mqttbridge.Counts `json:"accounting"` // messages; received is the sum of the others
	Balanced    bool              `json:"balanced"`
	Streams     []demoStream      `json:"streams"`
}

// demoStream is one stream of the result.
type demoStream struct {
	Name   string    `json:"name"`
	ID     crypto.ID `json:"id"`
	Device string    `json:"device"`
	Mark   uint64    `json:"mark"` // greatest number used
	Gaps   uint64    `json:"gaps"`
}
