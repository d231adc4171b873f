package state_test

import (
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

func newChain(t simtest.TB) *simtest.Chain {
	t.Helper()
	return simtest.New(t, simtest.Config{Organisations: 2, Devices: 1, Streams: 2})
}

// set changes rows behind the rules' back.
func set(t *testing.T, c *simtest.Chain, k merkle.Key, value []byte) {
	t.Helper()
	if err := c.Store.Commit([]merkle.Change{{Key: k, Value: value}}, nil); err != nil {
		t.Fatal(err)
	}
}

// statementCases give for each code a statement that is refused with it.
var statementCases = []struct {
	name string
	code ledger.Code
	make func(t *testing.T, c *simtest.Chain) []byte
}{
	{"garbage", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return []byte("garbage")
	}},
	{"empty", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return nil
	}},
	{"an operation", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].Enrol()
	}},
	{"beyond the size", ledger.CodeTooLarge, func(t *testing.T, c *simtest.Chain) []byte {
		return make([]byte, ledger.MaxStatement+1)
	}},
	{"by another key", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		raw := c.Streams[0].At(1, 1)
		raw[len(raw)-1] ^= 1
		return raw
	}},
	{"changed after signing", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		raw := c.Streams[0].At(1, 1)
		raw[len(raw)-67] ^= 1 // the last byte of the last content
		return raw
	}},
	{"device not enrolled", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[0].NewDevice(c, "stranger").NewStream("s").At(1, 1)
	}},
	{"organisation as device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.SignStatement(o.Key, ledger.Statement{Device: o.ID, Stream: c.Streams[0].ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key of nobody", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		return c.SignStatement(simtest.Key("nobody"), ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key of another device", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		return c.SignStatement(c.Devices[1].Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key opens next block", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Devices[0].Key.Public()
		set(t, c, record.KeyRow(c.Devices[0].ID, key.KeyID()), record.Key{Public: key, Opens: c.Height + 2}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"key closed", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Devices[0].Key.Public()
		set(t, c, record.KeyRow(c.Devices[0].ID, key.KeyID()), record.Key{Public: key, Opens: 1, Closes: c.Height + 1}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"device suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		set(t, c, record.DeviceRow(d.ID, c.Height+1), record.Device{Organisation: d.Organisation.ID, Status: record.StatusSuspended}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"device retired", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return c.Streams[0].At(1, 1)
	}},
	{"key replaced at once", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", 0)))
		return c.Streams[0].At(1, 1)
	}},
	{"key replaced, drained", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", c.Height+3)))
		c.Block()
		return c.Streams[0].At(1, 1)
	}},
	{"stream not opened", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].NewStream("closed").At(1, 1)
	}},
	{"stream of another chain", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		s := *c.Streams[0]
		s.ID = ledger.StreamID("other", s.Device.ID, s.Name)
		return s.At(1, 1)
	}},
	{"stream of another device", ledger.CodeWrongDevice, func(t *testing.T, c *simtest.Chain) []byte {
		s := *c.Streams[0]
		s.Device = c.Devices[1]
		return s.At(1, 1)
	}},
	{"stream closed", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		set(t, c, record.StreamRow(s.ID), record.StreamHead{Device: s.Device.ID, Status: record.StatusRetired}.Encode())
		return s.At(1, 1)
	}},
	{"clock ahead", ledger.CodeClockAhead, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].Sign(1, ledger.Reading{Time: c.Time + simtest.BlockTime + ledger.MaxClockAhead*1e6 + 1})
	}},
	{"clock ahead in the middle", ledger.CodeClockAhead, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].Sign(1, ledger.Reading{Time: c.Time}, ledger.Reading{Time: 1 << 62}, ledger.Reading{Time: c.Time})
	}},
	{"derived", ledger.CodeInputsDisabled, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		return c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1,
			Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{{Stream: c.Streams[1].ID, First: 1, Last: 1}}})
	}},
	{"committed form", ledger.CodeCommittedDisabled, func(t *testing.T, c *simtest.Chain) []byte {
		return committedForm(c.Streams[0])
	}},
	{"used", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 3)))
		return c.Streams[0].At(3, 2)
	}},
	{"used: the same again", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 3)))
		return c.Streams[0].At(1, 3)
	}},
	{"used: over both ends of a gap", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 1), c.Streams[0].At(4, 1)))
		return c.Streams[0].At(2, 3)
	}},
	{"too many gaps ahead", ledger.CodeTooManyGaps, func(t *testing.T, c *simtest.Chain) []byte {
		c.Streams[0].Number = gaps(t, c, ledger.MaxOpenGaps)
		return c.Streams[0].At(c.Streams[0].Number+1, 1)
	}},
	{"too many gaps inside", ledger.CodeTooManyGaps, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(4, 1)))
		gaps(t, c, ledger.MaxOpenGaps)
		return c.Streams[0].At(2, 1)
	}},
}

