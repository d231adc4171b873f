package app

import (
	"crypto/sha256"
	"slices"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
)

// What is in use at one time; older ones rest.
const (
	keepDevices = 30
	keepStreams = 60
	keepGrants  = 20
)

// last is at most the last n of a list.
func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// address is that of a validator in CometBFT.
func address(key crypto.PublicKey) []byte {
	sum := sha256.Sum256(key[:])
	return sum[:20]
}

// operation makes an operation of any kind that needs no vote of the members.
func (g *generator) operation() []byte {
	d, s := oneOf(g, g.devices), oneOf(g, g.streams)
	owner := d.Organisation
	if g.oneIn(20) {
		owner = oneOf(g, g.c.Organisations) // most likely of another's
	}
	switch g.rng.IntN(23) {
	case 0, 1, 2:
		return g.enrol()
	case 3, 4:
		return g.openStream(d)
	case 5:
		if len(g.c.Bridges) > 8 && g.oneIn(3) {
			return g.removeBridge()
		}
		return g.enrolBridge()
	case 6, 7:
		return g.rotate(d, owner)
	case 8:
		g.queue = append(g.queue, func() []byte { return g.by(d.Organisation, ledger.Resume{Device: d.ID}) })
		return g.by(owner, ledger.Suspend{Device: d.ID})
	case 9:
		return g.retire(d, owner)
	case 10:
		return g.compromise(d, owner)
	case 11:
		return g.transferDevice(d, owner)
	case 12:
		return g.transferStream(s)
	case 13:
		return g.closeStream(s)
	case 14:
		return g.describe(d, s)
	case 15, 16:
		return g.grant(s)
	case 17, 18:
		return g.deliver(d)
	case 19:
		return g.revoke(d)
	case 20:
		return g.equivocation(s, owner)
	case 21:
		return g.fleet()
	}
	return g.enrolDevices()
}

// add takes a device, and a stream that it opens in a block to come, into use.
func (g *generator) add(devices ...*simtest.Device) {
	for _, d := range devices {
		g.after = append(g.after, func() { g.devices = last(append(g.devices, d), keepDevices) })
		g.queue = append(g.queue, func() []byte { return g.openStream(d) })
	}
}

func (g *generator) enrol() []byte {
	o := oneOf(g, g.members())
	d := o.NewDevice(g.c, g.name("device"))
	g.add(d)
	return g.by(o, ledger.EnrolDevice{Possession: g.c.Possession(d.Key, o.ID)})
}

func (g *generator) enrolDevices() []byte {
	o := oneOf(g, g.c.Organisations)
	devices := []*simtest.Device{o.NewDevice(g.c, g.name("device")), o.NewDevice(g.c, g.name("device"))}
	if g.oneIn(5) {
		devices = append(devices, oneOf(g, g.devices)) // is enrolled already: none is
	} else {
		g.add(devices...)
	}
	var body ledger.EnrolDevices
	for _, d := range devices {
		body.Possessions = append(body.Possessions, g.c.Possession(d.Key, o.ID))
	}
	return g.by(o, body)
}

// fleet signs a list of devices, which are enrolled in blocks to come, one by one, by
// whoever is there; the list may be closed before the last.
func (g *generator) fleet() []byte {
	o := oneOf(g, g.c.Organisations)
	devices := make([]*simtest.Device, 2+g.rng.IntN(4))
	keys := make([]crypto.PublicKey, len(devices))
	for i := range devices {
		devices[i] = o.NewDevice(g.c, g.name("device"))
		keys[i] = devices[i].Key.Public()
	}
	fleet, err := ledger.NewFleet(keys)
	if err != nil {
		panic(err)
	}
	raw := g.by(o, ledger.Manifest{Root: fleet.Root(), Count: uint64(len(keys))})
	op, err := ledger.ParseOperation(raw)
	if err != nil {
		panic(err)
	}
	id := ledger.MadeID(op.Digest())
	for i, d := range devices {
		if i > 0 && g.oneIn(5) {
			g.queue = append(g.queue, func() []byte { return g.by(o, ledger.CloseManifest{Manifest: id}) })
		}
		first := ledger.ListedDevice{Index: uint64(i), Possession: g.c.Possession(d.Key, o.ID)}
		g.queue = append(g.queue, func() []byte {
			body, err := fleet.Enrol(id, []ledger.ListedDevice{first})
			if err != nil {
				panic(err)
			}
			if g.oneIn(2) {
				sender := oneOf(g, g.devices)
				return g.c.Operation(sender.Key, sender.ID, body)
			}
			return g.by(oneOf(g, g.members()), body)
		})
	}
	g.add(devices[0])
	return raw
}

