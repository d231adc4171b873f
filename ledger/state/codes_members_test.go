package state_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// consortium is four organisations with a validator each.
func consortium(t *testing.T, cfg simtest.Config) *simtest.Chain {
	cfg.Organisations, cfg.Validators = 4, 1
	return simtest.New(t, cfg)
}

// expect makes a block and checks the code of its last transaction.
func expect(t *testing.T, c *simtest.Chain, want ledger.Code, txs ...[]byte) *simtest.Block {
	t.Helper()
	b := c.Block(txs...)
	if got := b.Results[len(txs)-1].Code; got != want {
		t.Fatalf("height %d: %v, want %v", b.Height, got, want)
	}
	return b
}

// propose proposes as organisation 0 and expects the code of it.
func propose(t *testing.T, c *simtest.Chain, want ledger.Code, body ledger.Body) (proposal crypto.ID) {
	t.Helper()
	tx, id := c.Propose(c.Organisations[0], body)
	expect(t, c, want, tx)
	return id
}

// decide lets three of four organisations agree, and expects the code of the last approval.
func decide(t *testing.T, c *simtest.Chain, want ledger.Code, body ledger.Body) *simtest.Block {
	t.Helper()
	o := c.Organisations
	id := propose(t, c, ledger.CodeOK, body)
	expect(t, c, ledger.CodeOK, c.Approve(o[1], 0, id))
	return expect(t, c, want, c.Approve(o[2], 0, id))
}

