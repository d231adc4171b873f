package merkle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// memTrie is a stored trie with its values.
type memTrie struct {
	root   Ref
	nodes  map[NodeID]Node
	values map[Key][]byte
}

var errNoRow = errors.New("no such row")

func newMemTrie() *memTrie {
	return &memTrie{nodes: map[NodeID]Node{}, values: map[Key][]byte{}}
}

func (m *memTrie) Node(id NodeID) (Node, error) {
	n, ok := m.nodes[id]
	if !ok {
		return Node{}, errNoRow
	}
	return n, nil
}

func (m *memTrie) Value(k Key) ([]byte, error) {
	v, ok := m.values[k]
	if !ok {
		return nil, errNoRow
	}
	return v, nil
}

// update applies changes, checks that no branch is written twice or written as
// it was, and stores the result.
func (m *memTrie) update(t testing.TB, changes ...Change) {
	t.Helper()
	slices.SortFunc(changes, func(a, b Change) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	root, writes, err := Update(m, m.root, changes)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[NodeID]bool{}
	for _, w := range writes {
		old, had := m.nodes[w.ID]
		if seen[w.ID] || (w.Node == nil) && !had || w.Node != nil && had && *w.Node == old {
			t.Fatalf("useless write of %v", w.ID)
		}
		seen[w.ID] = true
	}
	m.root = root
	m.store(writes)
	for _, c := range changes {
		if c.Value == nil {
			delete(m.values, c.Key)
		} else {
			m.values[c.Key] = c.Value
		}
	}
}

func (m *memTrie) store(writes []NodeWrite) {
	for _, w := range writes {
		if w.Node == nil {
			delete(m.nodes, w.ID)
		} else {
			m.nodes[w.ID] = *w.Node
		}
	}
}

// sortedKeys returns the keys of the rows, ascending.
func (m *memTrie) sortedKeys() []Key {
	return slices.SortedFunc(maps.Keys(m.values), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}

// naiveTrie computes root and branches of a set of rows from the definition in
// docs/spec/commitment.md, bit by bit.
func naiveTrie(keys []Key, values map[Key][]byte, nodes map[NodeID]Node) Ref {
	switch len(keys) {
	case 0:
		return Ref{}
	case 1:
		valueHash := sha256.Sum256(values[keys[0]])
		data := append(append([]byte{0}, keys[0][:]...), valueHash[:]...)
		return Ref{KeyBits, keys[0], sha256.Sum256(data)}
	}
	bit := func(k Key, i int) int { return int(k[i/8]>>(7-i%8)) & 1 }
	var prefix Key
	depth := 0
	for ; ; depth++ {
		var sides [2][]Key
		for _, k := range keys {
			sides[bit(k, depth)] = append(sides[bit(k, depth)], k)
		}
		if len(sides[0]) > 0 && len(sides[1]) > 0 {
			n := Node{naiveTrie(sides[0], values, nodes), naiveTrie(sides[1], values, nodes)}
			data := binary.BigEndian.AppendUint16([]byte{1}, uint16(depth))
			data = append(append(append(data, prefix[:]...), n.Left.Hash[:]...), n.Right.Hash[:]...)
			ref := Ref{uint16(depth), prefix, sha256.Sum256(data)}
			nodes[ref.ID()] = n
			return ref
		}
		prefix[depth/8] |= byte(bit(keys[0], depth)) << (7 - depth%8)
	}
}

// checkCanonical checks that the trie is stored as the naive one would be, with
// no branch more or less.
func (m *memTrie) checkCanonical(t testing.TB) {
	t.Helper()
	nodes := map[NodeID]Node{}
	if want := naiveTrie(m.sortedKeys(), m.values, nodes); m.root != want {
		t.Fatalf("root %+v of %d rows, want %+v", m.root, len(m.values), want)
	}
	if !maps.Equal(nodes, m.nodes) {
		t.Fatalf("stored branches differ: %s", cmp.Diff(nodes, m.nodes))
	}
}

// genKey draws keys that collide and share prefixes of all lengths.
func genKey() *rapid.Generator[Key] {
	return rapid.Custom(func(t *rapid.T) Key {
		var k Key
		k[0] = rapid.SampledFrom([]byte{0, 1, 2, 0x30, 0x80, 0xff}).Draw(t, "family")
		k[1] = rapid.SampledFrom([]byte{0, 1, 0xff}).Draw(t, "id")
		k[16] = rapid.ByteRange(0, 2).Draw(t, "id end")
		k[24] = rapid.SampledFrom([]byte{0, 3, 0x10, 0x80}).Draw(t, "number")
		k[32] = rapid.SampledFrom([]byte{0, 1, 2, 3, 0x80, 0xff}).Draw(t, "end")
		return k
	})
}

func genValue() *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.ByteRange(0, 2), 1, 2)
}

