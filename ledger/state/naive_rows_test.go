package state_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// rows are all rows that the records must have, by docs/spec/records.md: no more, no
// less, no other.
func (n *naive) rows() map[merkle.Key][]byte {
	all := make(map[merkle.Key][]byte)
	n.logRows(all)
	n.principalRows(all)
	n.streamRows(all)
	n.useRows(all)
	n.manifestRows(all)
	n.consortiumRows(all)
	return all
}

func (n *naive) logRows(all map[merkle.Key][]byte) {
	for height, b := range n.blocks {
		all[record.BlockRow(height)] = b.Encode()
	}
	for digest, o := range n.done {
		all[record.OperationRow(digest)] = o.Encode()
	}
	for _, c := range n.parameters {
		all[record.ParametersRow(c.from)] = c.is.record().Encode()
	}
}

func (p naiveParameters) record() record.Parameters {
	return record.Parameters{
		ClockAhead: int64(p[ledger.ParameterClockAhead]), NotAfter: int64(p[ledger.ParameterNotAfter]), OpenGaps: p[ledger.ParameterOpenGaps],
		VoteNum: p[ledger.ParameterVoteNum], VoteDen: p[ledger.ParameterVoteDen],
		StatementsPerBridge: p[ledger.ParameterStatementsPerBridge], BytesPerBridge: p[ledger.ParameterBytesPerBridge],
		StatementsPerOrganisation: p[ledger.ParameterStatementsPerOrganisation], BytesPerOrganisation: p[ledger.ParameterBytesPerOrganisation],
		AppVersion: p[ledger.ParameterAppVersion],
	}
}

func (n *naive) principalRows(all map[merkle.Key][]byte) {
	for principal, keys := range n.keys {
		for _, k := range keys {
			all[record.KeyRow(principal, k.id)] = k.Encode()
		}
	}
	for id, o := range n.organisations {
		for _, c := range o.is {
			all[record.OrganisationRow(id, c.from)] = c.is.Encode()
		}
		for _, c := range o.admins {
			all[record.AdminsRow(id, c.from)] = record.Admins{Keys: c.is}.Encode()
		}
	}
	for id, b := range n.bridges {
		for _, c := range b.is {
			all[record.BridgeRow(id, c.from)] = c.is.Encode()
		}
		listRows(all, b.is, activeOwner, id, record.OrganisationBridgeRow)
	}
	for id, d := range n.devices {
		for _, c := range d.is {
			all[record.DeviceRow(id, c.from)] = c.is.Encode()
		}
		listRows(all, d.is, func(d record.Device) crypto.ID { return d.Organisation }, id, record.OrganisationDeviceRow)
		if d.keyless != nil {
			all[record.KeylessRow(id)] = d.keyless.Encode()
		}
	}
	for id, h := range n.described {
		for _, c := range *h {
			all[record.DescriptionRow(id, c.from)] = record.Description{Attributes: c.is}.Encode()
		}
	}
}

// activeOwner is whose bridge it is: nobody's once it was removed.
func activeOwner(b record.Bridge) crypto.ID {
	if b.Status == record.StatusRetired {
		return crypto.ID{}
	}
	return b.Organisation
}

// listRows are the rows that list what belonged to which organisation, and when: the
// spans of heights follow from the history of its owners.
func listRows[T any](all map[merkle.Key][]byte, h history[T], owner func(T) crypto.ID, id crypto.ID, row func(organisation, id crypto.ID) merkle.Key) {
	spans := make(map[crypto.ID]record.Spans)
	var had crypto.ID
	for _, c := range h {
		has := owner(c.is)
		if has == had {
			continue
		}
		if n := len(spans[had]); n > 0 {
			spans[had][n-1].To = c.from
		}
		if !has.IsZero() {
			spans[has] = append(spans[has], record.Span{From: c.from})
		}
		had = has
	}
	for organisation, list := range spans {
		all[row(organisation, id)] = list.Encode()
	}
}

