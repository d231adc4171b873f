package proof

import (
	"bytes"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
)

// TestLimits encodes certificates at each limit, which are parsed, and one
// beyond, which are not. They prove nothing.
func TestLimits(t *testing.T) {
	tests := []struct {
		name string
		max  int
		set  func(c *Certificate, n int)
	}{
		{"entry", ledger.MaxStatement, func(c *Certificate, n int) { c.Entry = make([]byte, n) }},
		{"records", MaxRecords, func(c *Certificate, n int) { c.Records = make([]byte, n) }},
		{"log path", MaxLogPath, func(c *Certificate, n int) { c.LogPath = make([]merkle.Hash, n) }},
		{"signatures", MaxValidators, func(c *Certificate, n int) { c.Light.Commit.Signatures = make([]CommitSig, n) }},
		{"signature index", MaxValidators - 1, func(c *Certificate, n int) {
			c.Light.Commit.Signatures = []CommitSig{{Index: uint32(n)}}
		}},
		{"path", MaxPathSteps, func(c *Certificate, n int) {
			c.Path = make([]PathStep, n)
			for i := range c.Path {
				c.Path[i].Light = parseable()
			}
		}},
		{"validators of a step", MaxValidators, func(c *Certificate, n int) {
			c.Path = []PathStep{{Light: parseable(), Validators: make([]Validator, n)}}
		}},
	}
	for _, tt := range tests {
		for n, want := range map[int]bool{tt.max: true, tt.max + 1: false} {
			c := &Certificate{Light: parseable()}
			tt.set(c, n)
			got, err := Parse(c.Encode())
			if (err == nil) != want {
				t.Errorf("%s %d: %v", tt.name, n, err)
			}
			if err == nil && !bytes.Equal(got.Encode(), c.Encode()) {
				t.Errorf("%s %d: encodes to something else", tt.name, n)
			}
		}
	}
}

func parseable() LightBlock {
	l := LightBlock{Header: Header{Height: 1}, Commit: Commit{PartsTotal: 1}}
	l.Header.LastBlockID.PartsTotal = 1
	return l
}

// TestMaxSize makes a certificate of the greatest size, and one of a byte more.
func TestMaxSize(t *testing.T) {
	base := newFixture(t).step(5, newSigners("validator", 1), newSigners("later", 1))
	c := &Certificate{Light: parseable()}
	for len(c.Encode()) < MaxSize-100_000 {
		s := base
		s.Validators = make([]Validator, MaxValidators)
		c.Path = append(c.Path, s)
	}
	c.Entry = nil
	for _, size := range []int{MaxSize, MaxSize + 1} {
		for len(c.Encode()) != size {
			missing := size - len(c.Encode())
			if room := ledger.MaxStatement - len(c.Entry); missing > room {
				c.Records = make([]byte, min(MaxRecords, len(c.Records)+missing-room))
				continue
			}
			c.Entry = make([]byte, len(c.Entry)+missing)
		}
		_, err := Parse(c.Encode())
		if (err == nil) != (size == MaxSize) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
