package merkle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mtmledger/internal/dcbor"
)

// prove proves queries, and checks the root and that parsing loses nothing.
func (m *memTrie) prove(t testing.TB, queries ...Query) (*Partial, []byte) {
	t.Helper()
	b, err := Prove(m, m, m.root, queries...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePartial(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Root() != m.root.RootHash() {
		t.Fatalf("root %s, want %s", p.Root(), m.root.RootHash())
	}
	if !bytes.Equal(p.Encode(), b) {
		t.Fatalf("%x re-encodes as %x", b, p.Encode())
	}
	return p, b
}

// list is the model of a list query.
func (m *memTrie) list(lo, hi Key) []KV {
	var rows []KV
	for _, k := range m.sortedKeys() {
		if bytes.Compare(lo[:], k[:]) <= 0 && bytes.Compare(k[:], hi[:]) <= 0 {
			rows = append(rows, KV{k, m.values[k]})
		}
	}
	return rows
}

// check asks all three questions about [lo, hi] and compares every answer with
// the model. It returns how many were answered: the others must be ErrNotRevealed.
func (m *memTrie) check(t testing.TB, p *Partial, lo, hi Key) (get, predecessor, list bool) {
	t.Helper()
	refused := func(err error) bool {
		if err != nil && !errors.Is(err, ErrNotRevealed) {
			t.Fatalf("[%s, %s]: %v", lo, hi, err)
		}
		return err != nil
	}
	rows := m.list(lo, hi)
	got, err := p.List(lo, hi)
	if list = !refused(err); list && !cmp.Equal(got, rows) {
		t.Fatalf("list [%s, %s]: %s", lo, hi, cmp.Diff(rows, got))
	}
	key, value, found, err := p.Predecessor(lo, hi)
	if predecessor = !refused(err); predecessor {
		var want KV
		if len(rows) > 0 {
			want = rows[len(rows)-1]
		}
		if found != (len(rows) > 0) || key != want.Key || !bytes.Equal(value, want.Value) {
			t.Fatalf("predecessor [%s, %s]: %v %s", lo, hi, found, key)
		}
	}
	value, found, err = p.Get(hi)
	if get = !refused(err); get {
		if want, ok := m.values[hi]; found != ok || !bytes.Equal(value, want) {
			t.Fatalf("get %s: %v %x, want %x", hi, found, value, want)
		}
	}
	return get, predecessor, list
}

// TestPartialModel proves random queries about random tries; what was asked must
// be answered, and whatever else is asked, the answer is right or refused.
func TestPartialModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemTrie()
		m.update(t, genChanges().Draw(rt, "rows")...)
		m.update(t, genChanges().Draw(rt, "more rows")...)
		var queries []Query
		for range rapid.IntRange(0, 5).Draw(rt, "queries") {
			lo, hi := genInterval(rt)
			switch rapid.IntRange(0, 2).Draw(rt, "kind") {
			case 0:
				queries = append(queries, GetQuery(hi))
			case 1:
				queries = append(queries, PredecessorQuery(lo, hi))
			case 2:
				queries = append(queries, ListQuery(lo, hi))
			}
		}
		p, _ := m.prove(t, queries...)
		for _, q := range queries {
			_, predecessor, list := m.check(t, p, q.lo, q.hi)
			if q.predecessor && !predecessor || !q.predecessor && !list {
				t.Fatalf("%+v is not answered", q)
			}
		}
		for range 10 {
			lo, hi := genInterval(rt)
			m.check(t, p, lo, hi)
		}
	})
}

func genInterval(t *rapid.T) (lo, hi Key) {
	lo, hi = genKey().Draw(t, "lo"), genKey().Draw(t, "hi")
	if lo.compare(&hi) > 0 {
		lo, hi = hi, lo
	}
	return lo, hi
}

