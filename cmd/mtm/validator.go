package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"mtmledger/app/node"
	"mtmledger/app/signer"
)

func newValidator() *cobra.Command {
	cmd := group("validator", "A validator: join, run, replace its key; who decides", append(validatorOps(), newValidatorRun(), newSigner())...)
	cmd.Aliases = []string{"node"}
	return cmd
}

func newValidatorRun() *cobra.Command {
	var (
		home, name string
		asJSON     bool
		verbose    bool
	)
	cmd := &cobra.Command{
		Use: "run", Short: "Run a validator until it is interrupted",
		Example: "  mtm validator run --home ledger --validator 0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openHome(home)
			if err != nil {
				return err
			}
			v, err := m.Validator(name)
			if err != nil {
				return err
			}
			cfg, err := node.LoadConfig(m.Path(v.Home))
			if err != nil {
				return err
			}
			n, err := node.Start(cmd.Context(), cfg, logger(cmd, verbose))
			if errors.Is(err, signer.ErrNoSigner) {
				return withHint(err, "mtm validator signer run --chain %s --node %s", m.Chain, signerOf(cfg.Home))
			}
			if errors.Is(err, node.ErrVersion) {
				return withHint(err, "install the version of mtm that the members agreed on, and start this validator again")
			}
			if err != nil {
				return withHint(err, "is this validator running already? mtm status --home %s", home)
			}
			err = report(cmd, asJSON, map[string]string{"validator": v.Name, "chain": m.Chain, "rpc": n.RPCAddress(), "p2p": n.P2PAddress()},
				fmt.Sprintf("validator %s of %s, RPC on %s", v.Name, m.Chain, n.RPCAddress()))
			if err != nil {
				_ = n.Stop()
				return err
			}
			return n.Wait()
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&name, "validator", "0", "name of the validator in the manifest")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log to standard error")
	return cmd
}

// logger logs warnings to standard error, or everything when verbose.
func logger(cmd *cobra.Command, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
}
