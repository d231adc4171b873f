package state_test

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// Kinds 17 to 23 and 25, and who must agree to what.

// naiveNeed is who must agree: each of these organisations, and the members by vote,
// which may stand in for one that is retired.
type naiveNeed struct {
	all   []crypto.ID
	vote  bool
	stead crypto.ID
}

// whoMustAgree is "Who must agree", and what 9 and 11 refuse before it.
func (n *naive) whoMustAgree(a act) (need naiveNeed, code ledger.Code) {
	if n.isOrganisation(a.actor) {
		need.all = append(need.all, a.actor)
	}
	switch b := a.body.(type) {
	case ledger.TransferDevice:
		device, found := n.device(b.Device)
		if !found {
			return need, ledger.CodeUnknownDevice
		}
		return n.giving(a, need, device.Organisation, b.To)
	case ledger.TransferStream:
		s := n.streams[b.Stream]
		if s == nil {
			return need, ledger.CodeUnknownStream
		}
		owner, _ := s.owners.at(n.height + 1)
		return n.giving(a, need, owner.Organisation, b.To)
	case ledger.Admit, ledger.Remove, ledger.SetValidator, ledger.SetParameters:
		need.vote = true
	}
	if owner := n.leftBy(a); n.retired(owner) && owner != a.actor && n.isOrganisation(a.actor) {
		need.vote, need.stead = true, owner
	}
	return need, ledger.CodeOK
}

// leftBy is whose consent "What a member left" asks for by kind 7, 8, 12 and 14.
func (n *naive) leftBy(a act) (owner crypto.ID) {
	switch b := a.body.(type) {
	case ledger.Retire:
		device, _ := n.device(b.Device)
		return device.Organisation
	case ledger.Compromise:
		owner, _ = n.answersFor(b.Principal)
	case ledger.CloseStream:
		if s := n.streams[b.Stream]; s != nil {
			now, _ := s.owners.at(n.height + 1)
			return now.Organisation
		}
	case ledger.Revoke:
		if g := n.findGrant(b.Grant); g != nil && !n.streams[g.Stream].whose(n.height, g.First, g.Last)[a.actor] {
			return g.Grantor
		}
	}
	return owner
}

// retired tells whether an organisation will be one that was removed.
func (n *naive) retired(id crypto.ID) bool {
	o, _ := n.organisation(id)
	return o.Status == record.StatusRetired
}

// applyDecision applies the kinds of this file.
func (n *naive) applyDecision(a act) ledger.Code {
	switch b := a.body.(type) {
	case ledger.Propose:
		return n.propose(a, b)
	case ledger.Approve:
		return n.approve(a, b)
	case ledger.Admit:
		return n.admit(b)
	case ledger.Remove:
		return n.remove(b)
	case ledger.SetValidator:
		return n.setValidator(b)
	case ledger.SetParameters:
		return n.setParameters(b)
	case ledger.SetAdmins:
		return n.setAdmins(a, b)
	case ledger.RotateValidator:
		return n.rotateValidator(a, b)
	}
	panic("the naive ledger does not know this kind")
}

func (n *naive) propose(a act, b ledger.Propose) ledger.Code {
	switch {
	case !n.isOrganisation(a.actor):
		return ledger.CodeUnknownOrganisation
	case b.Expires < n.now():
		return ledger.CodeExpired
	case b.Expires > n.now()+int64(n.parameter(ledger.ParameterNotAfter)):
		return ledger.CodeNotAfterTooFar
	}
	p := &naiveProposal{id: a.made, proposer: a.actor, expires: b.Expires, body: b.Body, approved: make(map[crypto.ID][]record.Approval)}
	code := n.agree(a, p)
	if code == ledger.CodeOK {
		n.proposals = append(n.proposals, p)
	}
	return code
}

func (n *naive) approve(a act, b ledger.Approve) ledger.Code {
	if !n.isOrganisation(a.actor) {
		return ledger.CodeUnknownOrganisation
	}
	for _, p := range n.proposals {
		switch {
		case p.id != b.Proposal:
		case p.applied != 0 || p.expires < n.now():
			return ledger.CodeProposalClosed
		default:
			return n.agree(a, p)
		}
	}
	return ledger.CodeUnknownProposal
}

