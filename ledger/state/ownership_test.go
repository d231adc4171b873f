package state_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// proposedBy signs a proposal of organisation n.
func proposedBy(c *simtest.Chain, n int, body ledger.Body) []byte {
	return by(c, n, ledger.Propose{Expires: c.Time/1e6 + 600, Body: body})
}

// agreed proposes, approves in the next block, and returns the result of that.
func agreed(t *testing.T, c *simtest.Chain, proposer, approver int, body ledger.Body) ledger.Code {
	t.Helper()
	id := apply(t, c, proposedBy(c, proposer, body))[0]
	return c.Block(by(c, approver, ledger.Approve{Proposal: id})).Results[0].Code
}

func mustRow(t *testing.T, c *simtest.Chain, k merkle.Key, want []byte) {
	t.Helper()
	got, err := c.Store.Get(k)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v row is %x, want %x (%v)", record.FamilyOf(k), got, want, err)
	}
}

// TestTransferRefused: an agreed transfer that cannot be is refused, and changes nothing.
func TestTransferRefused(t *testing.T) {
	tests := []struct {
		name string
		code ledger.Code
		body func(t *testing.T, c *simtest.Chain) ledger.Body
	}{
		{"device retired meanwhile", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) ledger.Body {
			apply(t, c, by(c, 0, ledger.Retire{Device: c.Devices[0].ID}))
			return ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID}
		}},
		{"more streams than go along", ledger.CodeTooMany, func(t *testing.T, c *simtest.Chain) ledger.Body {
			openMany(t, c, ledger.MaxStreamsMoved-1)
			return ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID, WithStreams: true}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t)
			body := tt.body(t, c)
			id := apply(t, c, proposedBy(c, 0, body))[0]
			b := c.Block(by(c, 1, ledger.Approve{Proposal: id}))
			if b.Results[0].Code != tt.code || len(b.Changes) != 0 {
				t.Errorf("%v, %d rows changed", b.Results[0].Code, len(b.Changes))
			}
		})
	}
}

// openMany opens n more streams of device 0, which has two.
func openMany(t *testing.T, c *simtest.Chain, n int) {
	t.Helper()
	var txs [][]byte
	for i := range n {
		txs = append(txs, c.Devices[0].NewStream(fmt.Sprint("more ", i)).Open())
	}
	apply(t, c, txs...)
}

// TestTransferAll: as many streams as may go along go along.
func TestTransferAll(t *testing.T) {
	c := newChain(t)
	openMany(t, c, ledger.MaxStreamsMoved-2)
	body := ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID, WithStreams: true}
	if code := agreed(t, c, 0, 1, body); code != ledger.CodeOK {
		t.Fatal(code)
	}
	h := c.Height + 1
	owner := record.Owner{Organisation: c.Organisations[1].ID, Since: h}.Encode()
	for i := range ledger.MaxStreamsMoved - 2 {
		mustRow(t, c, record.OwnerRow(c.Devices[0].NewStream(fmt.Sprint("more ", i)).ID, h), owner)
	}
	mustRow(t, c, record.OwnerRow(c.Streams[0].ID, h), owner)
	mustRow(t, c, record.DeviceRow(c.Devices[0].ID, h), record.Device{Organisation: c.Organisations[1].ID}.Encode())
	// What it signed under its old owner's key goes on.
	apply(t, c, c.Batch(c.Streams[0].At(1, 1)))
}

// TestTransferInPieces: a device with too many streams, or one that was sold too often, to
// go with all of them goes alone, then its streams one by one, as the code's advice says.
func TestTransferInPieces(t *testing.T) {
	c := newChain(t)
	openMany(t, c, ledger.MaxStreamsMoved-1)
	d, to := c.Devices[0], c.Organisations[1].ID
	if code := agreed(t, c, 0, 1, ledger.TransferDevice{Device: d.ID, To: to, WithStreams: true}); code != ledger.CodeTooMany || !strings.Contains(code.Advice(), "one by one") {
		t.Fatalf("%v: %s", code, code.Advice())
	}
	for _, body := range []ledger.Body{
		ledger.TransferDevice{Device: d.ID, To: to},
		ledger.TransferStream{Stream: c.Streams[0].ID, To: to, FromNow: true},
		ledger.TransferStream{Stream: d.NewStream("more 7").ID, To: to, FromNow: true},
	} {
		if code := agreed(t, c, 0, 1, body); code != ledger.CodeOK {
			t.Fatalf("%v: %v", body.Kind(), code)
		}
	}
	// A stream stays with the seller where it need not go.
	if owner := row(t, c, record.OwnerRow(c.Streams[1].ID, 0), record.OwnerRow(c.Streams[1].ID, c.Height+1), record.ParseOwner); owner.Organisation != c.Organisations[0].ID {
		t.Error("a stream went along")
	}
}

