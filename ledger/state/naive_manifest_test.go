package state_test

import (
	"crypto/sha256"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

type naiveManifest struct {
	id crypto.ID
	record.Manifest
	listed map[uint64]record.Listed // by place
}

// findManifest is a manifest by its id, nil if there is none.
func (n *naive) findManifest(id crypto.ID) *naiveManifest {
	i := slices.IndexFunc(n.manifests, func(m *naiveManifest) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return n.manifests[i]
}

func (n *naive) signManifest(a act, b ledger.Manifest) ledger.Code {
	switch {
	case !n.isOrganisation(a.actor):
		return ledger.CodeUnknownOrganisation
	case b.Until != 0 && b.Until <= n.time:
		return ledger.CodeManifestClosed
	}
	n.manifests = append(n.manifests, &naiveManifest{a.made, record.Manifest{
		Organisation: a.actor, Root: b.Root, Count: b.Count, Until: b.Until, Signed: n.height,
	}, make(map[uint64]record.Listed)})
	return ledger.CodeOK
}

func (n *naive) enrolListed(b ledger.EnrolListed) ledger.Code {
	m := n.findManifest(b.Manifest)
	switch {
	case m == nil:
		return ledger.CodeUnknownManifest
	case m.Closed != 0 && m.Closed <= n.height || m.Until != 0 && m.Until <= n.time:
		return ledger.CodeManifestClosed
	case n.retired(m.Organisation):
		return ledger.CodeRetired
	}
	var keys []*ledger.Possession
	for _, d := range b.Devices {
		if d.Possession.Organisation != m.Organisation {
			return ledger.CodeBadPossession
		}
		keys = append(keys, d.Possession)
	}
	if !leadsTo(m.Root, m.Count, b) {
		return ledger.CodeNotListed
	}
	if code := n.enrolDevices(act{actor: m.Organisation}, keys...); code != ledger.CodeOK {
		return code
	}
	for _, d := range b.Devices {
		m.listed[d.Index] = record.Listed{Device: ledger.DeviceID(d.Possession.Key), Height: n.height}
	}
	return ledger.CodeOK
}

// leadsTo is the multi-proof of docs/spec/commitment.md, section 2.
func leadsTo(root merkle.Hash, count uint64, b ledger.EnrolListed) bool {
	at := make(map[uint64]crypto.PublicKey)
	for _, d := range b.Devices {
		if d.Index >= count {
			return false
		}
		at[d.Index] = d.Possession.Key
	}
	path, early := b.Path, false
	var over func(a, b uint64) merkle.Hash
	over = func(a, b uint64) merkle.Hash {
		some := false
		for i := range at {
			some = some || a <= i && i < b
		}
		if !some {
			if len(path) == 0 {
				early = true
				return merkle.Hash{}
			}
			next := path[0]
			path = path[1:]
			return next
		}
		if b-a == 1 {
			key := at[a]
			return sha256.Sum256(append([]byte{0}, key[:]...))
		}
		k := uint64(1)
		for 2*k < b-a {
			k *= 2
		}
		left := over(a, a+k)
		right := over(a+k, b)
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
	return over(0, count) == root && !early && len(path) == 0
}

func (n *naive) closeManifest(a act, b ledger.CloseManifest) ledger.Code {
	m := n.findManifest(b.Manifest)
	switch {
	case m == nil:
		return ledger.CodeUnknownManifest
	case m.Organisation != a.actor:
		return ledger.CodeNotOwner
	case m.Closed != 0:
		return ledger.CodeManifestClosed
	}
	m.Closed = n.height + 1
	return ledger.CodeOK
}

func (n *naive) manifestRows(all map[merkle.Key][]byte) {
	for _, m := range n.manifests {
		all[record.ManifestRow(m.id)] = m.Encode()
		all[record.OrganisationManifestRow(m.Organisation, m.id)] = record.Since{Height: m.Signed}.Encode()
		for place, l := range m.listed {
			all[record.ListedRow(m.id, place)] = l.Encode()
		}
	}
}
