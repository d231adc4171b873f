package simtest

import (
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
)

// TestChain makes a small chain twice: it is the same, block by block.
func TestChain(t *testing.T) {
	grow := func() *Chain {
		c := New(t, Config{Organisations: 2, Devices: 2, Streams: 2})
		for i := range 5 {
			var statements [][]byte
			for _, s := range c.Streams {
				statements = append(statements, s.Next(i+1))
			}
			b := c.Block(c.Batch(statements...), []byte("garbage"))
			for j, code := range b.Results[0].Codes {
				if code != ledger.CodeOK {
					t.Fatalf("block %d: statement %d: %v", b.Height, j, code)
				}
			}
			if b.Results[1].Code != ledger.CodeMalformed {
				t.Fatalf("garbage: %v", b.Results[1].Code)
			}
		}
		return c
	}
	one, two := grow(), grow()
	if len(one.Blocks) != 8 {
		t.Fatalf("%d blocks, want 8", len(one.Blocks))
	}
	for h := range one.Blocks {
		if one.Blocks[h].AppHash != two.Blocks[h].AppHash {
			t.Errorf("height %d: app hashes differ", h)
		}
		if h > 0 && one.Blocks[h].AppHash == one.Blocks[h-1].AppHash {
			t.Errorf("height %d: app hash did not change", h)
		}
	}
	if got, want := one.Store.LogSize(), uint64(1+4+8+5*8); got != want {
		t.Errorf("log of %d entries, want %d", got, want)
	}
}

// TestEmptyBlock: a block without an accepted transaction changes nothing.
func TestEmptyBlock(t *testing.T) {
	c := New(t, Config{})
	before := c.Store.AppHash()
	if b := c.Block(); b.AppHash != before || len(b.Changes) != 0 {
		t.Errorf("an empty block changed %d rows", len(b.Changes))
	}
	if b := c.Block([]byte{0}); b.AppHash != before || len(b.Changes) != 0 {
		t.Errorf("a block of garbage changed %d rows", len(b.Changes))
	}
}

// TestStoreProves: what the store keeps is enough for every kind of proof.
func TestStoreProves(t *testing.T) {
	c := New(t, Config{Organisations: 1, Devices: 1, Streams: 1})
	for range 300 {
		c.Block(c.Batch(c.Streams[0].Next(1)))
	}
	s := c.Store
	for _, index := range []uint64{0, 1, 255, 256, s.LogSize() - 1} {
		path, err := merkle.InclusionProof(s, s.LogSize(), index)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := s.Entry(index)
		if err != nil {
			t.Fatal(err)
		}
		root, err := merkle.VerifyInclusion(merkle.LeafHash(entry), index, s.LogSize(), path)
		if err != nil || root != s.LogRoot() {
			t.Errorf("entry %d: root %v, want %v (%v)", index, root, s.LogRoot(), err)
		}
	}
	keys := s.Keys()
	queries := []merkle.Query{merkle.GetQuery(keys[0]), merkle.ListQuery(keys[3], keys[9])}
	proof, err := merkle.Prove(s, s, s.Root(), queries...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := merkle.ParsePartial(proof)
	if err != nil {
		t.Fatal(err)
	}
	if p.Root() != s.Root().RootHash() {
		t.Error("the proof has another root")
	}
	if rows, err := p.List(keys[3], keys[9]); err != nil || len(rows) != 7 {
		t.Errorf("list of %d rows, want 7 (%v)", len(rows), err)
	}
}

func TestStorePredecessor(t *testing.T) {
	s := NewStore()
	key := func(n byte) (k merkle.Key) { k[5] = n; return k }
	changes := []merkle.Change{{Key: key(3), Value: []byte{3}}, {Key: key(5), Value: []byte{5}}, {Key: key(9), Value: []byte{9}}}
	if err := s.Commit(changes, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit([]merkle.Change{{Key: key(5)}, {Key: key(7), Value: []byte{7}}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lo, k, want byte }{
		{0, 2, 0}, {0, 3, 3}, {0, 6, 3}, {4, 6, 0}, {0, 7, 7}, {7, 8, 7}, {0, 255, 9}, {10, 255, 0},
	} {
		k, value, err := s.Predecessor(key(c.lo), key(c.k))
		if err != nil {
			t.Fatal(err)
		}
		if (c.want == 0) != (value == nil) || (c.want != 0 && (k != key(c.want) || value[0] != c.want)) {
			t.Errorf("predecessor in [%d, %d]: %x, want %d", c.lo, c.k, value, c.want)
		}
	}
}