// TestTransferOncePerBlock: a stream changes hands once a block, with its device or alone.
func TestTransferOncePerBlock(t *testing.T) {
	c := newChain(t)
	to0, to1 := c.Organisations[0].ID, c.Organisations[1].ID
	s := c.Streams[0]
	sell := apply(t, c, proposedBy(c, 0, ledger.TransferStream{Stream: s.ID, To: to1}))[0]
	device := apply(t, c, proposedBy(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: to1, WithStreams: true}))[0]
	b := c.Block(by(c, 1, ledger.Approve{Proposal: sell}), proposedBy(c, 1, ledger.TransferStream{Stream: s.ID, To: to0}), by(c, 1, ledger.Approve{Proposal: device}))
	for i, r := range b.Results {
		if r.Code != ledger.CodeOK {
			t.Fatalf("transaction %d: %v", i, r.Code)
		}
	}
	back := ledger.MadeID(mustParse(t, b.Txs[1]).Digest())
	if code := c.Block(by(c, 0, ledger.Approve{Proposal: back})).Results[0].Code; code != ledger.CodeOK {
		t.Fatalf("back in the next block: %v", code)
	}

	c = newChain(t)
	sell = apply(t, c, proposedBy(c, 0, ledger.TransferStream{Stream: c.Streams[0].ID, To: to1}))[0]
	back2 := proposedBy(c, 1, ledger.TransferStream{Stream: c.Streams[0].ID, To: to0})
	b = c.Block(by(c, 1, ledger.Approve{Proposal: sell}), back2, by(c, 0, ledger.Approve{Proposal: ledger.MadeID(mustParse(t, back2).Digest())}))
	if b.Results[0].Code != ledger.CodeOK || b.Results[2].Code != ledger.CodeTooMany {
		t.Errorf("%v, then back at once: %v", b.Results[0].Code, b.Results[2].Code)
	}
}

func mustParse(t *testing.T, raw []byte) *ledger.Operation {
	t.Helper()
	op, err := ledger.ParseOperation(raw)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestAccessMakesRoom: grants that are past or revoked leave room for new ones.
func TestAccessMakesRoom(t *testing.T) {
	c := newChain(t)
	g := readGrant(c)
	g.Until = c.Time + 4*simtest.BlockTime
	var txs [][]byte
	for i := range ledger.MaxGrants {
		g.Purpose = fmt.Sprint(i)
		txs = append(txs, by(c, 0, g))
	}
	first := apply(t, c, txs...)[0]
	full := readGrant(c)
	if code := c.Block(by(c, 0, full)).Results[0].Code; code != ledger.CodeTooMany {
		t.Fatal(code)
	}
	b := c.Block(by(c, 0, ledger.Revoke{Grant: first}), by(c, 0, full)) // the first is in force to the end of the block
	if b.Results[0].Code != ledger.CodeOK || b.Results[1].Code != ledger.CodeTooMany {
		t.Fatal(b.Results)
	}
	apply(t, c, by(c, 0, full))
	if code := c.Block(by(c, 0, readGrant(c))).Results[0].Code; code != ledger.CodeOK {
		t.Errorf("after the others are past: %v", code)
	}
	value, err := c.Store.Get(record.AccessRow(g.Grantee, g.Stream))
	if err != nil {
		t.Fatal(err)
	}
	if row, err := record.ParseAccess(value); err != nil || len(row.Grants) != 2 {
		t.Errorf("%d grants are left, want 2 (%v)", len(row.Grants), err)
	}
}

// TestRevokedToTheEnd: a grant that is revoked is in force to the end of the block, also
// if another one is given after it.
func TestRevokedToTheEnd(t *testing.T) {
	c := newChain(t)
	first := granted(t, c, nil)
	other := readGrant(c)
	other.First, other.Last = 11, 20
	next := by(c, 0, other)
	second := ledger.MadeID(mustParse(t, next).Digest())
	b := c.Block(by(c, 0, ledger.Revoke{Grant: first}), next, c.Batch(derive(c, 1, inputOf(c.Streams[0], 1, 10)), derive(c, 2, inputOf(c.Streams[0], 11, 12))))
	if b.Results[1].Code != ledger.CodeOK || !slices.Equal(b.Results[2].Codes, []ledger.Code{ledger.CodeOK, ledger.CodeOK}) {
		t.Fatalf("%v: %v", b.Results[1].Code, b.Results[2].Codes)
	}
	mustRow(t, c, record.AccessRow(other.Grantee, other.Stream), record.Access{Grants: []crypto.ID{first, second}}.Encode())
	b = c.Block(c.Batch(derive(c, 3, inputOf(c.Streams[0], 1, 10))), by(c, 0, other))
	if b.Results[0].Codes[0] != ledger.CodeNoGrant || b.Results[1].Code != ledger.CodeOK {
		t.Errorf("in the next block: %v, %v", b.Results[0].Codes, b.Results[1].Code)
	}
	third := ledger.MadeID(mustParse(t, b.Txs[1]).Digest())
	mustRow(t, c, record.AccessRow(other.Grantee, other.Stream), record.Access{Grants: []crypto.ID{second, third}}.Encode())
}

// TestGrantsOfEachOwner: who sells a stream leaves the buyer as many grants as it had
// itself, all of which count.
func TestGrantsOfEachOwner(t *testing.T) {
	c := newChain(t)
	s, device := c.Streams[0], c.Devices[0]
	c.Block(c.Batch(s.At(1, 20)))
	give := func(n int, first, last uint64) []byte {
		return by(c, n, ledger.Grant{Stream: s.ID, Grantee: device.ID, Rights: ledger.RightDerive, First: first, Last: last})
	}
	for range ledger.MaxGrants {
		apply(t, c, give(0, 1, 20))
	}
	sell(t, c, 0, 1, true)
	for i := range uint64(ledger.MaxGrants) {
		apply(t, c, give(1, 21, 30+i))
	}
	b := c.Block(give(0, 1, 20), give(1, 21, 40), c.Batch(s.At(21, 17), c.SignStatement(device.Key, ledger.Statement{Device: device.ID,
		Stream: c.Streams[1].ID, First: 1, Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(s, 1, 20), inputOf(s, 21, 37)}})))
	if b.Results[0].Code != ledger.CodeTooMany || b.Results[1].Code != ledger.CodeTooMany || b.Results[2].Codes[1] != ledger.CodeOK {
		t.Errorf("%v, %v, %v", b.Results[0].Code, b.Results[1].Code, b.Results[2].Codes)
	}
}

