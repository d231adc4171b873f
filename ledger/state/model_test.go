package state_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

const modelGaps = 3

// model drives the rules and the naive ledger side by side.
type model struct {
	c     *simtest.Chain
	n     *naive
	past  [][]byte // operations made so far
	pastI []intent
}

func newModel(t *rapid.T) *model {
	c := simtest.New(t, simtest.Config{Organisations: 2, Devices: 1, Streams: 1, Parameters: ledger.GenesisParameters{OpenGaps: modelGaps}})
	n := &naive{
		gaps:    modelGaps,
		devices: make(map[string]naivePrincipal),
		bridges: make(map[string]naivePrincipal),
		streams: make(map[string]*naiveStream),
		done:    make(map[string]bool),

		ownership: newOwnership(),
	}
	for i, o := range c.Organisations {
		n.orgs = append(n.orgs, o.Name)
		n.bridges[fmt.Sprint("bridge ", i)] = enrolled(fmt.Sprint("bridge ", i), o.Name, 0)
	}
	for _, d := range c.Devices {
		n.devices[d.Name] = enrolled(d.Name, d.Organisation.Name, 1)
	}
	for _, s := range c.Streams {
		n.streams[s.Device.Name+"/"+s.Name] = newNaiveStream(s.Device.Name, s.Device.Organisation.Name, 2)
	}
	for _, b := range c.Blocks[1:] {
		for _, tx := range b.Txs {
			n.done[string(tx)] = true
			n.log = append(n.log, string(tx))
		}
	}
	return &model{c: c, n: n}
}

// The names that the test draws from: few, so that they meet. Devices 0 and 1, each with
// stream 0, and bridges 0 and 1 are there from the start.
var (
	orgNames    = []string{"organisation 0", "organisation 1"}
	deviceNames = []string{"device 0", "device 1", "device 2"}
	allDevices  = append(slices.Clone(deviceNames), "device 3", "device 4")
	bridgeNames = []string{"bridge 0", "bridge 1", "bridge 2"}

	usualDevices = []string{"device 0", "device 0", "device 1"}
	usualBridges = []string{"bridge 0", "bridge 0", "bridge 0", "bridge 1"}
	usualStreams = []string{"stream 0", "stream 0"}

	usualKinds = []string{"enrol_device", "enrol_bridge", "open_stream", "open_stream", "rotate"}
	rareKinds  = []string{"rotate", "suspend", "resume", "resume", "retire"}
	spareKeys  = []string{"spare 0", "spare 1", "spare 2", "spare 3"}

	streamNames = []string{"stream 0", "stream 1"}
)

func rarely(t *rapid.T, what string) bool { return rapid.IntRange(0, 19).Draw(t, what) == 0 }

func pick(t *rapid.T, what string, from ...[]string) string {
	return rapid.SampledFrom(slices.Concat(from...)).Draw(t, what)
}

func (m *model) drawOperation(t *rapid.T) intent {
	if len(m.past) > 0 && rarely(t, "replay") {
		return intent{kind: "replay", replay: rapid.IntRange(0, len(m.past)-1).Draw(t, "which")}
	}
	i := intent{kind: pick(t, "kind", usualKinds, rareKinds, ownershipKinds)}
	i.actor = pick(t, "actor", orgNames, orgNames, orgNames, deviceNames)
	i.signer = m.current(i.actor)
	if rarely(t, "another signer") {
		i.signer = pick(t, "signer", orgNames, deviceNames, spareKeys)
	}
	i.org = i.actor
	switch i.kind {
	case "rotate":
		m.drawRotation(t, &i)
	case "suspend", "resume", "retire":
		i.subject = pick(t, "device", usualDevices, deviceNames)
	case "enrol_device":
		i.subject = pick(t, "device", deviceNames)
	case "enrol_bridge":
		i.subject = pick(t, "bridge", bridgeNames)
	case "open_stream":
		i.device = pick(t, "device", deviceNames)
		i.subject = i.device + "/" + pick(t, "stream", streamNames)
	}
	i.notAfter = m.next() + rapid.SampledFrom([]int64{0, 1, 60, ledger.MaxNotAfter}).Draw(t, "not after")
	if rarely(t, "late") {
		i.notAfter = m.next() + rapid.SampledFrom([]int64{-1, -100, ledger.MaxNotAfter + 1}).Draw(t, "not after")
	}
	if isOwnership(i.kind) {
		m.drawOwnership(t, &i)
		return i
	}
	i.forged = slices.Contains([]string{"enrol_device", "enrol_bridge", "rotate"}, i.kind) && rarely(t, "forged")
	return i
}