// gaps opens gaps of one number until stream 0 has n of them, and returns the number above
// its mark.
func gaps(t *testing.T, c *simtest.Chain, n uint64) uint64 {
	t.Helper()
	head := streamHead(t, c, c.Streams[0].ID)
	var raws [][]byte
	number := head.Mark + 2
	for range n - head.Gaps {
		raws = append(raws, c.Streams[0].At(number, 1))
		number += 2
	}
	b := c.Block(c.Batch(raws...))
	if len(b.Results[0].Indexes) != len(raws) {
		t.Fatalf("%d of %d statements accepted", len(b.Results[0].Indexes), len(raws))
	}
	return number - 1
}

func streamHead(t *testing.T, c *simtest.Chain, id crypto.ID) record.StreamHead {
	t.Helper()
	value, err := c.Store.Get(record.StreamRow(id))
	if err != nil {
		t.Fatal(err)
	}
	head, err := record.ParseStreamHead(value)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func committedForm(s *simtest.Stream) []byte {
	b := dcbor.AppendArray(nil, 7)
	b = dcbor.AppendUint(b, 2)
	b = dcbor.AppendUint(b, 1)
	b = dcbor.AppendUint(b, 0)
	b = dcbor.AppendUint(b, 3)
	b = dcbor.AppendInt(b, 0)
	b = dcbor.AppendInt(b, 0)
	b = dcbor.AppendBytes(b, make([]byte, 32))
	h := crypto.Header{ContentFormat: ledger.FormatStatement, HasClaims: true, Issuer: s.Device.ID, Subject: s.ID}
	return crypto.NewSign1(s.Device.Key, h, b).Bytes()
}

// TestStatementCodes: each bad statement has its code, and between two good ones of
// another stream disturbs neither.
func TestStatementCodes(t *testing.T) {
	for _, tc := range statementCases {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t)
			bad := tc.make(t, c)
			good := c.Streams[2] // of another device
			size := c.Store.LogSize()
			b := c.Block(c.Batch(good.Next(1), bad, good.Next(2)))
			r := b.Results[0]
			if r.Code != ledger.CodeOK || len(r.Codes) != 3 || r.Codes[1] != tc.code {
				t.Fatalf("result %v %v, want the second code to be %v", r.Code, r.Codes, tc.code)
			}
			if r.Codes[0] != ledger.CodeOK || r.Codes[2] != ledger.CodeOK {
				t.Errorf("good statements were disturbed: %v", r.Codes)
			}
			if len(r.Indexes) != 2 || r.Indexes[0] != size || r.Indexes[1] != size+1 || c.Store.LogSize() != size+2 {
				t.Errorf("indexes %v of a log of %d, was %d", r.Indexes, c.Store.LogSize(), size)
			}
			if len(b.Changes) != 2 { // the head of the good stream and the block's row
				t.Errorf("%d rows changed, want 2", len(b.Changes))
			}
		})
	}
}