// streamRows has a parts row for each sale, but where no row says the same or it is the
// row in force already.
func (n *naive) streamRows(all map[merkle.Key][]byte) {
	for id, s := range n.streams {
		head := record.StreamHead{Device: s.device, Mark: s.mark(), Gaps: uint64(len(s.gaps()))}
		if s.closed != nil {
			head.Status = record.StatusRetired
			all[record.ClosedRow(id)] = s.closed.Encode()
		}
		all[record.StreamRow(id)] = head.Encode()
		all[record.DeviceStreamRow(s.device, id)] = record.DeviceStream{Name: s.name}.Encode()
		for _, gap := range s.gaps() {
			all[record.GapRow(id, gap[0])] = record.Gap{Last: gap[1]}.Encode()
		}
		for _, c := range s.owners {
			all[record.OwnerRow(id, c.from)] = c.is.Encode()
		}
		var last record.Parts
		for _, sale := range s.sales {
			parts := s.parts(sale.from)
			if len(parts) == 1 && parts[0].Organisation == sale.to && last == nil || slices.Equal(parts, last) {
				continue
			}
			last = parts
			all[record.PartsRow(id, sale.from)] = parts.Encode()
		}
		listRows(all, s.owners, func(o record.Owner) crypto.ID { return o.Organisation }, id, record.OrganisationStreamRow)
	}
}

func (n *naive) useRows(all map[merkle.Key][]byte) {
	for _, g := range n.grants {
		since := record.Since{Height: g.Granted}.Encode()
		all[record.GrantRow(g.id)] = g.Encode()
		all[record.StreamGrantRow(g.Stream, g.id)] = since
		all[record.GranteeGrantRow(g.Grantee, g.id)] = since
	}
	for pair, list := range n.access {
		all[record.AccessRow(pair.grantee, pair.stream)] = record.Access{Grants: list}.Encode()
	}
	for _, d := range n.deliveries {
		since := record.Since{Height: d.Height}.Encode()
		all[record.DeliveryRow(d.id)] = d.Encode()
		all[record.StreamDeliveryRow(d.Stream, d.id)] = since
		all[record.ConsumerDeliveryRow(d.Consumer, d.id)] = since
	}
	lengths := make(map[crypto.ID]uint64)
	for _, d := range n.derived {
		all[record.DerivedRow(d.stream, d.first)] = record.Derived{Last: d.last, Inputs: d.inputs}.Encode()
		for place, in := range d.inputs {
			use := record.Use{First: in.First, Last: in.Last, Stream: d.stream, DerivedFirst: d.first, DerivedLast: d.last}
			all[useKey(in, d.index, uint64(place))] = use.Encode()
			lengths[in.Stream] |= length(in)
		}
	}
	for stream, classes := range lengths {
		all[record.UseLengthsRow(stream)] = record.UseLengths{Classes: classes}.Encode()
	}
	for k, e := range n.evidence {
		all[record.EvidenceRow(k.device, k.key)] = e.Encode()
	}
}

// length is the greatest power of two that is not above the number of an input's readings.
func length(in ledger.Input) (power uint64) {
	for power = 1; 2*power <= in.Last-in.First+1; power *= 2 {
	}
	return power
}

// useKey is the key of a used_by row as docs/spec/records.md has it.
func useKey(in ledger.Input, index, place uint64) (k merkle.Key) {
	k[0] = byte(record.FamilyUse)
	copy(k[1:], in.Stream[:])
	binary.BigEndian.PutUint64(k[17:], 1<<63/length(in)+in.First/length(in))
	binary.BigEndian.PutUint64(k[25:], index*64+place)
	return k
}

func (n *naive) consortiumRows(all map[merkle.Key][]byte) {
	for id, u := range n.untried {
		all[record.UntriedRow(id)] = u.Encode()
	}
	for _, c := range n.members {
		list := slices.Clone(c.is)
		slices.SortFunc(list, func(a, b crypto.ID) int { return bytes.Compare(a[:], b[:]) })
		all[record.MembersRow(c.from)] = record.Members{Organisations: list}.Encode()
	}
	for id, v := range n.validators {
		for _, c := range v.is {
			all[record.ValidatorRow(id, c.from)] = c.is.Encode()
		}
		for organisation, since := range v.listed {
			all[record.OrganisationValidatorRow(organisation, id)] = record.Since{Height: since}.Encode()
		}
	}
	for _, height := range n.setChanged {
		all[record.ValidatorSetRow(height)] = record.ValidatorSet{Validators: n.setAt(height)}.Encode()
	}
	for at, m := range n.misbehaviour {
		all[record.MisbehaviourRow(at.validator, at.height)] = m.Encode()
	}
	for _, p := range n.proposals {
		row := record.Proposal{Proposer: p.proposer, Expires: p.expires, Body: ledger.EncodeBody(p.body), Decided: p.applied}
		if p.applied != 0 {
			row.Status = record.ProposalApplied
		}
		all[record.ProposalRow(p.id)] = row.Encode()
		for organisation, list := range p.approved {
			if len(list) > 0 {
				all[record.ApprovalRow(p.id, organisation)] = record.Approvals{List: list}.Encode()
			}
		}
	}
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