// genChanges draws the changes of one block.
func genChanges() *rapid.Generator[[]Change] {
	return rapid.Custom(func(t *rapid.T) []Change {
		keys := rapid.SliceOfNDistinct(genKey(), 0, 30, rapid.ID[Key]).Draw(t, "keys")
		var changes []Change
		for _, k := range keys {
			c := Change{Key: k}
			if rapid.IntRange(0, 2).Draw(t, "delete") > 0 {
				c.Value = genValue().Draw(t, "value")
			}
			changes = append(changes, c)
		}
		return changes
	})
}

// TestUpdateIsCanonical applies random blocks and rebuilds the trie from the
// resulting set of rows after each.
func TestUpdateIsCanonical(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemTrie()
		for _, changes := range rapid.SliceOfN(genChanges(), 1, 8).Draw(rt, "blocks") {
			m.update(t, changes...)
			m.checkCanonical(t)
		}
		var all []Change
		for k := range m.values {
			all = append(all, Change{Key: k})
		}
		m.update(t, all...)
		if !m.root.IsEmpty() || len(m.nodes) != 0 || m.root.RootHash() != EmptyRoot {
			t.Fatalf("after deleting everything: root %v, %d branches", m.root, len(m.nodes))
		}
	})
}

// TestUpdateOrderAndBatching builds one set of rows in many ways.
func TestUpdateOrderAndBatching(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfNDistinct(genKey(), 1, 40, rapid.ID[Key]).Draw(rt, "keys")
		extra := rapid.SliceOfNDistinct(genKey(), 0, 20, rapid.ID[Key]).Draw(rt, "put and deleted")
		atOnce := newMemTrie()
		var changes []Change
		for _, k := range keys {
			changes = append(changes, Change{k, k[:]})
		}
		atOnce.update(t, changes...)
		step := newMemTrie()
		for _, k := range extra {
			step.update(t, Change{k, []byte("for a while")})
		}
		for len(changes) > 0 {
			n := rapid.IntRange(1, len(changes)).Draw(rt, "batch")
			step.update(t, changes[:n]...)
			changes = changes[n:]
		}
		for _, k := range extra {
			if !slices.Contains(keys, k) {
				step.update(t, Change{Key: k})
			}
		}
		if step.root != atOnce.root || !maps.Equal(step.nodes, atOnce.nodes) {
			t.Fatalf("roots %v and %v", step.root, atOnce.root)
		}
	})
}

// TestUpdateLarge checks a trie of random keys against the definition.
func TestUpdateLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := newMemTrie()
	for block := range 6 {
		var changes []Change
		for k := range m.values {
			if r.IntN(5) == 0 {
				changes = append(changes, Change{Key: k})
			} else if r.IntN(3) == 0 {
				changes = append(changes, Change{k, []byte{byte(block)}})
			}
		}
		for range 2_000 {
			changes = append(changes, Change{randomKey(r), []byte{byte(block)}})
		}
		m.update(t, changes...)
		m.checkCanonical(t)
	}
}

func randomKey(r *rand.Rand) Key {
	var k Key
	for i := 0; i < 32; i += 8 {
		binary.BigEndian.PutUint64(k[i:], r.Uint64())
	}
	k[32] = byte(r.Uint64())
	return k
}

