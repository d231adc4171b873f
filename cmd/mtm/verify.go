package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/ledger/proof"
)

func newVerify() *cobra.Command {
	var (
		trust  string
		asJSON bool
		fresh  freshFlags
	)
	cmd := &cobra.Command{
		Use: "verify FILE...", Short: "Check a certificate, an answer or a lineage offline against a trust root",
		Long: `Checks a certificate (.mtmcert), an answer (.mtmanswer) or a lineage (.mtmlineage) offline: nothing but the file and the trust root is read.
Several files are answers that are the pages of one list or cover, in order: a page that is missing is refused.
What is proven was true as of a height, and an old file is as sound as a new one: --min-height and --max-age refuse what is older.
mtm-verify does the same as a small program of its own.`,
		Example: `  mtm verify reading.mtmcert --trust trust.json
  mtm verify devices.mtmanswer devices.mtmanswer.2 --trust trust.json --max-age 24h`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if trust == "" {
				return usagef("--trust is required: the trust root that you pinned")
			}
			demand, err := fresh.demand(cmd)
			if err != nil {
				return err
			}
			finding, err := verifyFiles(args, trust)
			if err == nil {
				err = demand.Check(finding)
			}
			var refusal *proof.Refusal
			if err != nil && !errors.As(err, &refusal) {
				return err
			}
			if refusal != nil {
				if asJSON {
					if err := report(cmd, true, verdict{Check: refusal.Check, Reason: refusal.Err.Error()}); err != nil {
						return err
					}
				}
				return withHint(fmt.Errorf("refused: %w", refusal), "don't rely on %s; ask for it again, and check that the trust root is this ledger's", strings.Join(args, ", "))
			}
			return report(cmd, asJSON, proof.Accepted(finding), "accepted\n"+finding.String())
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&trust, "trust", "", "file with the trust root (required)")
	fresh.flags(cmd)
	cmd.Flags().StringVar(&fresh.now, "now", "", "time to which --max-age counts, like 2027-01-01T00:00:00Z (default: this computer's clock)")
	return cmd
}

// verdict is the JSON form of a refusal.
type verdict struct {
	Accepted bool        `json:"accepted"`
	Check    proof.Check `json:"check,omitempty"`
	Reason   string      `json:"reason,omitempty"`
}

// verifyFiles verifies files against a trust root file.
func verifyFiles(names []string, trust string) (proof.Proven, error) {
	root, err := readTrust(trust)
	if err != nil {
		return nil, err
	}
	if len(names) > proof.MaxPages {
		return nil, usagef("%d files: at most %d", len(names), proof.MaxPages)
	}
	files := make([][]byte, len(names))
	for i, name := range names {
		if files[i], err = readAtMost(name, proof.MaxFile); err != nil {
			return nil, err
		}
	}
	return proof.VerifyFiles(root, files...)
}

// readTrust reads a trust root file.
func readTrust(name string) (proof.TrustRoot, error) {
	pinned, err := readAtMost(name, proof.MaxTrustRoot)
	if err != nil {
		return proof.TrustRoot{}, err
	}
	root, err := proof.ParseTrustRoot(pinned)
	if err != nil {
		return root, fmt.Errorf("%s: %w", name, err)
	}
	return root, nil
}

// readAtMost reads one byte more than a reader of the format takes, at most.
func readAtMost(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
