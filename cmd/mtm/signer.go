package main

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/node"
	"mtmledger/app/signer"
	"mtmledger/internal/disk"
)

func newSigner() *cobra.Command {
	return group("signer", "Keep a validator's key in a process or on a machine of its own", newSignerInit(), newSignerRun(), newSignerPossession())
}

func newSignerInit() *cobra.Command {
	var (
		dir    string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "init", Short: "Make a signer's folder with the consensus key of a validator",
		Long: `Makes the consensus key of a validator and the signer's own identity, and prints their
public parts for mtm init or mtm validator init. What is there already is kept, so it
shows them again. Never copy the folder: two signers with one key sign against each
other, and the ledger records that as evidence.`,
		Example: `  mtm validator signer init --signer signer
  mtm validator init --home d --organisation "Works D" --genesis genesis.json --peers ID@HOST:PORT \
      --signer-key KEY --signer-listen noise://PEER-ID@192.0.2.7:26659`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := signer.Init(dir)
			if err != nil {
				return folderHint(err)
			}
			defer f.Close()
			return report(cmd, asJSON, map[string]any{"signer": dir, "key": f.Key, "peer_id": f.PeerID},
				"key "+f.Key.String(), "peer id "+f.PeerID,
				"next, where the node is: mtm validator init ... --signer-key "+f.Key.String()+" --signer-listen noise://"+f.PeerID+"@IP:PORT")
		},
	}
	signerFlag(cmd, &dir)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func newSignerRun() *cobra.Command {
	var (
		dir, address, chain string
		asJSON, verbose     bool
	)
	cmd := &cobra.Command{
		Use: "run", Short: "Sign for a node until interrupted",
		Long: `Dials the node of a validator and signs its votes and proposals, never two different
ones for one height and round. While the node is away it dials again, for ever.
mtm validator init prints the node's address for --node.`,
		Example: `  mtm validator signer run --signer signer --chain plant-7 --node noise://NODE-PEER-ID@192.0.2.7:26659
  mtm validator signer run --signer signer --chain plant-7 --node unix:///run/mtm/signer.sock`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" || chain == "" {
				return usagef("--node and --chain are required")
			}
			if err := signer.CheckAddress(address); err != nil {
				return usagef("--node: %w", err)
			}
			f, err := signer.Open(dir)
			if err != nil {
				return folderHint(err)
			}
			defer f.Close()
			err = report(cmd, asJSON, map[string]any{"signer": dir, "key": f.Key, "peer_id": f.PeerID, "chain": chain, "node": address},
				fmt.Sprintf("signer of %s for %s, node %s", f.Key, chain, address))
			if err != nil {
				return err
			}
			return f.Run(cmd.Context(), chain, address, logger(cmd, verbose))
		},
	}
	signerFlag(cmd, &dir)
	jsonFlag(cmd, &asJSON)
	f := cmd.Flags()
	f.StringVar(&address, "node", "", "unix:///PATH or noise://NODE-PEER-ID@IP:PORT of the node")
	f.StringVar(&chain, "chain", "", "chain id of the ledger")
	f.BoolVar(&verbose, "verbose", false, "log everything to standard error")
	return cmd
}

func newSignerPossession() *cobra.Command {
	var (
		dir, chain, organisation string
		asJSON                   bool
	)
	cmd := &cobra.Command{
		Use: "possession", Short: "Prove that a signer has its key, for mtm validator rotate",
		Example: `  mtm validator signer possession --signer next --chain plant-7 --organisation ORGANISATION-ID
  mtm validator rotate --home d --possession PROOF`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if chain == "" || organisation == "" {
				return usagef("--chain and --organisation are required")
			}
			id, err := idFlag("organisation", organisation)
			if err != nil {
				return err
			}
			f, err := signer.Open(dir)
			if err != nil {
				return folderHint(err)
			}
			defer f.Close()
			p, err := f.Possession(chain, id)
			if err != nil {
				return err
			}
			text := base64.StdEncoding.EncodeToString(p.Bytes())
			return report(cmd, asJSON, map[string]any{"key": f.Key, "organisation": id, "possession": text}, text)
		},
	}
	signerFlag(cmd, &dir)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&chain, "chain", "", "chain id of the ledger")
	cmd.Flags().StringVar(&organisation, "organisation", "", "id of the organisation whose validator it is")
	return cmd
}

func signerFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "signer", "mtm-signer", "folder of the signer")
}

func folderHint(err error) error {
	if errors.Is(err, disk.ErrLocked) {
		return withHint(err, "a signer runs on this folder already")
	}
	return withHint(err, "mtm validator signer init")
}

// remoteKey are the flags of a validator whose key is with a signer.
type remoteKey struct{ listen, key string }

func (r *remoteKey) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.key, "signer-key", "", "consensus key that a signer has (mtm validator signer init); none is made here")
	cmd.Flags().StringVar(&r.listen, "signer-listen", "", "where the signer dials in: unix:///PATH or noise://SIGNER-PEER-ID@IP:PORT")
}

// into sets the flags in a node's configuration.
func (r *remoteKey) into(c *node.Config) (err error) {
	if r.listen == "" && r.key == "" {
		return nil
	}
	if r.listen == "" || r.key == "" {
		return usagef("--signer-key and --signer-listen go together")
	}
	if err := signer.CheckAddress(r.listen); err != nil {
		return usagef("--signer-listen: %w", err)
	}
	c.SignerListen = r.listen
	c.SignerKey, err = publicKeyFlag("signer-key", r.key)
	return err
}

// signerOf is what the signer of a home dials, as far as is known.
func signerOf(home string) string {
	address, err := node.SignerAddress(home)
	if err != nil {
		return "ADDRESS"
	}
	return address
}

// signerLines tell how to start the signer of a home, if it has one.
func signerLines(home, chain string) (address string, lines []string, err error) {
	if address, err = node.SignerAddress(home); err != nil || address == "" {
		return address, nil, err
	}
	return address, []string{"signer: mtm validator signer run --chain " + chain + " --node " + address}, nil
}
