package merkle

import (
	"bytes"
	"errors"
	"testing"
)

type recordsVectors struct {
	About     string            `json:"about"`
	Tries     []trieVector      `json:"tries"`
	Partial   []partialVector   `json:"partial"`
	Malformed []malformedVector `json:"malformed"`
}

type rowVector struct {
	Key   hexKey   `json:"key"`
	Value hexBytes `json:"value"`
}

type trieVector struct {
	Name string      `json:"name"`
	Rows []rowVector `json:"rows"`
	Root Hash        `json:"root"`
}

type partialVector struct {
	Name    string           `json:"name"`
	Trie    string           `json:"trie"`
	Bytes   hexBytes         `json:"bytes"`
	Root    Hash             `json:"root"`
	Answers []questionVector `json:"answers"`
}

// questionVector is a question about [lo, hi] and its answer: the rows, none if
// it is proven that there are none, or revealed false. A get has lo = hi.
type questionVector struct {
	Ask      string      `json:"ask"`
	Lo       hexKey      `json:"lo"`
	Hi       hexKey      `json:"hi"`
	Revealed bool        `json:"revealed"`
	Rows     []rowVector `json:"rows"`
}

type malformedVector struct {
	Name  string   `json:"name"`
	Bytes hexBytes `json:"bytes"`
}

// answer asks a partial tree.
func answer(p *Partial, ask string, lo, hi Key) (rows []KV, err error) {
	if ask == "list" {
		return p.List(lo, hi)
	}
	key, value, found, err := p.Predecessor(lo, hi)
	if ask == "get" {
		key = hi
		value, found, err = p.Get(hi)
	}
	if found {
		rows = []KV{{key, value}}
	}
	return rows, err
}

func rowVectors(rows []KV) []rowVector {
	out := []rowVector{}
	for _, row := range rows {
		out = append(out, rowVector{hexKey(row.Key), row.Value})
	}
	return out
}

func makeTrieVectors(t *testing.T) (out []trieVector) {
	row := func(k Key, v string) Change { return Change{k, []byte(v)} }
	for _, c := range []struct {
		name string
		rows []Change
	}{
		{"no rows", nil},
		{"one row", []Change{row(Key{}, "a")}},
		{"differ in the first bit", []Change{row(Key{}, "a"), row(Key{0x80}, "b")}},
		{"differ in the last bit", []Change{row(Key{1}, "a"), row(Key{0: 1, 32: 1}, "b")}},
		{"values swapped", []Change{row(Key{1}, "b"), row(Key{0: 1, 32: 1}, "a")}},
		{"three rows", []Change{row(Key{0x00}, "a"), row(Key{0x40}, "b"), row(Key{0x80}, "c")}},
		{"ledger", testRows()},
	} {
		m := newMemTrie()
		m.update(t, c.rows...)
		v := trieVector{Name: c.name, Rows: []rowVector{}, Root: m.root.RootHash()}
		for _, k := range m.sortedKeys() {
			v.Rows = append(v.Rows, rowVector{hexKey(k), m.values[k]})
		}
		out = append(out, v)
	}
	return out
}