// txCases give for each code a transaction that is refused whole with it.
var txCases = []struct {
	name string
	code ledger.Code
	make func(t *testing.T, c *simtest.Chain) []byte
}{
	{"garbage", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return []byte{0xd2, 0x84}
	}},
	{"beyond the size", ledger.CodeTooLarge, func(t *testing.T, c *simtest.Chain) []byte {
		return make([]byte, ledger.MaxTransaction+1)
	}},
	{"batch for another chain", ledger.CodeWrongChain, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Bridges[0].Key, "other", c.Bridges[0].ID, c.Streams[0].At(1, 1))
	}},
	{"batch with a bad signature", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Batch(c.Streams[0].At(1, 1))
		tx[len(tx)-1] ^= 1
		return tx
	}},
	{"bridge not enrolled", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[0].NewBridge(c, "stranger").Batch(c.Streams[0].At(1, 1))
	}},
	{"device as bridge", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Devices[0].Key, c.ID, c.Devices[0].ID, c.Streams[0].At(1, 1))
	}},
	{"key of another bridge", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Bridges[1].Key, c.ID, c.Bridges[0].ID, c.Streams[0].At(1, 1))
	}},
	{"bridge's key closed", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Bridges[0].Key.Public()
		set(t, c, record.KeyRow(c.Bridges[0].ID, key.KeyID()), record.Key{Public: key, Opens: 1, Closes: 2}.Encode())
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"bridge suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		set(t, c, record.BridgeRow(c.Bridges[0].ID, 2),
			record.Bridge{Organisation: c.Organisations[0].ID, Status: record.StatusSuspended}.Encode())
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"bridge of a suspended organisation", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		suspend(t, c, c.Organisations[0])
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"operation for another chain", ledger.CodeWrongChain, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.SignOperation(o.Key, ledger.Operation{Chain: "other", Actor: o.ID, NotAfter: c.Time / 1e6, Body: openNew(c)})
	}},
	{"operation with a bad signature", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Devices[0].NewStream("new").Open()
		tx[len(tx)-1] ^= 1
		return tx
	}},
	{"actor unknown", ledger.CodeUnknownActor, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(simtest.Key("nobody"), crypto.ID{1}, openNew(c))
	}},
	{"bridge as actor", ledger.CodeUnknownActor, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(c.Bridges[0].Key, c.Bridges[0].ID, openNew(c))
	}},
	{"actor's key unknown", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(c.Organisations[1].Key, c.Organisations[0].ID, openNew(c))
	}},
	{"actor suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		suspend(t, c, c.Organisations[0])
		return c.Operation(c.Organisations[0].Key, c.Organisations[0].ID, openNew(c))
	}},
	{"replayed", ledger.CodeReplayed, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Devices[0].NewStream("new").Open()
		c.Block(tx)
		return tx
	}},
	{"expired", ledger.CodeExpired, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, (c.Time+simtest.BlockTime)/1e6-1)
	}},
	{"not after too far", ledger.CodeNotAfterTooFar, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, (c.Time+simtest.BlockTime)/1e6+ledger.MaxNotAfter+1)
	}},
	{"not after at the end of time", ledger.CodeNotAfterTooFar, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, 1<<63-1)
	}},
	{"device enrolled by a device", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.EnrolDevice{Possession: c.Possession(simtest.Key("new"), d.ID)})
	}},
	{"bridge enrolled by a device", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.EnrolBridge{Possession: c.Possession(simtest.Key("new"), d.ID)})
	}},
	{"device enrolled twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].Enrol()
	}},
	{"device enrolled by another too", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[1].NewDevice(c, c.Devices[0].Name).Enrol()
	}},
	{"bridge enrolled twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Bridges[0].Enrol()
	}},
	{"possession by another key", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		p := forgedPossession(t, c, o.ID)
		return c.Operation(o.Key, o.ID, ledger.EnrolDevice{Possession: p})
	}},
	{"stream of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.Operation(o.Key, o.ID, ledger.OpenStream{Device: crypto.ID{7}, Name: "s"})
	}},
	{"stream opened by another organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[1]
		return c.Operation(o.Key, o.ID, openNew(c))
	}},
	{"stream opened by another device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[1]
		return c.Operation(d.Key, d.ID, openNew(c))
	}},
	{"stream of a suspended device", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		d, o := c.Devices[0], c.Organisations[0]
		set(t, c, record.DeviceRow(d.ID, 2), record.Device{Organisation: o.ID, Status: record.StatusSuspended}.Encode())
		return c.Operation(o.Key, o.ID, openNew(c))
	}},
	{"rotation of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Device = crypto.ID{7}
		return byOwner(c, r)
	}},
	{"rotation by another organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[1]
		return c.Operation(o.Key, o.ID, rotation(c, "new", 0))
	}},
	{"rotation by another device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[1]
		return c.Operation(d.Key, d.ID, rotation(c, "new", 0))
	}},
	{"rotation with another organisation's proof", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Possession = c.Possession(simtest.Key("new"), c.Organisations[1].ID)
		return byOwner(c, r)
	}},
	{"rotation with a forged proof", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Possession = forgedPossession(t, c, c.Organisations[0].ID)
		return byOwner(c, r)
	}},
	{"rotation of a suspended device", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Suspend{Device: c.Devices[0].ID}))
		return byOwner(c, rotation(c, "new", 0))
	}},
	{"rotation of an unknown key", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Old = crypto.KeyID{1}
		return byOwner(c, r)
	}},
	{"rotation of a closing key", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", 1000)))
		return byOwner(c, rotation(c, "newer", 0))
	}},
	{"rotation to the same key", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, rotation(c, c.Devices[0].Name, 0))
	}},
	{"suspension by the device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.Suspend{Device: d.ID})
	}},
	{"suspension of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, ledger.Suspend{Device: crypto.ID{7}})
	}},
	{"suspended twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Suspend{Device: c.Devices[0].ID}))
		return byOwner(c, ledger.Suspend{Device: c.Devices[0].ID})
	}},
	{"resumed while active", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, ledger.Resume{Device: c.Devices[0].ID})
	}},
	{"resumed after it was retired", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return byOwner(c, ledger.Resume{Device: c.Devices[0].ID})
	}},
	{"stream of a retired device", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return byOwner(c, openNew(c))
	}},
	{"retired device as actor", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return c.Devices[0].NewStream("new").Open()
	}},
	{"stream opened twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].OpenByOwner()
	}},
}

