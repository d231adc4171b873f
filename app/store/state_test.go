package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// model is what the store must hold, kept in the simplest way: everything after
// every block.
type model struct {
	rng    *rand.Rand
	blocks []Block
	after  []moment
}

// moment is the whole state after a block.
type moment struct {
	rows    map[merkle.Key]string
	entries []string
	results map[[32]byte]Outcome
}

func newModel(seed uint64) *model { return &model{rng: rand.New(rand.NewPCG(seed, 0))} }

func (m *model) tip() moment {
	if len(m.after) == 0 {
		return moment{}
	}
	return m.after[len(m.after)-1]
}

// grow adds a block of random changes, computed from the state in st, whose
// last block must be the model's.
func (m *model) grow(t testing.TB, st *State) Block {
	t.Helper()
	now := m.tip()
	next := moment{rows: maps.Clone(now.rows), entries: slices.Clone(now.entries), results: maps.Clone(now.results)}
	if next.rows == nil {
		next.rows, next.results = make(map[merkle.Key]string), make(map[[32]byte]Outcome)
	}
	b := Block{Tip: Tip{Height: uint64(len(m.blocks)), Time: int64(1000 + len(m.blocks))}}
	if m.rng.IntN(4) > 0 { // one in four is empty
		b.Rows = m.change(next.rows, b.Height)
		m.append(&b, &next)
	}
	m.addResults(&b, &next)
	seal(t, st, &b)
	m.blocks, m.after = append(m.blocks, b), append(m.after, next)
	return b
}

