package state_test

import (
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// drawManifest draws the signing of a list of some of the cast's devices, in any order.
func (m *model) drawManifest(t *rapid.T) drawn {
	names := rapid.Permutation(castDevices).Draw(t, "list")[:rapid.IntRange(1, len(castDevices)).Draw(t, "how many")]
	if free := m.freeDevices(); len(free) > 0 && !slices.Contains(names, free[0]) {
		names = append(names, free[0])
	}
	var keys []crypto.PublicKey
	for _, name := range names {
		keys = append(keys, castKeys[name].Public())
	}
	fleet, err := ledger.NewFleet(keys)
	if err != nil {
		t.Fatal(err)
	}
	m.fleets[fleet.Root()] = fleet
	body := ledger.Manifest{Root: fleet.Root(), Count: uint64(len(keys)), Until: m.drawEdge(t, "until")}
	return drawn{actor: m.anActor(t, m.activeOrganisations()...), body: body}
}

// aManifest draws one of the latest that were signed, or none.
func (m *model) aManifest(t *rapid.T) *naiveManifest {
	if len(m.n.manifests) == 0 || odd(t, 20, "no manifest") {
		return &naiveManifest{id: crypto.ID{8}, Manifest: record.Manifest{Organisation: m.cast.organisations[0]}}
	}
	recent := m.n.manifests[max(0, len(m.n.manifests)-4):]
	open := where(recent, func(f *naiveManifest) bool { return !f.Past(m.n.height, m.n.time) })
	return usually(t, "manifest", open, recent)
}

func (m *model) drawCloseManifest(t *rapid.T) drawn {
	f := m.aManifest(t)
	return drawn{actor: m.anActor(t, f.Organisation), body: ledger.CloseManifest{Manifest: f.id}}
}

// drawListed draws the enrolment of up to three devices of a manifest; at times what it
// says of their places is wrong.
func (m *model) drawListed(t *rapid.T) drawn {
	f := m.aManifest(t)
	actor := m.anActor(t, slices.Concat(m.activeOrganisations(), m.enrolledDevices())...)
	fleet := m.fleets[f.Root]
	if fleet == nil { // there is no such manifest
		list := []ledger.ListedDevice{{Possession: m.possession(t, castDevices[0], f.Organisation)}}
		return drawn{actor: actor, body: ledger.EnrolListed{Manifest: f.id, Devices: list}}
	}
	var free, all []uint64
	for i, key := range fleet.Keys() {
		all = append(all, uint64(i))
		if m.n.devices[ledger.DeviceID(key)] == nil {
			free = append(free, uint64(i))
		}
	}
	var places []uint64
	for range rapid.IntRange(1, 3).Draw(t, "devices") {
		places = append(places, usually(t, "place", free, all))
	}
	slices.Sort(places)
	owner := f.Organisation
	if odd(t, 16, "for another") {
		owner = m.anOrganisation(t)
	}
	var list []ledger.ListedDevice
	for _, place := range slices.Compact(places) {
		name := m.cast.names[ledger.DeviceID(fleet.Keys()[place])]
		list = append(list, ledger.ListedDevice{Index: place, Possession: m.possession(t, name, owner)})
	}
	body, err := fleet.Enrol(f.id, list)
	if err != nil {
		t.Fatal(err)
	}
	if odd(t, 6, "not as listed") {
		m.misplace(t, &body)
	}
	return drawn{actor: actor, body: body}
}

// misplace makes the proof of places one of something else.
func (m *model) misplace(t *rapid.T, body *ledger.EnrolListed) {
	last := &body.Devices[len(body.Devices)-1]
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		last.Index++
	case 1:
		body.Path = append(body.Path, merkle.Hash{})
	case 2:
		body.Path = body.Path[:max(0, len(body.Path)-1)]
	case 3:
		if len(body.Path) > 0 {
			body.Path[0][0] ^= 1
		}
	case 4:
		other := m.cast.names[ledger.DeviceID(last.Possession.Key)]
		for slices.ContainsFunc(body.Devices, func(d ledger.ListedDevice) bool { return d.Possession.Key == castKeys[other].Public() }) {
			other = castDevices[(slices.Index(castDevices, other)+1)%len(castDevices)]
		}
		last.Possession = m.possession(t, other, last.Possession.Organisation)
	}
}

// listedOnce: whoever stands in a manifest's list of enrolled devices was enrolled in that
// block, for the organisation that signed it, while it counted, and in one list only.
func (v *invariants) listedOnce(t simtest.TB, all rows) {
	devices := family(t, all, record.FamilyDevice, record.ParseDevice)
	blocks := family(t, all, record.FamilyBlock, record.ParseBlock)
	times := make(map[uint64]int64)
	for _, b := range blocks {
		times[record.NumberOf(b.k)] = b.row.Time
	}
	seen := make(map[crypto.ID]bool)
	for _, l := range family(t, all, record.FamilyListed, record.ParseListed) {
		m, err := record.ParseManifest(all.values[record.ManifestRow(record.IDOf(l.k))])
		if err != nil {
			t.Fatalf("listed once: %v", err)
		}
		before, known := inForce(devices, l.row.Device, l.row.Height-1)
		then, found := inForce(devices, l.row.Device, l.row.Height)
		if known || !found || then.Organisation != m.Organisation || seen[l.row.Device] ||
			l.row.Height < m.Signed || m.Past(l.row.Height, times[l.row.Height]) || record.NumberOf(l.k) >= m.Count {
			t.Fatalf("listed once: %v %+v of %+v was %+v and became %+v", l.k, l.row, m, before, then)
		}
		seen[l.row.Device] = true
	}
}
