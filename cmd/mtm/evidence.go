package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/ledger"
)

func newEvidence() *cobra.Command {
	return group("evidence", "Show what a device did wrong", newEvidenceSubmit())
}

func newEvidenceSubmit() *cobra.Command {
	var one, other string
	cmd := &cobra.Command{
		Use: "submit", Short: "Show two different statements of a device for one number",
		Long: `Records that a device signed two different statements with a number in common. Anyone
may show it; it is recorded once for each key of a device. The files hold the
statements as they were signed.`,
		Example: "  mtm evidence submit --home ledger --statement a.cose --other b.cose",
	}
	cmd.Flags().StringVar(&one, "statement", "", "file with one statement")
	cmd.Flags().StringVar(&other, "other", "", "file with the other")
	return operation(cmd, "statement other", func(*session) (ledger.Body, error) {
		a, err := readStatementFile(one)
		if err != nil {
			return nil, err
		}
		b, err := readStatementFile(other)
		return ledger.Equivocation{A: a, B: b}, err
	})
}

func readStatementFile(name string) (*ledger.Statement, error) {
	b, err := readAtMost(name, ledger.MaxStatement)
	if err != nil {
		return nil, err
	}
	st, err := ledger.ParseStatement(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return st, nil
}