// change makes random changes of rows: histories, heads and gaps.
func (m *model) change(rows map[merkle.Key]string, height uint64) []merkle.Change {
	changed := make(map[merkle.Key]merkle.Change)
	for range m.rng.IntN(12) {
		id := crypto.ID{byte(m.rng.IntN(5))}
		k := record.DeviceRow(id, height)
		switch m.rng.IntN(4) {
		case 0:
			k = record.StreamRow(id)
		case 1:
			k = record.GapRow(id, uint64(m.rng.IntN(6)))
		case 2:
			k = record.OwnerRow(id, height)
		}
		_, there := rows[k]
		if there && m.rng.IntN(2) == 0 && record.FamilyOf(k) == record.FamilyGap {
			delete(rows, k)
			changed[k] = merkle.Change{Key: k}
			continue
		}
		value := fmt.Sprintf("value %d", m.rng.Uint32())
		rows[k] = value
		changed[k] = merkle.Change{Key: k, Value: []byte(value)}
	}
	out := slices.Collect(maps.Values(changed))
	slices.SortFunc(out, func(a, b merkle.Change) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return out
}

// append adds entries, some of which are statements.
func (m *model) append(b *Block, next *moment) {
	for range m.rng.IntN(40) {
		index := uint64(len(next.entries))
		e := fmt.Sprintf("entry %d %d", index, m.rng.Uint32())
		next.entries = append(next.entries, e)
		b.Entries = append(b.Entries, []byte(e))
		if index%3 == 0 {
			b.Places = append(b.Places, Place{Stream: crypto.ID{9}, First: index * 10, Index: index})
		}
	}
}

// addResults adds results, some of transactions that were there before.
func (m *model) addResults(b *Block, next *moment) {
	for range m.rng.IntN(4) {
		hash := [32]byte{byte(m.rng.IntN(40))}
		data := fmt.Appendf(nil, "result %d", m.rng.Uint32())
		b.Results = append(b.Results, Result{Hash: hash, Data: data})
		if _, there := next.results[hash]; !there {
			next.results[hash] = Outcome{Height: b.Height, Time: b.Time, Data: data}
		}
	}
}

// seal computes the commitments of a block on the store's last one.
func seal(t testing.TB, st *State, b *Block) {
	t.Helper()
	before := &View{Tip: Tip{Log: new(merkle.Frontier)}, st: st, over: &overlay{}}
	if tip := st.Tip(); tip != nil {
		defer tip.Release()
		before = tip
	}
	var err error
	if b.Trie, b.Nodes, err = merkle.Update(st.Working(before), before.Trie, b.Rows); err != nil {
		t.Fatal(err)
	}
	b.Log = before.Log.Clone()
	var leaves []merkle.Hash
	for _, e := range b.Entries {
		leaves = append(leaves, merkle.LeafHash(e))
		b.Log.Append(leaves[len(leaves)-1])
	}
	if len(leaves) > 0 {
		if b.Tiles, err = merkle.NewTiles(before.LogSize(), before, leaves); err != nil {
			t.Fatal(err)
		}
	}
	b.AppHash = merkle.AppHash(b.Log.Size(), b.Log.Root(), b.Trie.RootHash())
}

// check compares a view with the model at the view's height.
func (m *model) check(t testing.TB, v *View) {
	t.Helper()
	want, tip := m.after[v.Height], m.blocks[v.Height].Tip
	if v.AppHash != tip.AppHash || v.Time != tip.Time || v.LogSize() != uint64(len(want.entries)) {
		t.Fatalf("height %d: app hash %v, want %v", v.Height, v.AppHash, tip.AppHash)
	}
	m.checkRows(t, v, want)
	m.checkLog(t, v, want)
	for hash := byte(0); hash < 40; hash++ {
		got, found, err := v.Outcome([32]byte{hash})
		o, there := want.results[[32]byte{hash}]
		if err != nil || found != there || (found && (got.Height != o.Height || !bytes.Equal(got.Data, o.Data))) {
			t.Fatalf("height %d: outcome %+v %v %v, want %+v %v", v.Height, got, found, err, o, there)
		}
	}
}

func (m *model) checkRows(t testing.TB, v *View, want moment) {
	t.Helper()
	keys := slices.SortedFunc(maps.Keys(want.rows), func(a, b merkle.Key) int { return bytes.Compare(a[:], b[:]) })
	var qs []merkle.Query
	for _, k := range keys {
		got, err := v.Get(k)
		if err != nil || string(got) != want.rows[k] {
			t.Fatalf("height %d: row %v is %q, %v; want %q", v.Height, k, got, err, want.rows[k])
		}
		qs = append(qs, merkle.GetQuery(k))
	}
	if len(qs) > 0 {
		proof, err := merkle.Prove(v, v, v.Trie, qs...)
		if err != nil {
			t.Fatalf("height %d: %v", v.Height, err)
		}
		p, err := merkle.ParsePartial(proof)
		if err != nil || p.Root() != v.Trie.RootHash() {
			t.Fatalf("height %d: proof of other rows: %v", v.Height, err)
		}
	}
	for range 30 {
		m.checkPredecessor(t, v, keys, want)
	}
	var got []merkle.Key
	lo, hi := merkle.Key{}, record.DeviceRow(crypto.ID{3}, 5)
	err := v.Scan(lo, hi, func(k merkle.Key, value []byte) bool {
		got = append(got, k)
		return string(value) == want.rows[k]
	})
	in := slices.DeleteFunc(slices.Clone(keys), func(k merkle.Key) bool { return bytes.Compare(k[:], hi[:]) > 0 })
	if err != nil || !slices.Equal(got, in) {
		t.Fatalf("height %d: scan %v, %v; want %v", v.Height, got, err, in)
	}
}

// checkPredecessor asks a random question of the kind that the rules ask.
func (m *model) checkPredecessor(t testing.TB, v *View, keys []merkle.Key, want moment) {
	t.Helper()
	families := []record.Family{record.FamilyDevice, record.FamilyOwner, record.FamilyGap}
	f, id := families[m.rng.IntN(3)], crypto.ID{byte(m.rng.IntN(5))}
	lo, hi := record.Range(f, id)
	if m.rng.IntN(3) > 0 {
		hi = record.DeviceRow(id, uint64(m.rng.IntN(20)))
		hi[0] = byte(f)
	}
	got, value, err := v.Predecessor(lo, hi)
	var k merkle.Key
	found := false
	for _, key := range keys {
		if bytes.Compare(lo[:], key[:]) <= 0 && bytes.Compare(key[:], hi[:]) <= 0 {
			k, found = key, true
		}
	}
	if err != nil || (value != nil) != found || (found && (got != k || string(value) != want.rows[k])) {
		t.Fatalf("height %d: predecessor in [%v, %v] is %v %q, %v; want %v %v", v.Height, lo, hi, got, value, err, k, found)
	}
}

func (m *model) checkLog(t testing.TB, v *View, want moment) {
	t.Helper()
	for i, e := range want.entries {
		index := uint64(i)
		got, err := v.Entry(index)
		if err != nil || string(got) != e {
			t.Fatalf("height %d: entry %d is %q, %v", v.Height, i, got, err)
		}
		b, err := v.BlockOf(index)
		if err != nil || index < b.First || index >= b.First+b.Count || m.blocks[b.Height].Time != b.Time {
			t.Fatalf("height %d: block of entry %d: %+v, %v", v.Height, i, b, err)
		}
		path, err := merkle.InclusionProof(v, v.LogSize(), index)
		if err != nil {
			t.Fatal(err)
		}
		root, err := merkle.VerifyInclusion(merkle.LeafHash(got), index, v.LogSize(), path)
		if err != nil || root != v.Log.Root() {
			t.Fatalf("height %d: entry %d is not proven: %v", v.Height, i, err)
		}
		p, found, err := v.StatementAt(crypto.ID{9}, index*10+5)
		if err != nil || !found || p.Index != index-index%3 {
			t.Fatalf("height %d: statement at %d: %+v %v %v", v.Height, index*10+5, p, found, err)
		}
	}
	if _, err := v.Entry(v.LogSize()); !errors.Is(err, ErrNotFound) {
		t.Fatalf("height %d: entry beyond the log: %v", v.Height, err)
	}
	n := 0
	err := v.StatementsFrom(crypto.ID{9}, 1, func(p Position) bool {
		n++
		return p.First == p.Index*10
	})
	if wantN := max(0, (len(want.entries)-1)/3); err != nil || n != wantN {
		t.Fatalf("height %d: %d statements, %v; want %d", v.Height, n, err, wantN)
	}
}

// checkBoth checks the last block and the one before.
func (m *model) checkBoth(t testing.TB, st *State) {
	t.Helper()
	tip := st.Tip()
	defer tip.Release()
	m.check(t, tip)
	if prev := st.Previous(); prev != nil {
		defer prev.Release()
		if prev.Height+1 != tip.Height {
			t.Fatalf("previous is %d, tip %d", prev.Height, tip.Height)
		}
		m.check(t, prev)
	} else if tip.Height > 0 {
		t.Fatalf("no view before height %d", tip.Height)
	}
}

func openState(t testing.TB, fs vfs.FS) (*Engine, *State) {
	t.Helper()
	e, err := Open("db", Options{FS: fs, MemTableBytes: 16 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	st, err := OpenState(e)
	if err != nil {
		t.Fatal(err)
	}
	return e, st
}

func closeState(t testing.TB, e *Engine, st *State) {
	t.Helper()
	st.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestState commits random blocks, reopens and takes blocks back at random, and
// compares everything with the model after each step.
func TestState(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			fs := vfs.NewMem()
			e, st := openState(t, fs)
			m := newModel(seed)
			for range 60 {
				if err := st.Commit(m.grow(t, st)); err != nil {
					t.Fatal(err)
				}
				m.checkBoth(t, st)
				switch m.rng.IntN(6) {
				case 0:
					closeState(t, e, st)
					e, st = openState(t, fs)
					m.checkBoth(t, st)
				case 1:
					m.rollback(t, st)
				}
			}
			closeState(t, e, st)
		})
	}
}

// rollback takes a few blocks back.
func (m *model) rollback(t testing.TB, st *State) {
	t.Helper()
	height := uint64(max(0, len(m.blocks)-1-m.rng.IntN(4)))
	if err := st.Rollback(height); err != nil {
		t.Fatal(err)
	}
	m.blocks, m.after = m.blocks[:height+1], m.after[:height+1]
	if tip := st.Tip(); tip.Height != height {
		t.Fatalf("rolled back to %d, want %d", tip.Height, height)
	} else {
		m.check(t, tip)
		tip.Release()
	}
	if prev := st.Previous(); prev != nil {
		m.check(t, prev)
		prev.Release()
	}
}

// TestRollbackDepth: sixteen blocks can be taken back, a seventeenth not.
func TestRollbackDepth(t *testing.T) {
	e, st := openState(t, vfs.NewMem())
	defer closeState(t, e, st)
	m := newModel(1)
	for range UndoDepth + 5 {
		if err := st.Commit(m.grow(t, st)); err != nil {
			t.Fatal(err)
		}
	}
	last := uint64(len(m.blocks) - 1)
	if err := st.Rollback(last + 1); !errors.Is(err, ErrHeight) {
		t.Fatalf("rollback ahead: %v", err)
	}
	if err := st.Rollback(last - UndoDepth); err != nil {
		t.Fatalf("rollback of %d: %v", UndoDepth, err)
	}
	tip := st.Tip()
	m.check(t, tip)
	tip.Release()
	if err := st.Rollback(last - UndoDepth - 1); !errors.Is(err, ErrNoUndo) {
		t.Fatalf("rollback of %d: %v", UndoDepth+1, err)
	}
}

// TestViewStays: a view shows its block whatever is committed or taken back.
func TestViewStays(t *testing.T) {
	e, st := openState(t, vfs.NewMem())
	m := newModel(2)
	var views []*View
	for range 20 {
		if err := st.Commit(m.grow(t, st)); err != nil {
			t.Fatal(err)
		}
		views = append(views, st.Tip())
	}
	for _, v := range views {
		m.check(t, v)
	}
	if err := st.Rollback(10); err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		m.check(t, v)
		v.Release()
	}
	closeState(t, e, st)
}

