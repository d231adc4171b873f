package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/testnet"
)

func newInit() *cobra.Command {
	var (
		home, mqtt string
		o          testnet.Options
		remote     remoteKey
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use: "init", Short: "Make a new ledger: keys, genesis, trust root",
		Long: `Makes a folder with everything a new ledger starts from: the key of its first
organisation, its validators with one genesis, a bridge, and the trust root that
certificates are checked against. Nothing is started.`,
		Example: `  mtm init --home ledger --chain plant-7 --organisation "Plant 7"
  mtm validator run --home ledger
  mtm init --home ledger --signer-key KEY --signer-listen unix:///run/mtm/signer.sock`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.MQTT = mqtt
			if err := remote.into(&o.Node); err != nil {
				return err
			}
			m, err := testnet.Generate(home, o)
			if errors.Is(err, testnet.ErrExists) {
				return withHint(err, "another --home; to run this one: mtm validator run --home %s", home)
			}
			if err != nil {
				return err
			}
			address, lines, err := signerLines(m.Path(m.Validators[0].Home), m.Chain)
			if err != nil {
				return err
			}
			return report(cmd, asJSON, struct {
				*testnet.Manifest
				Home   string `json:"home"`
				Trust  string `json:"trust"`
				Signer string `json:"signer_address,omitempty"`
			}{m, m.Dir, m.TrustPath(), address}, append([]string{
				fmt.Sprintf("ledger %s of %s in %s, %d validator(s)", m.Chain, m.Organisation.Name, home, len(m.Validators)),
				"trust root: " + m.TrustPath(),
				"next: mtm validator run --home " + home + "   and   mtm bridge run --home " + home}, lines...)...)
		},
	}
	homeFlag(cmd, &home)
	remote.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&o.Chain, "chain", "", "chain id (default: mtm- and 8 random characters)")
	cmd.Flags().StringVar(&o.Organisation, "organisation", "demo", "name of the first organisation")
	cmd.Flags().IntVar(&o.Validators, "validators", 1, "number of validators")
	cmd.Flags().StringVar(&mqtt, "mqtt", "", "host:port of the embedded broker (default: a free port on loopback)")
	return cmd
}
