package proof

import (
	"fmt"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// BenchmarkList verifies one answer with a list of so many devices, of an
// organisation that has more in the last case, and reports the file's size.
func BenchmarkList(b *testing.B) {
	for _, size := range []struct{ rows, of int }{{10, 10}, {1_000, 1_000}, {1_000, 100_000}} {
		b.Run(fmt.Sprintf("%d of %d", size.rows, size.of), func(b *testing.B) {
			w := newWorld(b)
			w.addDevices(size.of)
			lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
			if keys := sortedKeys(w.rows, lo, hi); size.rows < len(keys) {
				lo, hi = keys[5_000], keys[5_000+size.rows-1]
			}
			w.cover, w.places, w.queries = nil, nil, []Query{ListQuery(lo, hi)}
			benchmarkAnswer(b, w, size.rows)
		})
	}
}

// BenchmarkCover verifies a cover of so many statements of one 40-byte reading,
// every tenth of the log and each in a block of its own.
func BenchmarkCover(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			w.stretch(n)
			benchmarkAnswer(b, w, n)
		})
	}
}

// stretch makes the log ten times as long as n, with n statements in n blocks.
func (w *world) stretch(n int) {
	device := ledger.DeviceID(w.device.Public())
	setKey(w.fixture, 1, 0)
	delete(w.rows, record.GapRow(w.stream, 11))
	w.rows[record.StreamRow(w.stream)] = record.StreamHead{Device: device, Mark: uint64(n)}.Encode()
	w.entries, w.places, w.queries = nil, nil, nil
	w.cover = &Claim{w.stream, 1, uint64(n)}
	for i := range n {
		w.sign(uint64(i+1), "a reading of exactly forty bytes no more")
		for j := range 10 {
			w.entries = append(w.entries, fmt.Appendf(nil, "entry %d %d", i, j))
		}
		index, height := uint64(10*i+3), uint64(i+1)
		w.entries[index] = w.statement.Bytes()
		w.addBlock(height, uint64(10*i), 10)
		w.places = append(w.places, place{index, height})
	}
	w.header = w.headerAt(uint64(n + 2))
}

func benchmarkAnswer(b *testing.B, w *world, items int) {
	file, root := w.answer().Encode(), w.root()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyAnswer(file, root); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(file)), "file-bytes")
	b.ReportMetric(float64(len(file))/float64(items), "bytes/item")
}

// TestAnswerLimits encodes answers at each limit, which are parsed, and one
// beyond, which are not. They prove nothing.
func TestAnswerLimits(t *testing.T) {
	tests := []struct {
		name string
		max  int
		set  func(a *Answer, n int)
	}{
		{"queries", MaxQueries, func(a *Answer, n int) { a.Queries = slices.Repeat([]Query{RowQuery(merkle.Key{})}, n) }},
		{"entries", MaxEntries, func(a *Answer, n int) { a.Entries = make([]AnswerEntry, n) }},
		{"entry", ledger.MaxEvidence, func(a *Answer, n int) { a.Entries = []AnswerEntry{{Bytes: make([]byte, n)}} }},
		{"log path", MaxAnswerPath, func(a *Answer, n int) { a.LogPath = make([]merkle.Hash, n) }},
		{"records", merkle.MaxPartialSize, func(a *Answer, n int) { a.Records = make([]byte, n) }},
		{"steps", MaxPathSteps, func(a *Answer, n int) {
			a.Path = make([]PathStep, n)
			for i := range a.Path {
				a.Path[i].Light = parseable()
			}
		}},
	}
	for _, tt := range tests {
		for n, want := range map[int]bool{tt.max: true, tt.max + 1: false} {
			a := &Answer{Light: parseable()}
			tt.set(a, n)
			if _, err := ParseAnswer(a.Encode()); (err == nil) != want {
				t.Errorf("%s %d: %v", tt.name, n, err)
			}
		}
	}
	for n, want := range map[int]Check{MaxAnswer: CheckChecksum, MaxAnswer + 1: CheckShape} {
		file := append(append([]byte{}, answerFrame.magic...), answerForm)
		if got := answerFails(t, append(file, make([]byte, n-len(file))...), newWorld(t).root()); got != want {
			t.Errorf("a file of %d bytes: %s", n, got)
		}
	}
}

// TestAnswerRowLimits: a list has at most MaxRows rows, all queries MaxAnswerRows.
func TestAnswerRowLimits(t *testing.T) {
	tests := []struct {
		devices, times int
		want           Check
	}{{MaxRows, 1, ""}, {MaxRows + 1, 1, CheckRecords}, {MaxAnswerRows / 16, 16, ""}, {MaxAnswerRows/16 + 1, 16, CheckRecords}}
	for _, tt := range tests {
		w := newWorld(t)
		w.addDevices(tt.devices)
		w.cover, w.places = nil, nil
		w.queries = slices.Repeat([]Query{childrenQuery(record.FamilyOrganisationDevice, w.org)}, tt.times)
		if got := answerFails(t, w.answer().Encode(), w.root()); got != tt.want {
			t.Errorf("%d devices %d times: check %q", tt.devices, tt.times, got)
		}
	}
}

// ExampleVerifyAnswer asks which devices an organisation has, in a state that
// four validators signed.
func ExampleVerifyAnswer() {
	w := newWorld(&testing.T{})
	w.cover, w.places = nil, nil
	file, root := w.answer().Encode(), w.root() // from a node, and pinned before
	answer, err := VerifyAnswer(file, root)
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	rows, err := answer.Of(record.FamilyOrganisationDevice, w.org)
	fmt.Println(len(rows), "devices at height", answer.AsOfHeight, err)
	_, found, err := answer.Get(record.StreamRow(crypto.ID{1}))
	fmt.Println("a stream that is not there:", found, err)
	// Output:
	// 5 devices at height 6 <nil>
	// a stream that is not there: false <nil>
}