func (m *model) drawRotation(t *rapid.T, i *intent) {
	i.subject = pick(t, "device", usualDevices, deviceNames)
	i.key = pick(t, "new key", spareKeys)
	i.old = m.current(i.subject)
	if rarely(t, "another old key") {
		i.old = pick(t, "old key", deviceNames, spareKeys)
	}
	i.closes = rapid.SampledFrom([]uint64{0, 1, 2, 5, 1000}).Draw(t, "closes")
	if i.closes > 0 {
		i.closes += m.c.Height
	}
	if i.org = m.n.devices[i.subject].org; i.org == "" || rarely(t, "another organisation") {
		i.org = pick(t, "organisation", orgNames)
	}
}

// current is the name of the newest key of whoever has a name, which is usually the valid one.
func (m *model) current(name string) string {
	if keys := m.n.devices[name].keys; len(keys) > 0 {
		return keys[len(keys)-1].name
	}
	return name
}

// next is the time of the next block in seconds.
func (m *model) next() int64 { return (m.c.Time + simtest.BlockTime) / 1e6 }

func (m *model) drawBatch(t *rapid.T) intent {
	i := intent{kind: "batch", actor: pick(t, "bridge", usualBridges, bridgeNames)}
	i.signer = i.actor
	if rarely(t, "another signer") {
		i.signer = pick(t, "signer", bridgeNames)
	}
	i.forged = rarely(t, "forged")
	for range rapid.IntRange(1, 6).Draw(t, "statements") {
		i.items = append(i.items, m.drawItem(t))
	}
	return i
}

func (m *model) drawItem(t *rapid.T) item {
	s := item{device: pick(t, "device", usualDevices, deviceNames), count: rapid.IntRange(1, 4).Draw(t, "count")}
	s.signer = m.current(s.device)
	if keys := m.n.devices[s.device].keys; len(keys) > 1 && rapid.IntRange(0, 3).Draw(t, "older key") == 0 {
		s.signer = keys[len(keys)-2].name
	}
	s.stream = s.device + "/" + pick(t, "stream", usualStreams, streamNames)
	s.first = rapid.Uint64Range(1, 24).Draw(t, "first")
	if rapid.IntRange(0, 3).Draw(t, "derived") == 0 {
		s.input = pick(t, "input", allStreams[:2], allStreams)
		s.inFirst = rapid.Uint64Range(1, 6).Draw(t, "input first")
		s.inLast = s.inFirst + rapid.Uint64Range(0, 2).Draw(t, "input more")
	}
	if !rarely(t, "usual") {
		return s
	}
	switch rapid.IntRange(0, 5).Draw(t, "fault") {
	case 0:
		s.signer = pick(t, "signer", deviceNames, spareKeys)
	case 1:
		s.stream = pick(t, "device", deviceNames) + "/" + pick(t, "stream", streamNames)
	case 2:
		s.ahead = true
	case 3:
		s.broken = true
	case 4:
		s.garbage = true
	case 5:
		s.first = ledger.MaxNumber - uint64(s.count) + 1
	}
	return s
}

func (m *model) id(name string) crypto.ID {
	key := simtest.Key(name).Public()
	switch {
	case slices.Contains(orgNames, name):
		return ledger.OrganisationID(key)
	case slices.Contains(allDevices, name):
		return ledger.DeviceID(key)
	}
	return ledger.BridgeID(key)
}

func (m *model) streamID(name string) crypto.ID {
	device, stream, _ := strings.Cut(name, "/")
	return ledger.StreamID(m.c.ID, m.id(device), stream)
}

func (m *model) operationBytes(t *rapid.T, i intent) []byte {
	var body ledger.Body
	subject := m.id(i.subject)
	switch i.kind {
	case "open_stream":
		body = ledger.OpenStream{Device: m.id(i.device), Name: i.subject[len(i.device)+1:]}
	case "enrol_device":
		body = ledger.EnrolDevice{Possession: m.possession(t, i, i.subject)}
	case "enrol_bridge":
		body = ledger.EnrolBridge{Possession: m.possession(t, i, i.subject)}
	case "rotate":
		old := simtest.Key(i.old).Public().KeyID()
		body = ledger.Rotate{Device: subject, Old: old, Closes: i.closes, Possession: m.possession(t, i, i.key)}
	case "suspend":
		body = ledger.Suspend{Device: subject}
	case "resume":
		body = ledger.Resume{Device: subject}
	case "retire":
		body = ledger.Retire{Device: subject}
	default:
		body = m.ownershipBody(t, i)
	}
	return m.c.SignOperation(simtest.Key(i.signer), ledger.Operation{Chain: m.c.ID, Actor: m.id(i.actor), NotAfter: i.notAfter, Body: body})
}

