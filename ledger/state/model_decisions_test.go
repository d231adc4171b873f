package state_test

import (
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// drawDecision draws an operation about members, validators or parameters.
func (m *model) drawDecision(t *rapid.T, kind ledger.Kind) (d drawn) {
	d.actor = m.anActor(t, m.activeOrganisations()...)
	switch kind {
	case ledger.KindAdmit:
		d.body = m.drawAdmission(t)
	case ledger.KindRemove:
		d.body = ledger.Remove{Organisation: usually(t, "organisation", m.activeOrganisations()[min(2, len(m.activeOrganisations())):], m.cast.organisations)}
	case ledger.KindValidator:
		d.body = m.drawValidator(t)
	case ledger.KindSetParameters:
		d.body = m.drawParameters(t)
	case ledger.KindSetAdmins:
		d.body = m.drawAdmins(t, d.actor)
	case ledger.KindRotateValidator:
		d.body = m.drawValidatorRotation(t, d.actor)
	default:
		t.Fatalf("the model draws no %v", kind)
	}
	return d
}

func (m *model) drawAdmission(t *rapid.T) ledger.Admit {
	free := where(castOrganisations, func(name string) bool { return !m.n.isOrganisation(ledger.OrganisationID(castKeys[name].Public())) })
	name := usually(t, "organisation", free, castOrganisations)
	a := ledger.Admit{Name: usually(t, "name", []string{name}, castOrganisations)}
	for _, key := range adminNames(name)[:rapid.IntRange(1, 2).Draw(t, "keys")] {
		a.Keys = append(a.Keys, castKeys[key].Public())
	}
	if a.Threshold = 1; len(a.Keys) > 1 && odd(t, 3, "threshold") {
		a.Threshold = 2
	}
	a.Possession = m.possession(t, name, ledger.OrganisationID(a.Keys[0]))
	return a
}

func (m *model) drawValidator(t *rapid.T) ledger.SetValidator {
	body := ledger.SetValidator{Organisation: m.anOrganisation(t), Power: one(t, "power", []uint64{10, 11, 0, 12, 9, 20, 40})}
	name := one(t, "key", castValidators)
	if known, found := m.n.validator(castKeys[name].Public()); found {
		if !odd(t, 6, "of another") {
			body.Organisation = known.Organisation
		}
	}
	body.Key = castKeys[name].Public()
	return body
}

func (m *model) drawValidatorRotation(t *rapid.T, actor crypto.ID) ledger.RotateValidator {
	old := where(castValidators, func(name string) bool {
		v, found := m.n.validator(castKeys[name].Public())
		return found && v.Power > 0 && v.Organisation == actor
	})
	fresh := where(castValidators, func(name string) bool {
		_, found := m.n.validator(castKeys[name].Public())
		return !found
	})
	from, to := usually(t, "old", old, castValidators), usually(t, "new", fresh, castValidators)
	return ledger.RotateValidator{Old: castKeys[from].Public(), New: castKeys[to].Public(), Possession: m.possession(t, to, actor)}
}

// modelValues are the values of parameters that a vote may choose.
var modelValues = map[ledger.ParameterID][]uint64{
	ledger.ParameterClockAhead: {60, 30, 90}, ledger.ParameterNotAfter: {3_600, 120, 60}, ledger.ParameterOpenGaps: {3, 1, 2, 4},
	ledger.ParameterVoteNum: {2, 3, 1}, ledger.ParameterVoteDen: {3, 4, 5},
	ledger.ParameterStatementsPerBridge: {8, 4, 6, 12}, ledger.ParameterBytesPerBridge: {60_000, 70_000},
	ledger.ParameterStatementsPerOrganisation: {12, 6, 16}, ledger.ParameterBytesPerOrganisation: {80_000, 60_000},
	ledger.ParameterAppVersion: {1, 2, 3},
}

func (m *model) drawParameters(t *rapid.T) ledger.SetParameters {
	var body ledger.SetParameters
	ids := sorted(modelValues)
	for range rapid.IntRange(1, 2).Draw(t, "values") {
		id := one(t, "parameter", ids)
		ids = where(ids, func(other ledger.ParameterID) bool { return other > id })
		body.Values = append(body.Values, ledger.Parameter{ID: id, Value: one(t, "value", modelValues[id])})
		if len(ids) == 0 {
			break
		}
	}
	if active := one(t, "active", []uint64{0, 2, 3, 5, 1, ledger.MaxActiveAhead + 1}); active > 0 {
		body.Active = m.n.height + active
	}
	return body
}

func (m *model) drawAdmins(t *rapid.T, actor crypto.ID) ledger.SetAdmins {
	at := max(0, slices.Index(m.cast.organisations, actor))
	var current, fresh, closed []string
	for _, name := range adminNames(castOrganisations[at]) {
		switch k := m.n.key(actor, castKeys[name].Public().KeyID()); {
		case k == nil:
			fresh = append(fresh, name)
		case k.Closes == 0:
			current = append(current, name)
		default:
			closed = append(closed, name)
		}
	}
	names := slices.Clone(current)
	if len(names) > 1 && rapid.Bool().Draw(t, "drop") {
		names = names[1:]
	}
	if len(fresh) > 0 && len(names) < 3 {
		names = append(names, fresh[0])
	}
	if len(closed) > 0 && len(names) < 3 && odd(t, 6, "a closed key") {
		names = append(names, closed[0])
	}
	if odd(t, 10, "any of the keys") || len(names) == 0 {
		names = adminNames(castOrganisations[at])[:2]
	}
	body := ledger.SetAdmins{Threshold: 1}
	if len(names) > 1 && odd(t, 3, "threshold") {
		body.Threshold = 2
	}
	for _, name := range names {
		body.Keys = append(body.Keys, castKeys[name].Public())
	}
	return body
}

// ofLeft are the kinds by which members dispose of what one that left owned.
var ofLeft = []ledger.Kind{
	ledger.KindRetire, ledger.KindCompromise, ledger.KindTransferDevice, ledger.KindTransferStream, ledger.KindCloseStream, ledger.KindRevoke,
}

// drawLeft makes an operation one about what belongs to an organisation that left, if
// there is such.
func (m *model) drawLeft(t *rapid.T, d *drawn) {
	devices := where(m.cast.devices, func(id crypto.ID) bool {
		device, found := m.n.device(id)
		return found && device.Status != record.StatusRetired && m.n.retired(device.Organisation)
	})
	streams := where(m.cast.streams, func(id crypto.ID) bool {
		s := m.n.streams[id]
		return s != nil && s.closed == nil && m.n.retired(m.streamOwner(id))
	})
	grants := where(m.n.grants, func(g *naiveGrant) bool { return g.Revoked == 0 && m.n.retired(g.Grantor) })
	actor := m.anActor(t, m.activeOrganisations()...)
	switch b := d.body.(type) {
	case ledger.Retire:
		if b.Device = usually(t, "device", devices, m.cast.devices); len(devices) > 0 {
			d.actor, d.body = actor, b
		}
	case ledger.Compromise:
		bridges := where(m.cast.bridges, func(id crypto.ID) bool { return m.n.bridges[id] != nil && m.n.retired(m.ownerOf(id)) })
		principals := slices.Concat(devices, where(m.cast.organisations, m.n.retired), bridges)
		if len(principals) == 0 {
			return
		}
		b.Principal = one(t, "principal", principals)
		b.Key = one(t, "key", m.n.keys[b.Principal]).id
		d.actor, d.body = actor, b
	case ledger.TransferDevice:
		if b.Device = usually(t, "device", devices, m.cast.devices); len(devices) > 0 {
			b.To = actor
			d.actor, d.body = actor, b
		}
	case ledger.TransferStream:
		if b.Stream = usually(t, "stream", streams, m.cast.streams); len(streams) > 0 {
			b.To = actor
			d.actor, d.body = actor, b
		}
	case ledger.CloseStream:
		if b.Stream = usually(t, "stream", streams, m.cast.streams); len(streams) > 0 {
			d.actor, d.body = actor, b
		}
	case ledger.Revoke:
		if len(grants) > 0 {
			b.Grant = one(t, "grant", grants).id
			d.actor, d.body = actor, b
		}
	}
}
