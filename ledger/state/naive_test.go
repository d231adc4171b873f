package state_test

import (
	"crypto/ed25519"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// naive is a whole ledger in plain maps and slices, written from docs/spec/state.md and
// sharing no code with the rules: it is slow, and each rule reads as it does there. What it
// has in common with them is how messages are parsed and how rows are encoded.
type naive struct {
	chain  string
	height uint64 // of the block under way
	time   int64  // its time, µs

	parameters    history[naiveParameters] // by the height at which they count
	members       history[[]crypto.ID]
	organisations map[crypto.ID]*naiveOrganisation
	devices       map[crypto.ID]*naiveDevice
	bridges       map[crypto.ID]*naiveBridge
	keys          map[crypto.ID][]*naiveKey // of organisations, devices and bridges
	streams       map[crypto.ID]*naiveStream
	described     map[crypto.ID]*history[[]ledger.Attribute]
	grants        []*naiveGrant
	access        map[naivePair][]crypto.ID // grants, by grantee and stream
	deliveries    []naiveDelivery
	manifests     []*naiveManifest
	derived       []naiveDerived
	evidence      map[naiveDeviceKey]record.Evidence
	proposals     []*naiveProposal
	validators    map[crypto.ID]*naiveValidator
	setChanged    []uint64                     // heights with another validator set
	untried       map[crypto.ID]record.Untried // validators that got power and did not sign since
	misbehaviour  map[naiveOffence]record.Misbehaviour

	log    [][]byte
	done   map[[32]byte]record.Operation
	blocks map[uint64]record.Block

	// Of the block under way.
	signers map[crypto.ID]naiveSigner
	used    map[crypto.ID]naiveUse // by bridges and organisations

	voted map[ledger.Kind]int // what members' votes decided

	seen func(ledger.Kind, ledger.Code) // is told what became of operations, proposed ones too
}

type naiveParameters map[ledger.ParameterID]uint64

type naiveOrganisation struct {
	is     history[record.Organisation]
	admins history[[]crypto.KeyID]
}

type naiveDevice struct {
	is      history[record.Device]
	keyless *record.Keyless
}

type naiveBridge struct {
	is history[record.Bridge]
}

type naiveKey struct {
	id crypto.KeyID
	record.Key
}

type naiveStream struct {
	device crypto.ID
	name   string
	owners history[record.Owner]
	sales  []*naiveSale
	used   map[uint64]bool // numbers
	closed *record.Closed
}

// naiveSale is a stream that changes hands: from which height on, and at which mark.
type naiveSale struct {
	from, mark uint64
	fromNow    bool
	giver, to  crypto.ID
}

type naiveGrant struct {
	id crypto.ID
	record.Grant
}

type naivePair struct{ grantee, stream crypto.ID }

type naiveDelivery struct {
	id crypto.ID
	record.Delivery
}

type naiveDerived struct {
	stream      crypto.ID
	index       uint64
	first, last uint64
	inputs      []ledger.Input
}

type naiveDeviceKey struct {
	device crypto.ID
	key    crypto.KeyID
}

type naiveProposal struct {
	id       crypto.ID
	proposer crypto.ID
	expires  int64
	applied  uint64 // height; 0: open
	body     ledger.Body
	approved map[crypto.ID][]record.Approval // by organisation
}

type naiveValidator struct {
	key    crypto.PublicKey
	is     history[record.Validator]
	listed map[crypto.ID]uint64 // organisations that ever had it, and since when
}

type naiveOffence struct {
	validator crypto.ID
	height    uint64
}

// naiveSigner is what the start of a block says about a principal: why it may not act,
// and its keys.
type naiveSigner struct {
	code ledger.Code
	keys []naiveKey
}

type naiveUse struct{ statements, bytes uint64 }

// history is what something is from which heights on, oldest first.
type history[T any] []changed[T]

type changed[T any] struct {
	from uint64
	is   T
}

// at is what it is at a height.
func (h history[T]) at(height uint64) (is T, found bool) {
	for _, c := range h {
		if c.from <= height {
			is, found = c.is, true
		}
	}
	return is, found
}

// set makes it something else from a height on. A second change at one height replaces
// the first.
func (h *history[T]) set(from uint64, is T) {
	list := *h
	if n := len(list); n > 0 && list[n-1].from == from {
		list = list[:n-1]
	}
	*h = append(list, changed[T]{from, is})
}

func newNaive(chain string, genesis *ledger.Genesis, entry []byte, time int64, seen func(ledger.Kind, ledger.Code)) *naive {
	n := &naive{
		chain:         chain,
		seen:          seen,
		voted:         make(map[ledger.Kind]int),
		organisations: make(map[crypto.ID]*naiveOrganisation),
		devices:       make(map[crypto.ID]*naiveDevice),
		bridges:       make(map[crypto.ID]*naiveBridge),
		keys:          make(map[crypto.ID][]*naiveKey),
		streams:       make(map[crypto.ID]*naiveStream),
		described:     make(map[crypto.ID]*history[[]ledger.Attribute]),
		access:        make(map[naivePair][]crypto.ID),
		evidence:      make(map[naiveDeviceKey]record.Evidence),
		validators:    make(map[crypto.ID]*naiveValidator),
		misbehaviour:  make(map[naiveOffence]record.Misbehaviour),
		untried:       make(map[crypto.ID]record.Untried),
		done:          make(map[[32]byte]record.Operation),
		blocks:        map[uint64]record.Block{0: {Count: 1, Time: time}},
		log:           [][]byte{entry},
		setChanged:    []uint64{0},
	}
	values := make(naiveParameters)
	for _, p := range genesis.Parameters.Values() {
		values[p.ID] = p.Value
	}
	n.parameters.set(0, values)
	var members []crypto.ID
	for _, o := range genesis.Organisations {
		n.found(o)
		members = append(members, o.ID())
	}
	n.members.set(0, members)
	return n
}

// found adds an organisation of the genesis. Its keys open at 1.
func (n *naive) found(g ledger.GenesisOrganisation) {
	o := &naiveOrganisation{}
	o.is.set(0, record.Organisation{Name: g.Name, Threshold: g.Threshold})
	var admins []crypto.KeyID
	for _, key := range g.AdminKeys {
		n.addKey(g.ID(), key)
		admins = append(admins, key.KeyID())
	}
	o.admins.set(0, admins)
	n.organisations[g.ID()] = o
	for _, bridge := range g.Bridges {
		b := &naiveBridge{}
		b.is.set(0, record.Bridge{Organisation: g.ID()})
		n.bridges[ledger.BridgeID(bridge.Key)] = b
		n.addKey(ledger.BridgeID(bridge.Key), bridge.Key)
	}
	for _, v := range g.Validators {
		n.setPower(0, record.Validator{Organisation: g.ID(), Key: v.Key, Power: v.Power})
	}
}

// addKey gives a principal a key that opens at the next height.
func (n *naive) addKey(principal crypto.ID, key crypto.PublicKey) {
	n.keys[principal] = append(n.keys[principal], &naiveKey{key.KeyID(), record.Key{Public: key, Opens: n.height + 1}})
}

// key is a key of a principal, valid or not; nil: it has none with this id.
func (n *naive) key(principal crypto.ID, kid crypto.KeyID) *naiveKey {
	for _, k := range n.keys[principal] {
		if k.id == kid {
			return k
		}
	}
	return nil
}

func (n *naive) now() int64 { return n.time / 1_000_000 }

// parameter is the value of a parameter that counts in this block.
func (n *naive) parameter(id ledger.ParameterID) uint64 {
	p, _ := n.parameters.at(n.height)
	return p[id]
}

// begin begins a block: who may sign in it is decided here.
func (n *naive) begin(height uint64, time int64) {
	n.height, n.time = height, time
	n.used = make(map[crypto.ID]naiveUse)
	n.signers = make(map[crypto.ID]naiveSigner)
	for id, o := range n.organisations {
		now, _ := o.is.at(height)
		n.addSigner(id, notActive(now.Status))
	}
	for id, d := range n.devices {
		now, _ := d.is.at(height)
		n.addSigner(id, notActive(now.Status), n.signers[now.Organisation].code)
	}
	for id, b := range n.bridges {
		now, _ := b.is.at(height)
		n.addSigner(id, notActive(now.Status), n.signers[now.Organisation].code)
	}
}

// addSigner adds a principal that may sign if none of the codes says why not.
func (n *naive) addSigner(id crypto.ID, codes ...ledger.Code) {
	s := naiveSigner{code: firstOf(codes...)}
	for _, k := range n.keys[id] {
		s.keys = append(s.keys, *k)
	}
	n.signers[id] = s
}

// end ends the block that began with this many entries in the log.
func (n *naive) end(entries int) {
	if count := len(n.log) - entries; count > 0 {
		n.blocks[n.height] = record.Block{First: uint64(entries), Count: uint64(count), Time: n.time}
	}
	for _, s := range n.streams {
		for _, sale := range s.sales {
			if sale.from == n.height+1 {
				sale.mark = s.mark()
			}
		}
	}
}

func notActive(s record.Status) ledger.Code {
	return map[record.Status]ledger.Code{record.StatusSuspended: ledger.CodeSuspended, record.StatusRetired: ledger.CodeRetired}[s]
}

// firstOf is the first code that refuses, OK if none does.
func firstOf(codes ...ledger.Code) ledger.Code {
	for _, code := range codes {
		if code != ledger.CodeOK {
			return code
		}
	}
	return ledger.CodeOK
}

// signed is the code of a message that a principal is said to have signed.
func (n *naive) signed(id crypto.ID, m *crypto.Sign1) ledger.Code {
	for _, k := range n.signers[id].keys {
		switch {
		case k.id != m.Header.KeyID:
		case k.Opens > n.height:
			return ledger.CodeUnknownKey
		case k.Closes != 0 && k.Closes <= n.height:
			return ledger.CodeKeyClosed
		default:
			return signature(k.Public, m)
		}
	}
	return ledger.CodeUnknownKey
}

func signature(key crypto.PublicKey, m *crypto.Sign1) ledger.Code {
	if !ed25519.Verify(key[:], m.SigStructure(), m.Signature[:]) {
		return ledger.CodeBadSignature
	}
	return ledger.CodeOK
}

// transaction applies a transaction and returns what becomes of it: its code, and those of
// its statements.
func (n *naive) transaction(raw []byte) (ledger.Code, []ledger.Code) {
	tx, err := ledger.ParseTransaction(raw)
	switch {
	case err != nil:
		return ledger.CodeOf(err), nil
	case tx.Chain() != n.chain:
		return ledger.CodeWrongChain, nil
	case tx.Batch != nil:
		return n.batch(tx.Batch)
	}
	return n.operation(tx.Operation), nil
}
