// Command mtm-verify checks an MTM Ledger certificate or answer offline.
//
//	mtm-verify FILE --trust ROOT [--json]
//
// It needs the file, a trust root and nothing else: no network, no node.
// It exits with 0 if the file is accepted, 1 if it is refused and 2 if it
// could not be checked. See docs/spec/certificate.md and docs/spec/answer.md.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"mtmledger/ledger/proof"
)

// Exit codes.
const (
	exitAccepted = 0
	exitRefused  = 1
	exitUsage    = 2
)

const usage = `mtm-verify checks an MTM Ledger certificate or answer offline.

Usage:
  mtm-verify FILE --trust ROOT [--json]

FILE is a certificate (.mtmcert) or an answer (.mtmanswer). ROOT is the trust root that you pinned: a JSON
file with the ledger's chain id and a validator set, which you got from someone
you trust, not together with the certificate. With --json the answer is one JSON
object on standard output.

Exit status: 0 accepted, 1 refused (the reason begins with the failing check),
2 the files could not be read or the command line is wrong.

Example:
  mtm-verify reading-17.mtmcert --trust consortium.json
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options is a parsed command line.
type options struct {
	file, trust string
	json        bool
}

var errNoArgument = errors.New("want one FILE and --trust ROOT")

// parse reads the command line; flags may stand before and after FILE.
func parse(args []string) (options, error) {
	var o options
	var files []string
	fs := flag.NewFlagSet("mtm-verify", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.trust, "trust", "", "")
	fs.BoolVar(&o.json, "json", false, "")
	for {
		if err := fs.Parse(args); err != nil {
			return o, err
		}
		if fs.NArg() == 0 {
			break
		}
		files, args = append(files, fs.Arg(0)), fs.Args()[1:]
	}
	if len(files) != 1 || o.trust == "" {
		return o, errNoArgument
	}
	o.file = files[0]
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
	file, root, err := load(o)
	if err != nil {
		fmt.Fprintf(stderr, "mtm-verify: %v\n", err)
		return exitUsage
	}
	finding, err := proof.VerifyAny(file, root)
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

// load reads the certificate and the trust root.
func load(o options) ([]byte, proof.TrustRoot, error) {
	pinned, err := readFile(o.trust, proof.MaxTrustRoot)
	if err != nil {
		return nil, proof.TrustRoot{}, err
	}
	root, err := proof.ParseTrustRoot(pinned)
	if err != nil {
		return nil, root, fmt.Errorf("%s: %w", o.trust, err)
	}
	file, err := readFile(o.file, max(proof.MaxSize, proof.MaxAnswer))
	return file, root, err
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
