package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/ledger/proof"
)

// staleAfter is how old the header of an answer may be before a command warns that was
// not told by --max-age. An idle ledger makes a block every half minute.
const staleAfter = 10 * time.Minute

// freshFlags say how recent a proven state must be.
type freshFlags struct {
	minHeight uint64
	maxAge    time.Duration
	now       string // mtm verify's
}

func (f *freshFlags) flags(cmd *cobra.Command) {
	cmd.Flags().Uint64Var(&f.minHeight, "min-height", 0, "refuse what is as of a lower height")
	cmd.Flags().DurationVar(&f.maxAge, "max-age", 0, "refuse what was signed longer ago, like 24h")
}

func (f *freshFlags) demand(cmd *cobra.Command) (proof.Freshness, error) {
	out := proof.Freshness{}
	if cmd.Flags().Changed("max-age") {
		at := time.Now()
		if f.now != "" {
			var err error
			if at, err = time.Parse(time.RFC3339, f.now); err != nil {
				return out, usagef("--now: want a time like 2027-01-01T00:00:00Z: %w", err)
			}
		}
		if f.maxAge <= 0 {
			return out, usagef("--max-age must be above 0, like 24h")
		}
		out = proof.NotOlder(f.maxAge, at)
	} else if f.now != "" {
		return out, usagef("--now goes with --max-age")
	}
	out.MinHeight = f.minHeight
	return out, nil
}

// recency is how recent the states must be that a node's answers prove: what was true
// once is proven for ever, so a node may answer with what is long past.
type recency struct {
	freshFlags
	demanded proof.Freshness
	warn     io.Writer // for one warning; nil: none, or there was one
	remedy   string    // in the warning: the flags that refuse, if there are some
}

// begin reads the flags.
func (r *recency) begin(cmd *cobra.Command) (err error) {
	r.demanded, err = r.demand(cmd)
	if r.demanded.NotBefore == 0 {
		r.warn = cmd.ErrOrStderr()
	}
	if cmd.Flags().Lookup("max-age") != nil {
		r.remedy = "; --max-age and --min-height refuse what is old"
	}
	return err
}

// check refuses what is older than demanded. If no age was demanded, it warns of what is
// old, on standard error.
func (r *recency) check(out *proof.Answered) error {
	if err := r.demanded.Check(out); err != nil {
		return withHint(fmt.Errorf("the node's answer is refused: %w", err), "another --node: this one is behind, or keeps back what came later")
	}
	age := time.Since(time.UnixMicro(int64(out.HeaderTime))).Round(time.Second)
	if r.warn == nil || age <= staleAfter {
		return nil
	}
	_, err := fmt.Fprintf(r.warn, "warning: true as of height %d, signed %v ago: the ledger stands still, or this node is behind or keeps back what came later%s\n",
		out.AsOfHeight, age, r.remedy)
	r.warn = nil
	return err
}
