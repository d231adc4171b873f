package state_test

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// drawn is an operation that is to be signed.
type drawn struct {
	chain    string
	actor    crypto.ID
	key      crypto.PrivateKey
	notAfter int64
	body     ledger.Body
}

// weights say how often a kind is drawn. What ends something for good is rare.
var weights = map[ledger.Kind]int{
	ledger.KindEnrolDevice: 4, ledger.KindEnrolDevices: 3, ledger.KindEnrolBridge: 3, ledger.KindOpenStream: 8, ledger.KindRotate: 10,
	ledger.KindSuspend: 4, ledger.KindResume: 6, ledger.KindRetire: 1, ledger.KindCompromise: 5, ledger.KindRemoveBridge: 2,
	ledger.KindTransferDevice: 12, ledger.KindDescribe: 3, ledger.KindTransferStream: 12, ledger.KindCloseStream: 1,
	ledger.KindGrant: 20, ledger.KindRevoke: 5, ledger.KindDeliver: 14, ledger.KindEquivocation: 3,
	ledger.KindApprove: 20, ledger.KindAdmit: 5, ledger.KindRemove: 3, ledger.KindValidator: 10, ledger.KindSetParameters: 8,
	ledger.KindSetAdmins: 4, ledger.KindRotateValidator: 4,
	ledger.KindManifest: 5, ledger.KindEnrolListed: 10, ledger.KindCloseManifest: 2,
}

var weighted = func() (list []ledger.Kind) {
	for i := range 100 { // interleaved: rapid favours what stands first
		for _, kind := range sorted(weights) {
			if i < weights[kind] {
				list = append(list, kind)
			}
		}
	}
	return list
}()

// transaction draws a transaction.
func (m *model) transaction(t *rapid.T) []byte {
	switch {
	case rapid.IntRange(0, 3).Draw(t, "batch") == 1 && (len(m.reporting()) > 0 || odd(t, 8, "anyway")):
		return m.batch(t)
	case odd(t, 40, "garbage"):
		return []byte("garbage")
	case len(m.past) > 0 && odd(t, 20, "replay"):
		return one(t, "which", m.past[max(0, len(m.past)-8):])
	}
	return m.operation(t)
}

func (m *model) operation(t *rapid.T) []byte {
	kind := m.kind(t)
	d := m.draw(t, kind)
	if slices.Contains(ofLeft, kind) && rapid.Bool().Draw(t, "of one that left") {
		m.drawLeft(t, &d)
	}
	d.chain, d.notAfter = m.c.ID, m.n.now()+one(t, "not after", []int64{5, 0, 1, 100})
	if d.key.IsZero() {
		d.key = m.signer(t, d.actor)
	}
	m.wrap(t, &d)
	forged := false
	if odd(t, 12, "fault") {
		forged = m.spoil(t, &d)
	}
	o, err := ledger.SignOperation(d.key, ledger.Operation{Chain: d.chain, Actor: d.actor, NotAfter: d.notAfter, Body: d.body})
	if err != nil {
		t.Fatalf("%v: %v", d.body.Kind(), err)
	}
	raw := bytes.Clone(o.Bytes())
	if forged {
		raw[len(raw)-1-rapid.IntRange(0, 30).Draw(t, "bit")] ^= 1
	}
	return raw
}

// kind draws a kind: what waits for votes is voted on, and at times a pair gets as many
// grants as it may.
func (m *model) kind(t *rapid.T) ledger.Kind {
	if m.burst > 0 {
		m.burst--
		return ledger.KindGrant
	}
	if len(m.openProposals()) > 0 && rapid.Bool().Draw(t, "vote") {
		return ledger.KindApprove
	}
	if d := m.n.devices[m.moved]; d != nil && d.is[len(d.is)-1].from == m.n.height+1 && odd(t, 3, "move it on") {
		return ledger.KindTransferDevice
	}
	kind := one(t, "kind", weighted)
	if slices.Contains([]ledger.Kind{ledger.KindEnrolDevice, ledger.KindEnrolDevices, ledger.KindEnrolListed}, kind) && len(m.freeDevices()) == 0 && !odd(t, 6, "in vain") {
		kind = ledger.KindDeliver
	}
	if slices.Contains([]ledger.Kind{ledger.KindEnrolListed, ledger.KindCloseManifest}, kind) && len(m.n.manifests) == 0 {
		kind = ledger.KindManifest
	}
	if kind == ledger.KindGrant && odd(t, 12, "burst") {
		m.burst = ledger.MaxGrants
	}
	return kind
}

// openProposals are those that may still be applied; one that failed waits.
func (m *model) openProposals() []*naiveProposal {
	return where(m.n.proposals, func(p *naiveProposal) bool { return p.applied == 0 && p.expires >= m.n.now() && !m.failed[p.id] })
}

// wrap proposes what one signature is not enough for; at times another thing too, or
// leaves it.
func (m *model) wrap(t *rapid.T, d *drawn) {
	switch d.body.(type) {
	case ledger.Approve, ledger.Equivocation, ledger.EnrolListed:
		return
	}
	need, _ := m.n.whoMustAgree(act{actor: d.actor, body: d.body})
	alone := !need.vote
	for _, id := range need.all {
		o, _ := m.n.organisation(id)
		alone = alone && id == d.actor && o.Threshold <= 1
	}
	if odd(t, 16, "the other way") {
		alone = !alone
	}
	if !alone {
		d.body = ledger.Propose{Expires: m.n.now() + one(t, "expires", []int64{10, 30, 1, 3, 0}), Body: d.body}
	}
}

