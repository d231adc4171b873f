package state_test

import (
	"strings"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// manifest signs a list of devices, "NAME,NAME", which listed finds again by its root.
func (r *transcript) manifest(list string, flags map[string]string) ledger.Body {
	var keys []crypto.PublicKey
	for name := range strings.SplitSeq(list, ",") {
		r.id(name)
		keys = append(keys, r.key(name).Public())
	}
	fleet, err := ledger.NewFleet(keys)
	if err != nil {
		r.t.Fatal(err)
	}
	r.fleets[flags["name"]] = fleet
	body := ledger.Manifest{Root: fleet.Root(), Count: uint64(len(keys))}
	if until, ok := flags["until"]; ok {
		body.Until = r.c.Time + int64(r.number(strings.TrimPrefix(until, "+")))*1e6
	}
	return body
}

// listed enrols devices of a manifest, "NAME,NAME" in the order of its list; one that is
// not in it takes the place of the first.
func (r *transcript) listed(manifest, devices, owner string) ledger.Body {
	fleet, all := r.fleets[manifest], strings.Split(devices, ",")
	var list []ledger.ListedDevice
	for place, key := range fleet.Keys() {
		for _, name := range all {
			if r.key(name).Public() == key {
				list = append(list, ledger.ListedDevice{Index: uint64(place), Possession: r.c.Possession(r.key(name), r.id(owner))})
			}
		}
	}
	stranger := len(list) == 0
	if stranger {
		list = append(list, ledger.ListedDevice{Possession: r.c.Possession(r.key(devices), r.id(owner))})
	}
	body, err := fleet.Enrol(r.named(manifest), list)
	if err != nil && !stranger {
		r.t.Fatal(err)
	}
	return body
}

func (r *transcript) manifestRow(c merkle.Change, name string) (text string, ok bool) {
	switch record.FamilyOf(c.Key) {
	case record.FamilyManifest:
		v, err := record.ParseManifest(c.Value)
		return r.line(err, "manifest %s: %d devices of %s, signed %d, closed %d", name, v.Count, r.name(v.Organisation), v.Signed, v.Closed), true
	case record.FamilyOrganisationManifest:
		v, err := record.ParseSince(c.Value)
		return r.line(err, "organisation_manifest %s, %s: since %d", name, r.name(record.ChildOf(c.Key)), v.Height), true
	case record.FamilyListed:
		v, err := record.ParseListed(c.Value)
		return r.line(err, "listed %s, %d: %s at %d", name, record.NumberOf(c.Key), r.name(v.Device), v.Height), true
	}
	return "", false
}
