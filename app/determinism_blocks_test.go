package app

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
)

// scenario is a genesis and blocks, as two replicas get them.
type scenario struct {
	Chain      string
	AppState   []byte
	Validators []ledger.GenesisValidator
	Blocks     []scenarioBlock // of height 1 on
}

// scenarioBlock is a block; its height and its place tell its time.
type scenarioBlock struct {
	Txs      [][]byte
	Offender []byte // address of the validator of which there is evidence, or nil
}

// generator makes blocks of everything that there is, good and bad, from a seed. It
// keeps no ledger: it expects what it meant to succeed to have succeeded. Where it is
// mistaken, later operations are refused, which is as good.
type generator struct {
	c   *simtest.Chain
	rng *rand.Rand

	devices []*simtest.Device
	streams []*genStream
	grants  []genGrant
	guests  []*simtest.Organisation // admitted after the genesis
	named   int                     // names made so far
	old     [][]byte                // some transactions of earlier blocks

	queue []func() []byte // transactions for blocks to come
	after []func()        // what counts from the next block on
}

type genStream struct {
	*simtest.Stream
	owner *simtest.Organisation
	gaps  []uint64
}

type genGrant struct {
	id      crypto.ID
	stream  *genStream
	grantor *simtest.Organisation
	grantee *simtest.Organisation
	first   uint64
}

// makeScenario makes blocks from a seed.
func makeScenario(t *testing.T, seed uint64, blocks int) *scenario {
	c := simtest.New(t, simtest.Config{
		Organisations: 5, Devices: 3, Streams: 2, Admins: 2, Validators: 1,
		Parameters: ledger.GenesisParameters{OpenGaps: 5, StatementsPerBridge: 2, StatementsPerOrganisation: 8},
	})
	s := &scenario{Chain: c.ID, AppState: c.AppState}
	for _, o := range c.Organisations {
		s.Validators = append(s.Validators, ledger.GenesisValidator{Key: o.Validators[0].Key.Public(), Power: o.Validators[0].Power})
	}
	for _, b := range c.Blocks[1:] {
		s.Blocks = append(s.Blocks, scenarioBlock{Txs: b.Txs})
	}
	g := &generator{c: c, rng: rand.New(rand.NewPCG(seed, 1)), devices: c.Devices}
	for _, stream := range c.Streams {
		g.streams = append(g.streams, &genStream{Stream: stream, owner: stream.Device.Organisation})
	}
	g.queue = append(g.queue, func() []byte { return g.setAdmins(g.c.Organisations[4], 2) })
	for len(s.Blocks) < blocks {
		s.Blocks = append(s.Blocks, g.block())
		c.Height++
		c.Time += simtest.BlockTime
	}
	return s
}

// oneIn is true once in n times.
func (g *generator) oneIn(n int) bool { return g.rng.IntN(n) == 0 }

func oneOf[T any](g *generator, list []T) T { return list[g.rng.IntN(len(list))] }

func (g *generator) name(kind string) string {
	g.named++
	return fmt.Sprintf("%s %d", kind, g.named)
}

// block makes the next block.
func (g *generator) block() (b scenarioBlock) {
	for _, f := range g.after {
		f()
	}
	g.after = nil
	for range min(len(g.queue), 2) {
		b.Txs = append(b.Txs, g.queue[0]())
		g.queue = g.queue[1:]
	}
	if !g.oneIn(4) {
		b.Txs = append(b.Txs, g.batch())
	}
	if !g.oneIn(3) {
		b.Txs = append(b.Txs, g.operation())
	}
	if g.oneIn(40) {
		b.Txs = append(b.Txs, g.consortium())
	}
	if g.oneIn(30) {
		b.Txs = append(b.Txs, g.junk())
	}
	if g.oneIn(100) {
		key := oneOf(g, g.c.Organisations).Validators[0].Key.Public()
		b.Offender = address(key)
	}
	if len(b.Txs) > 0 && g.oneIn(10) {
		g.old = append(g.old, oneOf(g, b.Txs))
	}
	g.rng.Shuffle(len(b.Txs), func(i, j int) { b.Txs[i], b.Txs[j] = b.Txs[j], b.Txs[i] })
	return b
}