// testRows is a small trie with all kinds of neighbourhoods; the vectors use it.
func testRows() []Change {
	key := func(family, id, number byte) Key {
		k := Key{0: family, 1: id, 16: id}
		k[24] = number
		return k
	}
	return []Change{
		{key(0x02, 0, 1), []byte("block 1")},
		{key(0x02, 0, 3), []byte("block 3")},
		{key(0x02, 0, 4), []byte("block 4")},
		{key(0x11, 0x10, 7), []byte("key 7")},
		{key(0x11, 0x10, 9), []byte("key 9")},
		{key(0x11, 0xf0, 7), []byte("another key")},
		{key(0x31, 0x22, 1), []byte("owner since 1")},
		{key(0x31, 0x22, 5), []byte("owner since 5")},
		{key(0x31, 0x23, 2), []byte("owner since 2")},
		{key(0xff, 0xff, 0xff), bytes.Repeat([]byte{0xee}, 40)},
	}
}

func testTrie(t testing.TB) *memTrie {
	m := newMemTrie()
	m.update(t, testRows()...)
	return m
}

// TestPartialFlips changes every byte of proofs in every way: none may parse
// to the same root, so none can answer anything under a trusted root.
func TestPartialFlips(t *testing.T) {
	m := testTrie(t)
	rows := testRows()
	lo, hi := PrefixRange([]byte{0x31})
	for name, queries := range map[string][]Query{
		"get":         {GetQuery(rows[4].Key)},
		"absence":     {GetQuery(Key{0x11, 0x11})},
		"predecessor": {PredecessorQuery(Key{0x02}, rows[1].Key.last(200))},
		"list":        {ListQuery(lo, hi)},
		"three":       {GetQuery(rows[4].Key), PredecessorQuery(Key{0x02}, rows[1].Key), PredecessorQuery(lo, hi)},
		"nothing":     nil,
	} {
		_, b := m.prove(t, queries...)
		for i := range b {
			for x := 1; x < 256; x++ {
				bad := slices.Clone(b)
				bad[i] ^= byte(x)
				if p, err := ParsePartial(bad); err == nil && p.Root() == m.root.Hash {
					t.Fatalf("%s: byte %d changed by %#x: same root", name, i, x)
				}
			}
			if _, err := ParsePartial(b[:i]); !errors.Is(err, ErrMalformedPartial) {
				t.Fatalf("%s: cut at %d: %v", name, i, err)
			}
		}
		if _, err := ParsePartial(append(slices.Clone(b), 0)); !errors.Is(err, dcbor.ErrTrailing) {
			t.Fatalf("%s: trailing byte: %v", name, err)
		}
	}
}

func TestPartialEmptyAndSingle(t *testing.T) {
	m := newMemTrie()
	p, b := m.prove(t, GetQuery(Key{1}), ListQuery(Key{}, Key{0xff}))
	if len(b) != 1 {
		t.Errorf("empty trie: %x", b)
	}
	if get, predecessor, list := m.check(t, p, Key{}, Key{0xff}); !get || !predecessor || !list {
		t.Error("empty trie: not answered")
	}
	m.update(t, Change{Key{7}, []byte("only")})
	p, _ = m.prove(t, GetQuery(Key{9}))
	m.check(t, p, Key{8}, Key{9})
	if _, found, err := p.Get(Key{9}); found || err != nil {
		t.Errorf("absence by the only leaf: %v, %v", found, err)
	}
	if _, _, err := p.Get(Key{7}); !errors.Is(err, ErrNotRevealed) {
		t.Errorf("value of a leaf revealed by hash: %v", err)
	}
}

