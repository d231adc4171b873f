package app

import (
	"bytes"
	"reflect"
	"testing"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/ledger"
)

// TestRefusalsAreCounted: whatever a node refuses is counted by its code, whichever way
// it came: to the pool, in a block, or as a query.
func TestRefusalsAreCounted(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	first := d.Statement(1)
	flipped := bytes.Clone(d.Statement(1))
	flipped[len(flipped)-1] ^= 1
	c.block(l.Batch(first))

	stranger := ledgertest.New(t)
	stranger.Bridge = ledgertest.Key("stranger")
	stranger.BridgeID = ledger.BridgeID(stranger.Bridge.Public())
	other, err := ledger.SignBatch(l.Bridge, "other-chain", l.BridgeID, 1, 0, [][]byte{first})
	if err != nil {
		t.Fatal(err)
	}
	unsigned := l.Batch(d.Statement(1))
	unsigned[len(unsigned)-1] ^= 1
	for range 2 {
		c.check(stranger.Batch(first))
	}
	c.check(other.Bytes())
	c.check(unsigned)

	c.block(l.Batch(first, flipped, d.Statement(1)), d.Enrol(now))

	c.askAt(c.height+10, query.PathTip, query.Encode(&query.Empty{}), &query.Tip{})
	c.askAt(-1, query.PathTip, query.Encode(&query.Empty{}), &query.Tip{})
	c.askAt(0, "/nothing", nil, &query.Tip{})

	want := query.Refused{
		Transactions: []query.CodeCount{{Code: ledger.CodeWrongChain, Count: 1}, {Code: ledger.CodeBadSignature, Count: 1}, {Code: ledger.CodeUnknownBridge, Count: 2}},
		Committed:    []query.CodeCount{{Code: ledger.CodeBadSignature, Count: 1}, {Code: ledger.CodeUsed, Count: 1}, {Code: ledger.CodeReplayed, Count: 1}},
		Queries:      []query.CodeCount{{Code: ledger.CodeMalformed, Count: 1}, {Code: ledger.CodeFutureHeight, Count: 1}, {Code: ledger.CodeNotFound, Count: 1}},
	}
	var s query.Status
	c.must(query.PathStatus, &query.Empty{}, &s)
	if !reflect.DeepEqual(s.Refused, want) {
		t.Errorf("counted %+v\nwant %+v", s.Refused, want)
	}
}
