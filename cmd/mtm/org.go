package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

func newOrg() *cobra.Command {
	cmd := group("org", "Members: admit, remove, change their keys, show", newOrgAdmit(), newOrgRemove(), newOrgAdmins(),
		newDescribe("organisation", `mtm org describe --home ledger --organisation "Works A" --set site=Aarhus`), newOrgShow())
	cmd.Aliases = []string{"organisation"}
	return cmd
}

// joinRequest is the file by which an organisation asks to be admitted; mtm validator
// init writes it.
type joinRequest struct {
	Name       string             `json:"name"`
	Keys       []crypto.PublicKey `json:"admin_keys"`
	Threshold  uint64             `json:"threshold"`
	Possession []byte             `json:"possession"` // of the first key, base64
	Validator  *crypto.PublicKey  `json:"validator_key,omitempty"`
}

const maxRequestFile = 64 << 10

func readJoinRequest(file string) (q joinRequest, err error) {
	b, err := readAtMost(file, maxRequestFile)
	if err != nil {
		return q, err
	}
	if err := json.Unmarshal(b, &q); err != nil {
		return q, fmt.Errorf("%s: %w", file, err)
	}
	return q, nil
}

// requestOf is the request of the organisation of a folder.
func requestOf(m *testnet.Manifest) (q joinRequest, err error) {
	key, err := m.AdminKey()
	if err != nil {
		return q, err
	}
	p, err := ledger.SignPossession(key, m.Chain, m.Organisation.ID)
	if err != nil {
		return q, err
	}
	q = joinRequest{Name: m.Organisation.Name, Keys: []crypto.PublicKey{key.Public()}, Threshold: 1, Possession: p.Bytes()}
	if len(m.Validators) > 0 {
		q.Validator = &m.Validators[0].Key
	}
	return q, nil
}

func newOrgAdmit() *cobra.Command {
	var request string
	cmd := &cobra.Command{
		Use: "admit", Short: "Make an organisation a member, by vote",
		Long: `Proposes to admit the organisation of a request, a file that it made with its own key
(mtm validator init) and gave to a member.`,
		Example: `  mtm org admit --home a --request d/request.json --propose
  mtm vote approve --home b --proposal PROPOSAL`,
	}
	cmd.Flags().StringVar(&request, "request", "", "file with the request of the organisation")
	return operation(cmd, "request", func(*session) (ledger.Body, error) {
		q, err := readJoinRequest(request)
		if err != nil {
			return nil, err
		}
		p, err := ledger.ParsePossession(q.Possession)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", request, err)
		}
		if len(q.Keys) == 0 || !p.Verify() {
			return nil, fmt.Errorf("%s: %w", request, ledger.CodeBadPossession.Err())
		}
		return ledger.Admit{Name: q.Name, Keys: q.Keys, Threshold: q.Threshold, Possession: p}, nil
	})
}

func newOrgRemove() *cobra.Command {
	var organisation string
	cmd := &cobra.Command{
		Use: "remove", Short: "End an organisation's membership for ever, by vote",
		Long: `Ends an organisation's membership for ever, by vote. Nothing of it acts any more; its
validators lose their power (not_live where that is a third or more: lower it first,
mtm validator add). Its devices and streams stay its, until the members, by vote,
transfer, retire or close them; likewise its grants and keys: mtm device transfer,
device retire, device compromise, stream transfer, stream close, grant revoke, each
with --propose.`,
		Example: `  mtm org remove --home a --organisation "Works C" --propose`,
	}
	cmd.Flags().StringVar(&organisation, "organisation", "", "name or id of the organisation")
	return operation(cmd, "organisation", func(s *session) (ledger.Body, error) {
		id, err := s.organisation(organisation)
		return ledger.Remove{Organisation: id}, err
	})
}

func newOrgAdmins() *cobra.Command {
	var (
		keys      []string
		threshold uint64
	)
	cmd := &cobra.Command{
		Use: "admins", Short: "Replace the organisation's admin keys",
		Long: `Replaces the admin keys of the organisation that signs, by its present keys and
threshold. Name every key that is to be there afterwards, and how many of them must
sign an operation.`,
		Example: "  mtm org admins --home ledger --admin KEY1 --admin KEY2 --admin KEY3 --threshold 2",
	}
	cmd.Flags().StringArrayVar(&keys, "admin", nil, "public key in base64; give it once for each")
	cmd.Flags().Uint64Var(&threshold, "threshold", 1, "how many of the keys must sign")
	return operation(cmd, "admin", func(*session) (ledger.Body, error) {
		body := ledger.SetAdmins{Threshold: threshold}
		for _, text := range keys {
			key, err := publicKeyFlag("admin", text)
			if err != nil {
				return nil, err
			}
			body.Keys = append(body.Keys, key)
		}
		return body, nil
	})
}

