package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// listedProposals is the JSON form of all proposals at one height.
type listedProposals struct {
	AsOf      uint64          `json:"as_of_height"`
	Proposals []shownProposal `json:"proposals"` // by ascending id
	All       int             `json:"all"`       // how many there are, of any status
	Pages     int             `json:"pages"`
	Proof     string          `json:"proof,omitempty"` // file
	Assuming  string          `json:"assumption"`
}

func newVoteList() *cobra.Command {
	var status string
	a := &asking{pin: true} // all pages are about one height
	cmd := &cobra.Command{
		Use: "list", Short: "List all proposals, open and decided, proven complete",
		Long: `Lists every proposal that was ever made: open, expired or applied. The proof says that
none is left out, at the height that is printed; --out keeps it. Who approved one of
them: mtm vote show.`,
		Example: `  mtm vote list --home b
  mtm vote list --home b --status open --json`,
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&status, "status", "", "only those that are open, expired or applied")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch status {
		case "", statusOpen, statusExpired, statusApplied:
		default:
			return usagef("--status must be %s, %s or %s", statusOpen, statusExpired, statusApplied)
		}
		pages, err := a.read(cmd, func(*testnet.Manifest) (client.AnswerRequest, error) {
			return client.AnswerRequest{Questions: []client.Question{every(record.FamilyProposal)(a, crypto.ID{})}}, nil
		})
		if err != nil {
			return err
		}
		list, err := listProposals(pages, status)
		if err != nil {
			return err
		}
		list.Proof = a.out
		return report(cmd, a.json, list, list.lines()...)
	}
	return cmd
}

// listProposals reads the proposals of verified pages, those of a status if it is not
// empty.
func listProposals(pages []*proof.Answered, status string) (list listedProposals, err error) {
	list = listedProposals{AsOf: pages[0].AsOfHeight, Proposals: []shownProposal{}, Pages: len(pages), Assuming: proof.Assumption}
	for _, page := range pages {
		for _, r := range page.Results[0].Rows {
			row, err := record.ParseProposal(r.Value)
			if err != nil {
				return list, err
			}
			p, err := shown(record.IDOf(r.Key), row, page)
			if err != nil {
				return list, err
			}
			list.All++
			if status == "" || p.Status == status {
				list.Proposals = append(list.Proposals, p)
			}
		}
	}
	return list, nil
}

func (l listedProposals) lines() []string {
	lines := []string{fmt.Sprintf("%d of all %d proposals, complete at height %d", len(l.Proposals), l.All, l.AsOf)}
	for _, p := range l.Proposals {
		when := "until " + p.Expires.Format("2006-01-02T15:04:05Z07:00")
		if p.Status == statusApplied {
			when = fmt.Sprintf("at height %d", p.Decided)
		}
		lines = append(lines, fmt.Sprintf("%s  %s %s, %s by %s", p.Proposal, p.Status, when, p.Operation, p.Proposer))
	}
	return lines
}