// junk is what no honest node sends: bytes, an old transaction, a wrong signature, the
// batch of a bridge that nobody enrolled.
func (g *generator) junk() []byte {
	if g.oneIn(8) {
		return oneOf(g, g.c.Organisations).NewBridge(g.c, g.name("stranger")).Batch(g.statement(oneOf(g, g.streams)))
	}
	raw := []byte("no transaction")
	if len(g.old) > 0 && !g.oneIn(4) {
		raw = bytes.Clone(oneOf(g, g.old))
		if g.oneIn(2) {
			raw[len(raw)-1] ^= 1
		}
	}
	return raw
}

// batch makes one to three statements.
func (g *generator) batch() []byte {
	var raws [][]byte
	for range 1 + g.rng.IntN(3) {
		raws = append(raws, g.statement(oneOf(g, g.streams)))
	}
	return oneOf(g, g.c.Bridges).Batch(raws...)
}

// statement makes a statement of any kind.
func (g *generator) statement(s *genStream) []byte {
	n := 1 + g.rng.IntN(3)
	switch g.rng.IntN(12) {
	case 0, 1: // leaves a gap
		for range 1 + g.rng.IntN(3) {
			s.gaps = append(s.gaps, s.Number)
			s.Number++
		}
	case 2, 3: // late
		if len(s.gaps) > 0 {
			i := g.rng.IntN(len(s.gaps))
			first := s.gaps[i]
			s.gaps = append(s.gaps[:i], s.gaps[i+1:]...)
			return s.At(first, 1)
		}
	case 4: // used, or across what is used and what is not
		return s.At(1+g.rng.Uint64N(s.Number), n)
	case 5: // a clock that is ahead
		if g.oneIn(4) {
			return s.Sign(s.Number, ledger.Reading{Time: g.c.Time + 48*3600*1_000_000})
		}
	case 6: // a signature that is wrong
		if g.oneIn(4) {
			raw := s.At(s.Number, n)
			raw[len(raw)-1] ^= 1
			return raw
		}
	case 7: // by a key of nobody
		if g.oneIn(4) {
			return g.c.SignStatement(simtest.Key("nobody"), ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: s.Number, Readings: make([]ledger.Reading, 1)})
		}
	case 8, 9:
		return g.derived(s)
	}
	return s.Next(n)
}

// derived makes a statement computed from another stream, for which there is a grant
// or not.
func (g *generator) derived(s *genStream) []byte {
	in, first := oneOf(g, g.streams), uint64(1)
	if len(g.grants) > 0 && g.oneIn(2) {
		grant := oneOf(g, g.grants)
		in, first = grant.stream, grant.first
		for _, other := range g.streams {
			if other.Device.Organisation == grant.grantee {
				s = other
			}
		}
	}
	raw := g.c.SignStatement(s.Device.Key, ledger.Statement{
		Device: s.Device.ID, Stream: s.ID, First: s.Number, Readings: make([]ledger.Reading, 1),
		Inputs: []ledger.Input{{Stream: in.ID, First: first, Last: first + uint64(g.rng.IntN(2))}},
	})
	s.Number++
	return raw
}

// by signs an operation of an organisation with one of its keys.
func (g *generator) by(o *simtest.Organisation, body ledger.Body) []byte {
	key := oneOf(g, o.Admins)
	if _, anyones := body.(ledger.EnrolListed); o.Threshold < 2 || anyones {
		return g.c.Operation(key, o.ID, body)
	}
	tx := g.c.Operation(key, o.ID, ledger.Propose{Expires: g.c.Time/1e6 + 600, Body: body})
	g.approve(tx, o)
	return tx
}