func (g *generator) openStream(d *simtest.Device) []byte {
	s := &genStream{Stream: d.NewStream(g.name("stream")), owner: d.Organisation}
	if g.oneIn(10) {
		return oneOf(g, g.streams).OpenByOwner() // exists
	}
	g.after = append(g.after, func() { g.streams = last(append(g.streams, s), keepStreams) })
	if g.oneIn(2) {
		return s.Open()
	}
	return g.by(d.Organisation, ledger.OpenStream{Device: d.ID, Name: s.Name})
}

func (g *generator) enrolBridge() []byte {
	o := oneOf(g, g.c.Organisations)
	b := o.NewBridge(g.c, g.name("bridge"))
	g.after = append(g.after, func() {
		if g.c.Bridges = append(g.c.Bridges, b); len(g.c.Bridges) > 20 {
			g.c.Bridges = append(g.c.Bridges[:5:5], g.c.Bridges[6:]...) // the founders' stay
		}
	})
	return g.by(o, ledger.EnrolBridge{Possession: g.c.Possession(b.Key, o.ID)})
}

// removeBridge ends one of the later bridges, which is used on now and then.
func (g *generator) removeBridge() []byte {
	b := oneOf(g, g.c.Bridges[5:])
	if !g.oneIn(4) {
		g.after = append(g.after, func() {
			g.c.Bridges = slices.DeleteFunc(g.c.Bridges, func(other *simtest.Bridge) bool { return other == b })
		})
	}
	return g.by(b.Organisation, ledger.RemoveBridge{Bridge: b.ID})
}

// rotate gives a device another key, by its old one or by its owner's.
func (g *generator) rotate(d *simtest.Device, owner *simtest.Organisation) []byte {
	next := simtest.Key(g.name("key"))
	old := d.Key
	g.after = append(g.after, func() { d.Key = next })
	body := ledger.Rotate{Device: d.ID, Old: old.Public().KeyID(), Possession: g.c.Possession(next, d.Organisation.ID)}
	if g.oneIn(3) {
		body.Closes = g.c.Height + 5 // both keys are good for a while
	}
	if g.oneIn(2) {
		return g.c.Operation(old, d.ID, body)
	}
	return g.by(owner, body)
}

// retire ends a device; most of the time its streams are not used any more.
func (g *generator) retire(d *simtest.Device, owner *simtest.Organisation) []byte {
	g.after = append(g.after, func() {
		if len(g.devices) > 10 {
			g.devices = slices.DeleteFunc(g.devices, func(other *simtest.Device) bool { return other == d })
		}
		if len(g.streams) > 20 && !g.oneIn(4) {
			g.streams = slices.DeleteFunc(g.streams, func(s *genStream) bool { return s.Device == d })
		}
	})
	return g.by(owner, ledger.Retire{Device: d.ID})
}

// compromise declares a device's key compromised; the owner gives it another.
func (g *generator) compromise(d *simtest.Device, owner *simtest.Organisation) []byte {
	g.queue = append(g.queue, func() []byte { return g.rotate(d, d.Organisation) })
	from := 1 + g.rng.Uint64N(g.c.Height+2)
	return g.by(owner, ledger.Compromise{Principal: d.ID, Key: d.Key.Public().KeyID(), From: from})
}

// handOver queues the receiver's approval; what changes by it counts from then on.
func (g *generator) handOver(from, to *simtest.Organisation, body ledger.Body, done func()) []byte {
	tx := g.propose(from, body)
	if g.oneIn(5) {
		return tx // nobody agrees
	}
	g.approve(tx, to)
	last := len(g.queue) - 1
	approve := g.queue[last]
	g.queue[last] = func() []byte {
		g.after = append(g.after, done)
		return approve()
	}
	return tx
}

