package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/ledger"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	defaultHome = "mtm-home"
)

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	if try := advice(err); try != "" && !strings.HasSuffix(err.Error(), try) {
		fmt.Fprintf(stderr, "try: %s\n", try)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "see: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mtm",
		Short: "A ledger of what machines signed, whose it is, and proofs of it",
		Long: `mtm runs and uses MTM Ledger: machines sign what they measure, a consortium that
trusts no single member keeps one ledger of it, and anyone can check it offline
with one small file.

Start here:  mtm demo`,
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	root.AddCommand(
		newDemo(), newInit(), newValidator(), newBridge(), newDevice(), newManifest(), newEnrol(), newStream(),
		newProve(), newQuery(), newVerify(), newExport(), newStatus(), newOrg(), newGrant(), newDelivery(),
		newVote(), newParameters(), newEvidence(), newTestnet(), newBench(), newVersion(),
	)
	usageArgs(root)
	return root
}

// usageArgs makes every complaint about arguments a usage error.
func usageArgs(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w", err)
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		usageArgs(sub)
	}
}

// group makes a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return usagef("say what to do: %s", names(cmd)) },
	}
	cmd.AddCommand(subs...)
	return cmd
}

func names(cmd *cobra.Command) string {
	var list []string
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			list = append(list, sub.Name())
		}
	}
	return strings.Join(list, ", ")
}

// usageError is an error in how the command was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// hint is an error with what to try next.
type hint struct {
	err error
	try string
}

func (e *hint) Error() string { return e.err.Error() }
func (e *hint) Unwrap() error { return e.err }

func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hint{err, fmt.Sprintf(format, args...)}
}

// advice says what to try after err: the command's own hint, or the advice of
// the ledger's code.
func advice(err error) string {
	var h *hint
	if errors.As(err, &h) {
		return h.try
	}
	var refusal *ledger.Error
	if errors.As(err, &refusal) {
		return refusal.Code.Advice()
	}
	return ""
}

// homeFlag adds --home.
func homeFlag(cmd *cobra.Command, home *string) {
	def := os.Getenv("MTM_HOME")
	if def == "" {
		def = defaultHome
	}
	cmd.Flags().StringVar(home, "home", def, "folder of the ledger; $MTM_HOME sets the default")
}

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "json", false, "print one JSON object on standard output")
}