// agree adds the approval of a key, and applies the proposal if that makes it enough.
func (n *naive) agree(a act, p *naiveProposal) ledger.Code {
	inner := act{actor: p.proposer, body: p.body, made: p.id}
	need, code := n.whoMustAgree(inner)
	if code != ledger.CodeOK {
		n.seen(p.body.Kind(), code)
		return code
	}
	members, _ := n.members.at(n.height + 1)
	before := p.approved[a.actor]
	switch {
	case !slices.Contains(need.all, a.actor) && !(need.vote && slices.Contains(members, a.actor)):
		return ledger.CodeNotMember
	case slices.ContainsFunc(before, func(r record.Approval) bool { return r.Key == a.kid }):
		return ledger.CodeAlreadyApproved
	case len(before) >= 64:
		return ledger.CodeTooMany
	}
	p.approved[a.actor] = append(slices.Clone(before), record.Approval{Key: a.kid, Height: n.height})
	if !n.decided(p, need, members) {
		return ledger.CodeOK
	}
	if n.retired(need.stead) {
		inner.actor = need.stead
	}
	code = n.apply(inner)
	n.seen(p.body.Kind(), code)
	if need.vote && code == ledger.CodeOK {
		n.voted[p.body.Kind()]++
	}
	if code != ledger.CodeOK {
		p.approved[a.actor] = before
		return code
	}
	p.applied = n.height
	return ledger.CodeOK
}

// decided tells whether all who must agree to a proposal have.
func (n *naive) decided(p *naiveProposal, need naiveNeed, members []crypto.ID) bool {
	for _, id := range need.all {
		if !n.agrees(p, id) {
			return false
		}
	}
	yes := uint64(0)
	for _, id := range members {
		if n.agrees(p, id) {
			yes++
		}
	}
	return !need.vote || yes*n.parameter(ledger.ParameterVoteDen) >= uint64(len(members))*n.parameter(ledger.ParameterVoteNum)
}

func (n *naive) agrees(p *naiveProposal, id crypto.ID) bool {
	o, found := n.organisation(id)
	keys := uint64(0)
	for _, r := range p.approved[id] {
		if k := n.key(id, r.Key); k.Opens <= n.height+1 && (k.Closes == 0 || n.height+1 < k.Closes) {
			keys++
		}
	}
	return found && o.Status == record.StatusActive && keys >= o.Threshold
}

func (n *naive) admit(b ledger.Admit) ledger.Code {
	id := ledger.OrganisationID(b.Keys[0])
	members, _ := n.members.at(n.height + 1)
	switch {
	case n.isOrganisation(id):
		return ledger.CodeExists
	case len(members) >= 1_000:
		return ledger.CodeTooMany
	}
	for _, member := range members {
		if o, _ := n.organisation(member); o.Name == b.Name {
			return ledger.CodeExists
		}
	}
	o := &naiveOrganisation{}
	o.is.set(n.height, record.Organisation{Name: b.Name, Threshold: b.Threshold})
	n.organisations[id] = o
	var admins []crypto.KeyID
	for _, key := range b.Keys {
		n.addKey(id, key)
		admins = append(admins, key.KeyID())
	}
	o.admins.set(n.height+1, admins)
	n.members.set(n.height+1, append(slices.Clone(members), id))
	return ledger.CodeOK
}

func (n *naive) remove(b ledger.Remove) ledger.Code {
	o, found := n.organisation(b.Organisation)
	members, _ := n.members.at(n.height + 1)
	switch {
	case !found:
		return ledger.CodeUnknownOrganisation
	case o.Status != record.StatusActive:
		return notActive(o.Status)
	case len(members) == 1:
		return ledger.CodeNotLive
	}
	var gone []record.Validator
	for _, v := range n.setAt(n.height + 2) {
		if v.Organisation == b.Organisation {
			v.Power = 0
			gone = append(gone, v)
		}
	}
	if len(gone) > 0 {
		if code := n.setPowers(false, gone...); code != ledger.CodeOK {
			return code
		}
	}
	o.Status = record.StatusRetired
	n.organisations[b.Organisation].is.set(n.height+1, o)
	rest := slices.DeleteFunc(slices.Clone(members), func(id crypto.ID) bool { return id == b.Organisation })
	n.members.set(n.height+1, rest)
	return ledger.CodeOK
}

