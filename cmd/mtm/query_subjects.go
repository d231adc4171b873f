package main

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// subject is one thing that can be asked about.
type subject struct {
	use, short, example string
	of                  string // flag that names what it belongs to: org, stream, device, id; "" = none
	at                  bool   // takes --at
	ask                 question
	also                []question // about the same thing; short lists
}

// question makes what is asked about the thing that a command names.
type question func(a *asking, id crypto.ID) client.Question

// children asks for all children of a family, and about each if follow is not 0.
func children(f, follow record.Family, history bool) question {
	return func(a *asking, id crypto.ID) client.Question {
		return client.Question{Query: proof.ListQuery(record.Range(f, id)), Follow: follow, History: history, At: a.at}
	}
}

// every asks for all rows of a family.
func every(f record.Family) question {
	return func(*asking, crypto.ID) client.Question {
		return client.Question{Query: proof.ListQuery(record.FamilyRange(f))}
	}
}

// history asks for all rows of one thing, or with --at for the one in force then.
func history(f record.Family) question {
	return func(a *asking, id crypto.ID) client.Question {
		if a.at != 0 {
			return client.Question{Query: proof.AtQuery(f, id, a.at)}
		}
		return client.Question{Query: proof.ListQuery(record.Range(f, id))}
	}
}

// row asks for one row.
func row(key func(crypto.ID) merkle.Key) question {
	return func(_ *asking, id crypto.ID) client.Question { return client.Question{Query: proof.RowQuery(key(id))} }
}

var subjects = []subject{
	{"organisations", "All organisations, with their history", "", "", false, every(record.FamilyOrganisation), nil},
	{"admins", "The keys that sign for an organisation, with their history", "--org 'Works A'", "org", true, history(record.FamilyAdmins), nil},
	{"members", "Who the members are and were", "--at 40", "", true, history(record.FamilyMembers), nil},
	{"validators", "Validators with organisation and power, and their history", "", "", false, every(record.FamilyValidator), nil},
	{"validator-set", "How large the set of validators is and what was spent of its bounds, with its history", "", "", true, history(record.FamilyValidatorSet), nil},
	{"untried", "Validators that have not signed a block since they got more power, and the power that votes count on", "", "", false, every(record.FamilyUntried), nil},
	{"org-validators", "The validators of an organisation, with their history", "--org 'Works A'", "org", true, children(record.FamilyOrganisationValidator, record.FamilyValidator, true), nil},
	{"misbehaviour", "Validators that signed two things, with their organisation", "", "", false, every(record.FamilyMisbehaviour), nil},
	{"parameters", "The parameters in force, and their history", "", "", true, history(record.FamilyParameters), nil},
	{"devices", "The devices that an organisation has or had", "--org ID", "org", true, children(record.FamilyOrganisationDevice, record.FamilyDevice, true), nil},
	{"manifests", "The manifests that an organisation signed", "--org 'Works A'", "org", false, children(record.FamilyOrganisationManifest, record.FamilyManifest, false), nil},
	{"manifest", "What a manifest says, how long it counts, and whether it was closed", "--id ID", "id", false, row(record.ManifestRow), nil},
	{"listed", "All devices that were enrolled with a manifest, by their places in its list", "--id ID", "id", false, children(record.FamilyListed, 0, false), nil},
	{"streams", "The streams that an organisation owns or owned", "--org ID --at 120", "org", true, children(record.FamilyOrganisationStream, 0, false), nil},
	{"bridges", "The bridges of an organisation", "--org ID", "org", true, children(record.FamilyOrganisationBridge, record.FamilyBridge, true), nil},
	{"keys", "The keys of an organisation, device or bridge, and when they are valid", "--id ID", "id", false, children(record.FamilyKey, 0, false), nil},
	{"device", "Who owned a device when, and the evidence against it", "--device press-3", "device", true, history(record.FamilyDevice), []question{children(record.FamilyEvidence, 0, false)}},
	{"device-streams", "The streams that a device writes", "--device press-3", "device", false, children(record.FamilyDeviceStream, 0, false), nil},
	{"descriptions", "How something was described when", "--id ID", "id", true, history(record.FamilyDescription), nil},
	{"owner", "Who owned a stream when", "--stream cpu --at 120", "stream", true, history(record.FamilyOwner), nil},
	{"parts", "Whose readings are whose, in a stream sold from now on; no row: all are the owner's", "--stream cpu", "stream", true, history(record.FamilyParts), nil},
	{"stream", "A stream's device, mark and number of gaps", "--stream cpu", "stream", false, row(record.StreamRow), nil},
	{"closed", "Whether a stream is closed, since when and by whom", "--stream cpu", "stream", false, row(record.ClosedRow), nil},
	{"gaps", "Exactly which numbers below the mark are missing", "--stream cpu", "stream", false, children(record.FamilyGap, 0, false), nil},
	{"grants", "All grants that were ever given on a stream", "--stream cpu", "stream", false, children(record.FamilyStreamGrant, record.FamilyGrant, false), nil},
	{"granted", "All grants that an organisation or device was ever given", "--id ID", "id", false, children(record.FamilyGranteeGrant, record.FamilyGrant, false), nil},
	{"deliveries", "The deliveries of a stream's readings", "--stream cpu", "stream", false, children(record.FamilyStreamDelivery, record.FamilyDelivery, false), nil},
	{"received", "The deliveries that a consumer signed for", "--id ID", "id", false, children(record.FamilyConsumerDelivery, record.FamilyDelivery, false), nil},
	{"inputs", "What a derived stream was computed from", "--stream mean", "stream", false, children(record.FamilyDerived, 0, false), nil},
	{"uses", "What was computed from a stream", "--stream cpu", "stream", false, children(record.FamilyUse, 0, false), nil},
	{"evidence", "Evidence of two statements for one number", "--device press-3", "device", false, children(record.FamilyEvidence, 0, false), nil},
	{"proposals", "Everything that was ever proposed, open and decided", "", "", false, every(record.FamilyProposal), nil},
	{"approvals", "Who approved a proposal, with which keys", "--id ID", "id", false, children(record.FamilyApproval, 0, false), nil},
	{"proposal", "What a proposal says and what became of it", "--id ID", "id", false, row(record.ProposalRow), nil},
}

