package state_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// club is a naive consortium, one operation a block: it keeps names, and shares no code
// with the rules.
type club struct {
	orgs       map[string]*clubOrg
	validators map[string]clubValidator // by key, also those of power 0
	proposals  []*clubProposal
}

type clubOrg struct {
	keys, used []string
	threshold  int
	active     bool
}

type clubValidator struct {
	org   string
	power uint64
}

type clubProposal struct {
	id       crypto.ID
	proposer string
	what     clubAct
	expires  int64
	applied  bool
	yes      map[string][]string // keys by organisation
}

// clubAct is the body of an operation, by names.
type clubAct struct {
	kind      string
	org, key  string
	power     uint64
	keys      []string
	threshold int
}

func (n *club) signer(org, key string) ledger.Code {
	o := n.orgs[org]
	switch {
	case o == nil:
		return ledger.CodeUnknownActor
	case !o.active:
		return ledger.CodeRetired
	case !slices.Contains(o.used, key):
		return ledger.CodeUnknownKey
	case !slices.Contains(o.keys, key):
		return ledger.CodeKeyClosed
	}
	return ledger.CodeOK
}

func (n *club) members() (count int) {
	for _, o := range n.orgs {
		if o.active {
			count++
		}
	}
	return count
}

func (n *club) agrees(p *clubProposal, org string) bool {
	o, count := n.orgs[org], 0
	for _, key := range p.yes[org] {
		if slices.Contains(o.keys, key) {
			count++
		}
	}
	return o.active && count >= o.threshold
}

func (n *club) approve(p *clubProposal, org, key string) ledger.Code {
	vote := p.what.kind != "set_admins"
	switch {
	case !vote && org != p.proposer:
		return ledger.CodeNotMember
	case slices.Contains(p.yes[org], key):
		return ledger.CodeAlreadyApproved
	}
	before := p.yes[org]
	p.yes[org] = append(slices.Clone(before), key)
	yes := 0
	for name, o := range n.orgs {
		if o.active && n.agrees(p, name) {
			yes++
		}
	}
	if !n.agrees(p, p.proposer) || vote && 3*yes < 2*n.members() {
		return ledger.CodeOK
	}
	code := n.apply(p.what, p.proposer)
	if code != ledger.CodeOK {
		p.yes[org] = before
	}
	p.applied = code == ledger.CodeOK
	return code
}

func (n *club) apply(a clubAct, actor string) ledger.Code {
	o := n.orgs[a.org]
	switch a.kind {
	case "admit":
		if o != nil {
			return ledger.CodeExists
		}
		n.orgs[a.org] = &clubOrg{keys: []string{a.org}, used: []string{a.org}, threshold: 1, active: true}
		return ledger.CodeOK
	case "set_admins":
		o = n.orgs[actor]
		for _, key := range a.keys {
			if slices.Contains(o.used, key) && !slices.Contains(o.keys, key) {
				return ledger.CodeExists
			}
		}
		o.keys, o.threshold, o.used = a.keys, a.threshold, append(slices.Clone(o.used), a.keys...)
		return ledger.CodeOK
	}
	switch {
	case o == nil:
		return ledger.CodeUnknownOrganisation
	case !o.active:
		return ledger.CodeRetired
	}
	changed := make(map[string]uint64)
	if a.kind == "remove" {
		if n.members() == 1 {
			return ledger.CodeNotLive
		}
		for key, v := range n.validators {
			if v.org == a.org && v.power > 0 {
				changed[key] = 0
			}
		}
	} else {
		old, known := n.validators[a.key]
		switch {
		case known && old.org != a.org:
			return ledger.CodeNotOwner
		case old.power == a.power && a.power > 0:
			return ledger.CodeExists
		case old.power == a.power:
			return ledger.CodeUnknownValidator
		}
		changed[a.key] = a.power
	}
	if len(changed) > 0 && !n.live(changed) {
		return ledger.CodeNotLive
	}
	for key, power := range changed {
		n.validators[key] = clubValidator{a.org, power}
	}
	o.active = a.kind != "remove"
	return ledger.CodeOK
}

