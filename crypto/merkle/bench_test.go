package merkle

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// benchTrie is a trie of random-looking rows made once for all benchmarks.
func benchTrie(b testing.TB, rows int) (*memTrie, []Key) {
	b.Helper()
	r := rand.New(rand.NewPCG(9, 10))
	m := &memTrie{nodes: make(map[NodeID]Node, rows), values: make(map[Key][]byte, rows)}
	keys := make([]Key, rows)
	changes := make([]Change, rows)
	for i := range keys {
		keys[i] = randomKey(r)
		value := make([]byte, 40)
		binary.BigEndian.PutUint64(value, uint64(i))
		changes[i] = Change{keys[i], value}
	}
	m.update(b, changes...)
	for i := range changes {
		keys[i] = changes[i].Key
	}
	return m, keys
}

// recorder records the branches that an update reads.
type recorder struct {
	nodes NodeReader
	read  []Node
}

func (r *recorder) Node(id NodeID) (Node, error) {
	n, err := r.nodes.Node(id)
	r.read = append(r.read, n)
	return n, err
}

// replayer returns recorded branches in their order, at almost no cost: what is
// left to measure is the update itself.
type replayer struct {
	read []Node
	next int
}

func (r *replayer) Node(NodeID) (Node, error) {
	r.next++
	return r.read[r.next-1], nil
}

// cpuTime returns the processor time of this process, collector included, which
// unlike the wall's does not depend on what else the machine does.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUpdate changes 25,000 of many rows.
func BenchmarkUpdate(b *testing.B) {
	const changed = 25_000
	for name, rows := range map[string]int{"rows=100k": 100_000, "rows=1M": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			m, keys := benchTrie(b, rows)
			var changes []Change
			for i := range changed {
				changes = append(changes, Change{keys[i*(rows/changed)], []byte("another value of about forty bytes .....")})
			}
			before := m.root
			record := &recorder{nodes: m}
			root, writes, err := Update(record, m.root, changes)
			if err != nil {
				b.Fatal(err)
			}
			m, keys = nil, nil
			runtime.GC()
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				again, _, err := Update(&replayer{read: record.read}, before, changes)
				if err != nil || again != root {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/changed/float64(b.N), "cpu-ns/leaf")
			b.ReportMetric(float64(len(record.read))/changed, "reads/leaf")
			b.ReportMetric(float64(len(writes))/changed, "writes/leaf")
		})
	}
}

// BenchmarkProve makes and checks a proof of one row of a million, and one of a
// row and two predecessors in other families, and reports their size.
func BenchmarkProve(b *testing.B) {
	m, keys := benchTrie(b, 1_000_000)
	r := rand.New(rand.NewPCG(11, 12))
	pick := func() Key { return keys[r.IntN(len(keys))] }
	for name, queries := range map[string]func() []Query{
		"get":   func() []Query { return []Query{GetQuery(pick())} },
		"three": func() []Query { return threeQueries(pick(), pick(), pick()) },
	} {
		b.Run(name, func(b *testing.B) {
			size, count := 0, 0
			for b.Loop() {
				proof, err := Prove(m, m, m.root, queries()...)
				if err != nil {
					b.Fatal(err)
				}
				size, count = size+len(proof), count+1
			}
			b.ReportMetric(float64(size)/float64(count), "bytes")
		})
	}
	proof, err := Prove(m, m, m.root, threeQueries(keys[1], keys[500_000], keys[999_999])...)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse three", func(b *testing.B) {
		for b.Loop() {
			if p, err := ParsePartial(proof); err != nil || p.Root() != m.root.Hash {
				b.Fatal(err)
			}
		}
	})
}

// threeQueries is what a certificate asks: a row, and two predecessors.
func threeQueries(a, b, c Key) []Query {
	return []Query{GetQuery(a), PredecessorQuery(b.prefix(136), b), PredecessorQuery(c.prefix(136), c)}
}

// ledgerTrie has the rows of a ledger of so many devices, one key, owner, stream
// and gap row for each device, and blocks.
func ledgerTrie(t testing.TB, devices, blocks int) (m *memTrie, device func() Key) {
	r := rand.New(rand.NewPCG(13, 14))
	m = newMemTrie()
	var changes []Change
	var ids []Key
	value := make([]byte, 45)
	for range devices {
		id := randomKey(r)
		ids = append(ids, id)
		for _, family := range []byte{0x03, 0x11, 0x20, 0x21, 0x30, 0x31, 0x32, 0x33} {
			k := id
			k[0] = family
			if family == 0x31 || family == 0x20 || family == 0x30 {
				k = k.prefix(136)
			}
			k[24] |= 1
			changes = append(changes, Change{k, value})
		}
	}
	for h := range blocks {
		changes = append(changes, Change{blockKey(uint64(h + 1)), value})
	}
	m.update(t, changes...)
	return m, func() Key { return ids[r.IntN(len(ids))] }
}

func blockKey(height uint64) Key {
	k := Key{0: 0x02}
	binary.BigEndian.PutUint64(k[17:], height)
	return k
}

// maxCertificateRows is the room for the records in a certificate of 4 KB about
// a ledger of 10,000 devices.
const maxCertificateRows = 2_100

// TestProofSizes checks that the rows of a certificate fit into it.
func TestProofSizes(t *testing.T) {
	if _, _, most := measureProofs(t, 10_000, 20_000); most > maxCertificateRows {
		t.Errorf("proof of %d bytes, want at most %d", most, maxCertificateRows)
	}
}

// BenchmarkProofSizes measures proofs in a million rows.
func BenchmarkProofSizes(b *testing.B) {
	get, three, most := measureProofs(b, 100_000, 200_000)
	for b.Loop() { // the figures are the same each time
	}
	b.ReportMetric(float64(get), "get-bytes")
	b.ReportMetric(float64(three), "three-bytes")
	b.ReportMetric(float64(most), "three-most-bytes")
}

// measureProofs returns the mean size of proofs of one row, and the mean and the
// greatest of a row and two predecessors, as a certificate has them.
func measureProofs(t testing.TB, devices, blocks int) (get, three, most int) {
	m, device := ledgerTrie(t, devices, blocks)
	const samples = 300
	for i := range samples {
		id := device()
		key, owner, now := id, id.prefix(136), id.prefix(136)
		key[0], key[24], owner[0], now[0] = 0x11, key[24]|1, 0x31, 0x31
		binary.BigEndian.PutUint64(now[17:], 1<<62)
		block := blockKey(uint64(1 + i*blocks/samples))
		_, b := m.prove(t, GetQuery(key))
		get += len(b)
		p, b := m.prove(t, GetQuery(key), PredecessorQuery(owner, now), PredecessorQuery(blockKey(0), block))
		if _, _, found, err := p.Predecessor(owner, now); err != nil || !found {
			t.Fatalf("owner: %v, %v", found, err)
		}
		three, most = three+len(b), max(most, len(b))
	}
	get, three = get/samples, three/samples
	t.Logf("%d rows: one row %d bytes, with two predecessors %d, at most %d", len(m.values), get, three, most)
	return get, three, most
}
