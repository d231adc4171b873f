package state_test

import (
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// act is an operation as its rules see it: who acts, and what.
type act struct {
	actor crypto.ID
	body  ledger.Body
	made  crypto.ID    // id of what it makes
	kid   crypto.KeyID // of the key that signed
}

// operation is section 3 and the beginning of section 6.
func (n *naive) operation(o *ledger.Operation) ledger.Code {
	signer, known := n.signers[o.Actor]
	if _, bridge := n.bridges[o.Actor]; bridge || !known {
		return ledger.CodeUnknownActor
	}
	if code := firstOf(signer.code, n.signed(o.Actor, o.Sign1)); code != ledger.CodeOK {
		return code
	}
	digest := o.Sign1.Digest()
	_, replayed := n.done[digest]
	switch {
	case !n.takeOperationQuota(o):
		return ledger.CodeQuota
	case replayed:
		return ledger.CodeReplayed
	case o.NotAfter < n.now():
		return ledger.CodeExpired
	case o.NotAfter > n.now()+int64(n.parameter(ledger.ParameterNotAfter)):
		return ledger.CodeNotAfterTooFar
	}
	code := n.innerSignatures(o.Body)
	if code == ledger.CodeOK {
		code = n.direct(act{o.Actor, o.Body, crypto.ID(digest[:16]), o.KeyID()})
	}
	n.seen(o.Body.Kind(), code)
	if code != ledger.CodeOK {
		return code
	}
	n.done[digest] = record.Operation{Height: n.height, Index: uint64(len(n.log))}
	n.log = append(n.log, o.Bytes())
	return ledger.CodeOK
}

// innerSignatures checks the signatures that stand in a body.
func (n *naive) innerSignatures(body ledger.Body) ledger.Code {
	switch b := body.(type) {
	case ledger.EnrolDevice:
		return n.possessed(b.Possession)
	case ledger.EnrolBridge:
		return n.possessed(b.Possession)
	case ledger.Rotate:
		return n.possessed(b.Possession)
	case ledger.EnrolDevices:
		return n.possessed(b.Possessions...)
	case ledger.EnrolListed:
		for _, d := range b.Devices {
			if code := n.possessed(d.Possession); code != ledger.CodeOK {
				return code
			}
		}
	case ledger.Admit:
		return n.possessed(b.Possession)
	case ledger.RotateValidator:
		return n.possessed(b.Possession)
	case ledger.Propose:
		return n.innerSignatures(b.Body)
	case ledger.Equivocation:
		return firstOf(n.evidenceOf(b.A), n.evidenceOf(b.B))
	}
	return ledger.CodeOK
}

func (n *naive) possessed(list ...*ledger.Possession) ledger.Code {
	for _, p := range list {
		if signature(p.Key, p.Sign1) != ledger.CodeOK {
			return ledger.CodeBadPossession
		}
	}
	return ledger.CodeOK
}

// evidenceOf is the code of a statement by any key that its device had before this block.
func (n *naive) evidenceOf(s *ledger.Statement) ledger.Code {
	for _, k := range n.signers[s.Device].keys {
		if k.id == s.KeyID() {
			return signature(k.Public, s.Sign1)
		}
	}
	return ledger.CodeUnknownKey
}

// direct applies an operation that is sent as it is.
func (n *naive) direct(a act) ledger.Code {
	switch a.body.(type) {
	case ledger.Equivocation, ledger.Propose, ledger.Approve, ledger.EnrolListed:
		return n.apply(a)
	}
	need, code := n.whoMustAgree(a)
	if code != ledger.CodeOK {
		return code
	}
	for _, id := range need.all {
		if o, _ := n.organisations[id].is.at(n.height + 1); id != a.actor || o.Threshold > 1 {
			return ledger.CodeNeedsProposal
		}
	}
	if need.vote {
		return ledger.CodeNeedsProposal
	}
	return n.apply(a)
}

// apply is section 6 by kind, for what was agreed to. It changes everything or nothing.
func (n *naive) apply(a act) ledger.Code {
	switch b := a.body.(type) {
	case ledger.EnrolDevice:
		return n.enrolDevices(a, b.Possession)
	case ledger.EnrolDevices:
		return n.enrolDevices(a, b.Possessions...)
	case ledger.Manifest:
		return n.signManifest(a, b)
	case ledger.EnrolListed:
		return n.enrolListed(b)
	case ledger.CloseManifest:
		return n.closeManifest(a, b)
	case ledger.EnrolBridge:
		return n.enrolBridge(a, b)
	case ledger.RemoveBridge:
		return n.removeBridge(a, b)
	case ledger.OpenStream:
		return n.openStream(a, b)
	case ledger.Rotate:
		return n.rotate(a, b)
	case ledger.Suspend:
		return n.setStatus(a, b.Device, record.StatusSuspended)
	case ledger.Resume:
		return n.setStatus(a, b.Device, record.StatusActive)
	case ledger.Retire:
		return n.setStatus(a, b.Device, record.StatusRetired)
	case ledger.Compromise:
		return n.compromise(a, b)
	case ledger.Describe:
		return n.describe(a, b)
	case ledger.TransferDevice:
		return n.transferDevice(b)
	case ledger.TransferStream:
		return n.transferStreams(b.To, b.FromNow, b.Stream)
	case ledger.CloseStream:
		return n.closeStream(a, b)
	case ledger.Grant:
		return n.grant(a, b)
	case ledger.Revoke:
		return n.revoke(a, b)
	case ledger.Deliver:
		return n.deliver(a, b)
	case ledger.Equivocation:
		return n.equivocation(b)
	}
	return n.applyDecision(a)
}

// Kinds 1 to 8, 10, 24 and 26. They look at what will be in the next block.

func (n *naive) device(id crypto.ID) (record.Device, bool) {
	if d := n.devices[id]; d != nil {
		return d.is.at(n.height + 1)
	}
	return record.Device{}, false
}

func (n *naive) organisation(id crypto.ID) (record.Organisation, bool) {
	if o := n.organisations[id]; o != nil {
		return o.is.at(n.height + 1)
	}
	return record.Organisation{}, false
}

func (n *naive) isOrganisation(id crypto.ID) bool { return n.organisations[id] != nil }

func (n *naive) enrolDevices(a act, list ...*ledger.Possession) ledger.Code {
	if !n.isOrganisation(a.actor) {
		return ledger.CodeUnknownOrganisation
	}
	for _, p := range list {
		if n.devices[ledger.DeviceID(p.Key)] != nil {
			return ledger.CodeExists
		}
	}
	for _, p := range list {
		d := &naiveDevice{}
		d.is.set(n.height, record.Device{Organisation: a.actor})
		n.devices[ledger.DeviceID(p.Key)] = d
		n.addKey(ledger.DeviceID(p.Key), p.Key)
	}
	return ledger.CodeOK
}

func (n *naive) enrolBridge(a act, b ledger.EnrolBridge) ledger.Code {
	id := ledger.BridgeID(b.Possession.Key)
	switch {
	case !n.isOrganisation(a.actor):
		return ledger.CodeUnknownOrganisation
	case n.bridges[id] != nil:
		return ledger.CodeExists
	}
	bridge := &naiveBridge{}
	bridge.is.set(n.height, record.Bridge{Organisation: a.actor})
	n.bridges[id] = bridge
	n.addKey(id, b.Possession.Key)
	return ledger.CodeOK
}

func (n *naive) removeBridge(a act, b ledger.RemoveBridge) ledger.Code {
	bridge := n.bridges[b.Bridge]
	if bridge == nil {
		return ledger.CodeUnknownBridge
	}
	now, _ := bridge.is.at(n.height + 1)
	switch {
	case now.Organisation != a.actor:
		return ledger.CodeNotOwner
	case now.Status == record.StatusRetired:
		return ledger.CodeRetired
	}
	now.Status = record.StatusRetired
	bridge.is.set(n.height+1, now)
	return ledger.CodeOK
}

func (n *naive) openStream(a act, b ledger.OpenStream) ledger.Code {
	device, found := n.device(b.Device)
	id := ledger.StreamID(n.chain, b.Device, b.Name)
	switch {
	case !found:
		return ledger.CodeUnknownDevice
	case a.actor != b.Device && a.actor != device.Organisation:
		return ledger.CodeNotOwner
	case device.Status != record.StatusActive:
		return notActive(device.Status)
	case n.streams[id] != nil:
		return ledger.CodeExists
	}
	s := &naiveStream{device: b.Device, name: b.Name, used: make(map[uint64]bool)}
	s.owners.set(n.height, record.Owner{Organisation: device.Organisation, Since: n.height})
	n.streams[id] = s
	return ledger.CodeOK
}

func (n *naive) rotate(a act, b ledger.Rotate) ledger.Code {
	device, found := n.device(b.Device)
	switch {
	case !found:
		return ledger.CodeUnknownDevice
	case a.actor != b.Device && a.actor != device.Organisation:
		return ledger.CodeNotOwner
	case b.Possession.Organisation != device.Organisation:
		return ledger.CodeBadPossession
	case device.Status != record.StatusActive:
		return notActive(device.Status)
	}
	old, d := n.key(b.Device, b.Old), n.devices[b.Device]
	lost := d.keyless != nil && d.keyless.Key == b.Old && a.actor == device.Organisation
	switch {
	case old == nil:
		return ledger.CodeUnknownKey
	case old.Closes != 0 && !lost:
		return ledger.CodeKeyClosed
	case n.key(b.Device, b.Possession.Key.KeyID()) != nil:
		return ledger.CodeExists
	}
	if lost {
		d.keyless = nil
	} else {
		old.Closes = max(b.Closes, n.height+1)
	}
	n.addKey(b.Device, b.Possession.Key)
	return ledger.CodeOK
}

func (n *naive) setStatus(a act, id crypto.ID, to record.Status) ledger.Code {
	device, found := n.device(id)
	switch {
	case !found:
		return ledger.CodeUnknownDevice
	case a.actor != device.Organisation:
		return ledger.CodeNotOwner
	case device.Status == to:
		return ledger.CodeExists
	case device.Status == record.StatusRetired:
		return ledger.CodeRetired
	}
	device.Status = to
	n.devices[id].is.set(n.height+1, device)
	return ledger.CodeOK
}

// answersFor is the organisation that a principal is, or that owns or answers for it.
func (n *naive) answersFor(id crypto.ID) (crypto.ID, bool) {
	if n.isOrganisation(id) {
		return id, true
	}
	if d, found := n.device(id); found {
		return d.Organisation, true
	}
	if b := n.bridges[id]; b != nil {
		now, _ := b.is.at(n.height + 1)
		return now.Organisation, true
	}
	return crypto.ID{}, false
}

func (n *naive) compromise(a act, b ledger.Compromise) ledger.Code {
	owner, found := n.answersFor(b.Principal)
	k := n.key(b.Principal, b.Key)
	switch {
	case !found:
		return ledger.CodeNotFound
	case owner != a.actor:
		return ledger.CodeNotOwner
	case k == nil:
		return ledger.CodeUnknownKey
	case b.From > n.height:
		return ledger.CodeFutureHeight
	case k.Doubtful != 0 && k.Doubtful <= b.From:
		return ledger.CodeExists
	case n.isOrganisation(b.Principal) && !n.retired(b.Principal) && k.Closes == 0:
		return ledger.CodeNotLive
	}
	if d := n.devices[b.Principal]; d != nil && k.Closes == 0 {
		d.keyless = &record.Keyless{Key: b.Key, Height: n.height}
	}
	k.Doubtful = b.From
	if k.Closes == 0 || k.Closes > n.height+1 {
		k.Closes = n.height + 1
	}
	return ledger.CodeOK
}

func (n *naive) describe(a act, b ledger.Describe) ledger.Code {
	owner, found := n.answersFor(b.Subject)
	if s := n.streams[b.Subject]; s != nil {
		now, _ := s.owners.at(n.height + 1)
		owner, found = now.Organisation, true
	}
	switch {
	case !found:
		return ledger.CodeNotFound
	case owner != a.actor:
		return ledger.CodeNotOwner
	}
	if n.described[b.Subject] == nil {
		n.described[b.Subject] = new(history[[]ledger.Attribute])
	}
	n.described[b.Subject].set(n.height+1, slices.Clone(b.Attributes))
	return ledger.CodeOK
}