func newSubject(s subject) *cobra.Command {
	a := new(asking)
	cmd := &cobra.Command{
		Use: s.use, Short: s.short, Example: "  mtm query " + s.use + " --home ledger " + s.example,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd, func(m *testnet.Manifest) (client.AnswerRequest, error) {
				id, err := a.resolve(m, s.of)
				q := client.AnswerRequest{Questions: []client.Question{s.ask(a, id)}}
				for _, also := range s.also {
					q.Questions = append(q.Questions, also(a, id))
				}
				return q, err
			})
		},
	}
	a.flags(cmd)
	switch s.of {
	case "org":
		cmd.Flags().StringVar(&a.of, s.of, "", "name or id of the organisation (required)")
	case "device":
		cmd.Flags().StringVar(&a.of, s.of, "", "name in --home or id (required)")
	case "stream":
		cmd.Flags().StringVar(&a.of, s.of, "", "name or id of the stream (required)")
	case "id":
		cmd.Flags().StringVar(&a.of, s.of, "", "its id, or the name of a device in --home (required)")
	}
	if s.at {
		cmd.Flags().Uint64Var(&a.at, "at", 0, "height to ask about (default: now, with the history)")
	}
	return cmd
}

func newOperationRow() *cobra.Command {
	a := new(asking)
	var digest string
	cmd := &cobra.Command{
		Use: "operation", Short: "Whether an operation was accepted, and where in the log; its row refuses a replay for ever",
		Example: "  mtm query operation --home ledger --digest 64-HEXADECIMAL-DIGITS      # as --json of what recorded it prints",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd, func(*testnet.Manifest) (q client.AnswerRequest, err error) {
				b, err := hex.DecodeString(digest)
				if err != nil || len(b) != sha256.Size {
					return q, usagef("--digest: want 64 hexadecimal digits")
				}
				q.Questions = []client.Question{{Query: proof.RowQuery(record.OperationRow([sha256.Size]byte(b)))}}
				return q, nil
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&digest, "digest", "", "digest of the operation (required)")
	return cmd
}