func (g *generator) transferDevice(d *simtest.Device, from *simtest.Organisation) []byte {
	to := oneOf(g, g.c.Organisations)
	body := ledger.TransferDevice{Device: d.ID, To: to.ID, WithStreams: g.oneIn(2)}
	return g.handOver(from, to, body, func() {
		for _, s := range g.streams {
			if s.Device == d && s.owner == from && body.WithStreams {
				s.owner = to
			}
		}
		d.Organisation = to
	})
}

func (g *generator) transferStream(s *genStream) []byte {
	to := oneOf(g, g.c.Organisations)
	body := ledger.TransferStream{Stream: s.ID, To: to.ID, FromNow: g.oneIn(2)}
	return g.handOver(s.owner, to, body, func() { s.owner = to })
}

func (g *generator) closeStream(s *genStream) []byte {
	g.after = append(g.after, func() {
		if len(g.streams) > 20 && !g.oneIn(4) {
			g.streams = slices.DeleteFunc(g.streams, func(other *genStream) bool { return other == s })
		}
	})
	return g.by(s.owner, ledger.CloseStream{Stream: s.ID})
}

func (g *generator) describe(d *simtest.Device, s *genStream) []byte {
	attributes := []ledger.Attribute{{Name: "firmware", Data: []byte{byte(g.rng.IntN(256))}}, {Name: "model", Text: g.name("model")}}
	if g.oneIn(2) {
		return g.by(s.owner, ledger.Describe{Subject: s.ID, Attributes: attributes})
	}
	return g.by(d.Organisation, ledger.Describe{Subject: d.ID, Attributes: attributes[g.rng.IntN(2):]})
}

func (g *generator) grant(s *genStream) []byte {
	to := oneOf(g, g.members())
	body := ledger.Grant{Stream: s.ID, Grantee: to.ID, Rights: ledger.Rights(1 + g.rng.IntN(3)), First: 1 + g.rng.Uint64N(s.Number), Purpose: g.name("purpose")}
	if g.oneIn(2) {
		body.Last = body.First + g.rng.Uint64N(20)
	}
	if !g.oneIn(3) {
		body.Until = g.c.Time + int64(g.rng.IntN(100))*simtest.BlockTime
	}
	tx := g.by(s.owner, body)
	made := genGrant{id: g.c.ProposalID(tx), stream: s, grantor: s.owner, grantee: to, first: body.First}
	g.after = append(g.after, func() { g.grants = last(append(g.grants, made), keepGrants) })
	return tx
}

func (g *generator) deliver(d *simtest.Device) []byte {
	if len(g.grants) == 0 || g.oneIn(20) {
		return g.by(d.Organisation, ledger.Deliver{Grant: crypto.ID{7}, First: 1, Last: 1})
	}
	made := oneOf(g, g.grants)
	body := ledger.Deliver{Grant: made.id, First: made.first, Last: made.first + g.rng.Uint64N(3), Digest: [32]byte{byte(g.rng.IntN(256))}}
	for _, d := range g.devices {
		if d.Organisation == made.grantee && g.oneIn(2) {
			return g.c.Operation(d.Key, d.ID, body)
		}
	}
	return g.by(made.grantee, body)
}

func (g *generator) revoke(d *simtest.Device) []byte {
	if len(g.grants) == 0 || g.oneIn(20) {
		return g.by(d.Organisation, ledger.Revoke{Grant: crypto.ID{7}})
	}
	made := oneOf(g, g.grants)
	return g.by(made.grantor, ledger.Revoke{Grant: made.id})
}

// equivocation shows two statements of one device for one number.
func (g *generator) equivocation(s *genStream, actor *simtest.Organisation) []byte {
	var e ledger.Equivocation
	for i, to := range []**ledger.Statement{&e.A, &e.B} {
		raw := s.At(1, i+1)
		parsed, err := ledger.ParseStatement(raw)
		if err != nil {
			panic(err) // it was just made
		}
		*to = parsed
	}
	return g.c.Operation(actor.Admins[0], actor.ID, e)
}
