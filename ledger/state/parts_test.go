package state_test

import (
	"math"
	"slices"
	"testing"

	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// soldChain has stream 0 with numbers 1 to 20, sold from now on by organisation 0 to 1.
func soldChain(t *testing.T) *simtest.Chain {
	t.Helper()
	c := newChain(t)
	apply(t, c, c.Batch(c.Streams[0].At(1, 5), c.Streams[0].At(8, 13)))
	sell(t, c, 0, 1, true)
	return c
}

// sell gives stream 0 away.
func sell(t *testing.T, c *simtest.Chain, from, to int, fromNow bool) {
	t.Helper()
	body := ledger.TransferStream{Stream: c.Streams[0].ID, To: c.Organisations[to].ID, FromNow: fromNow}
	if code := agreed(t, c, from, to, body); code != ledger.CodeOK {
		t.Fatal(code)
	}
}

// grantOf lets device 1, of organisation 1, use readings of stream 0.
func grantOf(c *simtest.Chain, first, last uint64) ledger.Grant {
	return ledger.Grant{Stream: c.Streams[0].ID, Grantee: c.Devices[1].ID, Rights: ledger.RightReadDerive, First: first, Last: last}
}

// partsOf are the parts of stream 0 in the next block, nil without a row.
func partsOf(t *testing.T, c *simtest.Chain) record.Parts {
	t.Helper()
	id := c.Streams[0].ID
	_, value, err := c.Store.Predecessor(record.PartsRow(id, 0), record.PartsRow(id, c.Height+1))
	if err != nil {
		t.Fatal(err)
	}
	if value == nil {
		return nil
	}
	p, err := record.ParseParts(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGrantAfterSale: the past readings are the seller's to grant, the later ones the
// buyer's, and nobody's grant reaches across.
func TestGrantAfterSale(t *testing.T) {
	for _, tt := range []struct {
		name        string
		by          int
		first, last uint64
		code        ledger.Code
	}{
		{"past by the seller", 0, 1, 20, ledger.CodeOK},
		{"past by the buyer", 1, 1, 20, ledger.CodeNotOwner},
		{"last of the past by the seller", 0, 20, 20, ledger.CodeOK},
		{"last of the past by the buyer", 1, 20, 20, ledger.CodeNotOwner},
		{"first of the later by the seller", 0, 21, 21, ledger.CodeNotOwner},
		{"first of the later by the buyer", 1, 21, 21, ledger.CodeOK},
		{"all later by the buyer", 1, 21, 0, ledger.CodeOK},
		{"all later by the seller", 0, 21, 0, ledger.CodeNotOwner},
		{"across by the seller", 0, 20, 21, ledger.CodeSeveralOwners},
		{"across by the buyer", 1, 20, 21, ledger.CodeSeveralOwners},
		{"everything by the seller", 0, 1, 0, ledger.CodeSeveralOwners},
		{"everything by the buyer", 1, 1, 0, ledger.CodeSeveralOwners},
		{"across by a stranger", 2, 20, 21, ledger.CodeNotOwner},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := soldChain(t)
			by := func() []byte {
				if tt.by == 2 {
					o := c.Devices[1]
					return c.Operation(o.Key, o.ID, grantOf(c, tt.first, tt.last))
				}
				return by(c, tt.by, grantOf(c, tt.first, tt.last))
			}
			b := c.Block(by())
			if got := b.Results[0].Code; got != tt.code || got != ledger.CodeOK && len(b.Changes) != 0 {
				t.Errorf("%v with %d changes, want %v", got, len(b.Changes), tt.code)
			}
		})
	}
}

// TestSaleDividesAtTheEnd: all of the block that decides a sale is the seller's, also what
// stands behind the decision; its grants in that block are the seller's too. A gap that is
// filled later goes with its number.
func TestSaleDividesAtTheEnd(t *testing.T) {
	c := newChain(t)
	s := c.Streams[0]
	id := apply(t, c, c.Batch(s.At(1, 5)), proposedBy(c, 0, ledger.TransferStream{Stream: s.ID, To: c.Organisations[1].ID, FromNow: true}))[1]
	b := c.Block(by(c, 1, ledger.Approve{Proposal: id}), by(c, 1, grantOf(c, 6, 0)), by(c, 0, grantOf(c, 6, 0)), c.Batch(s.At(8, 3)))
	if b.Results[0].Code != ledger.CodeOK || b.Results[1].Code != ledger.CodeNotOwner || b.Results[2].Code != ledger.CodeOK {
		t.Fatal(b.Results)
	}
	want := record.Parts{{First: 1, Organisation: c.Organisations[0].ID}, {First: 11, Organisation: c.Organisations[1].ID}}
	mustRow(t, c, record.PartsRow(s.ID, c.Height+1), want.Encode())
	apply(t, c, c.Batch(s.At(6, 2), s.At(11, 1)), by(c, 0, grantOf(c, 6, 7)), by(c, 1, grantOf(c, 11, 12)))
	if code := c.Block(by(c, 1, grantOf(c, 6, 7))).Results[0].Code; code != ledger.CodeNotOwner {
		t.Errorf("a late arrival granted by the buyer: %v", code)
	}
}

// TestSalesInARow: parts of several sales; what goes with its past goes whole.
func TestSalesInARow(t *testing.T) {
	c := newChain(t)
	a, b := c.Organisations[0].ID, c.Organisations[1].ID
	step := func(want record.Parts) {
		t.Helper()
		if got := partsOf(t, c); !slices.Equal(got, want) {
			t.Errorf("height %d: %v, want %v", c.Height, got, want)
		}
	}
	sell(t, c, 0, 1, true) // nothing was written: all is the buyer's
	step(nil)
	sell(t, c, 1, 0, false)
	step(nil)
	apply(t, c, c.Batch(c.Streams[0].At(1, 10)))
	sell(t, c, 0, 1, true)
	step(record.Parts{{First: 1, Organisation: a}, {First: 11, Organisation: b}})
	sell(t, c, 1, 0, true) // nothing was written since
	step(record.Parts{{First: 1, Organisation: a}})
	sell(t, c, 0, 1, true)
	apply(t, c, c.Batch(c.Streams[0].At(11, 10)))
	sell(t, c, 1, 0, true)
	step(record.Parts{{First: 1, Organisation: a}, {First: 11, Organisation: b}, {First: 21, Organisation: a}})
	sell(t, c, 0, 1, false)
	step(record.Parts{{First: 1, Organisation: b}})
	apply(t, c, by(c, 1, grantOf(c, 1, 0)))
}

// TestSaleOfAFullStream: above the greatest number there is nothing to sell.
func TestSaleOfAFullStream(t *testing.T) {
	c := newChain(t)
	apply(t, c, c.Batch(c.Streams[0].At(math.MaxInt64, 1)))
	sell(t, c, 0, 1, true)
	if got := partsOf(t, c); !slices.Equal(got, record.Whole(c.Organisations[0].ID)) {
		t.Error(got)
	}
	apply(t, c, by(c, 0, grantOf(c, 1, 0)))
	if code := c.Block(by(c, 1, grantOf(c, 1, 0))).Results[0].Code; code != ledger.CodeNotOwner {
		t.Error(code)
	}
}

// TestMostSales: a stream has at most MaxParts parts; with its past it can still go.
func TestMostSales(t *testing.T) {
	c := newChain(t)
	s := c.Streams[0]
	at := uint64(1)
	for i := range ledger.MaxParts - 1 {
		apply(t, c, c.Batch(s.At(at, 1)))
		at++
		sell(t, c, i%2, 1-i%2, true)
	}
	if got := len(partsOf(t, c)); got != ledger.MaxParts {
		t.Fatalf("%d parts", got)
	}
	apply(t, c, c.Batch(s.At(at, 1)))
	body := ledger.TransferStream{Stream: s.ID, To: c.Organisations[0].ID, FromNow: true}
	if code := agreed(t, c, 1, 0, body); code != ledger.CodeTooMany {
		t.Errorf("one sale too many: %v", code)
	}
	sell(t, c, 1, 0, false)
	if got := partsOf(t, c); !slices.Equal(got, record.Whole(c.Organisations[0].ID)) {
		t.Errorf("%d parts", len(got))
	}
}

// TestRevokeAfterSale: who gave a grant may end it, and whom any of its readings belongs
// to now.
func TestRevokeAfterSale(t *testing.T) {
	for _, tt := range []struct {
		name string
		last uint64 // of the grant by the seller, before the sale
		past bool   // whether the past is sold too
		by   int
		code ledger.Code
	}{
		{"past readings by the seller", 20, false, 0, ledger.CodeOK},
		{"past readings by the buyer", 20, false, 1, ledger.CodeNotOwner},
		{"all readings by the buyer", 0, false, 1, ledger.CodeOK},
		{"all readings by the seller", 0, false, 0, ledger.CodeOK},
		{"past readings that were sold, by the buyer", 20, true, 1, ledger.CodeOK},
		{"past readings that were sold, by who gave it", 20, true, 0, ledger.CodeOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t)
			grant := apply(t, c, c.Batch(c.Streams[0].At(1, 20)), by(c, 0, grantOf(c, 1, tt.last)))[1]
			sell(t, c, 0, 1, !tt.past)
			if code := c.Block(by(c, tt.by, ledger.Revoke{Grant: grant})).Results[0].Code; code != tt.code {
				t.Errorf("%v, want %v", code, tt.code)
			}
		})
	}
}