// shownOrganisation is the JSON form of an organisation.
type shownOrganisation struct {
	Organisation crypto.ID  `json:"organisation"`
	Name         string     `json:"name"`
	Threshold    uint64     `json:"threshold"`
	Status       string     `json:"status"`
	Member       bool       `json:"member"`
	Admins       []adminKey `json:"admin_keys"`
	AsOf         uint64     `json:"as_of_height"`
}

type adminKey struct {
	KeyID string           `json:"key_id"`
	Key   crypto.PublicKey `json:"key"`
}

func newOrgShow() *cobra.Command {
	var (
		a            act
		organisation string
		height       uint64
	)
	cmd := &cobra.Command{
		Use: "show", Short: "Show the members, or one organisation, proven",
		Example: `  mtm org show --home ledger
  mtm org show --home ledger --organisation "Works A" --height 1 --json`,
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&organisation, "organisation", "", "name or id of one organisation (default: all members)")
	cmd.Flags().Uint64Var(&height, "height", 0, "as it was at this height (default: now)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.reading(cmd, "", func(s *session) error {
			members, asOf, err := s.members(height)
			if err != nil {
				return err
			}
			ids := members.Organisations
			if organisation != "" {
				id, err := s.organisation(organisation)
				if err != nil {
					return err
				}
				ids = []crypto.ID{id}
			}
			list, err := s.showOrganisations(ids, members, height, asOf)
			if err != nil {
				return err
			}
			var lines []string
			for _, o := range list {
				lines = append(lines, fmt.Sprintf("%s  %-24s member %-5v  %s  %d of %d keys sign", o.Organisation, o.Name, o.Member, o.Status, o.Threshold, len(o.Admins)))
			}
			return report(cmd, s.asJSON, list, lines...)
		})
	}
	return cmd
}

// members returns the members at a height, 0 for now.
func (s *session) members(height uint64) (v record.Members, asOf uint64, err error) {
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{
		{Query: proof.AtQuery(record.FamilyMembers, crypto.ID{}, height)}}})
	if err != nil {
		return v, 0, err
	}
	if len(out.Results[0].Rows) == 0 {
		return v, out.AsOfHeight, nil
	}
	v, err = record.ParseMembers(out.Results[0].Rows[0].Value)
	return v, out.AsOfHeight, err
}

func (s *session) showOrganisations(ids []crypto.ID, members record.Members, height, asOf uint64) ([]shownOrganisation, error) {
	list := []shownOrganisation{}
	for _, id := range ids {
		out, err := s.proven(asOf, client.AnswerRequest{Questions: []client.Question{
			{Query: proof.AtQuery(record.FamilyOrganisation, id, height)}, {Query: proof.AtQuery(record.FamilyAdmins, id, height)}}})
		if err != nil {
			return nil, err
		}
		if len(out.Results[0].Rows) == 0 {
			return nil, ledger.CodeUnknownOrganisation.Err()
		}
		row, err := record.ParseOrganisation(out.Results[0].Rows[0].Value)
		if err != nil {
			return nil, err
		}
		o := shownOrganisation{id, row.Name, row.Threshold, row.Status.String(), members.Has(id), []adminKey{}, out.AsOfHeight}
		for _, r := range out.Results[1].Rows {
			admins, err := record.ParseAdmins(r.Value)
			if err != nil {
				return nil, err
			}
			for _, kid := range admins.Keys {
				info, err := s.c.KeyInfo(s.ctx, id, kid)
				if err != nil {
					return nil, err
				}
				if info.Key.KeyID() != kid {
					return nil, fmt.Errorf("the node gave another key than %s", kid)
				}
				o.Admins = append(o.Admins, adminKey{kid.String(), info.Key})
			}
		}
		list = append(list, o)
	}
	return list, nil
}

// writeJSON writes a file with one JSON object.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'))
}