func makePartialVectors(t *testing.T) (out []partialVector) {
	m := testTrie(t)
	rows := testRows()
	empty := newMemTrie()
	blocks, blocksEnd := PrefixRange([]byte{0x02})
	owner, ownerEnd := PrefixRange(rows[6].Key[:17])
	first, last := Key{}, Key{}.last(0)
	absent := Key{0x11, 0x11}
	for _, c := range []struct {
		name    string
		queries []Query
	}{
		{"nothing", nil},
		{"get a row", []Query{GetQuery(rows[4].Key)}},
		{"absence", []Query{GetQuery(absent)}},
		{"predecessor", []Query{PredecessorQuery(owner, ownerEnd)}},
		{"no predecessor", []Query{PredecessorQuery(blocks, Key{0x02})}},
		{"list of a prefix", []Query{ListQuery(blocks, blocksEnd)}},
		{"everything", []Query{ListQuery(first, last)}},
		{"row and two predecessors", []Query{GetQuery(rows[4].Key), PredecessorQuery(owner, ownerEnd), PredecessorQuery(blocks, rows[1].Key)}},
	} {
		p, b := m.prove(t, c.queries...)
		v := partialVector{Name: c.name, Trie: "ledger", Bytes: b, Root: p.Root()}
		for _, q := range []questionVector{
			{Ask: "get", Lo: hexKey(rows[4].Key), Hi: hexKey(rows[4].Key)},
			{Ask: "get", Lo: hexKey(absent), Hi: hexKey(absent)},
			{Ask: "predecessor", Lo: hexKey(owner), Hi: hexKey(ownerEnd)},
			{Ask: "predecessor", Lo: hexKey(blocks), Hi: hexKey(rows[1].Key)},
			{Ask: "predecessor", Lo: hexKey(blocks), Hi: hexKey{0x02}},
			{Ask: "predecessor", Lo: hexKey(first), Hi: hexKey(last)},
			{Ask: "list", Lo: hexKey(blocks), Hi: hexKey(blocksEnd)},
			{Ask: "list", Lo: hexKey(first), Hi: hexKey(last)},
		} {
			got, err := answer(p, q.Ask, Key(q.Lo), Key(q.Hi))
			q.Revealed, q.Rows = err == nil, rowVectors(got)
			v.Answers = append(v.Answers, q)
		}
		out = append(out, v)
	}
	p, b := empty.prove(t, GetQuery(absent))
	return append(out, partialVector{"empty trie", "no rows", b, p.Root(), []questionVector{
		{"get", hexKey(absent), hexKey(absent), true, []rowVector{}},
		{"list", hexKey(first), hexKey(last), true, []rowVector{}},
	}})
}

func makeRecordsVectors(t *testing.T) recordsVectors {
	v := recordsVectors{
		About:   "docs/spec/commitment.md, sections 3 and 4. Bytes are hexadecimal. Where revealed is false the partial tree must refuse to answer; rows are then empty.",
		Tries:   makeTrieVectors(t),
		Partial: makePartialVectors(t),
	}
	for _, c := range malformedPartials() {
		if len(c.b) <= 1_000 {
			v.Malformed = append(v.Malformed, malformedVector{c.name, append(hexBytes{}, c.b...)})
		}
	}
	return v
}

// TestRecordsVectors checks that the file is what the code makes, and then that
// each vector in the file, as any implementation reads it, holds.
func TestRecordsVectors(t *testing.T) {
	var v recordsVectors
	checkVectorsFile(t, recordsVectorsFile, makeRecordsVectors(t), &v)
	roots := map[string]Hash{}
	for _, c := range v.Tries {
		values := map[Key][]byte{}
		var keys []Key
		for _, row := range c.Rows {
			keys = append(keys, Key(row.Key))
			values[Key(row.Key)] = row.Value
		}
		root := naiveTrie(keys, values, map[NodeID]Node{})
		if root.RootHash() != c.Root {
			t.Errorf("%s: root %s, want %s", c.Name, root.RootHash(), c.Root)
		}
		roots[c.Name] = c.Root
	}
	for _, c := range v.Partial {
		p, err := ParsePartial(c.Bytes)
		if err != nil || p.Root() != c.Root || c.Root != roots[c.Trie] || !bytes.Equal(p.Encode(), c.Bytes) {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		for _, q := range c.Answers {
			checkQuestion(t, c.Name, p, q)
		}
	}
	for _, c := range v.Malformed {
		if _, err := ParsePartial(c.Bytes); !errors.Is(err, ErrMalformedPartial) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func checkQuestion(t *testing.T, name string, p *Partial, q questionVector) {
	t.Helper()
	rows, err := answer(p, q.Ask, Key(q.Lo), Key(q.Hi))
	if q.Revealed != (err == nil) || !q.Revealed && !errors.Is(err, ErrNotRevealed) {
		t.Errorf("%s: %s: %v", name, q.Ask, err)
	}
	if len(rows) != len(q.Rows) {
		t.Errorf("%s: %s: %d rows, want %d", name, q.Ask, len(rows), len(q.Rows))
		return
	}
	for i, row := range rows {
		if row.Key != Key(q.Rows[i].Key) || !bytes.Equal(row.Value, q.Rows[i].Value) {
			t.Errorf("%s: %s: row %d", name, q.Ask, i)
		}
	}
}