func openNew(c *simtest.Chain) ledger.Body {
	return ledger.OpenStream{Device: c.Devices[0].ID, Name: "new"}
}

// byOwner signs an operation of organisation 0.
func byOwner(c *simtest.Chain, body ledger.Body) []byte {
	o := c.Organisations[0]
	return c.Operation(o.Key, o.ID, body)
}

// rotation replaces the first key of device 0.
func rotation(c *simtest.Chain, key string, closes uint64) ledger.Rotate {
	d := c.Devices[0]
	return ledger.Rotate{Device: d.ID, Old: d.Key.Public().KeyID(), Closes: closes,
		Possession: c.Possession(simtest.Key(key), c.Organisations[0].ID)}
}

func notAfter(c *simtest.Chain, seconds int64) []byte {
	o := c.Organisations[0]
	return c.SignOperation(o.Key, ledger.Operation{Chain: c.ID, Actor: o.ID, NotAfter: seconds, Body: openNew(c)})
}

func suspend(t *testing.T, c *simtest.Chain, o *simtest.Organisation) {
	t.Helper()
	row := record.Organisation{Name: o.Name, Threshold: 1, Status: record.StatusSuspended}
	set(t, c, record.OrganisationRow(o.ID, 1), row.Encode())
}

func signBatch(t *testing.T, k crypto.PrivateKey, chain string, bridge crypto.ID, raws ...[]byte) []byte {
	t.Helper()
	b, err := ledger.SignBatch(k, chain, bridge, 1, 0, raws)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forgedPossession is the proof of a key that its holder did not sign.
func forgedPossession(t *testing.T, c *simtest.Chain, organisation crypto.ID) *ledger.Possession {
	t.Helper()
	raw := append([]byte(nil), c.Possession(simtest.Key("victim"), organisation).Bytes()...)
	raw[len(raw)-1] ^= 1
	p, err := ledger.ParsePossession(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTransactionCodes: each bad transaction has its code and changes nothing.
func TestTransactionCodes(t *testing.T) {
	for _, tc := range txCases {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t)
			tx := tc.make(t, c)
			before := c.Store.AppHash()
			b := c.Block(tx)
			r := b.Results[0]
			if r.Code != tc.code || len(r.Codes) != 0 || len(r.Indexes) != 0 {
				t.Errorf("result %v %v %v, want %v", r.Code, r.Codes, r.Indexes, tc.code)
			}
			if len(b.Changes) != 0 || b.AppHash != before {
				t.Errorf("%d rows changed", len(b.Changes))
			}
		})
	}
}

