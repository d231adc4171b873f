package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// enrolmentRoom keeps an operation below ledger.MaxOperation with what stands around
// the proofs.
const enrolmentRoom = ledger.MaxOperation - 1024

func newEnrolMany() *cobra.Command {
	var (
		a    act
		list string
	)
	cmd := &cobra.Command{
		Use: "enrol-many", Short: "Enrol the devices of a list",
		Long: `Enrols a fleet with operations of up to 256 devices each: every one is recorded whole or
not at all, and one that was cut off is made up for by running this again. A line of the
list is the name of a device, whose key is made in --home if there is none, or a proof of
possession in base64, made by a device elsewhere. Devices of the organisation that are
enrolled already are left out; one of another organisation is an error.

To sign once for a whole fleet, before its devices are there: mtm manifest sign.`,
		Example: `  mtm device enrol-many --home ledger --list fleet.txt
  mtm device enrol-many --home ledger --list fleet.txt --propose      # several admin keys must sign`,
	}
	a.flags(cmd)
	a.proposeFlags(cmd)
	cmd.Flags().StringVar(&list, "list", "", "file with a device a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "list", func(s *session) error { return s.enrolMany(cmd, list) })
	}
	return cmd
}

// enrolledMany is the JSON form of what mtm device enrol-many did.
type enrolledMany struct {
	Enrolled   int         `json:"enrolled"` // or proposed
	Before     int         `json:"before"`   // enrolled before
	Operations int         `json:"operations"`
	Height     uint64      `json:"height,omitempty"` // of the last one
	Proposals  []crypto.ID `json:"proposals,omitempty"`
}

func (s *session) enrolMany(cmd *cobra.Command, list string) error {
	if s.m == nil {
		return usagef("--home must hold the organisation's key")
	}
	all, err := s.readList(list)
	if err != nil {
		return err
	}
	fresh, err := s.notEnrolled(all, s.actor)
	if err != nil {
		return err
	}
	parts := enrolments(fresh)
	if s.save != "" && len(parts) == 1 {
		return s.saveBody(cmd, parts[0])
	} else if s.save != "" {
		return usagef("--save-body keeps one operation; these devices make %d: take a list of at most %d, or mtm manifest sign", len(parts), ledger.MaxEnrolled)
	}
	out := enrolledMany{Enrolled: len(fresh), Before: len(all) - len(fresh), Operations: len(parts)}
	for _, m := range parts {
		var body ledger.Body = m
		if s.propose {
			body = ledger.Propose{Expires: time.Now().Add(s.expires).Unix(), Body: m}
		}
		r, err := s.submit(body)
		if err != nil {
			return s.explain(err, ledger.EnrolDevices{})
		}
		out.Height = r.Height
		if r.Proposal != nil {
			out.Proposals = append(out.Proposals, *r.Proposal)
		}
	}
	lines := []string{fmt.Sprintf("%d devices enrolled with %d operations, %d were there already", out.Enrolled, out.Operations, out.Before)}
	if s.propose {
		lines[0] = fmt.Sprintf("%d devices proposed with %d operations, %d were there already", out.Enrolled, out.Operations, out.Before)
		for _, p := range out.Proposals {
			lines = append(lines, fmt.Sprintf("the others: mtm vote approve --proposal %s", p))
		}
	}
	return report(cmd, s.asJSON, out, lines...)
}

// enrolments divides devices into as many operations as they need.
func enrolments(list []*ledger.Possession) (out []ledger.EnrolDevices) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), ledger.MaxEnrolled) && size+len(list[n].Bytes())+3 <= enrolmentRoom {
			size += len(list[n].Bytes()) + 3
			n++
		}
		out = append(out, ledger.EnrolDevices{Possessions: list[:n]})
		list = list[n:]
	}
	return out
}

// askedTogether is how many devices are asked about in one question.
const askedTogether = 100

// notEnrolled returns the devices that nobody has enrolled. One that another organisation
// than this has is an error.
func (s *session) notEnrolled(list []newcomer, organisation crypto.ID) (fresh []*ledger.Possession, err error) {
	for part := range slices.Chunk(list, askedTogether) {
		var q client.AnswerRequest
		for _, n := range part {
			q.Questions = append(q.Questions, client.Question{Query: proof.AtQuery(record.FamilyDevice, n.id, 0)})
		}
		out, err := s.proven(0, q)
		if err != nil {
			return nil, err
		}
		for i, n := range part {
			rows := out.Results[i].Rows
			if len(rows) == 0 {
				fresh = append(fresh, n.possession)
				continue
			}
			d, err := record.ParseDevice(rows[0].Value)
			if err != nil {
				return nil, err
			}
			if d.Organisation != organisation {
				return nil, fmt.Errorf("device %s belongs to organisation %s: %w", n.id, d.Organisation, ledger.CodeExists.Err())
			}
		}
	}
	return fresh, nil
}

func newDevicePossession() *cobra.Command {
	var (
		home, device, organisation string
		next, asJSON               bool
	)
	cmd := &cobra.Command{
		Use: "possession", Short: "Prove that a device holds its key, for an organisation's list",
		Long: `Prints a proof of possession in base64: a line for mtm device enrol-many --list of the
organisation that will own the device. The device's key is made if there is none, and
stays where it is. With --next it is the key that will replace it: for mtm device rotate
--possession of the organisation that owns the device.`,
		Example: `  mtm device possession --home edge --device press-3 --organisation ORGANISATION-ID >> fleet.txt
  mtm device possession --home edge --device press-3 --organisation ORGANISATION-ID --next`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device == "" {
				return usagef("--device is required")
			}
			m, err := openHome(home)
			if err != nil {
				return err
			}
			owner := m.Organisation.ID
			if organisation != "" {
				if owner, err = idFlag("organisation", organisation); err != nil {
					return err
				}
			}
			d, err := m.AddDevice(device)
			if err != nil {
				return err
			}
			file := keyFile
			if next {
				file = nextFile
			}
			key, err := loadOrMakeKey(m.Path(d.Home, file))
			if err != nil {
				return err
			}
			p, err := ledger.SignPossession(key, m.Chain, owner)
			if err != nil {
				return err
			}
			text := base64.StdEncoding.EncodeToString(p.Bytes())
			return report(cmd, asJSON, map[string]any{"device": d.ID, "organisation": owner, "possession": text}, text)
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&device, "device", "", "name of the device")
	cmd.Flags().StringVar(&organisation, "organisation", "", "id of the organisation (default: that of --home)")
	cmd.Flags().BoolVar(&next, "next", false, "of the key that will replace the device's")
	return cmd
}
