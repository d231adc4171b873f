package spool

import (
	"bytes"
	"slices"
	"testing"
)

func TestMarks(t *testing.T) {
	many := make([]uint64, 3*maxRuns)
	for i := range many {
		many[i] = uint64(2*i + 1)
	}
	for _, want := range [][]uint64{{1}, {1, 2, 3}, {5, 6, 9, 1 << 40, 1<<40 + 1}, {maxSeq}, many} {
		var got []uint64
		b := appendMarks(nil, Duplicate, slices.Clone(want))
		for len(b) > 0 {
			kind, body, rest, err := nextFrame(b)
			if err != nil || kind != kindMarks {
				t.Fatalf("frame: %d, %v", kind, err)
			}
			err = parseMarks(body, func(o Outcome, first, count uint64) error {
				for i := range count {
					got = append(got, first+i)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b = rest
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// FuzzFrame: what parses, re-encodes identically (marks apart, whose uvarints may
// be longer than needed), and nothing panics.
func FuzzFrame(f *testing.F) {
	f.Add(appendHeader(nil, header{segment: 1, next: 2}))
	f.Add(appendEntry(nil, kindEntry, Entry{Seq: 1, Time: 2, Topic: "t", Payload: []byte("p")}))
	f.Add(appendMarks(nil, Committed, []uint64{1, 2, 5}))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, body, rest, err := nextFrame(data)
		if err != nil {
			// Reach the parsers behind the checksum too.
			kind, body, rest = kindEntry, data, nil
		}
		used := data[:len(data)-len(rest)]
		switch kind {
		case kindHeader:
			if h, perr := parseHeader(body); perr == nil && !bytes.Equal(appendHeader(nil, h), used) {
				t.Fatal("header differs")
			}
		case kindEntry, kindCopy:
			if e, perr := parseEntry(body); perr == nil && err == nil && !bytes.Equal(appendEntry(nil, kind, e), used) {
				t.Fatal("entry differs")
			}
		}
		parseMarks(body, func(_ Outcome, _, _ uint64) error { return nil })
	})
}
