package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger/proof"
)

func newProve() *cobra.Command {
	var (
		t           target
		stream, out string
		trust       string
		first, last uint64
		patience    time.Duration
		asJSON      bool
	)
	cmd := &cobra.Command{
		Use: "prove", Short: "Write the certificate of a reading",
		Long: `Writes one file that proves readings of one statement: signed by this device's
key valid then, on this stream, owned by this organisation then, in the log and
committed at this height and time, in a state that more than two thirds of the
validators signed. It is for whoever pinned the ledger's first validators; for a
trust root with later ones give that with --trust.`,
		Example: `  mtm prove --home ledger --stream cpu --number 7 --out reading.mtmcert
  mtm verify reading.mtmcert --trust ledger/trust.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stream == "" || first == 0 {
				return usagef("--stream and --number are required; numbers begin at 1")
			}
			if last == 0 {
				last = first
			}
			m, c, done, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			id, err := resolveStream(m, stream)
			if err != nil {
				return err
			}
			if out == "" {
				out = fmt.Sprintf("%s-%d.mtmcert", id, first)
			}
			q, err := certificateFor(trust, client.RangeRequest{Stream: id, First: first, Last: last})
			if err != nil {
				return err
			}
			p, err := prove(cmd.Context(), c, q, out, patience)
			if err != nil {
				return err
			}
			return report(cmd, asJSON, p, fmt.Sprintf("%s: readings %d to %d of stream %s, %d bytes", out, first, last, id, p.Bytes))
		},
	}
	t.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&stream, "stream", "", "name or id of the stream")
	cmd.Flags().Uint64Var(&first, "number", 0, "number of the reading, from 1")
	cmd.Flags().Uint64Var(&last, "last", 0, "last number of a range within one statement (default: --number)")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: STREAM-NUMBER.mtmcert)")
	cmd.Flags().StringVar(&trust, "trust", "", "trust root of those who will verify it (default: the ledger's first)")
	cmd.Flags().DurationVar(&patience, "wait", 10*time.Second, "how long to wait for the block that signs the reading's state")
	return cmd
}

// certificateFor asks for a certificate for whoever has the trust root of a file, or the
// ledger's first one.
func certificateFor(trust string, r client.RangeRequest) (q client.CertificateRequest, err error) {
	q.RangeRequest = r
	if trust == "" {
		return q, nil
	}
	root, err := readTrust(trust)
	q.From = proof.ValidatorsHash(root.Validators)
	return q, err
}

// proven is the JSON form of a written certificate.
type proven struct {
	Certificate string    `json:"certificate"`
	Stream      crypto.ID `json:"stream"`
	First       uint64    `json:"first"`
	Last        uint64    `json:"last"`
	Bytes       int       `json:"bytes"`
}

// prove fetches a certificate and writes it.
func prove(ctx context.Context, c ledgerClient, q client.CertificateRequest, out string, patience time.Duration) (proven, error) {
	file, err := certificate(ctx, c, q, patience)
	if err != nil {
		return proven{}, fmt.Errorf("reading %d of stream %s: %w", q.First, q.Stream, err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return proven{}, err
	}
	if err := writeFile(out, file); err != nil {
		return proven{}, err
	}
	return proven{out, q.Stream, q.First, q.Last, len(file)}, nil
}
