package testnet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/app/node"
	"mtmledger/crypto"
	"mtmledger/internal/port"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// story is a consortium of in-process validators and everything that happens on its
// ledger. What happened is noted down, so that the auditor's answers can be compared.
type story struct {
	t     *testing.T
	ctx   context.Context
	chain string
	doc   []byte // app_state
	root  proof.TrustRoot
	peers []string
	nodes map[string]*node.Node
	c     *client.Local // of A's node
	at    map[string]uint64
	id    map[string]crypto.ID
	index map[string]uint64
	orgs  map[string]*member
	fleet map[string]*machine
	lists map[string]*ledger.Fleet // that organisations signed for
	sent  map[string]*ledger.Statement
	tries atomic.Uint64
}

// member is an organisation with its keys and its validator.
type member struct {
	id        crypto.ID
	key       crypto.PrivateKey
	bridge    crypto.PrivateKey
	home      string
	listen    string
	validator node.Identity
}

// machine is a device with one stream.
type machine struct {
	name   string
	id     crypto.ID
	key    crypto.PrivateKey
	stream crypto.ID
	next   uint64
}

const storyPower = 10

func newMember(t *testing.T) *member {
	t.Helper()
	m := &member{key: newKey(t), bridge: newKey(t), home: t.TempDir()}
	m.id = ledger.OrganisationID(m.key.Public())
	free, err := port.Free("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	m.listen = free[0]
	if m.validator, err = node.InitKeys(m.home); err != nil {
		t.Fatal(err)
	}
	return m
}

func newKey(t *testing.T) crypto.PrivateKey {
	t.Helper()
	k, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newStory founds the ledger of A, B and C and starts their validators: A has two, so
// they are four.
func newStory(t *testing.T, ctx context.Context) *story {
	s := &story{
		t: t, ctx: ctx, chain: "story", nodes: map[string]*node.Node{}, at: map[string]uint64{}, id: map[string]crypto.ID{},
		index: map[string]uint64{}, orgs: map[string]*member{}, fleet: map[string]*machine{}, lists: map[string]*ledger.Fleet{}, sent: map[string]*ledger.Statement{},
	}
	var (
		g   ledger.Genesis
		set []node.Validator
	)
	for _, name := range []string{"A", "A2", "B", "C", "D"} {
		m := newMember(t)
		s.orgs[name] = m
		s.peers = append(s.peers, m.validator.NodeID+"@"+m.listen)
		if name == "D" {
			continue // joins later
		}
		set = append(set, node.Validator{Name: name, Key: m.validator.Key, Power: storyPower})
		if name == "A2" {
			m.id, m.key, m.bridge = s.orgs["A"].id, s.orgs["A"].key, s.orgs["A"].bridge
			g.Organisations[0].Validators = append(g.Organisations[0].Validators, ledger.GenesisValidator{Key: m.validator.Key, Power: storyPower})
			continue
		}
		g.Organisations = append(g.Organisations, ledger.GenesisOrganisation{
			Name: name, AdminKeys: []crypto.PublicKey{m.key.Public()}, Threshold: 1,
			Bridges:    []ledger.GenesisBridge{{Key: m.bridge.Public()}},
			Validators: []ledger.GenesisValidator{{Key: m.validator.Key, Power: storyPower}},
		})
	}
	var err error
	if s.doc, err = json.Marshal(g); err != nil {
		t.Fatal(err)
	}
	doc, err := node.NewGenesis(node.InitOptions{Chain: s.chain, AppState: s.doc, Validators: set, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.orgs {
		if err := node.WriteGenesis(m.home, doc); err != nil {
			t.Fatal(err)
		}
	}
	if s.root, err = node.TrustRoot(s.orgs["A"].home); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"A", "A2", "B", "C"} {
		s.start(name)
	}
	s.c = s.nodes["A"].Client()
	return s
}

// start starts a member's node.
func (s *story) start(name string) {
	s.t.Helper()
	m := s.orgs[name]
	cfg := node.Config{Home: m.home, Name: name, P2PListen: m.listen, RPCListen: node.Off, BlockInterval: 20 * time.Millisecond}
	for _, p := range s.peers {
		if p != m.validator.NodeID+"@"+m.listen {
			cfg.Peers = append(cfg.Peers, p)
		}
	}
	n, err := node.Start(s.ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.nodes[name] = n
	s.t.Cleanup(func() { _ = n.Stop() })
}

// made is an operation that was committed.
type made struct {
	id     crypto.ID // what it made
	height uint64
	index  uint64
}

// try signs and submits an operation and returns its code.
func (s *story) try(key crypto.PrivateKey, actor crypto.ID, body ledger.Body) (made, ledger.Code) {
	s.t.Helper()
	o, err := ledger.SignOperation(key, ledger.Operation{
		Chain: s.chain, Actor: actor, NotAfter: time.Now().Unix() + 3600 + int64(s.tries.Add(1)), Body: body})
	if err != nil {
		s.t.Fatalf("%s: %v", body.Kind(), err)
	}
	r, code := s.commit(o.Bytes())
	out := made{id: ledger.MadeID(o.Digest()), height: r.Height}
	if len(r.Indexes) > 0 {
		out.index = r.Indexes[0]
	}
	return out, code
}

func (s *story) commit(tx []byte) (ledger.TxResult, ledger.Code) {
	s.t.Helper()
	err := s.c.Submit(s.ctx, tx)
	for ledger.CodeOf(err) == ledger.CodeOverloaded && s.ctx.Err() == nil { // the nodes find one another
		time.Sleep(pollEvery) // between polls
		err = s.c.Submit(s.ctx, tx)
	}
	if err != nil {
		return ledger.TxResult{}, ledger.CodeOf(err)
	}
	r, err := s.c.Wait(s.ctx, ledger.TxHash(tx))
	if err != nil {
		s.t.Fatal(err)
	}
	return r, r.Code
}

// org lets an organisation do something under a name; device lets a device.
func (s *story) org(note, name string, body ledger.Body) made {
	s.t.Helper()
	return s.must(note, s.orgs[name].key, s.orgs[name].id, body)
}

func (s *story) must(note string, key crypto.PrivateKey, actor crypto.ID, body ledger.Body) made {
	s.t.Helper()
	m, code := s.try(key, actor, body)
	if code != ledger.CodeOK {
		s.t.Fatalf("%s (%s): %v", note, body.Kind(), code)
	}
	s.at[note], s.id[note], s.index[note] = m.height, m.id, m.index
	return m
}

// agreed lets members propose and approve, the first proposes.
func (s *story) agreed(note string, body ledger.Body, who ...string) {
	s.t.Helper()
	p := s.org(note, who[0], ledger.Propose{Expires: time.Now().Add(time.Hour).Unix(), Body: body})
	for i, name := range who[1:] {
		s.org(fmt.Sprintf("%s by %s", note, name), name, ledger.Approve{Proposal: p.id})
		if i == len(who)-2 {
			s.at[note+" decided"] = s.at[fmt.Sprintf("%s by %s", note, name)]
		}
	}
	s.id[note] = p.id
}

// storyFleet is how many devices an organisation signs for; few of them come.
const storyFleet = 2_000

// enrol signs for a fleet once, enrols the devices that come, and opens a stream of each.
func (s *story) enrol(owner string, names ...string) {
	s.t.Helper()
	var devices []ledger.ListedDevice
	keys := make([]crypto.PublicKey, storyFleet)
	for i := range keys {
		keys[i] = newKey(s.t).Public()
	}
	for i, name := range names {
		m := &machine{name: name, key: newKey(s.t), next: 1}
		m.id = ledger.DeviceID(m.key.Public())
		m.stream = ledger.StreamID(s.chain, m.id, "out")
		s.fleet[name] = m
		place := (i + 1) * storyFleet / (len(names) + 1)
		keys[place] = m.key.Public()
		devices = append(devices, ledger.ListedDevice{Index: uint64(place), Possession: s.possession(m.key, owner)})
	}
	fleet, err := ledger.NewFleet(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	s.lists[owner] = fleet
	signed := s.org("fleet of "+owner, owner, ledger.Manifest{Root: fleet.Root(), Count: storyFleet})
	body, err := fleet.Enrol(signed.id, devices)
	if err != nil {
		s.t.Fatal(err)
	}
	s.org("arrivals of "+owner, owner, body)
	for _, name := range names {
		m := s.fleet[name]
		s.must("open "+name, m.key, m.id, ledger.OpenStream{Device: m.id, Name: "out"})
	}
}

func (s *story) possession(key crypto.PrivateKey, owner string) *ledger.Possession {
	s.t.Helper()
	p, err := ledger.SignPossession(key, s.chain, s.orgs[owner].id)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// statement signs n readings from number first on.
func (s *story) statement(m *machine, first uint64, n int, inputs ...ledger.Input) *ledger.Statement {
	s.t.Helper()
	st := ledger.Statement{Device: m.id, Stream: m.stream, First: first, Inputs: inputs}
	for i := range n {
		st.Readings = append(st.Readings, ledger.Reading{Time: time.Now().UnixMicro(), Content: fmt.Appendf(nil, "%s %d", m.name, first+uint64(i))})
	}
	signed, err := ledger.SignStatement(m.key, st)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// bring brings a statement to the ledger through a member's bridge.
func (s *story) bring(bridge string, st *ledger.Statement) (made, ledger.Code) {
	s.t.Helper()
	key := s.orgs[bridge].bridge
	b, err := ledger.SignBatch(key, s.chain, ledger.BridgeID(key.Public()), s.tries.Add(1), time.Now().UnixMicro(), [][]byte{st.Bytes()})
	if err != nil {
		s.t.Fatal(err)
	}
	r, code := s.commit(b.Bytes())
	if code == ledger.CodeOK && len(r.Codes) > 0 {
		code = r.Codes[0]
	}
	out := made{height: r.Height}
	if code == ledger.CodeOK && len(r.Indexes) > 0 {
		out.index = r.Indexes[0]
	}
	return out, code
}

// report lets a device report its next n readings.
func (s *story) report(note, name string, n int, inputs ...ledger.Input) made {
	s.t.Helper()
	m := s.fleet[name]
	st := s.statement(m, m.next, n, inputs...)
	out, code := s.bring("A", st)
	if code != ledger.CodeOK {
		s.t.Fatalf("%s: %v", note, code)
	}
	m.next = st.Last() + 1
	s.at[note], s.index[note], s.sent[note] = out.height, out.index, st
	return out
}

// refused checks that an operation is refused.
func (s *story) refused(want, got ledger.Code) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("code %v, want %v", got, want)
	}
}