// spoil breaks something of an operation; it tells whether the signature is to be broken.
func (m *model) spoil(t *rapid.T, d *drawn) (forged bool) {
	switch rapid.IntRange(0, 7).Draw(t, "what is wrong") {
	case 0:
		d.key = one(t, "wrong key", m.allKeys())
	case 1:
		d.key = one(t, "key of the actor", append(m.keysOf(d.actor, false), d.key))
	case 2:
		if _, ok := d.body.(ledger.Equivocation); ok || len(ledger.Possessions(d.body)) > 0 {
			return true // it would be of this chain
		}
		d.chain = "another"
	case 3:
		d.notAfter = m.n.now() - one(t, "late", []int64{1, 100})
	case 4:
		d.notAfter = m.n.now() + int64(m.n.parameter(ledger.ParameterNotAfter)) + one(t, "far", []int64{0, 1, 1, 100})
	case 5:
		if len(ledger.Possessions(d.body)) == 0 {
			d.actor = one(t, "wrong actor", slices.Concat(m.cast.organisations, m.cast.devices, m.cast.bridges[:1]))
		}
	case 6:
		return true
	case 7:
		if p, ok := d.body.(ledger.Propose); ok {
			p.Expires = m.n.now() + one(t, "wrong end", []int64{-1, int64(m.n.parameter(ledger.ParameterNotAfter)) + 1})
			d.body = p
		}
	}
	return false
}

func (m *model) allKeys() (list []crypto.PrivateKey) {
	for _, name := range sorted(castKeys) {
		list = append(list, castKeys[name])
	}
	return list
}

// keysOf are the keys that a principal has at the start of the block: those that are
// valid, or all.
func (m *model) keysOf(id crypto.ID, valid bool) (list []crypto.PrivateKey) {
	for _, k := range m.n.signers[id].keys {
		if !valid || k.Opens <= m.n.height && (k.Closes == 0 || m.n.height < k.Closes) {
			list = append(list, castKeyOf[k.id])
		}
	}
	return list
}

// signer is a valid key of a principal, mostly the newest.
func (m *model) signer(t *rapid.T, id crypto.ID) crypto.PrivateKey {
	list := m.keysOf(id, true)
	if len(list) == 0 {
		if list = m.keysOf(id, false); len(list) == 0 {
			return castKeys["spare 0"]
		}
	}
	slices.Reverse(list)
	return one(t, "key", list)
}

// The likely ones: what exists and may act. Order follows the cast, never a map.

func (m *model) activeOrganisations() []crypto.ID {
	return where(m.cast.organisations, func(id crypto.ID) bool {
		s, known := m.n.signers[id]
		return known && s.code == ledger.CodeOK
	})
}

func (m *model) anOrganisation(t *rapid.T) crypto.ID {
	return usually(t, "organisation", m.activeOrganisations(), m.cast.organisations)
}

func (m *model) enrolledDevices() []crypto.ID {
	return where(m.cast.devices, func(id crypto.ID) bool {
		d, found := m.n.device(id)
		return found && d.Status != record.StatusRetired && m.active(d.Organisation)
	})
}

// active tells whether an organisation will be active in the next block.
func (m *model) active(organisation crypto.ID) bool {
	o, found := m.n.organisation(organisation)
	return found && o.Status == record.StatusActive
}

func (m *model) aDevice(t *rapid.T) crypto.ID {
	return usually(t, "device", m.enrolledDevices(), m.cast.devices)
}

func (m *model) openStreams() []crypto.ID {
	return where(m.cast.streams, func(id crypto.ID) bool {
		s := m.n.streams[id]
		return s != nil && s.closed == nil && m.active(m.streamOwner(id))
	})
}

func (m *model) aStream(t *rapid.T) crypto.ID {
	return usually(t, "stream", m.openStreams(), m.cast.streams)
}

func (m *model) streamOwner(id crypto.ID) crypto.ID {
	if s := m.n.streams[id]; s != nil {
		owner, _ := s.owners.at(m.n.height + 1)
		return owner.Organisation
	}
	return m.cast.organisations[0]
}

func (m *model) deviceOwner(id crypto.ID) crypto.ID {
	if d, found := m.n.device(id); found {
		return d.Organisation
	}
	return m.cast.organisations[0]
}

// ownerOf is who answers for a principal, or who would find out that there is none.
func (m *model) ownerOf(principal crypto.ID) crypto.ID {
	if owner, found := m.n.answersFor(principal); found {
		return owner
	}
	return m.cast.organisations[0]
}

// anActor is the likely one, or at times any.
func (m *model) anActor(t *rapid.T, likely ...crypto.ID) crypto.ID {
	return usually(t, "actor", likely, slices.Concat(m.cast.organisations[:4], m.cast.devices[:4]))
}

// drawAbsent draws the validators that don't sign the last block: mostly none.
func (m *model) drawAbsent(t *rapid.T) (list []crypto.PublicKey) {
	for odd(t, 6, "absent") {
		list = append(list, castKeys[one(t, "who is", castValidators)].Public())
	}
	return list
}

// drawMisbehaviour draws evidence of CometBFT for a block.
func (m *model) drawMisbehaviour(t *rapid.T) (list []state.Misbehaviour) {
	for odd(t, 12, "misbehaviour") {
		sum := sha256.Sum256([]byte("nobody"))
		height := rapid.Uint64Range(1, m.n.height+1).Draw(t, "height of it")
		if set := m.n.setAt(height); len(set) > 0 {
			v := one(t, "offender", set)
			sum = sha256.Sum256(v.Key[:])
		}
		list = append(list, state.Misbehaviour{Address: [20]byte(sum[:20]), Height: height,
			Offence: one(t, "offence", []record.Offence{record.OffenceDuplicateVote, record.OffenceLightAttack})})
	}
	return list
}