// TestMostAccess: the grants of a principal on a stream at their limit, of many grantors.
func TestMostAccess(t *testing.T) {
	for _, tt := range []struct {
		before int
		code   ledger.Code
	}{{ledger.MaxAccess - 1, ledger.CodeOK}, {ledger.MaxAccess, ledger.CodeTooMany}} {
		c := newChain(t)
		g := readGrant(c)
		var list record.Access
		for i := range tt.before {
			id := idNumber(1 + i)
			list.Grants = append(list.Grants, id)
			set(t, c, record.GrantRow(id), record.Grant{Stream: g.Stream, Grantor: idNumber(1 + i/ledger.MaxGrants), Grantee: g.Grantee,
				Rights: ledger.RightRead, First: 1, Granted: c.Height}.Encode())
		}
		set(t, c, record.AccessRow(g.Grantee, g.Stream), list.Encode())
		expect(t, c, tt.code, by(c, 0, g))
		got := row(t, c, record.AccessRow(g.Grantee, g.Stream), record.AccessRow(g.Grantee, g.Stream), record.ParseAccess)
		if len(got.Grants) != ledger.MaxAccess {
			t.Errorf("%d grants", len(got.Grants))
		}
	}
}

// TestGrantsReadOnce: what a block reads of grants does not depend on how many operations
// stand between the statements and grants that look at them.
func TestGrantsReadOnce(t *testing.T) {
	c := newChain(t)
	granted(t, c, nil)
	var txs [][]byte
	for i := range ledger.MaxGrants - 1 {
		g := readGrant(c)
		g.Purpose = fmt.Sprint(i)
		txs = append(txs, by(c, 0, g))
	}
	apply(t, c, txs...)
	reads := 0
	v := state.NewView(counting{c.Store, &reads}, c.Store.LogSize())
	var before int
	for i := range uint64(20) {
		g := readGrant(c)
		g.Purpose = fmt.Sprint("refused ", i)
		before = reads
		for k, raw := range [][]byte{by(c, 0, ledger.OpenStream{Device: c.Devices[0].ID, Name: g.Purpose}), by(c, 0, g), c.Batch(derive(c, 1+i, inputOf(c.Streams[0], 1, 1)))} {
			tx, err := ledger.ParseTransaction(raw)
			if err != nil {
				t.Fatal(err)
			}
			r := applyTo(v, c, tx, make([]ledger.Code, 1+k/2))
			if want := []ledger.Code{ledger.CodeOK, ledger.CodeTooMany, ledger.CodeOK}[k]; r.Code != want || len(r.Codes) > 0 && r.Codes[0] != want {
				t.Fatal(k, r.Code, r.Codes)
			}
		}
	}
	if n := reads - before; n >= 2*ledger.MaxGrants {
		t.Errorf("%d reads for an operation, a refused grant and a derivation", n)
	}
}

