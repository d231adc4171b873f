package state_test

import (
	"fmt"
	"testing"

	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// quotaChain is a chain with two organisations of two devices in all, and small quotas of
// an organisation.
func quotaChain(t *testing.T, statements, bytes uint64) *simtest.Chain {
	t.Helper()
	c := newChain(t)
	p := row(t, c, record.ParametersRow(0), record.ParametersRow(0), record.ParseParameters)
	p.StatementsPerOrganisation, p.BytesPerOrganisation = statements, bytes
	set(t, c, record.ParametersRow(0), p.Encode())
	return c
}

// describeBy is an operation of organisation n, another for each i.
func describeBy(c *simtest.Chain, n, i int) []byte {
	o := c.Organisations[n]
	return by(c, n, ledger.Describe{Subject: o.ID, Attributes: []ledger.Attribute{{Name: "site", Text: fmt.Sprint(i)}}})
}

// TestOperationQuota: operations of an organisation, of its devices and the statements of
// its bridges share its quota, accepted or not; another organisation has its own, and so
// has the next block.
func TestOperationQuota(t *testing.T) {
	c := quotaChain(t, 4, ledger.DefaultQuotaBytes)
	d := c.Devices[0]
	txs := [][]byte{
		describeBy(c, 0, 1),
		by(c, 0, ledger.Describe{Subject: c.Devices[1].ID}), // refused; it counts
		d.NewStream("by the device").Open(),
		c.Bridges[0].Batch(c.Streams[0].At(1, 1), c.Streams[0].At(2, 1)),
		describeBy(c, 0, 2),
		d.NewStream("too many").Open(),
		describeBy(c, 1, 1),
	}
	b := c.Block(txs...)
	want := []ledger.Code{0, ledger.CodeNotOwner, 0, 0, ledger.CodeQuota, ledger.CodeQuota, 0}
	for i, r := range b.Results {
		if r.Code != want[i] {
			t.Errorf("transaction %d: %v, want %v", i, r.Code, want[i])
		}
	}
	if codes := b.Results[3].Codes; codes[0] != ledger.CodeOK || codes[1] != ledger.CodeQuota {
		t.Errorf("statements after operations: %v", codes)
	}
	b = c.Block(txs[4], txs[5]) // a new block, a new quota
	if b.Results[0].Code != ledger.CodeOK || b.Results[1].Code != ledger.CodeOK {
		t.Errorf("in the next block: %v", b.Results)
	}
}

// TestOperationQuotaBytes: the bytes of operations count, and evidence, which may be
// longer than the least quota, always fits.
func TestOperationQuotaBytes(t *testing.T) {
	c := quotaChain(t, 100, ledger.MaxStatement)
	large := func(first uint64, text byte) []byte {
		content := make([]byte, 30_000)
		content[0] = text
		return c.Streams[0].Sign(first, ledger.Reading{Content: content}, ledger.Reading{Content: content[:20_000]})
	}
	tx := by(c, 1, evidence(t, large(1, 1), large(1, 2)))
	if len(tx) <= ledger.MaxStatement {
		t.Fatal("not more than the quota")
	}
	b := c.Block(tx, describeBy(c, 1, 1), describeBy(c, 0, 1))
	if b.Results[0].Code != ledger.CodeOK || b.Results[1].Code != ledger.CodeQuota || b.Results[2].Code != ledger.CodeOK {
		t.Errorf("%v", b.Results)
	}
}

// TestTakeOperation: what a proposal counts is what Apply counts.
func TestTakeOperation(t *testing.T) {
	c := quotaChain(t, 2, ledger.DefaultQuotaBytes)
	q, err := state.NewQuota(c.Store, next(c))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []ledger.Code{ledger.CodeOK, ledger.CodeOK, ledger.CodeQuota} {
		raw := describeBy(c, 0, i)
		if i == 1 {
			raw = c.Devices[0].NewStream("new").Open()
		}
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		if payer, err := q.Payer(tx); err != nil || payer != c.Organisations[0].ID {
			t.Errorf("transaction %d is paid by %v (%v)", i, payer, err)
		}
		if code, err := q.Take(tx); code != want || err != nil {
			t.Errorf("transaction %d: %v (%v), want %v", i, code, err, want)
		}
	}
}