// live tells whether the validators may change so.
func (n *club) live(changed map[string]uint64) bool {
	count, total, after := 0, 0, 0
	for key, v := range n.validators {
		power := v.power
		if power > 0 {
			count, total = count+1, total+int(power)
		}
		if next, ok := changed[key]; ok {
			power = next
		}
		after += int(power)
	}
	up, down, joined, left := 0, 0, 0, 0
	for key, power := range changed {
		old := n.validators[key].power
		if _, known := n.validators[key]; !known {
			after += int(power)
		}
		switch d := int(power) - int(old); {
		case d > 0:
			up += d
		default:
			down -= d
		}
		if old == 0 {
			joined++
		}
		if power == 0 {
			left++
		}
	}
	if count < 4 {
		return after > 0 && joined < 2 && left < 2
	}
	return after > 0 && 3*up < total && 3*down < total
}

// clubModel drives the rules and the naive consortium side by side.
type clubModel struct {
	c    *simtest.Chain
	n    *club
	seen map[ledger.Code]int
}

var (
	clubNames = []string{"organisation 0", "organisation 1", "organisation 2", "organisation 3", "new 0", "new 1"}
	clubKeys  = []string{"organisation 0 validator 0", "organisation 1 validator 0", "v 0", "v 1"}
	clubKinds = []string{"admit", "remove", "validator", "validator", "validator", "set_admins"}
)

func newClub(t *rapid.T, seen map[ledger.Code]int) *clubModel {
	threshold := rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "threshold")
	c := simtest.New(t, simtest.Config{Organisations: 4, Admins: 2, Threshold: threshold, Validators: 1})
	n := &club{orgs: make(map[string]*clubOrg), validators: make(map[string]clubValidator)}
	for _, o := range c.Organisations {
		keys := []string{o.Name, o.Name + " admin 1"}
		n.orgs[o.Name] = &clubOrg{keys: keys, used: keys, threshold: threshold, active: true}
		n.validators[o.Name+" validator 0"] = clubValidator{o.Name, 10}
	}
	return &clubModel{c, n, seen}
}

func clubID(org string) crypto.ID { return ledger.OrganisationID(simtest.Key(org).Public()) }

func (m *clubModel) body(a clubAct) ledger.Body {
	switch a.kind {
	case "admit":
		return m.c.Admit(simtest.NewOrganisation(a.org))
	case "remove":
		return ledger.Remove{Organisation: clubID(a.org)}
	case "validator":
		return ledger.SetValidator{Organisation: clubID(a.org), Key: simtest.Key(a.key).Public(), Power: a.power}
	}
	set := ledger.SetAdmins{Threshold: uint64(a.threshold)}
	for _, key := range a.keys {
		set.Keys = append(set.Keys, simtest.Key(key).Public())
	}
	return set
}

func (m *clubModel) draw(t *rapid.T, actor string) clubAct {
	a := clubAct{kind: pick(t, "kind", clubKinds), org: pick(t, "organisation", clubNames)}
	switch a.kind {
	case "validator":
		a.key, a.power = pick(t, "key", clubKeys), rapid.SampledFrom([]uint64{0, 0, 1, 10, 13, 14, 14, 30, 30}).Draw(t, "power")
	case "set_admins":
		pool := []string{actor, actor + " admin 1", actor + " admin 2", actor + " admin 3"}
		a.keys = rapid.Permutation(pool).Draw(t, "keys")[:rapid.IntRange(1, 3).Draw(t, "count")]
		a.threshold = rapid.IntRange(1, len(a.keys)).Draw(t, "of")
	}
	return a
}

