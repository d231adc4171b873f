package state_test

import (
	"slices"
	"strings"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// claim is what an intent of a kind from 8 on says besides.
type claim struct {
	stream, grantee string
	rights          ledger.Rights
	first, last     uint64 // last 0: no end
	until           int64  // seconds; 0: no end
	from            uint64 // height
	grant, made     crypto.ID
	others          []string // devices of a manifest

	give, withStreams, fromNow bool   // a transfer of a device, not of a stream
	to                         string // organisation
}

type naiveGrant struct {
	id                       crypto.ID
	stream, grantor, grantee string
	rights                   ledger.Rights
	first, last              uint64
	until                    int64
	granted, revoked         uint64
}

type naiveDelivery struct {
	id, grant   crypto.ID
	consumer    string
	first, last uint64
	height      uint64
}

// ownership is what the naive ledger remembers of the kinds from 8 on.
type ownership struct {
	grants     []*naiveGrant
	deliveries []naiveDelivery
	derived    []item
	proposals  []*naiveProposal
	closed     map[string]record.Closed // streams
	keyless    map[string]string        // devices, by the key that was closed
	evidence   map[string]bool          // device and key
	described  map[string]uint64        // subject and height
}

func newOwnership() ownership {
	return ownership{closed: map[string]record.Closed{}, keyless: map[string]string{}, evidence: map[string]bool{}, described: map[string]uint64{}}
}

func (g *naiveGrant) past(now int64) bool { return g.until != 0 && now >= g.until }

func (g *naiveGrant) covers(first, last uint64) bool {
	return g.first <= first && (g.last == 0 || last <= g.last)
}

// own applies the kinds from 8 on.
func (n *naive) own(i intent, isOrg bool) ledger.Code {
	switch i.kind {
	case "close_stream":
		return n.closeStream(i)
	case "compromise":
		return n.compromise(i)
	case "grant":
		return n.grant(i)
	case "revoke":
		return n.revoke(i)
	case "deliver":
		return n.deliver(i)
	case "equivocation":
		return n.equivocation(i)
	case "enrol_devices":
		return n.enrolDevices(i, isOrg)
	case "propose":
		return n.propose(i, isOrg)
	case "approve":
		return n.approve(i, isOrg)
	}
	return n.describe(i)
}

func (o *ownership) isClosed(stream string) bool { return o.closed[stream].Height != 0 }

func simtestOrganisation(name string) crypto.ID {
	return ledger.OrganisationID(simtest.Key(name).Public())
}

func (n *naive) ownedStream(i intent) ledger.Code {
	switch s := n.streams[i.stream]; {
	case s == nil:
		return ledger.CodeUnknownStream
	case s.owner != i.actor:
		return ledger.CodeNotOwner
	}
	return ledger.CodeOK
}

func (n *naive) closeStream(i intent) ledger.Code {
	if code := n.ownedStream(i); code != ledger.CodeOK {
		return code
	}
	if n.isClosed(i.stream) {
		return ledger.CodeExists
	}
	n.closed[i.stream] = record.Closed{Organisation: simtestOrganisation(i.actor), Height: n.height}
	return ledger.CodeOK
}

func (n *naive) compromise(i intent) ledger.Code {
	d, known := n.devices[i.subject]
	at := slices.IndexFunc(d.keys, func(k naiveKey) bool { return k.name == i.key })
	switch {
	case !known:
		return ledger.CodeNotFound
	case d.org != i.actor:
		return ledger.CodeNotOwner
	case at < 0:
		return ledger.CodeUnknownKey
	case i.from > n.height:
		return ledger.CodeFutureHeight
	case d.keys[at].doubtful != 0 && i.from >= d.keys[at].doubtful:
		return ledger.CodeExists
	}
	d.keys = slices.Clone(d.keys)
	k := &d.keys[at]
	k.doubtful = i.from
	if k.closes == 0 {
		n.keyless[i.subject] = k.name
	}
	if k.closes == 0 || k.closes > n.height+1 {
		k.closes = n.height + 1
	}
	n.devices[i.subject] = d
	return ledger.CodeOK
}

func (n *naive) grant(i intent) ledger.Code {
	if code := n.ownedStream(i); code != ledger.CodeOK {
		return code
	}
	d, device := n.devices[i.grantee]
	switch {
	case !device && !slices.Contains(n.orgs, i.grantee):
		return ledger.CodeNotFound
	case device && d.statusAt(n.height+1) == ledger.CodeRetired:
		return ledger.CodeRetired
	case i.until != 0 && i.until <= n.now:
		return ledger.CodeGrantExpired
	}
	count := 0
	for _, g := range n.grants {
		if g.stream == i.stream && g.grantee == i.grantee && g.revoked == 0 && !g.past(n.now) {
			count++
		}
	}
	if count >= ledger.MaxGrants {
		return ledger.CodeTooMany
	}
	n.grants = append(n.grants, &naiveGrant{id: i.made, stream: i.stream, grantor: i.actor, grantee: i.grantee, rights: i.rights,
		first: i.first, last: i.last, until: i.until, granted: n.height})
	return ledger.CodeOK
}

func (n *naive) find(id crypto.ID) *naiveGrant {
	for _, g := range n.grants {
		if g.id == id {
			return g
		}
	}
	return nil
}

func (n *naive) revoke(i intent) ledger.Code {
	g := n.find(i.claim.grant)
	switch {
	case g == nil:
		return ledger.CodeUnknownGrant
	case i.actor != g.grantor && i.actor != n.streams[g.stream].owner:
		return ledger.CodeNotOwner
	case g.revoked != 0:
		return ledger.CodeGrantRevoked
	}
	g.revoked = n.height + 1
	return ledger.CodeOK
}

func (n *naive) deliver(i intent) ledger.Code {
	g := n.find(i.claim.grant)
	switch {
	case g == nil:
		return ledger.CodeUnknownGrant
	case i.actor != g.grantee && n.orgOf(i.actor) != g.grantee && n.orgOf(g.grantee) != i.actor:
		return ledger.CodeNoGrant
	case g.revoked != 0 && n.height >= g.revoked:
		return ledger.CodeGrantRevoked
	case g.past(n.now):
		return ledger.CodeGrantExpired
	case !g.covers(i.first, i.last) || i.last > n.streams[g.stream].head().Mark:
		return ledger.CodeOutOfRange
	}
	n.deliveries = append(n.deliveries, naiveDelivery{i.made, g.id, i.actor, i.first, i.last, n.height})
	return ledger.CodeOK
}

func (n *naive) equivocation(i intent) ledger.Code {
	known := slices.ContainsFunc(n.devices[i.device].keys, func(k naiveKey) bool { return k.name == i.key && k.opens <= n.height })
	s := n.streams[i.stream]
	switch {
	case !known:
		return ledger.CodeUnknownKey
	case i.forged:
		return ledger.CodeBadSignature
	case s == nil:
		return ledger.CodeUnknownStream
	case s.device != i.device:
		return ledger.CodeWrongDevice
	case n.evidence[i.device+"/"+i.key]:
		return ledger.CodeExists
	}
	n.evidence[i.device+"/"+i.key] = true
	return ledger.CodeOK
}

func (n *naive) enrolDevices(i intent, isOrg bool) ledger.Code {
	switch {
	case i.forged:
		return ledger.CodeBadPossession
	case !isOrg:
		return ledger.CodeUnknownOrganisation
	}
	for _, name := range i.others {
		if _, exists := n.devices[name]; exists {
			return ledger.CodeExists
		}
	}
	for _, name := range i.others {
		n.devices[name] = enrolled(name, i.actor, n.height)
	}
	return ledger.CodeOK
}

func (n *naive) describe(i intent) ledger.Code {
	owner, known := n.devices[i.subject].org, n.devices[i.subject].org != ""
	if slices.Contains(n.orgs, i.subject) {
		owner, known = i.subject, true
	} else if s := n.streams[i.subject]; s != nil {
		owner, known = s.owner, true
	}
	switch {
	case !known:
		return ledger.CodeNotFound
	case owner != i.actor:
		return ledger.CodeNotOwner
	}
	n.described[i.subject] = n.height + 1
	return ledger.CodeOK
}

// orgOf is who owns a device in this block.
func (n *naive) orgOf(device string) string { return ownedAt(n.devices[device].owners, n.height).org }

// mayDerive is the code of an input of a statement.
func (n *naive) mayDerive(s item) ledger.Code {
	in := n.streams[s.input]
	switch {
	case in == nil:
		return ledger.CodeUnknownStream
	case s.inLast > in.head().Mark:
		return ledger.CodeOutOfRange
	}
	device, _, _ := strings.Cut(s.stream, "/")
	org := n.orgOf(device)
	if ownedAt(in.owners, n.height).org == org {
		return ledger.CodeOK
	}
	for _, g := range n.grants {
		if g.stream == s.input && (g.grantee == device || g.grantee == org) && g.rights != ledger.RightRead &&
			(g.revoked == 0 || n.height < g.revoked) && !g.past(n.now) && g.covers(s.inFirst, s.inLast) {
			return ledger.CodeOK
		}
	}
	return ledger.CodeNoGrant
}