// TestEveryCode: every code that the rules give out is in one of the tables.
func TestEveryCode(t *testing.T) {
	notHere := map[ledger.Code]string{
		ledger.CodeOK:           "not a refusal",
		ledger.CodeQuota:        "no quotas yet",
		ledger.CodeFutureHeight: "queries only",
		ledger.CodeNotFound:     "queries only",
		ledger.CodePruned:       "queries only",
		ledger.CodeOverloaded:   "pools only",
		ledger.CodeBadKey:       "parsing only",
	}
	seen := make(map[ledger.Code]bool)
	for _, c := range statementCases {
		seen[c.code] = true
	}
	for _, c := range txCases {
		seen[c.code] = true
	}
	for code := ledger.CodeOK; code.String() != "" && code <= ledger.CodeRetired; code++ {
		if _, ok := notHere[code]; ok == seen[code] {
			t.Errorf("%v: tested %v", code, seen[code])
		}
	}
}

// TestLimits: what stands exactly at a limit is accepted.
func TestLimits(t *testing.T) {
	c := newChain(t)
	s := c.Streams[0]
	accept := func(name string, tx []byte) {
		t.Helper()
		r := c.Block(tx).Results[0]
		if r.Code != ledger.CodeOK || len(r.Indexes) == 0 || (len(r.Codes) > 0 && r.Codes[0] != ledger.CodeOK) {
			t.Errorf("%s: %v %v", name, r.Code, r.Codes)
		}
	}
	accept("clock", c.Batch(s.Sign(1, ledger.Reading{Time: c.Time + simtest.BlockTime + ledger.MaxClockAhead*1e6})))
	accept("no clock", c.Batch(s.Sign(2, ledger.Reading{Time: 0})))
	accept("clock before 1970", c.Batch(s.Sign(3, ledger.Reading{Time: -1 << 63})))
	accept("last gap", c.Batch(s.At(gaps(t, c, ledger.MaxOpenGaps-1)+1, 1)))
	if head := streamHead(t, c, s.ID); head.Gaps != ledger.MaxOpenGaps {
		t.Errorf("%d gaps, want %d", head.Gaps, ledger.MaxOpenGaps)
	}
	accept("no new gap", c.Batch(s.At(4, 1)))
	accept("last number", c.Batch(s.At(ledger.MaxNumber, 1)))
	now := (c.Time + simtest.BlockTime) / 1e6
	accept("last second", notAfter(c, now))
	c2 := newChain(t)
	accept2 := c2.Block(notAfter(c2, (c2.Time+simtest.BlockTime)/1e6+ledger.MaxNotAfter)).Results[0]
	if accept2.Code != ledger.CodeOK {
		t.Errorf("not_after at its limit: %v", accept2.Code)
	}
}

// TestWrongVerdicts: verdicts that do not fit the transaction accept nothing.
func TestWrongVerdicts(t *testing.T) {
	c := newChain(t)
	for _, raw := range [][]byte{c.Batch(c.Streams[0].At(1, 1)), c.Organisations[0].NewDevice(c, "new").Enrol()} {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			v := newView(c)
			r := applyTo(v, c, tx, make([]ledger.Code, n))
			if accepted := len(r.Indexes) > 0; accepted != (n == 2) || len(v.Entries()) != len(r.Indexes) {
				t.Errorf("%d verdicts: %v, %d entries", n, r.Code, len(v.Entries()))
			}
		}
	}
}