// step makes a block of one operation and compares it.
func (m *clubModel) step(t *rapid.T) {
	actor := pick(t, "actor", clubNames[:4], clubNames[:4], clubNames[:4], clubNames)
	key := actor
	switch o := m.n.orgs[actor]; {
	case o == nil:
	case rarely(t, "another key"):
		key = pick(t, "signer", clubNames, o.used)
	default:
		key = pick(t, "signer", o.keys)
	}
	now := (m.c.Time + simtest.BlockTime) / 1e6
	want := m.n.signer(actor, key)
	var body ledger.Body
	var made *clubProposal
	switch how := rapid.IntRange(0, 9).Draw(t, "how"); {
	case how == 0:
		a := m.draw(t, actor)
		body = m.body(a)
		if want == ledger.CodeOK {
			if want = ledger.CodeNeedsProposal; a.kind == "set_admins" && m.n.orgs[actor].threshold == 1 {
				want = m.n.apply(a, actor)
			}
		}
	case how <= 2 || len(m.n.proposals) == 0:
		made = &clubProposal{proposer: actor, what: m.draw(t, actor), expires: now + 30, yes: make(map[string][]string)}
		body = ledger.Propose{Expires: made.expires, Body: m.body(made.what)}
		if want == ledger.CodeOK {
			want = m.n.approve(made, actor, key)
		}
	default:
		last := len(m.n.proposals) - 1
		p := m.n.proposals[rapid.IntRange(max(0, last-1), last).Draw(t, "proposal")]
		body = ledger.Approve{Proposal: p.id}
		switch {
		case want != ledger.CodeOK:
		case p.applied || p.expires < now:
			want = ledger.CodeProposalClosed
		default:
			want = m.n.approve(p, actor, key)
		}
	}
	tx := m.c.Operation(simtest.Key(key), clubID(actor), body)
	if got := m.c.Block(tx).Results[0].Code; got != want {
		t.Fatalf("height %d: %+v by %s of %s: %v, want %v", m.c.Height, body, key, actor, got, want)
	}
	if made != nil && want == ledger.CodeOK {
		made.id = m.c.ProposalID(tx)
		m.n.proposals = append(m.n.proposals, made)
	}
	m.seen[want]++
	m.compare(t)
}

// compare compares members, validators and proposals.
func (m *clubModel) compare(t *rapid.T) {
	get := func(lo, k [33]byte) []byte {
		_, value, err := m.c.Store.Predecessor(lo, k)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	all, err := record.ParseMembers(get(record.MembersRow(0), record.MembersRow(m.c.Height+1)))
	if err != nil || len(all.Organisations) != m.n.members() {
		t.Fatalf("%d members, want %d (%v)", len(all.Organisations), m.n.members(), err)
	}
	for name, o := range m.n.orgs {
		if all.Has(clubID(name)) != o.active {
			t.Fatalf("%s: active %v", name, o.active)
		}
	}
	set, err := record.ParseValidatorSet(get(record.ValidatorSetRow(0), record.ValidatorSetRow(m.c.Height+2)))
	if err != nil {
		t.Fatal(err)
	}
	total := uint64(0)
	for key, v := range m.n.validators {
		total += v.power
		if got := set.Find(simtest.Key(key).Public()); got.Power != v.power {
			t.Fatalf("%s has power %d, want %d", key, got.Power, v.power)
		}
	}
	if set.Total() != total || total == 0 {
		t.Fatalf("power %d, want %d", set.Total(), total)
	}
	for i, p := range m.n.proposals {
		row, err := record.ParseProposal(get(record.ProposalRow(p.id), record.ProposalRow(p.id)))
		if err != nil || (row.Status == record.ProposalApplied) != p.applied {
			t.Fatalf("proposal %d: %+v, applied %v (%v)", i, row, p.applied, err)
		}
	}
}

// TestConsortiumModel compares the rules with a naive consortium over random operations.
func TestConsortiumModel(t *testing.T) {
	seen := make(map[ledger.Code]int)
	rapid.Check(t, func(t *rapid.T) {
		m := newClub(t, seen)
		for range rapid.IntRange(20, 100).Draw(t, "blocks") {
			m.step(t)
		}
	})
	t.Log(fmt.Sprint(seen))
	for _, code := range []ledger.Code{
		ledger.CodeOK, ledger.CodeNeedsProposal, ledger.CodeProposalClosed, ledger.CodeAlreadyApproved, ledger.CodeNotMember,
		ledger.CodeExists, ledger.CodeUnknownActor, ledger.CodeUnknownKey, ledger.CodeNotLive, ledger.CodeNotOwner,
	} {
		if seen[code] == 0 {
			t.Errorf("%v never happened: the test does not test it", code)
		}
	}
}