// TestDeriveAfterSale: a device computes from what belongs to its organisation: the
// seller's from the past, the buyer's from what came later; from the rest with a grant.
func TestDeriveAfterSale(t *testing.T) {
	c := soldChain(t)
	source := c.Streams[0]
	apply(t, c, c.Batch(source.At(21, 5)))
	derived := func(device int, first, last uint64) ledger.Code {
		t.Helper()
		d := c.Devices[device]
		s := d.NewStream("derived")
		c.Block(s.Open())
		b := c.Block(c.Batch(c.SignStatement(d.Key, ledger.Statement{Device: d.ID, Stream: s.ID, First: c.Height,
			Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(source, first, last)}})))
		return b.Results[0].Codes[0]
	}
	seller, buyer := 0, slices.IndexFunc(c.Devices, func(d *simtest.Device) bool { return d.Organisation == c.Organisations[1] })
	for _, tt := range []struct {
		device      int
		first, last uint64
		code        ledger.Code
	}{
		{seller, 1, 5, ledger.CodeOK}, {seller, 21, 25, ledger.CodeNoGrant}, {seller, 20, 21, ledger.CodeNoGrant},
		{buyer, 1, 5, ledger.CodeNoGrant}, {buyer, 21, 25, ledger.CodeOK}, {buyer, 20, 21, ledger.CodeNoGrant},
	} {
		if code := derived(tt.device, tt.first, tt.last); code != tt.code {
			t.Errorf("device %d of %d..%d: %v, want %v", tt.device, tt.first, tt.last, code, tt.code)
		}
	}
	apply(t, c, by(c, 0, ledger.Grant{Stream: source.ID, Grantee: c.Organisations[1].ID, Rights: ledger.RightDerive, First: 1, Last: 20}))
	if code := derived(buyer, 1, 5); code != ledger.CodeOK {
		t.Errorf("with a grant: %v", code)
	}
}