// TestDerivedWhole: a derived statement that is refused leaves no row, one that is
// accepted a row each way for every input, those to the same stream too.
func TestDerivedWhole(t *testing.T) {
	c := newChain(t)
	granted(t, c, nil)
	s := c.Streams[3]
	inputs := []ledger.Input{inputOf(c.Streams[0], 1, 2), inputOf(c.Streams[0], 1, 2), inputOf(c.Streams[2], 1, 1)}
	sign := func() []byte {
		return c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 5, Readings: make([]ledger.Reading, 2), Inputs: inputs})
	}
	if b := c.Block(c.Batch(sign())); b.Results[0].Codes[0] != ledger.CodeOutOfRange || len(b.Changes) != 0 {
		t.Fatalf("%v, %d rows", b.Results[0].Codes, len(b.Changes))
	}
	b := c.Block(c.Batch(c.Streams[2].At(1, 1), sign()))
	index := b.Results[0].Indexes[1]
	mustRow(t, c, record.DerivedRow(s.ID, 5), record.Derived{Last: 6, Inputs: inputs}.Encode())
	for i, in := range inputs {
		use := record.Use{First: in.First, Last: in.Last, Stream: s.ID, DerivedFirst: 5, DerivedLast: 6}
		mustRow(t, c, record.UseRow(in.Stream, in.First, in.Last, index, uint64(i)), use.Encode())
	}
}

// TestCompromiseOfABridge closes its key; an organisation's own only once it is replaced.
func TestCompromiseOfABridge(t *testing.T) {
	c := newChain(t)
	bridge := c.Bridges[0]
	key := bridge.Key.Public()
	apply(t, c, by(c, 0, ledger.Compromise{Principal: bridge.ID, Key: key.KeyID(), From: 1}))
	mustRow(t, c, record.KeyRow(bridge.ID, key.KeyID()), record.Key{Public: key, Opens: 1, Closes: c.Height + 1, Doubtful: 1}.Encode())
	mustRow(t, c, record.KeylessRow(bridge.ID), nil)
	if code := c.Block(c.Batch(c.Streams[0].At(1, 1))).Results[0].Code; code != ledger.CodeKeyClosed {
		t.Error(code)
	}
	o := c.Organisations[0]
	next := simtest.Key("next admin").Public()
	apply(t, c, by(c, 0, ledger.SetAdmins{Keys: []crypto.PublicKey{next}, Threshold: 1}),
		by(c, 0, ledger.Compromise{Principal: o.ID, Key: o.Key.Public().KeyID(), From: 1}))
}

// TestEvidenceOfAClosedKey: a key that is closed can still be shown to have contradicted
// itself.
func TestEvidenceOfAClosedKey(t *testing.T) {
	c := newChain(t)
	apply(t, c, by(c, 0, compromised(c, 1)))
	e := contradiction(t, c)
	apply(t, c, by(c, 1, e))
	mustRow(t, c, record.EvidenceRow(c.Devices[0].ID, currentKey(c, 0)),
		record.Evidence{Stream: c.Streams[0].ID, Number: 1, A: e.A.Digest(), B: e.B.Digest(), Height: c.Height}.Encode())
}

// TestDescriptionHistory: each description has its row, and replaces the one before.
func TestDescriptionHistory(t *testing.T) {
	c := newChain(t)
	subjects := []crypto.ID{c.Organisations[0].ID, c.Devices[0].ID, c.Streams[0].ID, c.Bridges[0].ID}
	for _, id := range subjects {
		apply(t, c, by(c, 0, ledger.Describe{Subject: id, Attributes: modelAttributes}))
		h := c.Height + 1
		apply(t, c, by(c, 0, ledger.Describe{Subject: id}))
		mustRow(t, c, record.DescriptionRow(id, h), record.Description{Attributes: modelAttributes}.Encode())
		mustRow(t, c, record.DescriptionRow(id, h+1), record.Description{}.Encode())
	}
}
