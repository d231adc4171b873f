package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

func newGrant() *cobra.Command {
	return group("grant", "Permit others to read or to derive from a stream", newGrantGive(), newGrantRevoke())
}

// rights are the names of --right.
var rights = map[string]ledger.Rights{"read": ledger.RightRead, "derive": ledger.RightDerive, "both": ledger.RightReadDerive}

func newGrantGive() *cobra.Command {
	var (
		stream, to, right  string
		from, until, terms string
		g                  ledger.Grant
	)
	cmd := &cobra.Command{
		Use: "give", Short: "Permit an organisation or a device to use readings of a stream",
		Long: `Permits an organisation or a device to use readings that belong to the organisation
that signs. Of a stream that was sold from now on, the seller grants the readings from
before the sale and the buyer those after it, each with --first and --last within its
own part (mtm query parts).

An organisation may give the same one at most 8 grants on a stream that are in force or
may come to be. One that is revoked makes room from the next block on.`,
		Example: `  mtm grant give --home ledger --stream temperature --to "Works B" --right read --first 1 --last 1000 \
      --until 2027-01-01T00:00:00Z --purpose "yearly audit" --terms contract.pdf`,
	}
	f := cmd.Flags()
	f.StringVar(&stream, "stream", "", "name or id of the stream")
	f.StringVar(&to, "to", "", "name or id of the organisation or device that gets the grant")
	f.StringVar(&right, "right", "read", "read, derive (compute readings of another stream), or both")
	f.Uint64Var(&g.First, "first", 1, "first reading")
	f.Uint64Var(&g.Last, "last", 0, "last reading (default: no end)")
	f.StringVar(&from, "from", "", "RFC 3339 time from which on it counts (default: at once)")
	f.StringVar(&until, "until", "", "RFC 3339 time from which on it counts no more (default: no end)")
	f.StringVar(&g.Purpose, "purpose", "", "what it is for, for people")
	f.StringVar(&terms, "terms", "", "file with the agreed terms; its SHA-256 is recorded")
	return operation(cmd, "stream to", func(s *session) (_ ledger.Body, err error) {
		var known bool
		if g.Rights, known = rights[right]; !known {
			return nil, usagef("--right must be read, derive or both")
		}
		if g.From, err = timeFlag("from", from); err != nil {
			return nil, err
		}
		if g.Until, err = timeFlag("until", until); err != nil {
			return nil, err
		}
		if terms != "" {
			b, err := os.ReadFile(terms)
			if err != nil {
				return nil, err
			}
			g.Terms = sha256.Sum256(b)
		}
		if g.Stream, err = s.stream(stream); err != nil {
			return nil, err
		}
		g.Grantee, err = s.principal(to)
		return g, err
	})
}

// timeFlag reads a time in µs, 0 for none.
func timeFlag(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, usagef("--%s: want a time like 2027-01-01T00:00:00Z: %w", flag, err)
	}
	return t.UnixMicro(), nil
}

func newGrantRevoke() *cobra.Command {
	var grant string
	cmd := &cobra.Command{
		Use: "revoke", Short: "End a grant",
		Example: "  mtm grant revoke --home ledger --grant GRANT",
	}
	cmd.Flags().StringVar(&grant, "grant", "", "id of the grant")
	return operation(cmd, "grant", func(*session) (ledger.Body, error) {
		id, err := idFlag("grant", grant)
		return ledger.Revoke{Grant: id}, err
	})
}

func newDelivery() *cobra.Command {
	return group("delivery", "Confirm what was received under a grant", newDeliverySign())
}

func newDeliverySign() *cobra.Command {
	var (
		grant       string
		first, last uint64
	)
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign the receipt of readings",
		Long: `Signs that the readings were received under a grant, as its grantee. The receipt names
the statements that hold the readings by a digest; they are taken from the node and
checked against the trust root first. All of the readings must be there: where numbers are
missing, sign one receipt for what is before them and one for what is after.`,
		Example: `  mtm delivery sign --home ledger --grant GRANT --first 1 --last 100
  mtm delivery sign --home ledger --grant GRANT --first 1 --last 100 --as press-3`,
	}
	f := cmd.Flags()
	f.StringVar(&grant, "grant", "", "id of the grant")
	f.Uint64Var(&first, "first", 0, "first reading")
	f.Uint64Var(&last, "last", 0, "last reading")
	return operation(cmd, "grant first last", func(s *session) (ledger.Body, error) {
		id, err := idFlag("grant", grant)
		if err != nil {
			return nil, err
		}
		digest, err := s.received(id, first, last)
		return ledger.Deliver{Grant: id, First: first, Last: last, Digest: digest}, err
	})
}

// received is the digest of the statements that hold readings of a grant's stream,
// proven to be all of them.
func (s *session) received(grant crypto.ID, first, last uint64) (digest [32]byte, err error) {
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{{Query: proof.RowQuery(record.GrantRow(grant))}}})
	if err != nil {
		return digest, err
	}
	if len(out.Results[0].Rows) == 0 {
		return digest, ledger.CodeUnknownGrant.Err()
	}
	row, err := record.ParseGrant(out.Results[0].Rows[0].Value)
	if err != nil {
		return digest, err
	}
	var digests [][32]byte
	for next := first; next <= last; {
		page, err := s.proven(0, client.AnswerRequest{Cover: &query.RangeRequest{Stream: row.Stream, First: next, Last: last}})
		if err != nil {
			return digest, err
		}
		for _, part := range page.Cover.Parts {
			if part.Entry == nil {
				return digest, withHint(fmt.Errorf("numbers %d to %d of stream %s: %s", part.First, part.Last, row.Stream, part.Kind),
					"sign for readings that are there")
			}
			digests = append(digests, part.Entry.Digest)
		}
		next = page.Cover.Last + 1
	}
	return ledger.DeliveryDigest(digests...), nil
}