func TestCommitOutOfOrder(t *testing.T) {
	e, st := openState(t, vfs.NewMem())
	defer closeState(t, e, st)
	if !st.Empty() || st.Tip() != nil || st.Previous() != nil {
		t.Fatal("a new state is not empty")
	}
	if err := st.Rollback(0); !errors.Is(err, ErrHeight) {
		t.Fatalf("rollback of nothing: %v", err)
	}
	m := newModel(3)
	b := m.grow(t, st)
	b.Height = 1
	if err := st.Commit(b); !errors.Is(err, ErrHeight) {
		t.Fatalf("block 1 first: %v", err)
	}
	b.Height = 0
	if err := st.Commit(b); err != nil {
		t.Fatal(err)
	}
	for _, h := range []uint64{0, 2} {
		b.Height = h
		if err := st.Commit(b); !errors.Is(err, ErrHeight) {
			t.Fatalf("block %d after 0: %v", h, err)
		}
	}
	if st.Empty() {
		t.Fatal("empty after a commit")
	}
}

// TestResultsAreForgotten: a result can be asked for ResultDepth blocks long.
func TestResultsAreForgotten(t *testing.T) {
	e, st := openState(t, vfs.NewMem())
	defer closeState(t, e, st)
	hash, again := [32]byte{1}, [32]byte{2}
	commit := func(height uint64, hashes ...[32]byte) {
		b := Block{Tip: Tip{Height: height}}
		for _, h := range hashes {
			b.Results = append(b.Results, Result{Hash: h, Data: []byte("data")})
		}
		seal(t, st, &b)
		if err := st.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	there := func(hash [32]byte) bool {
		v := st.Tip()
		defer v.Release()
		_, found, err := v.Outcome(hash)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	commit(0)
	commit(1, hash, again)
	for h := uint64(2); h <= ResultDepth; h++ {
		commit(h)
	}
	v := st.Tip()
	if _, err := v.Block(1); err != nil || !there(hash) {
		t.Fatalf("at height %d: %v", v.Height, err)
	}
	v.Release()
	commit(ResultDepth + 1)
	v = st.Tip()
	defer v.Release()
	if _, err := v.Block(1); !errors.Is(err, ErrNotFound) || there(hash) {
		t.Fatalf("at height %d: %v", v.Height, err)
	}
	commit(ResultDepth+2, again)
	if !there(again) {
		t.Fatal("a result committed again after it was forgotten is not there")
	}
}