func TestUpdateNothing(t *testing.T) {
	m := newMemTrie()
	m.update(t)
	m.update(t, Change{Key: Key{1}})
	m.update(t, Change{Key{1}, []byte("a")}, Change{Key{2}, []byte("b")})
	before := m.root
	for _, changes := range [][]Change{
		nil,
		{{Key{1}, []byte("a")}, {Key{2}, []byte("b")}},
		{{Key: Key{3}}, {Key: Key{0x81}}},
	} {
		root, writes, err := Update(m, m.root, changes)
		if err != nil || root != before || len(writes) != 0 {
			t.Errorf("%v: root %v, %d writes, %v", changes, root, len(writes), err)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	m := newMemTrie()
	value := []byte("v")
	for name, c := range map[string]struct {
		changes []Change
		want    error
	}{
		"order":     {[]Change{{Key{2}, value}, {Key{1}, value}}, ErrChangesOrder},
		"twice":     {[]Change{{Key{2}, value}, {Key{2}, nil}}, ErrChangesOrder},
		"empty":     {[]Change{{Key{2}, []byte{}}}, ErrValueSize},
		"too large": {[]Change{{Key{2}, make([]byte, MaxValueSize+1)}}, ErrValueSize},
		"largest":   {[]Change{{Key{2}, make([]byte, MaxValueSize)}}, nil},
	} {
		if _, _, err := Update(m, m.root, c.changes); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestCorruptStore tries stored branches that no trie has.
func TestCorruptStore(t *testing.T) {
	good := func() *memTrie {
		m := newMemTrie()
		m.update(t, Change{Key{0x00}, []byte("a")}, Change{Key{0x40}, []byte("b")}, Change{Key{0x80}, []byte("c")})
		return m
	}
	top := good().root.ID()
	for name, c := range map[string]struct {
		spoil func(m *memTrie)
		want  error
	}{
		"missing": {func(m *memTrie) { clear(m.nodes) }, errNoRow},
		"swapped": {func(m *memTrie) { n := m.nodes[top]; m.nodes[top] = Node{n.Right, n.Left} }, ErrCorrupt},
		"loop":    {func(m *memTrie) { m.nodes[top] = Node{m.root, m.nodes[top].Right} }, ErrCorrupt},
		"same side": {func(m *memTrie) {
			n := m.nodes[top]
			m.nodes[top] = Node{n.Left, n.Left}
		}, ErrCorrupt},
	} {
		m := good()
		c.spoil(m)
		if _, _, err := Update(m, m.root, []Change{{Key{0x01}, []byte("x")}, {Key{0x81}, []byte("x")}}); !errors.Is(err, c.want) {
			t.Errorf("%s: update: %v", name, err)
		}
		if _, err := Prove(m, m, m.root, GetQuery(Key{0x40})); !errors.Is(err, c.want) {
			t.Errorf("%s: prove: %v", name, err)
		}
		if _, err := Prove(m, m, m.root, PredecessorQuery(Key{}, Key{0x41})); !errors.Is(err, c.want) {
			t.Errorf("%s: prove predecessor: %v", name, err)
		}
	}
}

func TestRefEncoding(t *testing.T) {
	m := newMemTrie()
	m.update(t, Change{Key{0x80}, []byte("a")}, Change{Key{0x81}, []byte("b")}, Change{Key{7}, []byte("c")})
	for _, n := range m.nodes {
		b := EncodeNode(n)
		if got, err := DecodeNode(b); err != nil || got != n || len(b) != NodeSize {
			t.Fatalf("%v: %v, %v", n, got, err)
		}
	}
	for _, ref := range []Ref{{}, m.root, {KeyBits, Key{1}, Hash{1}}, {MaxDepth, Key{}, Hash{1}}} {
		b, err := ref.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseRef(b); err != nil || got != ref || len(b) != RefSize {
			t.Fatalf("%v: %v, %v", ref, got, err)
		}
	}
	encode := func(r Ref) []byte { b, _ := r.MarshalBinary(); return b }
	for name, b := range map[string][]byte{
		"short":          make([]byte, RefSize-1),
		"long":           make([]byte, RefSize+1),
		"depth":          encode(Ref{KeyBits + 1, Key{1}, Hash{1}}),
		"prefix":         encode(Ref{8, Key{1, 1}, Hash{1}}),
		"prefix at 0":    encode(Ref{0, Key{0x80}, Hash{1}}),
		"no hash":        encode(Ref{KeyBits, Key{1}, Hash{}}),
		"no hash, depth": encode(Ref{1, Key{}, Hash{}}),
	} {
		if _, err := ParseRef(b); !errors.Is(err, ErrMalformedRef) {
			t.Errorf("%s: %v", name, err)
		}
	}
	leaf := encode(Ref{KeyBits, Key{1}, Hash{1}})
	empty := encode(Ref{})
	for name, b := range map[string][]byte{
		"short": leaf, "long": make([]byte, NodeSize+1),
		"left": slices.Concat(empty, leaf), "right": slices.Concat(leaf, empty),
		"bad left": slices.Concat(encode(Ref{1, Key{}, Hash{}}), leaf), "bad right": slices.Concat(leaf, encode(Ref{1, Key{}, Hash{}})),
	} {
		if _, err := DecodeNode(b); !errors.Is(err, ErrMalformedNode) {
			t.Errorf("node, %s: %v", name, err)
		}
	}
}

// TestKeyBits compares the fast operations on keys with bit by bit ones.
func TestKeyBits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := genKey().Draw(rt, "a"), genKey().Draw(rt, "b")
		if got, want := a.compare(&b), bytes.Compare(a[:], b[:]); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
			t.Fatalf("compare %s %s = %d", a, b, got)
		}
		depth := uint16(rapid.IntRange(0, KeyBits).Draw(rt, "depth"))
		first, last := a.prefix(depth), a.last(depth)
		different := uint16(KeyBits)
		for i := uint16(KeyBits); i > 0; i-- {
			bit := i - 1
			if a.bit(bit) != b.bit(bit) {
				different = bit
			}
			if bit < depth && (first.bit(bit) != a.bit(bit) || last.bit(bit) != a.bit(bit)) {
				t.Fatalf("%s at %d: prefix %s, last %s", a, depth, first, last)
			}
			if bit >= depth && (first.bit(bit) != 0 || last.bit(bit) != 1) {
				t.Fatalf("%s at %d: prefix %s, last %s", a, depth, first, last)
			}
		}
		if got := a.firstDifference(&b); got != different {
			t.Fatalf("%s %s differ at %d, not %d", a, b, different, got)
		}
		if depth < KeyBits {
			one := first.child(depth, 1)
			if first.child(depth, 0) != first || one.bit(depth) != 1 || one.firstDifference(&first) != depth {
				t.Fatalf("children of %s at %d", a, depth)
			}
		}
	})
}

func FuzzDecodeNode(f *testing.F) {
	leaf, _ := Ref{KeyBits, Key{1}, Hash{1}}.MarshalBinary()
	branch, _ := Ref{9, Key{0x55, 0x80}, Hash{2}}.MarshalBinary()
	f.Add(slices.Concat(leaf, branch))
	f.Add(slices.Concat(branch, make([]byte, RefSize)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := DecodeNode(b)
		if err == nil && !bytes.Equal(EncodeNode(n), b) {
			t.Fatalf("%x re-encodes as %x", b, EncodeNode(n))
		}
	})
}

// FuzzHashText: a text that is read as a hash is the only one of it.
func FuzzHashText(f *testing.F) {
	f.Add(EmptyRoot.String())
	f.Add(strings.ToUpper(EmptyRoot.String()))
	f.Fuzz(func(t *testing.T, text string) {
		var h Hash
		if err := h.UnmarshalText([]byte(text)); err == nil && h.String() != text {
			t.Fatalf("%q is written as %s", text, h)
		}
	})
}