// possession is a proof of the named key, or one that its key did not sign.
func (m *model) possession(t *rapid.T, i intent, key string) *ledger.Possession {
	p := m.c.Possession(simtest.Key(key), m.id(i.org))
	if !i.forged {
		return p
	}
	raw := bytes.Clone(p.Bytes())
	raw[len(raw)-1] ^= 1
	p, err := ledger.ParsePossession(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (m *model) batchBytes(t *rapid.T, i intent) []byte {
	raws := make([][]byte, len(i.items))
	for k, s := range i.items {
		raws[k] = m.statementBytes(s)
	}
	b, err := ledger.SignBatch(simtest.Key(i.signer), m.c.ID, m.id(i.actor), 1, m.c.Time, raws)
	if err != nil {
		t.Fatal(err)
	}
	if i.forged {
		b.Bytes()[len(b.Bytes())-1] ^= 1
	}
	return b.Bytes()
}

func (m *model) statementBytes(s item) []byte {
	if s.garbage {
		return []byte("garbage")
	}
	st := ledger.Statement{Device: m.id(s.device), Stream: m.streamID(s.stream), First: s.first}
	for k := range s.count {
		st.Readings = append(st.Readings, ledger.Reading{Content: fmt.Append(nil, m.c.Height, k)})
	}
	if s.ahead {
		st.Readings[s.count-1].Time = m.c.Time + simtest.BlockTime + ledger.MaxClockAhead*1e6 + 1
	}
	if s.input != "" {
		st.Inputs = []ledger.Input{{Stream: m.streamID(s.input), First: s.inFirst, Last: s.inLast}}
	}
	raw := m.c.SignStatement(simtest.Key(s.signer), st)
	if s.broken {
		raw[len(raw)-1] ^= 1
	}
	return raw
}

// block makes a block of drawn transactions and compares every result.
func (m *model) block(t *rapid.T) {
	var txs [][]byte
	var intents []intent
	for range rapid.IntRange(0, 4).Draw(t, "transactions") {
		var i intent
		if rapid.Bool().Draw(t, "batch") {
			i = m.drawBatch(t)
			txs = append(txs, m.batchBytes(t, i))
		} else if i = m.drawOperation(t); i.kind == "replay" {
			txs, i = append(txs, m.past[i.replay]), m.pastI[i.replay]
		} else {
			raw := m.operationBytes(t, i)
			i.made = madeID(t, raw)
			txs, m.past, m.pastI = append(txs, raw), append(m.past, raw), append(m.pastI, i)
		}
		intents = append(intents, i)
	}
	m.n.height, m.n.now = m.c.Height+1, m.next()
	b := m.c.Block(txs...)
	for k, i := range intents {
		m.compareResult(t, i, txs[k], b, k)
	}
	m.compareRows(t)
}

func (m *model) compareResult(t *rapid.T, i intent, raw []byte, b *simtest.Block, k int) {
	got := b.Results[k]
	var code ledger.Code
	var codes []ledger.Code
	var added []string
	if i.kind == "batch" {
		code, codes = m.n.batch(i)
		for j, c := range codes {
			if c == ledger.CodeOK {
				added = append(added, string(m.rawStatement(t, raw, j)))
			}
		}
	} else if code = m.n.operation(i, string(raw)); code == ledger.CodeOK {
		added = []string{string(raw)}
	}
	if got.Code != code || !slices.Equal(got.Codes, codes) {
		t.Fatalf("height %d, transaction %d, %+v: result %v %v, want %v %v", b.Height, k, i, got.Code, got.Codes, code, codes)
	}
	if len(got.Indexes) != len(added) {
		t.Fatalf("%d indexes, want %d", len(got.Indexes), len(added))
	}
	for j, index := range got.Indexes {
		if want := uint64(1 + len(m.n.log) + j); index != want {
			t.Fatalf("index %d, want %d", index, want)
		}
	}
	m.n.log = append(m.n.log, added...)
}

func (m *model) rawStatement(t *rapid.T, raw []byte, j int) []byte {
	tx, err := ledger.ParseTransaction(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tx.Batch.Raw[j]
}

// compareRows compares everything that the records say with the naive ledger.
func (m *model) compareRows(t *rapid.T) {
	count := 0 // rows of streams and gaps
	for name, s := range m.n.streams {
		id := m.streamID(name)
		want := s.head()
		if m.n.isClosed(name) {
			want.Status = record.StatusRetired
		}
		want.Device = m.id(s.device)
		m.row(t, name, record.StreamRow(id), want.Encode())
		m.row(t, name, record.DeviceStreamRow(want.Device, id), record.DeviceStream{Name: name[len(s.device)+1:]}.Encode())
		m.compareOwners(t, name, record.FamilyOrganisationStream, id, s.owners)
		for _, o := range s.owners {
			m.row(t, name, record.OwnerRow(id, o.from), record.Owner{Organisation: m.id(o.org), Since: o.since}.Encode())
		}
		for _, g := range gapsOf(s.used) {
			m.row(t, name, record.GapRow(id, g[0]), record.Gap{Last: g[1]}.Encode())
			count++
		}
		count++
	}
	changes := 0
	for name, d := range m.n.devices {
		for _, k := range d.keys {
			key := simtest.Key(k.name).Public()
			m.row(t, name, record.KeyRow(m.id(name), key.KeyID()), record.Key{Public: key, Opens: k.opens, Closes: k.closes, Doubtful: k.doubtful}.Encode())
		}
		m.compareOwners(t, name, record.FamilyOrganisationDevice, m.id(name), d.owners)
		for _, h := range d.changes() {
			row := record.Device{Organisation: m.id(ownedAt(d.owners, h).org), Status: statusOf[d.statusAt(h)]}
			m.row(t, name, record.DeviceRow(m.id(name), h), row.Encode())
			changes++
		}
	}
	devices, operations := 0, 0
	for _, k := range m.c.Store.Keys() {
		switch record.FamilyOf(k) {
		case record.FamilyStream, record.FamilyGap:
			count--
		case record.FamilyDevice:
			devices++
		case record.FamilyOperation:
			operations++
		}
	}
	if count != 0 || devices != changes || operations != len(m.n.done) {
		t.Fatalf("rows too few (+) or too many (-): %d of streams; %d devices, want %d; %d operations, want %d",
			count, devices, changes, operations, len(m.n.done))
	}
	m.compareOwnership(t)
	m.compareLog(t)
}

var statusOf = map[ledger.Code]record.Status{
	ledger.CodeOK:        record.StatusActive,
	ledger.CodeSuspended: record.StatusSuspended,
	ledger.CodeRetired:   record.StatusRetired,
}

// compareLog compares the log, and the block row of the last entry.
func (m *model) compareLog(t *rapid.T) {
	size := m.c.Store.LogSize()
	if size != uint64(1+len(m.n.log)) {
		t.Fatalf("log of %d entries, want %d", size, 1+len(m.n.log))
	}
	for i, want := range m.n.log {
		if got, err := m.c.Store.Entry(uint64(i + 1)); err != nil || string(got) != want {
			t.Fatalf("entry %d differs (%v)", i+1, err)
		}
	}
	_, value, err := m.c.Store.Predecessor(record.BlockRow(0), record.BlockRow(m.c.Height))
	if err != nil {
		t.Fatal(err)
	}
	if row, err := record.ParseBlock(value); err != nil || !row.Contains(size-1) || row.Contains(size) {
		t.Fatalf("last block row %+v does not end with entry %d (%v)", row, size-1, err)
	}
}

func (m *model) row(t *rapid.T, what string, k [33]byte, want []byte) {
	got, err := m.c.Store.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: row %v is %x, want %x", what, record.FamilyOf(k), got, want)
	}
}

// TestModel compares the rules with a naive ledger over random blocks.
func TestModel(t *testing.T) {
	seen := make(map[ledger.Code]int)
	statements := 0
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 40).Draw(t, "blocks") {
			m.block(t)
		}
		for _, b := range m.c.Blocks {
			for _, r := range b.Results {
				seen[r.Code]++
				for _, code := range r.Codes {
					seen[code]++
					statements++
				}
			}
		}
	})
	t.Logf("%d statements; codes: %v", statements, seen)
	for _, code := range []ledger.Code{
		ledger.CodeOK, ledger.CodeUsed, ledger.CodeTooManyGaps, ledger.CodeUnknownStream, ledger.CodeUnknownDevice,
		ledger.CodeReplayed, ledger.CodeExists, ledger.CodeNotOwner, ledger.CodeBadSignature, ledger.CodeClockAhead,
		ledger.CodeKeyClosed, ledger.CodeSuspended, ledger.CodeRetired, ledger.CodeUnknownKey,
		ledger.CodeNoGrant, ledger.CodeGrantExpired, ledger.CodeOutOfRange, ledger.CodeClosed, ledger.CodeUnknownGrant,
	} {
		if seen[code] == 0 {
			t.Errorf("%v never happened: the test does not test it", code)
		}
	}
}
