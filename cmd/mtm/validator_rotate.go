package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/node"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

func newValidatorRotate() *cobra.Command {
	var (
		a                act
		name, possession string
		doNow            bool
		remote           remoteKey
	)
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the consensus key of a validator",
		Long: `Makes a new consensus key and records it in place of the old one, with the same power.
It decides two blocks later: then stop the validator, run this with --switch, which
puts the new key in place and keeps the old one beside it, and start the validator.

A key that a signer has, or will have, is made there: --possession is what
mtm validator signer possession printed, and --switch wants --signer-key and
--signer-listen.`,
		Example: `  mtm validator rotate --home d
  mtm validator rotate --home d --switch      # while the validator is stopped
  mtm validator rotate --home d --possession PROOF
  mtm validator rotate --home d --switch --signer-key KEY --signer-listen noise://PEER-ID@192.0.2.7:26659`,
	}
	a.flags(cmd)
	a.proposeFlags(cmd)
	cmd.Flags().StringVar(&name, "validator", "0", "name of the validator in the manifest")
	cmd.Flags().BoolVar(&doNow, "switch", false, "put the recorded key in place; the validator must be stopped")
	cmd.Flags().StringVar(&possession, "possession", "", "proof that a signer has the new key; none is made here")
	remote.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if doNow {
			return switchValidator(cmd, &a, name, remote)
		}
		return a.session(cmd, "", func(s *session) error {
			if s.m == nil {
				return usagef("--home must hold the validator")
			}
			v, err := s.m.Validator(name)
			if err != nil {
				return err
			}
			p, err := s.nextKey(s.m.Path(v.Home), possession)
			if err != nil {
				return err
			}
			body := ledger.RotateValidator{Old: v.Key, New: p.Key, Possession: p}
			return s.put(cmd, body, func() error { return s.record(cmd, body) })
		})
	}
	return cmd
}

// nextKey proves possession of the key that will replace that of a home: the home's own
// next one, or with a proof that of a signer.
func (s *session) nextKey(home, proof string) (*ledger.Possession, error) {
	if proof != "" {
		return possessionFlag(proof)
	}
	next, err := node.NextKey(home)
	if errors.Is(err, node.ErrRemoteKey) {
		return nil, withHint(err, "mtm validator signer possession, where the signer with the next key is, and --possession here")
	}
	if err != nil {
		return nil, err
	}
	return ledger.SignPossession(next, s.chain, s.actor)
}

func switchValidator(cmd *cobra.Command, a *act, name string, remote remoteKey) error {
	m, err := openHome(a.home)
	if err != nil {
		return err
	}
	v, err := m.Validator(name)
	if err != nil {
		return err
	}
	var signer node.Config
	if err := remote.into(&signer); err != nil {
		return err
	}
	if c := reachable(cmd.Context(), m); c != nil {
		c.Close()
		return withHint(fmt.Errorf("a validator of %s runs", m.Dir), "stop it first")
	}
	if err := switchKey(m, v, signer); err != nil {
		return err
	}
	if v, err = m.Rekeyed(name); err != nil {
		return err
	}
	address, lines, err := signerLines(m.Path(v.Home), m.Chain)
	if err != nil {
		return err
	}
	shown := map[string]any{"validator": v.Name, "key": v.Key}
	if address != "" {
		shown["signer_address"] = address
	}
	return report(cmd, a.asJSON, shown,
		append([]string{fmt.Sprintf("validator %s signs with %s from its next start on", v.Name, v.Key)}, lines...)...)
}

func switchKey(m *testnet.Manifest, v *testnet.Validator, signer node.Config) error {
	if signer.SignerListen != "" {
		return node.UseSigner(m.Path(v.Home), signer.SignerListen, signer.SignerKey)
	}
	if _, err := node.SwitchKey(m.Path(v.Home)); err != nil {
		return withHint(err, "mtm validator rotate --home %s", m.Dir)
	}
	return nil
}
