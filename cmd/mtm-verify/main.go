// Command mtm-verify checks MTM Ledger certificates, answers and lineages offline.
//
//	mtm-verify FILE... --trust ROOT [--min-height H] [--max-age D [--now TIME]] [--json]
//
// It needs the files, a trust root and nothing else: no network, no node.
// It exits with 0 if the file is accepted, 1 if it is refused and 2 if it
// could not be checked. Several files are the pages of one list or cover. See certificate.md, answer.md and lineage.md in docs/spec.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"mtmledger/ledger/proof"
)

// Exit codes.
const (
	exitAccepted = 0
	exitRefused  = 1
	exitUsage    = 2
)

const usage = `mtm-verify checks an MTM Ledger certificate, answer or lineage offline.

Usage:
  mtm-verify FILE... --trust ROOT [--min-height H] [--max-age D [--now TIME]] [--json]

FILE is a certificate (.mtmcert), an answer (.mtmanswer) or a lineage (.mtmlineage).
Several are answers that are the pages of one list or cover, in order: a page that is missing or stands in
another place is refused. What the answer is an answer to is printed with it: compare
that with what you asked. ROOT is the trust root that you pinned: a JSON
file with the ledger's chain id and a validator set, which you got from someone
you trust, not together with the file. With --json the answer is one JSON
object on standard output.

What is proven was true as of a height, and an old file is as sound as a new one.
--min-height refuses what is as of a lower height; --max-age, like 24h, refuses what
was signed longer ago, by this computer's clock or at the time that --now gives
(2027-01-01T00:00:00Z). Of several files the oldest counts.

Exit status: 0 accepted, 1 refused (the reason begins with the failing check),
2 the files could not be read or the command line is wrong.

Example:
  mtm-verify reading-17.mtmcert --trust consortium.json
  mtm-verify devices.mtmanswer devices.mtmanswer.2 --trust consortium.json
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options is a parsed command line.
type options struct {
	files []string
	trust string
	json  bool
	fresh proof.Freshness
}

var (
	errNoArgument = errors.New("want at least one FILE, and --trust ROOT")
	errMaxAge     = errors.New("--max-age must be above 0, like 24h")
	errNow        = errors.New("--now goes with --max-age")
)

// parse reads the command line; flags may stand before and after FILE.
func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("mtm-verify", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.trust, "trust", "", "")
	fs.BoolVar(&o.json, "json", false, "")
	minHeight := fs.Uint64("min-height", 0, "")
	maxAge := fs.Duration("max-age", 0, "")
	now := fs.String("now", "", "")
	for {
		if err := fs.Parse(args); err != nil {
			return o, err
		}
		if fs.NArg() == 0 {
			break
		}
		o.files, args = append(o.files, fs.Arg(0)), fs.Args()[1:]
	}
	if len(o.files) == 0 || o.trust == "" {
		return o, errNoArgument
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case given["max-age"] && *maxAge <= 0:
		return o, errMaxAge
	case given["now"] && !given["max-age"]:
		return o, errNow
	case given["max-age"]:
		at := time.Now()
		if given["now"] {
			var err error
			if at, err = time.Parse(time.RFC3339, *now); err != nil {
				return o, fmt.Errorf("--now: want a time like 2027-01-01T00:00:00Z: %w", err)
			}
		}
		o.fresh = proof.NotOlder(*maxAge, at)
	}
	o.fresh.MinHeight = *minHeight
	return o, nil
}

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitAccepted
	}
	if err != nil {
		fmt.Fprintf(stderr, "mtm-verify: %v\n\n%s", err, usage)
		return exitUsage
	}
	files, root, err := load(o)
	if err != nil {
		fmt.Fprintf(stderr, "mtm-verify: %v\n", err)
		return exitUsage
	}
	finding, err := proof.VerifyFiles(root, files...)
	if err == nil {
		err = o.fresh.Check(finding)
	}
	if o.json {
		return reportJSON(stdout, stderr, finding, err)
	}
	if err != nil {
		fmt.Fprintf(stderr, "refused: %v\n", err)
		return exitRefused
	}
	if _, err := fmt.Fprintf(stdout, "accepted\n%s", finding); err != nil {
		fmt.Fprintf(stderr, "mtm-verify: %v\n", err)
		return exitUsage
	}
	return exitAccepted
}

// load reads the files and the trust root.
func load(o options) ([][]byte, proof.TrustRoot, error) {
	pinned, err := readFile(o.trust, proof.MaxTrustRoot)
	if err != nil {
		return nil, proof.TrustRoot{}, err
	}
	root, err := proof.ParseTrustRoot(pinned)
	if err != nil {
		return nil, root, fmt.Errorf("%s: %w", o.trust, err)
	}
	if len(o.files) > proof.MaxPages {
		return nil, root, fmt.Errorf("%d files: at most %d", len(o.files), proof.MaxPages)
	}
	files := make([][]byte, len(o.files))
	for i, name := range o.files {
		if files[i], err = readFile(name, proof.MaxFile); err != nil {
			return nil, root, err
		}
	}
	return files, root, nil
}

// readFile reads at most one byte more than max, enough for the reader of the
// format to see that it is too long.
func readFile(name string, max int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, max+1))
}

// refused is the JSON form of a refusal.
type refused struct {
	Accepted bool        `json:"accepted"`
	Check    proof.Check `json:"check,omitempty"`  // that failed
	Reason   string      `json:"reason,omitempty"` // why
}

func reportJSON(stdout, stderr io.Writer, proven proof.Proven, refusal error) int {
	var a any = proof.Accepted(proven)
	code := exitAccepted
	if refusal != nil {
		out := refused{Reason: refusal.Error()}
		var r *proof.Refusal
		if errors.As(refusal, &r) {
			out.Check, out.Reason = r.Check, r.Err.Error()
		}
		a, code = out, exitRefused
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		fmt.Fprintf(stderr, "mtm-verify: %v\n", err)
		return exitUsage
	}
	return code
}