// propose makes a proposal and has others approve it in blocks to come.
func (g *generator) propose(o *simtest.Organisation, body ledger.Body, others ...*simtest.Organisation) []byte {
	tx := g.c.Operation(oneOf(g, o.Admins), o.ID, ledger.Propose{Expires: g.c.Time/1e6 + 600, Body: body})
	if o.Threshold > 1 {
		g.approve(tx, o)
	}
	for _, other := range others {
		g.approve(tx, other)
	}
	return tx
}

// approve queues the approvals of an organisation, by each of its keys if it needs them.
func (g *generator) approve(proposal []byte, o *simtest.Organisation) {
	id := g.c.ProposalID(proposal)
	for i := range o.Threshold {
		g.queue = append(g.queue, func() []byte { return g.c.Approve(o, i%len(o.Admins), id) })
	}
}

// members are all organisations that vote.
func (g *generator) members() []*simtest.Organisation {
	return append(append([]*simtest.Organisation{}, g.c.Organisations...), g.guests...)
}

// consortium makes a decision of the members, or one of one member about itself.
func (g *generator) consortium() []byte {
	proposer := g.c.Organisations[g.rng.IntN(4)]
	switch g.rng.IntN(6) {
	case 0:
		return g.by(proposer, g.rotateValidator(proposer))
	case 1:
		return g.setAdmins(oneOf(g, g.c.Organisations), 0)
	case 2, 3:
		return g.propose(proposer, g.membership(), g.members()...)
	case 4:
		values := []ledger.Parameter{
			{ID: ledger.ParameterClockAhead, Value: 1000 + g.rng.Uint64N(1000)},
			{ID: ledger.ParameterOpenGaps, Value: 4 + g.rng.Uint64N(4)},
			{ID: ledger.ParameterStatementsPerBridge, Value: 2 + g.rng.Uint64N(3)},
			{ID: ledger.ParameterStatementsPerOrganisation, Value: 6 + g.rng.Uint64N(6)},
		}
		return g.propose(proposer, ledger.SetParameters{Values: values[g.rng.IntN(4):]}, g.members()...)
	}
	if len(g.guests) == 0 {
		return g.by(proposer, ledger.Remove{Organisation: proposer.ID}) // alone: it needs a vote
	}
	guest := oneOf(g, g.guests)
	body := ledger.SetValidator{Organisation: guest.ID, Key: simtest.Key(guest.Name + " validator").Public(), Power: g.rng.Uint64N(5)}
	return g.propose(proposer, body, g.members()...)
}

// membership admits an organisation, or removes one when there are two guests.
func (g *generator) membership() ledger.Body {
	if len(g.guests) > 1 {
		gone := g.guests[0]
		g.after = append(g.after, func() { g.guests = g.guests[1:] })
		return ledger.Remove{Organisation: gone.ID}
	}
	guest := simtest.NewOrganisation(g.name("guest"))
	g.after = append(g.after, func() { g.guests = append(g.guests, guest) })
	return g.c.Admit(guest)
}

func (g *generator) rotateValidator(o *simtest.Organisation) ledger.Body {
	old, next := o.Validators[0].Key, simtest.Key(g.name("validator"))
	g.after = append(g.after, func() { o.Validators[0].Key = next })
	return ledger.RotateValidator{Old: old.Public(), New: next.Public(), Possession: g.c.Possession(next, o.ID)}
}

// setAdmins replaces all but the first key of an organisation; 0 keeps its threshold.
func (g *generator) setAdmins(o *simtest.Organisation, threshold int) []byte {
	if threshold == 0 {
		threshold = o.Threshold
	}
	next := []crypto.PrivateKey{o.Key, simtest.Key(g.name("admin"))}
	body := ledger.SetAdmins{Threshold: uint64(threshold)}
	for _, key := range next {
		body.Keys = append(body.Keys, key.Public())
	}
	change := func() { o.Admins, o.Threshold = next, threshold }
	if o.Threshold < 2 {
		g.after = append(g.after, change)
		return g.by(o, body)
	}
	tx := g.by(o, body)
	last := len(g.queue) - 1
	approve := g.queue[last]
	g.queue[last] = func() []byte {
		g.after = append(g.after, change)
		return approve()
	}
	return tx
}
