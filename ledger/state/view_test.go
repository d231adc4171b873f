package state_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// TestViewReads: what a view answers during a block, for every key around every row, is
// what the store answers after the block.
func TestViewReads(t *testing.T) {
	c := newChain(t)
	s, other := c.Streams[0], c.Streams[2]
	c.Block(c.Batch(s.At(5, 1), s.At(9, 1), s.At(13, 2), other.At(4, 2)))
	txs := [][]byte{
		c.Organisations[0].NewDevice(c, "new").Enrol(),
		c.Devices[0].NewStream("new").Open(),
		c.Batch(s.At(1, 4), s.At(7, 1), s.At(20, 1), s.At(15, 5), other.At(1, 3)), // gaps go, are split, come and go
	}
	v := newView(c.Replay(t)) // its records stay as they are
	for _, raw := range txs {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		n := 2
		if tx.Batch != nil {
			n = 1 + tx.Batch.Len()
		}
		verdicts := make([]ledger.Code, n)
		if len(verdicts) == 2 && len(ledger.Possessions(tx.Operation.Body)) == 0 {
			verdicts = verdicts[:1]
		}
		if r := applyTo(v, c, tx, verdicts); r.Code != ledger.CodeOK {
			t.Fatal(r.Code)
		}
	}
	state.EndBlock(v, next(c))
	before := c.Store.Keys()
	b := c.Block(txs...)
	for _, r := range b.Results {
		for _, code := range r.Codes {
			if code != ledger.CodeOK {
				t.Fatal(r.Codes)
			}
		}
	}
	if !slices.EqualFunc(v.Changes(), b.Changes, func(x, y merkle.Change) bool {
		return x.Key == y.Key && bytes.Equal(x.Value, y.Value)
	}) {
		t.Error("the same block gives other changes")
	}
	compareReaders(t, v, c.Store, append(before, c.Store.Keys()...))
}

// compareReaders compares two readers at, below and above each key.
func compareReaders(t *testing.T, v state.Reader, want *simtest.Store, keys []merkle.Key) {
	t.Helper()
	var around []merkle.Key
	for _, k := range keys {
		below, above := k, k
		below[32]--
		above[32]++
		around = append(around, k, below, above)
	}
	for _, k := range around {
		a, err := v.Get(k)
		b, _ := want.Get(k)
		if err != nil || !bytes.Equal(a, b) || (a == nil) != (b == nil) {
			t.Errorf("%v: %x, want %x (%v)", k, a, b, err)
		}
		group, _ := record.Range(record.FamilyOf(k), record.IDOf(k))
		family, _ := record.FamilyRange(record.FamilyOf(k))
		for _, lo := range []merkle.Key{{}, family, group, k} {
			ak, a, err := v.Predecessor(lo, k)
			bk, b, _ := want.Predecessor(lo, k)
			if err != nil || ak != bk || !bytes.Equal(a, b) {
				t.Errorf("predecessor in [%v, %v]: %v %x, want %v %x (%v)", lo, k, ak, a, bk, b, err)
			}
		}
	}
}

// failing is a reader whose n-th read fails.
type failing struct {
	state.Reader
	n *int
}

var errDisk = errors.New("disk gone")

func (f failing) Get(k merkle.Key) ([]byte, error) {
	if *f.n--; *f.n < 0 {
		return nil, errDisk
	}
	return f.Reader.Get(k)
}

func (f failing) Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	if *f.n--; *f.n < 0 {
		return merkle.Key{}, nil, errDisk
	}
	return f.Reader.Predecessor(lo, k)
}

// TestReaderFails: a failure at any read of any transaction is an error, never a result.
func TestReaderFails(t *testing.T) {
	c := newChain(t)
	s := c.Streams[0]
	c.Block(c.Batch(s.At(2, 1), s.At(4, 1)))
	for _, raw := range [][]byte{
		c.Batch(s.At(3, 1), s.At(9, 1)),
		c.Organisations[0].NewDevice(c, "new").Enrol(),
		c.Organisations[0].NewBridge(c, "new").Enrol(),
		c.Devices[0].NewStream("new").Open(),
		c.Devices[0].NewStream("new").OpenByOwner(),
	} {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			left := n
			checks, err := state.Signatures(failing{c.Store, &left}, next(c), tx)
			if err == nil {
				if n == 0 || left < 0 {
					t.Fatalf("Signatures: read %d failed and nobody noticed", n)
				}
				failApply(t, c, tx, len(checks))
				break
			}
			if !errors.Is(err, errDisk) {
				t.Fatal(err)
			}
		}
	}
}

func failApply(t *testing.T, c *simtest.Chain, tx *ledger.Transaction, checks int) {
	t.Helper()
	for n := range 100 {
		left := n
		v := state.NewView(failing{c.Store, &left}, c.Store.LogSize())
		r := applyTo(v, c, tx, make([]ledger.Code, checks))
		if v.Err() == nil {
			if n < 2 || left < 0 || r.Code != ledger.CodeOK {
				t.Fatalf("Apply: read %d failed and nobody noticed: %v", n, r.Code)
			}
			return
		}
		if !errors.Is(v.Err(), errDisk) {
			t.Fatal(v.Err())
		}
	}
	t.Fatal("Apply reads without end")
}

// TestCorruptRows: a row that does not decode is an error, never a result.
func TestCorruptRows(t *testing.T) {
	good := newChain(t)
	good.Block(good.Batch(good.Streams[0].At(2, 1)))
	for _, k := range good.Store.Keys() {
		switch record.FamilyOf(k) {
		case record.FamilyStream, record.FamilyGap, record.FamilyParameters, record.FamilyKey, record.FamilyDevice,
			record.FamilyBridge, record.FamilyOrganisation:
		default:
			continue // not read by a rule
		}
		c := newChain(t)
		c.Block(c.Batch(c.Streams[0].At(2, 1)))
		set(t, c, k, []byte("corrupt"))
		if !touches(t, c) {
			t.Errorf("a corrupt %v row went unnoticed", record.FamilyOf(k))
		}
	}
}

// touches applies transactions that read every row of the fixture, and tells whether one
// reported an error.
func touches(t *testing.T, c *simtest.Chain) (failed bool) {
	t.Helper()
	var raws [][]byte
	for i, o := range c.Organisations {
		raws = append(raws, c.Bridges[i].Batch(c.Streams[0].At(1, 1), c.Streams[1].At(1, 1), c.Streams[2].At(1, 1), c.Streams[3].At(1, 1)))
		raws = append(raws, o.NewDevice(c, "new").Enrol(), c.Bridges[i].Enrol(), c.Devices[i].NewStream("new").Open())
	}
	v := newView(c)
	for _, raw := range raws {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		checks, err := state.Signatures(c.Store, next(c), tx)
		if err != nil {
			return true
		}
		verdicts := make([]ledger.Code, len(checks))
		for i := range checks {
			verdicts[i] = checks[i].Verdict(true)
		}
		applyTo(v, c, tx, verdicts)
	}
	return v.Err() != nil
}
