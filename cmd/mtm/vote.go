package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

func newVote() *cobra.Command {
	return group("vote", "Decide together: propose, approve, list, show", newVotePropose(), newVoteApprove(), newVoteList(), newVoteShow())
}

func newVotePropose() *cobra.Command {
	var (
		a    act
		file string
	)
	cmd := &cobra.Command{
		Use: "propose", Short: "Propose an operation that was saved with --save-body",
		Long: `Puts an operation to those who must agree to it, and agrees first. Every command that
records something does the same with --propose.`,
		Example: `  mtm org remove --home a --organisation "Works C" --save-body remove.cbor
  mtm vote propose --home a --body remove.cbor`,
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&file, "body", "", "file with the body of the operation")
	cmd.Flags().DurationVar(&a.expires, "expires", proposalLife, "how long the others may approve it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "body", func(s *session) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			body, err := ledger.ParseBody(b)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return s.proposeBody(cmd, body)
		})
	}
	return cmd
}

func newVoteApprove() *cobra.Command {
	var (
		a        act
		proposal string
	)
	cmd := &cobra.Command{
		Use: "approve", Short: "Agree to a proposal",
		Long: `Agrees to a proposal with one key of an organisation. When enough agree, it is applied
in the same block. An organisation that needs several keys runs this with each (--key).`,
		Example: `  mtm vote show --home b --proposal PROPOSAL
  mtm vote approve --home b --proposal PROPOSAL`,
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&proposal, "proposal", "", "id of the proposal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "proposal", func(s *session) error {
			id, err := idFlag("proposal", proposal)
			if err != nil {
				return err
			}
			return s.record(cmd, ledger.Approve{Proposal: id})
		})
	}
	return cmd
}

// shownProposal is the JSON form of a proposal.
type shownProposal struct {
	Proposal  crypto.ID    `json:"proposal"`
	Operation string       `json:"operation"`
	Body      any          `json:"body"`
	Proposer  crypto.ID    `json:"proposer"`
	Expires   time.Time    `json:"expires"`
	Status    string       `json:"status"` // open, expired or applied
	Decided   uint64       `json:"decided_height,omitempty"`
	Approvals []approvedBy `json:"approvals,omitempty"` // every proposal has some; left out in a list
	AsOf      uint64       `json:"as_of_height"`
}

type approvedBy struct {
	Organisation crypto.ID `json:"organisation"`
	KeyID        string    `json:"key_id"`
	Height       uint64    `json:"height"`
}

func newVoteShow() *cobra.Command {
	var (
		a        act
		proposal string
	)
	cmd := &cobra.Command{
		Use: "show", Short: "Show a proposal and who agreed, proven",
		Example: "  mtm vote show --home b --proposal PROPOSAL --json",
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&proposal, "proposal", "", "id of the proposal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.reading(cmd, "proposal", func(s *session) error {
			id, err := idFlag("proposal", proposal)
			if err != nil {
				return err
			}
			p, err := s.showProposal(id)
			if err != nil {
				return err
			}
			lines := []string{
				fmt.Sprintf("%s by %s: %s at height %d", p.Operation, p.Proposer, p.Status, p.AsOf),
				"  " + compact(p.Body),
			}
			for _, v := range p.Approvals {
				lines = append(lines, fmt.Sprintf("  approved by %s with key %s at height %d", v.Organisation, v.KeyID, v.Height))
			}
			return report(cmd, s.asJSON, p, lines...)
		})
	}
	return cmd
}

func (s *session) showProposal(id crypto.ID) (p shownProposal, err error) {
	lo, hi := record.Range(record.FamilyApproval, id)
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{
		{Query: proof.RowQuery(record.ProposalRow(id))}, {Query: proof.ListQuery(lo, hi)},
	}})
	if err != nil {
		return p, err
	}
	if len(out.Results[0].Rows) == 0 {
		return p, ledger.CodeUnknownProposal.Err()
	}
	row, err := record.ParseProposal(out.Results[0].Rows[0].Value)
	if err != nil {
		return p, err
	}
	if p, err = shown(id, row, out); err != nil {
		return p, err
	}
	for _, r := range out.Results[1].Rows {
		list, err := record.ParseApprovals(r.Value)
		if err != nil {
			return p, err
		}
		for _, v := range list.List {
			p.Approvals = append(p.Approvals, approvedBy{record.ChildOf(r.Key), v.Key.String(), v.Height})
		}
	}
	return p, nil
}

// The statuses of a proposal that are shown.
const (
	statusOpen    = "open"
	statusExpired = "expired"
	statusApplied = "applied"
)

// shown is a proposal in words, as of an answer, without the approvals.
func shown(id crypto.ID, row record.Proposal, out *proof.Answered) (p shownProposal, err error) {
	body, err := ledger.ParseBody(row.Body)
	if err != nil {
		return p, err
	}
	p = shownProposal{
		Proposal: id, Operation: body.Kind().String(), Proposer: row.Proposer, Expires: time.Unix(row.Expires, 0).UTC(),
		Status: statusOpen, Decided: row.Decided, AsOf: out.AsOfHeight,
	}
	switch {
	case row.Status == record.ProposalApplied:
		p.Status = statusApplied
	case row.Expires < int64(out.HeaderTime)/1e6:
		p.Status = statusExpired
	}
	p.Body, err = plain(body)
	return p, err
}

// plain is the body as JSON has it, without the signed messages in it.
func plain(body ledger.Body) (v any, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if fields, ok := v.(map[string]any); ok {
		timesInWords(body, fields)
	}
	return withoutMessages(v), nil
}

// timesInWords writes the times of a grant or a manifest as elsewhere; null is no time.
func timesInWords(body ledger.Body, fields map[string]any) {
	switch body.(type) {
	case ledger.Grant, ledger.Manifest:
	default:
		return
	}
	for _, name := range []string{"From", "Until"} {
		n, ok := fields[name].(json.Number)
		if !ok {
			continue
		}
		micros, err := n.Int64()
		switch {
		case err != nil:
		case micros == 0:
			fields[name] = nil
		default:
			fields[name] = time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
		}
	}
}

func withoutMessages(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "Sign1")
		for k := range v {
			v[k] = withoutMessages(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutMessages(v[i])
		}
	}
	return v
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
