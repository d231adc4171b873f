package state_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// counting is a reader that counts how often it is read.
type counting struct {
	state.Reader
	n *int
}

func (c counting) Get(k merkle.Key) ([]byte, error) {
	*c.n++
	return c.Reader.Get(k)
}

func (c counting) Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	*c.n++
	return c.Reader.Predecessor(lo, k)
}

const holes = 1_000

// holed is a chain whose stream 0 has the even numbers to 2,002: a thousand gaps of one
// number, and a second stream of the same device.
func holed(t simtest.TB) *simtest.Chain {
	c := simtest.New(t, simtest.Config{Devices: 1, Streams: 2, Verify: allValid})
	var raws [][]byte
	for i := range uint64(holes + 1) {
		raws = append(raws, c.Streams[0].At(2*i+2, 1))
	}
	c.Block(c.Batch(raws...))
	return c
}

// filled are statements that fill the gaps above number 1, in an order.
func filled(c *simtest.Chain, order string) (raws [][]byte) {
	for i := range uint64(holes) {
		raws = append(raws, c.Streams[0].At(2*i+3, 1))
	}
	switch order {
	case "down":
		slices.Reverse(raws)
	case "mixed":
		rng := rand.New(rand.NewPCG(1, 2))
		rng.Shuffle(len(raws), func(i, j int) { raws[i], raws[j] = raws[j], raws[i] })
	}
	return raws
}

// applyAll applies statements in a view of the next block, and returns their codes.
func applyAll(t simtest.TB, c *simtest.Chain, v *state.View, raws ...[]byte) (codes []ledger.Code) {
	t.Helper()
	for list := range slices.Chunk(raws, 500) {
		tx, err := ledger.ParseTransaction(c.Batch(list...))
		if err != nil {
			t.Fatalf("%v", err)
		}
		codes = append(codes, applyTo(v, c, tx, make([]ledger.Code, 1+len(list))).Codes...)
	}
	if v.Err() != nil {
		t.Fatalf("%v", v.Err())
	}
	return codes
}

// TestFilledGapsCostNothing: what a statement reads does not depend on how many gaps the
// block filled before it, whether it repeats a number or names the filled ones as input.
func TestFilledGapsCostNothing(t *testing.T) {
	derived := func(c *simtest.Chain, first uint64) []byte {
		s := c.Streams[1]
		return c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: first,
			Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(c.Streams[0], 2, 2*holes+2)}})
	}
	for _, order := range []string{"up", "down", "mixed"} {
		c := holed(t)
		reads := 0
		v := state.NewView(counting{c.Store, &reads}, c.Store.LogSize())
		for i, code := range applyAll(t, c, v, filled(c, order)...) {
			if code != ledger.CodeOK {
				t.Fatalf("%s: filling gap %d: %v", order, i, code)
			}
		}
		if reads > 3*holes {
			t.Errorf("%s: %d reads to fill %d gaps", order, reads, holes)
		}
		probes := func(what string, want ledger.Code, most int, raws ...[]byte) {
			t.Helper()
			reads = 0
			if codes := applyAll(t, c, v, raws...); slices.ContainsFunc(codes, func(code ledger.Code) bool { return code != want }) {
				t.Errorf("%s: %s: %v, want %v", order, what, codes, want)
			}
			if reads > most {
				t.Errorf("%s: %s: %d reads for %d statements, want %d", order, what, reads, len(raws), most)
			}
		}
		last := c.Streams[0].At(2*holes+1, 1)
		probes("the first repetition", ledger.CodeUsed, 2+holes, last) // passes every row that is gone, once
		probes("repetitions", ledger.CodeUsed, 2*holes, slices.Repeat([][]byte{last}, holes)...)
		probes("repetitions of each", ledger.CodeUsed, 2*holes, filled(c, order)...)
		var uses [][]byte
		for i := range uint64(100) {
			uses = append(uses, derived(c, i+1))
		}
		probes("derivations", ledger.CodeOK, 310, uses...) // the device's row too
	}
}

// TestGaps compares codes and gap rows with those of a naive stream, over blocks that open,
// cut and fill gaps, and derive from what may be one.
func TestGaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const most = 30
	c := simtest.New(t, simtest.Config{Devices: 1, Streams: 2, Verify: allValid, Parameters: ledger.GenesisParameters{OpenGaps: most}})
	s, other := c.Streams[0], c.Streams[1]
	want, next := naiveStream{used: make(map[uint64]bool)}, uint64(1)
	seen := make(map[ledger.Code]int)
	for range 40 {
		var raws [][]byte
		var codes []ledger.Code
		for range 60 {
			first := 1 + rng.Uint64N(min(want.mark(), 500)+10)
			last := first + rng.Uint64N(4)
			if rng.IntN(3) > 0 {
				raws = append(raws, s.At(first, int(last-first+1)))
				codes = append(codes, want.take(first, last, most))
				continue
			}
			raws = append(raws, c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: other.ID, First: next,
				Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{inputOf(s, first, last)}}))
			code := ledger.CodeOutOfRange
			if want.holds(first, last) {
				code = ledger.CodeOK
				next++
			}
			codes = append(codes, code)
		}
		if got := c.Block(c.Batch(raws...)).Results[0].Codes; !slices.Equal(got, codes) {
			t.Fatalf("height %d: %v, want %v", c.Height, got, codes)
		}
		for _, code := range codes {
			seen[code]++
		}
		var rows [][2]uint64
		for _, k := range c.Store.Keys() {
			if record.FamilyOf(k) == record.FamilyGap {
				value, _ := c.Store.Get(k)
				gap, err := record.ParseGap(value)
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, [2]uint64{record.NumberOf(k), gap.Last})
			}
		}
		if !slices.Equal(rows, want.gaps()) {
			t.Fatalf("height %d: gaps %v, want %v", c.Height, rows, want.gaps())
		}
	}
	for _, code := range []ledger.Code{ledger.CodeOK, ledger.CodeUsed, ledger.CodeTooManyGaps, ledger.CodeOutOfRange} {
		if seen[code] < 20 {
			t.Errorf("%v was given %d times", code, seen[code])
		}
	}
}