func TestQueryIntervals(t *testing.T) {
	m := testTrie(t)
	p, _ := m.prove(t, ListQuery(Key{}, Key{0xff}.last(8)))
	for name, err := range map[string]error{
		"list":              second(p.List(Key{2}, Key{1})),
		"predecessor":       fourth(p.Predecessor(Key{2}, Key{1})),
		"prove list":        second(Prove(m, m, m.root, ListQuery(Key{2}, Key{1}))),
		"prove predecessor": second(Prove(m, m, m.root, PredecessorQuery(Key{2}, Key{1}))),
	} {
		if !errors.Is(err, ErrInterval) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := p.List(Key{}, Key{0xff}.last(8))
	if err != nil || len(all) != len(testRows()) {
		t.Errorf("everything: %d rows, %v", len(all), err)
	}
	lo, hi := PrefixRange([]byte{0x11, 0x10})
	if rows, err := p.List(lo, hi); err != nil || len(rows) != 2 {
		t.Errorf("prefix: %v, %v", rows, err)
	}
	if lo, hi := PrefixRange(make([]byte, KeySize+1)); lo != (Key{}) || hi != (Key{}) {
		t.Errorf("whole key as prefix: %s to %s", lo, hi)
	}
	if lo, hi := PrefixRange(nil); lo != (Key{}) || hi != lo.last(0) || hi[0] != 0xff || hi[32] != 0xff {
		t.Errorf("empty prefix: %s to %s", lo, hi)
	}
}

func fourth[A, B, C any](_ A, _ B, _ C, err error) error { return err }

// TestProveRefuses tries values that do not fit what is stored.
func TestProveRefuses(t *testing.T) {
	k := testRows()[0].Key
	for name, c := range map[string]struct {
		spoil func(m *memTrie)
		want  error
	}{
		"missing value": {func(m *memTrie) { delete(m.values, k) }, errNoRow},
		"other value":   {func(m *memTrie) { m.values[k] = []byte("x") }, ErrCorrupt},
		"empty value":   {func(m *memTrie) { m.values[k] = nil }, ErrCorrupt},
		"large value":   {func(m *memTrie) { m.values[k] = make([]byte, MaxValueSize+1) }, ErrCorrupt},
		"other hash":    {func(m *memTrie) { m.root.Hash[0] ^= 1 }, ErrCorrupt},
	} {
		m := testTrie(t)
		c.spoil(m)
		if _, err := Prove(m, m, m.root, GetQuery(k)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestPartialSize tries proofs of the greatest size and of one byte more.
func TestPartialSize(t *testing.T) {
	m := newMemTrie()
	put := func(i, size int) Change { return Change{Key{byte(i)}, make([]byte, size)} }
	const base, room = MaxValueSize - 100, 99
	var changes []Change
	for i := range 64 {
		changes = append(changes, put(i, base))
	}
	m.update(t, changes...)
	everything := ListQuery(Key{}, Key{}.last(0))
	_, b := m.prove(t, everything)
	for i, left := 0, MaxPartialSize-len(b); left > 0; i, left = i+1, left-room {
		m.update(t, put(i, base+min(left, room)))
	}
	if _, b = m.prove(t, everything); len(b) != MaxPartialSize {
		t.Fatalf("%d bytes, want %d", len(b), MaxPartialSize)
	}
	m.update(t, put(63, base+1))
	if _, err := Prove(m, m, m.root, everything); !errors.Is(err, ErrPartialSize) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := ParsePartial(append(b, 0)); !errors.Is(err, ErrPartialSize) {
		t.Errorf("parse one byte too many: %v", err)
	}
}

// TestPartialSceptical asks where an opaque part may hide the answer.
func TestPartialSceptical(t *testing.T) {
	// Revealed: 0x00 by value and 0x80 by hash. Opaque: 0x40 to 0x7f, 0xc0 to 0xff.
	p, err := ParsePartial(encTree(9, encBranch(0,
		encBranch(0, encLeaf(Key{0x00}, "a"), encOpaque(Hash{1})),
		encBranch(0, encHashLeaf(Key{0x80}, Hash{2}), encOpaque(Hash{3})))))
	if err != nil {
		t.Fatal(err)
	}
	first, last := Key{}, Key{0xff}.last(8)
	upTo := func(b byte) Key { return Key{b}.last(8) }
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"get revealed":                        {third(p.Get(Key{0x00})), nil},
		"get absent":                          {third(p.Get(Key{0x3f})), nil},
		"get beside the hashed leaf":          {third(p.Get(Key{0x81})), nil},
		"get at the start of an opaque part":  {third(p.Get(Key{0x40})), ErrNotRevealed},
		"get at the end of an opaque part":    {third(p.Get(upTo(0x7f))), ErrNotRevealed},
		"get a value known by hash":           {third(p.Get(Key{0x80})), ErrNotRevealed},
		"predecessor up to an opaque part":    {fourth(p.Predecessor(first, upTo(0x3f))), nil},
		"predecessor into an opaque part":     {fourth(p.Predecessor(first, Key{0x40})), ErrNotRevealed},
		"predecessor beyond an opaque part":   {fourth(p.Predecessor(first, upTo(0x7f))), ErrNotRevealed},
		"predecessor is known by hash":        {fourth(p.Predecessor(first, Key{0x90})), ErrNotRevealed},
		"predecessor bounded above that":      {fourth(p.Predecessor(Key{0x81}, Key{0x90})), nil},
		"list revealed":                       {second(p.List(first, upTo(0x3f))), nil},
		"list from above the leaf":            {second(p.List(Key{0x00, 0x01}, upTo(0x3f))), nil},
		"list into an opaque part":            {second(p.List(first, Key{0x40})), ErrNotRevealed},
		"list over a leaf known by hash":      {second(p.List(Key{0x80}, Key{0x81})), ErrNotRevealed},
		"list all":                            {second(p.List(first, last)), ErrNotRevealed},
		"list nothing between opaque parts":   {second(p.List(Key{0x81}, upTo(0xbf))), nil},
		"list from the end of an opaque part": {second(p.List(upTo(0x7f), upTo(0x7f))), ErrNotRevealed},
	} {
		if !errors.Is(c.err, c.want) || (c.want == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	opaque, err := ParsePartial(encTree(1, encOpaque(EmptyRoot)))
	if err != nil || !errors.Is(third(opaque.Get(Key{})), ErrNotRevealed) {
		t.Errorf("opaque root: %v", err)
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// TestProveRevealsLittle checks that a proof keeps other values to itself.
func TestProveRevealsLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m := newMemTrie()
	var changes []Change
	for range 2_000 {
		k := randomKey(r)
		changes = append(changes, Change{k, slices.Concat([]byte("secret "), k[:])})
	}
	m.update(t, changes...)
	for range 50 {
		k := randomKey(r) // absent
		p, b := m.prove(t, GetQuery(k))
		if bytes.Contains(b, []byte("secret")) {
			t.Fatal("absence proof carries a value")
		}
		m.check(t, p, k, k)
		c := changes[r.IntN(len(changes))]
		_, b = m.prove(t, PredecessorQuery(Key{}, c.Key))
		if bytes.Count(b, []byte("secret")) != 1 {
			t.Fatal("predecessor proof carries another number of values than one")
		}
	}
}

func FuzzParsePartial(f *testing.F) {
	m := testTrie(f)
	rows := testRows()
	for _, queries := range [][]Query{
		nil, {GetQuery(rows[3].Key)}, {GetQuery(Key{0x40})}, {ListQuery(rows[2].Key, rows[7].Key)},
	} {
		_, b := m.prove(f, queries...)
		f.Add(b)
	}
	for _, c := range malformedPartials() {
		if len(c.b) < 1000 {
			f.Add(c.b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePartial(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("%x re-encodes as %x", b, p.Encode())
		}
		checkRevealed(t, p)
	})
}

// checkRevealed checks that what a partial tree reveals is the only trie with
// its root: rebuilt from its rows, a fully revealed tree has the same root.
func checkRevealed(t *testing.T, p *Partial) {
	t.Helper()
	rows, err := p.List(Key{}, Key{}.last(0))
	if err != nil {
		return
	}
	var changes []Change
	for _, row := range rows {
		changes = append(changes, Change(row))
	}
	root, _, err := Update(nil, Ref{}, changes)
	if err != nil || root.RootHash() != p.Root() {
		t.Fatalf("rebuilt root %s, partial tree has %s: %v", root.RootHash(), p.Root(), err)
	}
	for _, row := range rows {
		if value, found, err := p.Get(row.Key); err != nil || !found || sha256.Sum256(value) != sha256.Sum256(row.Value) {
			t.Fatalf("%s is listed but not there: %v", row.Key, err)
		}
	}
}