func row[T any](t *testing.T, c *simtest.Chain, lo, k [33]byte, parse func([]byte) (T, error)) T {
	t.Helper()
	_, value, err := c.Store.Predecessor(lo, k)
	if err != nil {
		t.Fatal(err)
	}
	v, err := parse(value)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func proposal(t *testing.T, c *simtest.Chain, id crypto.ID) record.Proposal {
	t.Helper()
	return row(t, c, record.ProposalRow(id), record.ProposalRow(id), record.ParseProposal)
}

func validators(t *testing.T, c *simtest.Chain, height uint64) record.ValidatorSet {
	t.Helper()
	return row(t, c, record.ValidatorSetRow(0), record.ValidatorSetRow(height), record.ParseValidatorSet)
}

func TestVote(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o := c.Organisations
	fifth := simtest.NewOrganisation("fifth")
	expect(t, c, ledger.CodeNeedsProposal, c.Operation(o[0].Key, o[0].ID, c.Admit(fifth)))
	id := propose(t, c, ledger.CodeOK, c.Admit(fifth))
	expect(t, c, ledger.CodeAlreadyApproved, c.Approve(o[0], 0, id))
	expect(t, c, ledger.CodeUnknownActor, c.Approve(fifth, 0, id))
	expect(t, c, ledger.CodeUnknownProposal, c.Approve(o[1], 0, crypto.ID{1}))
	expect(t, c, ledger.CodeOK, c.Approve(o[1], 0, id))
	if p := proposal(t, c, id); p.Status != record.ProposalOpen {
		t.Fatal("two of four have decided")
	}
	last := c.Approve(o[2], 0, id)
	b := expect(t, c, ledger.CodeOK, last)
	if p := proposal(t, c, id); p.Status != record.ProposalApplied || p.Decided != b.Height {
		t.Fatalf("%+v", p)
	}
	expect(t, c, ledger.CodeReplayed, last)
	expect(t, c, ledger.CodeProposalClosed, c.Approve(o[3], 0, id))
	expect(t, c, ledger.CodeOK, fifth.NewDevice(c, "of the fifth").Enrol())
	all := row(t, c, record.MembersRow(0), record.MembersRow(c.Height), record.ParseMembers)
	if len(all.Organisations) != 5 || !all.Has(fifth.ID) {
		t.Errorf("members %v", all)
	}
	if before := row(t, c, record.MembersRow(0), record.MembersRow(b.Height), record.ParseMembers); len(before.Organisations) != 4 {
		t.Errorf("members before %v", before)
	}
	// Five members: four must agree now; the one removed can agree too.
	id = propose(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	expect(t, c, ledger.CodeOK, c.Approve(o[1], 0, id), c.Approve(fifth, 0, id))
	expect(t, c, ledger.CodeOK, c.Approve(o[3], 0, id))
	expect(t, c, ledger.CodeRetired, o[3].NewDevice(c, "late").Enrol())
}

func TestProposalExpires(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o := c.Organisations
	now := (c.Time + simtest.BlockTime) / 1e6
	at := func(expires int64) []byte {
		return c.Operation(o[0].Key, o[0].ID, ledger.Propose{Expires: expires, Body: ledger.Remove{Organisation: o[3].ID}})
	}
	past, far, good := at(now-1), at(now+ledger.MaxNotAfter+1), at(now+1)
	b := c.Block(past, far, good)
	for i, want := range []ledger.Code{ledger.CodeExpired, ledger.CodeNotAfterTooFar, ledger.CodeOK} {
		if b.Results[i].Code != want {
			t.Errorf("%d: %v, want %v", i, b.Results[i].Code, want)
		}
	}
	expect(t, c, ledger.CodeOK, c.Approve(o[1], 0, c.ProposalID(good)))
	expect(t, c, ledger.CodeProposalClosed, c.Approve(o[2], 0, c.ProposalID(good)))
}

// TestSeveralKeys: two of three keys must sign whatever an organisation does.
func TestSeveralKeys(t *testing.T) {
	c := consortium(t, simtest.Config{Admins: 3, Threshold: 2})
	o := c.Organisations[0]
	d := o.NewDevice(c, "d")
	expect(t, c, ledger.CodeNeedsProposal, d.Enrol())
	id := propose(t, c, ledger.CodeOK, ledger.EnrolDevice{Possession: c.Possession(d.Key, o.ID)})
	expect(t, c, ledger.CodeNotMember, c.Approve(c.Organisations[1], 0, id))
	expect(t, c, ledger.CodeAlreadyApproved, c.Approve(o, 0, id))
	expect(t, c, ledger.CodeOK, c.Approve(o, 2, id))
	// The device signs alone.
	expect(t, c, ledger.CodeOK, d.NewStream("s").Open())

	fresh := simtest.Key("fresh")
	keys := ledger.SetAdmins{Keys: []crypto.PublicKey{o.Key.Public(), fresh.Public()}, Threshold: 2}
	waiting := propose(t, c, ledger.CodeOK, ledger.Suspend{Device: d.ID})
	expect(t, c, ledger.CodeOK, c.Approve(o, 1, propose(t, c, ledger.CodeOK, keys)))
	expect(t, c, ledger.CodeKeyClosed, c.Approve(o, 1, waiting))
	o.Admins = append(o.Admins, fresh)
	expect(t, c, ledger.CodeOK, c.Approve(o, 3, waiting))
	back := ledger.SetAdmins{Keys: []crypto.PublicKey{o.Admins[1].Public()}, Threshold: 1}
	expect(t, c, ledger.CodeExists, c.Approve(o, 3, propose(t, c, ledger.CodeOK, back)))
}

// TestOldApproval: the approval of a key that was replaced since does not count.
func TestOldApproval(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o := c.Organisations
	id := propose(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	fresh := simtest.Key("fresh")
	set := ledger.SetAdmins{Keys: []crypto.PublicKey{fresh.Public()}, Threshold: 1}
	expect(t, c, ledger.CodeOK, c.Operation(o[0].Key, o[0].ID, set))
	expect(t, c, ledger.CodeOK, c.Approve(o[1], 0, id), c.Approve(o[2], 0, id))
	if proposal(t, c, id).Status != record.ProposalOpen {
		t.Fatal("decided with a replaced key")
	}
	o[0].Admins[0] = fresh
	expect(t, c, ledger.CodeOK, c.Approve(o[0], 0, id))
	if proposal(t, c, id).Status != record.ProposalApplied {
		t.Fatal("not decided")
	}
}

func TestAdmitRefused(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o := c.Organisations
	twin := simtest.NewOrganisation("twin")
	twin.Name = o[3].Name
	decide(t, c, ledger.CodeExists, c.Admit(twin))
	known := c.Admit(o[1])
	known.Name = "another name"
	decide(t, c, ledger.CodeExists, known)
	decide(t, c, ledger.CodeUnknownOrganisation, ledger.Remove{Organisation: crypto.ID{1}})
	decide(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	id := propose(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	expect(t, c, ledger.CodeRetired, c.Approve(o[1], 0, id))
}

// TestRemoved: nothing of an organisation that was removed acts any more.
func TestRemoved(t *testing.T) {
	c := consortium(t, simtest.Config{Devices: 1, Streams: 1})
	o, s := c.Organisations, c.Streams[3]
	early := c.Batch(s.Next(1))
	b := decide(t, c, ledger.CodeOK, ledger.Remove{Organisation: o[3].ID})
	if len(b.Updates) != 1 || b.Updates[0] != (state.ValidatorUpdate{Key: o[3].Validators[0].Key.Public()}) {
		t.Errorf("updates %v", b.Updates)
	}
	if n := len(validators(t, c, b.Height+1).Validators); n != 4 {
		t.Errorf("%d validators before", n)
	}
	if n := len(validators(t, c, b.Height+2).Validators); n != 3 {
		t.Errorf("%d validators after", n)
	}
	b = c.Block(early, c.Bridges[3].Batch(c.Streams[0].Next(1)), s.Device.NewStream("x").Open())
	if b.Results[0].Codes[0] != ledger.CodeRetired || b.Results[1].Code != ledger.CodeRetired || b.Results[2].Code != ledger.CodeRetired {
		t.Errorf("%+v", b.Results)
	}
}

func TestValidator(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o := c.Organisations
	key := simtest.Key("second validator").Public()
	set := func(org crypto.ID, key crypto.PublicKey, power uint64) ledger.SetValidator {
		return ledger.SetValidator{Organisation: org, Key: key, Power: power}
	}
	decide(t, c, ledger.CodeUnknownOrganisation, set(crypto.ID{1}, key, 1))
	decide(t, c, ledger.CodeUnknownValidator, set(o[1].ID, key, 0))
	decide(t, c, ledger.CodeNotLive, set(o[1].ID, key, 20))
	decide(t, c, ledger.CodeNotOwner, set(o[1].ID, o[0].Validators[0].Key.Public(), 5))
	decide(t, c, ledger.CodeExists, set(o[0].ID, o[0].Validators[0].Key.Public(), 10))
	b := decide(t, c, ledger.CodeOK, set(o[1].ID, key, 19))
	if len(b.Updates) != 1 || b.Updates[0] != (state.ValidatorUpdate{Key: key, Power: 19}) {
		t.Errorf("updates %v", b.Updates)
	}
	if got := validators(t, c, b.Height+1).Find(key).Power; got != 0 {
		t.Errorf("power %d too early", got)
	}
	if got := validators(t, c, b.Height+2).Find(key).Power; got != 19 {
		t.Errorf("power %d", got)
	}
	decide(t, c, ledger.CodeOK, set(o[1].ID, key, 0))
}

func TestRotateValidator(t *testing.T) {
	c := consortium(t, simtest.Config{})
	o, next := c.Organisations, simtest.Key("next")
	old := o[0].Validators[0].Key.Public()
	rotate := func(o *simtest.Organisation, old crypto.PublicKey, next crypto.PrivateKey) []byte {
		return c.Operation(o.Key, o.ID, ledger.RotateValidator{Old: old, New: next.Public(), Possession: c.Possession(next, o.ID)})
	}
	expect(t, c, ledger.CodeUnknownValidator, rotate(o[0], next.Public(), next))
	expect(t, c, ledger.CodeNotOwner, rotate(o[1], old, next))
	expect(t, c, ledger.CodeExists, rotate(o[0], old, o[1].Validators[0].Key))
	// Two in one block change half of the power.
	expect(t, c, ledger.CodeNotLive, rotate(o[0], old, next), rotate(o[1], o[1].Validators[0].Key.Public(), simtest.Key("other")))
	if set := validators(t, c, c.Height+2); set.Find(old).Power != 0 || set.Find(next.Public()).Power != 10 || set.Total() != 40 {
		t.Errorf("%v", set)
	}
	if u := c.Blocks[c.Height].Updates; len(u) != 2 {
		t.Errorf("updates %v", u)
	}
	expect(t, c, ledger.CodeUnknownValidator, rotate(o[0], old, simtest.Key("third")))
	expect(t, c, ledger.CodeExists, rotate(o[0], next.Public(), o[0].Validators[0].Key))
}

// TestLastStays: the last member and the last validator can't be voted out.
func TestLastStays(t *testing.T) {
	c := simtest.New(t, simtest.Config{Validators: 1})
	o := c.Organisations[0]
	propose(t, c, ledger.CodeNotLive, ledger.Remove{Organisation: o.ID})
	key := o.Validators[0].Key.Public()
	propose(t, c, ledger.CodeNotLive, ledger.SetValidator{Organisation: o.ID, Key: key})
	add := func(name string) []byte {
		tx, _ := c.Propose(o, ledger.SetValidator{Organisation: o.ID, Key: simtest.Key(name).Public(), Power: 1})
		return tx
	}
	propose(t, c, ledger.CodeOK, ledger.SetValidator{Organisation: o.ID, Key: simtest.Key("b").Public(), Power: 2})
	expect(t, c, ledger.CodeNotLive, add("c"), add("d"), add("e"), add("f"), add("g"), add("h"))
	propose(t, c, ledger.CodeNotLive, ledger.SetValidator{Organisation: o.ID, Key: key})
}

// TestPowerOfFew: of few validators, too, those who stay decide without what a vote adds,
// and a vote takes less than a third: a set changes in steps.
func TestPowerOfFew(t *testing.T) {
	for _, tt := range []struct{ n, most, least uint64 }{{1, 4, 7}, {2, 9, 4}, {3, 14, 1}, {4, 19, 0}} {
		c := simtest.New(t, simtest.Config{Organisations: int(tt.n), Validators: 1})
		o := c.Organisations
		set := func(want ledger.Code, v crypto.PublicKey, power uint64) {
			tx, id := c.Propose(o[0], ledger.SetValidator{Organisation: o[0].ID, Key: v, Power: power})
			txs := [][]byte{tx}
			for _, voter := range o[1 : (2*tt.n+2)/3] {
				txs = append(txs, c.Approve(voter, 0, id))
			}
			b := c.Block(txs...)
			if got := b.Results[len(b.Results)-1].Code; got != want {
				t.Errorf("of %d: power %d: %v, want %v", tt.n, power, got, want)
			}
		}
		v, offline := o[0].Validators[0].Key.Public(), simtest.Key("offline").Public()
		for _, power := range []uint64{999_999_990, tt.most + 1} {
			set(ledger.CodeNotLive, offline, power)
			set(ledger.CodeNotLive, v, 10+power)
		}
		set(ledger.CodeOK, offline, tt.most)
		set(ledger.CodeOK, offline, 0)
		set(ledger.CodeOK, v, 10+tt.most)
		c = simtest.New(t, simtest.Config{Organisations: int(tt.n), Validators: 1})
		o = c.Organisations
		if tt.least > 0 {
			set(ledger.CodeNotLive, v, 0)
			set(ledger.CodeNotLive, v, tt.least-1)
		}
		set(ledger.CodeOK, v, tt.least)
	}
}

// TestRotateAmongFew: the only validator can be given another key, as the only change of
// a block.
func TestRotateAmongFew(t *testing.T) {
	c := simtest.New(t, simtest.Config{Validators: 1})
	o := c.Organisations[0]
	rotate := func(old crypto.PublicKey, name string) []byte {
		next := simtest.Key(name)
		return c.Operation(o.Key, o.ID, ledger.RotateValidator{Old: old, New: next.Public(), Possession: c.Possession(next, o.ID)})
	}
	expect(t, c, ledger.CodeOK, rotate(o.Validators[0].Key.Public(), "next"))
	expect(t, c, ledger.CodeNotLive, rotate(simtest.Key("next").Public(), "third"), rotate(simtest.Key("third").Public(), "fourth"))
	small := ledger.SetValidator{Organisation: o.ID, Key: simtest.Key("small").Public(), Power: 1}
	for range 2 { // until the third key has signed
		propose(t, c, ledger.CodeNotLive, small)
	}
	tx, _ := c.Propose(o, small)
	expect(t, c, ledger.CodeNotLive, tx, rotate(simtest.Key("third").Public(), "fourth"))
	if set := validators(t, c, c.Height+2); set.Find(simtest.Key("third").Public()).Power != 10 || set.Total() != 11 {
		t.Errorf("%v", set)
	}
}

// TestUntried: what votes of several blocks add counts in further votes only once it has
// signed, so it never is a third of the power before.
func TestUntried(t *testing.T) {
	c := simtest.New(t, simtest.Config{Organisations: 1, Validators: 1})
	o := c.Organisations[0]
	set := func(want ledger.Code, name string, power uint64) {
		t.Helper()
		propose(t, c, want, ledger.SetValidator{Organisation: o.ID, Key: simtest.Key(name).Public(), Power: power})
	}
	untried := func(name string) bool {
		value, err := c.Store.Get(record.UntriedRow(ledger.ValidatorID(simtest.Key(name).Public())))
		if err != nil {
			t.Fatal(err)
		}
		return value != nil
	}
	a, b := simtest.Key("a").Public(), simtest.Key("b").Public()
	c.Absent = []crypto.PublicKey{a, b}
	set(ledger.CodeOK, "a", 4)      // of 14
	set(ledger.CodeNotLive, "b", 1) // 10 of 15 that run are no more than two thirds
	set(ledger.CodeNotLive, "a", 5) // nor does more power of one that is not seen
	set(ledger.CodeOK, "a", 3)
	set(ledger.CodeOK, "b", 1) // 10 of 14
	if !untried("a") || !untried("b") {
		t.Error("they have not signed")
	}
	c.Block()
	c.Block()
	c.Block()
	set(ledger.CodeNotLive, "c", 1)
	c.Absent = []crypto.PublicKey{b}
	c.Block()
	if untried("a") || !untried("b") {
		t.Error("a has signed, b has not")
	}
	set(ledger.CodeOK, "c", 4) // 13 of 18 run
	set(ledger.CodeOK, "b", 0) // 13 of 17
	if untried("b") || !untried("c") {
		t.Error("b is no validator, c has not signed")
	}
	// Who left and comes back is to be seen again, by its own signature of that time.
	c.Absent = nil
	c.Block()
	c.Block()
	set(ledger.CodeOK, "a", 0)
	set(ledger.CodeOK, "a", 1) // it decides the block between with its old power still
	for height := c.Height + 2; c.Height <= height; {
		if !untried("a") {
			t.Errorf("height %d: a is not seen yet", c.Height)
		}
		c.Block()
	}
	if untried("a") {
		t.Error("a has signed again")
	}
}

// TestUntriedInOneBlock: what one block takes from a validator and gives it again counts as
// new, and so does what a rotation took.
func TestUntriedInOneBlock(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		c := simtest.New(t, simtest.Config{Organisations: 1, Validators: 1})
		o, silent, next := c.Organisations[0], simtest.Key("silent"), simtest.Key("next")
		c.Absent = []crypto.PublicKey{silent.Public(), next.Public()}
		give := func(power uint64) []byte {
			tx, _ := c.Propose(o, ledger.SetValidator{Organisation: o.ID, Key: silent.Public(), Power: power})
			return tx
		}
		expect(t, c, ledger.CodeOK, give(4))
		c.Block()
		c.Block()
		first := give(0)
		if rotated {
			first = c.Operation(o.Key, o.ID, ledger.RotateValidator{Old: silent.Public(), New: next.Public(), Possession: c.Possession(next, o.ID)})
		}
		if b := expect(t, c, ledger.CodeNotLive, first, give(6)); b.Results[0].Code != ledger.CodeOK {
			t.Errorf("%v", b.Results[0].Code)
		}
	}
}

// TestRaised: of more power, votes count on what the validator has signed with; each raise
// wants a signature of its own.
func TestRaised(t *testing.T) {
	c := simtest.New(t, simtest.Config{Organisations: 1, Validators: 1})
	o, a := c.Organisations[0], simtest.Key("a").Public()
	set := func(want ledger.Code, power uint64) {
		t.Helper()
		propose(t, c, want, ledger.SetValidator{Organisation: o.ID, Key: a, Power: power})
	}
	wait := func() { c.Block(); c.Block(); c.Block() }
	set(ledger.CodeOK, 1)
	wait()
	c.Absent = []crypto.PublicKey{a} // it has signed with 1, and stops
	set(ledger.CodeOK, 6)            // 11 of 16
	wait()
	set(ledger.CodeNotLive, 7) // 11 of 17
	set(ledger.CodeOK, 5)
	set(ledger.CodeOK, 6) // the row stays the same
	c.Absent = nil
	wait()
	set(ledger.CodeOK, 13) // 16 of 23
}

// TestRotateInTurn: of four equal validators one may have a new key that was not seen to
// sign; another's turn comes when it was.
func TestRotateInTurn(t *testing.T) {
	c := consortium(t, simtest.Config{})
	rotate := func(n int) []byte {
		o, next := c.Organisations[n], simtest.Key(fmt.Sprint("next ", n))
		return c.Operation(o.Key, o.ID, ledger.RotateValidator{Old: o.Validators[0].Key.Public(), New: next.Public(), Possession: c.Possession(next, o.ID)})
	}
	c.Absent = []crypto.PublicKey{simtest.Key("next 0").Public()}
	expect(t, c, ledger.CodeOK, rotate(0))
	for range 4 {
		expect(t, c, ledger.CodeNotLive, rotate(1))
	}
	c.Absent = nil
	expect(t, c, ledger.CodeOK, rotate(1))
}

// TestUnbound: validators that the genesis does not name can't be changed.
func TestUnbound(t *testing.T) {
	c := simtest.New(t, simtest.Config{})
	propose(t, c, ledger.CodeNotLive, ledger.SetValidator{Organisation: c.Organisations[0].ID, Key: simtest.Key("v").Public(), Power: 1})
}

func TestSetParameters(t *testing.T) {
	c := simtest.New(t, simtest.Config{})
	set := func(active uint64, list ...ledger.Parameter) ledger.SetParameters {
		return ledger.SetParameters{Values: list, Active: active}
	}
	gaps := func(n uint64) ledger.Parameter { return ledger.Parameter{ID: ledger.ParameterOpenGaps, Value: n} }
	propose(t, c, ledger.CodeBadParameter, set(c.Height+2, gaps(5))) // the next block's height + 1
	propose(t, c, ledger.CodeBadParameter, set(c.Height+1+ledger.MaxActiveAhead+1, gaps(5)))
	propose(t, c, ledger.CodeBadParameter, set(0, ledger.Parameter{ID: ledger.ParameterVoteNum, Value: 1}))
	propose(t, c, ledger.CodeBadParameter, set(0, ledger.Parameter{ID: ledger.ParameterVoteNum, Value: 4}))
	propose(t, c, ledger.CodeExists, set(0, gaps(ledger.MaxOpenGaps)))
	far := c.Height + 1 + ledger.MaxActiveAhead
	propose(t, c, ledger.CodeOK, set(c.Height+3, gaps(5)))
	h := c.Height + 2
	for height, want := range map[uint64]uint64{h - 1: ledger.MaxOpenGaps, h: 5} {
		if p, err := state.ParametersAt(c.Store, height); err != nil || p.OpenGaps != want {
			t.Errorf("height %d: %+v (%v)", height, p, err)
		}
	}
	propose(t, c, ledger.CodeOK, set(far, gaps(6)))
	propose(t, c, ledger.CodeBadParameter, set(far-1, gaps(7)))
	propose(t, c, ledger.CodeOK, set(far, ledger.Parameter{ID: ledger.ParameterAppVersion, Value: 2}))
	propose(t, c, ledger.CodeBadParameter, set(far, ledger.Parameter{ID: ledger.ParameterAppVersion, Value: 1}))
	if p, err := state.ParametersAt(c.Store, far); err != nil || p.OpenGaps != 6 || p.AppVersion != 2 {
		t.Errorf("%+v (%v)", p, err)
	}
}

func TestQuota(t *testing.T) {
	c := simtest.New(t, simtest.Config{Organisations: 2, Devices: 1, Streams: 1, Parameters: ledger.GenesisParameters{
		StatementsPerBridge: 3, StatementsPerOrganisation: 4,
	}})
	second := c.Organisations[0].NewBridge(c, "second bridge")
	expect(t, c, ledger.CodeOK, second.Enrol())
	s := c.Streams[0]
	one, two := c.Batch(s.Next(1), s.Next(1)), c.Batch(s.Next(1), s.Next(1))
	three, four := second.Batch(s.Next(1), s.Next(1)), c.Bridges[1].Batch(c.Streams[1].Next(1))
	b := c.Block(one, two, three, four)
	want := [][]ledger.Code{{0, 0}, {0, ledger.CodeQuota}, {0, ledger.CodeQuota}, {0}}
	for i, r := range b.Results {
		for k, code := range r.Codes {
			if code != want[i][k] {
				t.Errorf("transaction %d, statement %d: %v, want %v", i, k, code, want[i][k])
			}
		}
	}
	q, err := state.NewQuota(c.Store, next(c))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []ledger.Code{0, ledger.CodeQuota, 0, 0} {
		tx, _ := ledger.ParseTransaction(b.Txs[i])
		if code, err := q.Take(tx); code != want || err != nil {
			t.Errorf("batch %d: %v, want %v (%v)", i, code, want, err)
		}
	}
	if b := c.Block(c.Batch(s.At(100, 1))); b.Results[0].Codes[0] != ledger.CodeOK {
		t.Error("the quota does not begin anew")
	}
}

func TestQuotaBytes(t *testing.T) {
	c := simtest.New(t, simtest.Config{Devices: 1, Streams: 1, Parameters: ledger.GenesisParameters{BytesPerBridge: ledger.MaxStatement}})
	s := c.Streams[0]
	large := func(first uint64) []byte {
		return s.Sign(first, ledger.Reading{Content: make([]byte, 29_700)}) // about half
	}
	b := c.Block(c.Batch(large(1), large(2), s.At(3, 1), large(4)))
	want := []ledger.Code{0, 0, ledger.CodeOK, ledger.CodeQuota}
	if 2*len(large(1))+len(s.At(3, 1)) > ledger.MaxStatement {
		t.Fatal("the test's sizes do not fit")
	}
	for k, code := range b.Results[0].Codes {
		if code != want[k] {
			t.Errorf("statement %d: %v, want %v", k, code, want[k])
		}
	}
}

func TestMisbehaviour(t *testing.T) {
	c := consortium(t, simtest.Config{})
	key := c.Organisations[1].Validators[0].Key.Public()
	sum := sha256.Sum256(key[:])
	one := state.Misbehaviour{Address: [20]byte(sum[:20]), Offence: record.OffenceDuplicateVote, Height: 1}
	stranger := state.Misbehaviour{Offence: record.OffenceDuplicateVote, Height: 1}
	c.Block()
	c.Misbehaviour = []state.Misbehaviour{one, stranger, one}
	if b := c.Block(); len(b.Changes) != 1 {
		t.Errorf("%d rows", len(b.Changes))
	}
	k := record.MisbehaviourRow(ledger.ValidatorID(key), 1)
	got := row(t, c, k, k, record.ParseMisbehaviour)
	if got != (record.Misbehaviour{Organisation: c.Organisations[1].ID, Offence: record.OffenceDuplicateVote, Height: 2}) {
		t.Errorf("%+v", got)
	}
	c.Misbehaviour = []state.Misbehaviour{one, {Address: one.Address, Offence: one.Offence, Height: 9}}
	if b := c.Block(); len(b.Changes) != 0 {
		t.Error("recorded twice, or from the future")
	}
}