// setAt is all validators with power in the set that decides a height, by ascending key.
func (n *naive) setAt(height uint64) (set []record.Validator) {
	for _, v := range n.validators {
		if now, found := v.is.at(height); found && now.Power > 0 {
			set = append(set, now)
		}
	}
	slices.SortFunc(set, func(a, b record.Validator) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return set
}

// setPower writes down the power of a validator from a height on.
func (n *naive) setPower(height uint64, v record.Validator) {
	id := ledger.ValidatorID(v.Key)
	if n.validators[id] == nil {
		n.validators[id] = &naiveValidator{key: v.Key, listed: make(map[crypto.ID]uint64)}
	}
	n.validators[id].is.set(height, v)
	if _, listed := n.validators[id].listed[v.Organisation]; !listed {
		n.validators[id].listed[v.Organisation] = n.height
	}
}

// setPowers changes the set of h + 2, if it stays live or is excused from that.
func (n *naive) setPowers(excused bool, list ...record.Validator) ledger.Code {
	after := n.setAt(n.height + 2)
	for _, v := range list {
		after = slices.DeleteFunc(after, func(old record.Validator) bool { return old.Key == v.Key })
		if v.Power > 0 {
			after = append(after, v)
		}
	}
	if len(after) > 200 {
		return ledger.CodeTooMany
	}
	untried := maps.Clone(n.untried)
	for _, v := range list {
		old, _ := n.validator(v.Key)
		id := ledger.ValidatorID(v.Key)
		if v.Power == 0 {
			delete(untried, id)
		} else if v.Power > old.Power {
			u, known := n.untried[id]
			if !known {
				u.Power = old.Power
			}
			untried[id] = record.Untried{Since: n.height + 2, Power: u.Power}
		}
	}
	if !excused && !live(n.setAt(n.height+1), after, untried) {
		return ledger.CodeNotLive
	}
	n.untried = untried
	for _, v := range list {
		n.setPower(n.height+2, v)
	}
	n.setChanged = append(n.setChanged, n.height+2)
	return ledger.CodeOK
}

// live is the last rule of kind 21: of neither set may what is not in the other, too, or was
// is more power than it was seen to sign with, be a third or more.
func live(before, after []record.Validator, untried map[crypto.ID]record.Untried) bool {
	power := func(set []record.Validator) (sum uint64) {
		for _, v := range set {
			sum += v.Power
		}
		return sum
	}
	stays := uint64(0)
	for _, v := range before {
		for _, w := range after {
			if v.Key != w.Key {
				continue
			}
			if u, some := untried[ledger.ValidatorID(v.Key)]; some {
				stays += min(v.Power, w.Power, u.Power)
			} else {
				stays += min(v.Power, w.Power)
			}
		}
	}
	lost, gained := power(before)-stays, power(after)-stays
	return len(before) > 0 && len(after) > 0 && 3*lost < power(before) && 3*gained < power(after)
}

// validator is the last that is known of a validator.
func (n *naive) validator(key crypto.PublicKey) (record.Validator, bool) {
	if v := n.validators[ledger.ValidatorID(key)]; v != nil {
		return v.is.at(n.height + 2)
	}
	return record.Validator{}, false
}

func (n *naive) setValidator(b ledger.SetValidator) ledger.Code {
	o, found := n.organisation(b.Organisation)
	old, known := n.validator(b.Key)
	switch {
	case !found:
		return ledger.CodeUnknownOrganisation
	case o.Status != record.StatusActive:
		return notActive(o.Status)
	case known && old.Organisation != b.Organisation:
		return ledger.CodeNotOwner
	case b.Power > 0 && b.Power == old.Power:
		return ledger.CodeExists
	case b.Power == 0 && old.Power == 0:
		return ledger.CodeUnknownValidator
	}
	return n.setPowers(false, record.Validator{Organisation: b.Organisation, Key: b.Key, Power: b.Power})
}

func (n *naive) rotateValidator(a act, b ledger.RotateValidator) ledger.Code {
	old, found := n.validator(b.Old)
	_, known := n.validator(b.New)
	switch {
	case !n.isOrganisation(a.actor):
		return ledger.CodeUnknownOrganisation
	case !found || old.Power == 0:
		return ledger.CodeUnknownValidator
	case old.Organisation != a.actor:
		return ledger.CodeNotOwner
	case known:
		return ledger.CodeExists
	}
	gone := old
	gone.Power = 0
	before, total := n.setAt(n.height+1), uint64(0)
	for _, v := range before {
		total += v.Power
	}
	excused := 3*old.Power >= total && slices.Equal(before, n.setAt(n.height+2))
	return n.setPowers(excused, gone, record.Validator{Organisation: a.actor, Key: b.New, Power: old.Power})
}

func (n *naive) setParameters(b ledger.SetParameters) ledger.Code {
	active := b.Active
	if active == 0 {
		active = n.height + 2
	}
	last := n.parameters[len(n.parameters)-1]
	next, changes := make(naiveParameters), false
	for id, value := range last.is {
		next[id] = value
	}
	for _, p := range b.Values {
		changes = changes || next[p.ID] != p.Value
		next[p.ID] = p.Value
	}
	num, den := next[ledger.ParameterVoteNum], next[ledger.ParameterVoteDen]
	switch {
	case active < n.height+2 || active > n.height+1_000_000 || active < last.from:
		return ledger.CodeBadParameter
	case num > den || 2*num <= den || next[ledger.ParameterAppVersion] < last.is[ledger.ParameterAppVersion]:
		return ledger.CodeBadParameter
	case !changes:
		return ledger.CodeExists
	}
	n.parameters.set(active, next)
	return ledger.CodeOK
}

func (n *naive) setAdmins(a act, b ledger.SetAdmins) ledger.Code {
	if !n.isOrganisation(a.actor) {
		return ledger.CodeUnknownOrganisation
	}
	o := n.organisations[a.actor]
	old, _ := o.admins.at(n.height + 1)
	var next []crypto.KeyID
	for _, key := range b.Keys {
		if !slices.Contains(old, key.KeyID()) && n.key(a.actor, key.KeyID()) != nil {
			return ledger.CodeExists
		}
		next = append(next, key.KeyID())
	}
	for _, key := range b.Keys {
		if !slices.Contains(old, key.KeyID()) {
			n.addKey(a.actor, key)
		}
	}
	for _, kid := range old {
		if k := n.key(a.actor, kid); !slices.Contains(next, kid) && (k.Closes == 0 || k.Closes > n.height+1) {
			k.Closes = n.height + 1
		}
	}
	now, _ := n.organisation(a.actor)
	now.Threshold = b.Threshold
	o.is.set(n.height+1, now)
	o.admins.set(n.height+1, next)
	return ledger.CodeOK
}

// signs is "Signatures of validators": all sign but those absent.
func (n *naive) signs(absent []crypto.PublicKey) {
	for _, v := range n.setAt(n.height - 1) {
		id := ledger.ValidatorID(v.Key)
		if n.untried[id].Since < n.height && !slices.Contains(absent, v.Key) {
			delete(n.untried, id)
		}
	}
}

// misbehaves is "Misbehaviour".
func (n *naive) misbehaves(list []state.Misbehaviour) {
	for _, m := range list {
		for _, v := range n.setAt(m.Height) {
			sum := sha256.Sum256(v.Key[:])
			at := naiveOffence{ledger.ValidatorID(v.Key), m.Height}
			if _, known := n.misbehaviour[at]; !known && m.Height <= n.height && bytes.Equal(sum[:20], m.Address[:]) {
				n.misbehaviour[at] = record.Misbehaviour{Organisation: v.Organisation, Offence: m.Offence, Height: n.height}
			}
		}
	}
}

// updates is what CometBFT is told of the validators after this block.
func (n *naive) updates() (list []state.ValidatorUpdate) {
	before, after := n.setAt(n.height+1), n.setAt(n.height+2)
	power := make(map[crypto.PublicKey]uint64)
	for _, v := range before {
		power[v.Key] = v.Power
	}
	changed := make(map[crypto.PublicKey]uint64)
	for _, v := range after {
		if power[v.Key] != v.Power {
			changed[v.Key] = v.Power
		}
		delete(power, v.Key)
	}
	for key := range power {
		changed[key] = 0
	}
	for key, p := range changed {
		list = append(list, state.ValidatorUpdate{Key: key, Power: p})
	}
	slices.SortFunc(list, func(a, b state.ValidatorUpdate) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return list
}
