package state

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// TestKeyList: keys in any order, asked for at any time, are those that are in the range.
func TestKeyList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	key := func() (k merkle.Key) {
		k[rng.IntN(len(k))] = byte(rng.IntN(4))
		k[rng.IntN(len(k))] = byte(rng.IntN(256))
		return k
	}
	for range 50 {
		var l keyList
		var all []merkle.Key
		for range 100 {
			for range rng.IntN(6) {
				if k := key(); !slices.Contains(all, k) {
					all = append(all, k)
					l.add(k)
				}
			}
			lo, hi := key(), key()
			want := slices.DeleteFunc(slices.Clone(all), func(k merkle.Key) bool { return compareKeys(k, lo) < 0 || compareKeys(k, hi) > 0 })
			slices.SortFunc(want, compareKeys)
			if got := l.upTo(lo, hi); !slices.Equal(got, want) {
				t.Fatalf("%x to %x: %x, want %x", lo, hi, got, want)
			}
		}
	}
}

// TestPutMovesNothing: rows of one family and id are not put in order as they come, but
// once, when somebody asks. A block of manifests has 20,000 of them, in random order.
func TestPutMovesNothing(t *testing.T) {
	v := NewView(none{}, 1)
	organisation := crypto.ID{1}
	rng := rand.New(rand.NewPCG(1, 2))
	var put []merkle.Key
	for range 20_000 {
		var device crypto.ID
		for i := range device {
			device[i] = byte(rng.Uint32())
		}
		k := record.OrganisationDeviceRow(organisation, device)
		v.put(k, []byte{1})
		v.put(k, []byte{2}) // again: no other key
		put = append(put, k)
	}
	list := v.groups[groupOf(put[0])]
	if len(list.sorted) != 0 || !slices.Equal(list.added, put) {
		t.Errorf("%d keys were put in order, %d not, of %d", len(list.sorted), len(list.added), len(put))
	}
	slices.SortFunc(put, compareKeys)
	lo, hi := record.Range(record.FamilyOrganisationDevice, organisation)
	if k, _ := v.last(lo, hi); k != put[len(put)-1] || len(list.added) != 0 || !slices.Equal(list.sorted, put) {
		t.Errorf("the last is %x, want %x; %d keys in order, %d not", k, put[len(put)-1], len(list.sorted), len(list.added))
	}
}

// TestGapsOfABlock: what is kept of gaps that a block opened and filled are those that are
// still open, so that looking for one does not pass the others.
func TestGapsOfABlock(t *testing.T) {
	v := NewView(none{}, 1)
	id, s := crypto.ID{1}, new(stream)
	for i := range uint64(1_000) {
		v.admit(id, s, 2*i+2, 2*i+2, 1_024)
	}
	for i := range uint64(999) {
		v.admit(id, s, 2*i+3, 2*i+3, 1_024)
	}
	if s.Gaps != 1 || !slices.Equal(s.gaps.open, []gap{{1, 1}}) || len(s.gaps.gone) != 0 {
		t.Errorf("%d gaps, kept: %v and %d rows", s.Gaps, s.gaps.open, len(s.gaps.gone))
	}
}

// none is a reader without records.
type none struct{}

func (none) Get(merkle.Key) ([]byte, error) { return nil, nil }

func (none) Predecessor(_, _ merkle.Key) (merkle.Key, []byte, error) { return merkle.Key{}, nil, nil }

// BenchmarkPut is the cost of a row whose family and id has as many others as a block may
// add, in random order.
func BenchmarkPut(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := make([]merkle.Key, 80_000)
	for i := range keys {
		keys[i][0] = byte(record.FamilyOrganisationDevice)
		for j := 17; j < len(keys[i]); j++ {
			keys[i][j] = byte(rng.Uint32())
		}
	}
	value := []byte{1}
	for b.Loop() {
		v := NewView(none{}, 1)
		for _, k := range keys {
			v.put(k, value)
		}
		v.last(keys[0], keys[0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/row")
}
