package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// fakeLedger answers about one stream.
type fakeLedger struct {
	ledgerClient
	info       client.StreamInfo
	statements []client.Statement
}

func (f fakeLedger) Stream(context.Context, crypto.ID) (client.StreamInfo, error) { return f.info, nil }

// Statements gives out one statement a page.
func (f fakeLedger) Statements(_ context.Context, _ crypto.ID, from uint64, _ int) ([]client.Statement, uint64, error) {
	for i, s := range f.statements {
		if s.Last >= from {
			next := uint64(0)
			if i+1 < len(f.statements) {
				next = f.statements[i+1].First
			}
			return []client.Statement{s}, next, nil
		}
	}
	return nil, 0, nil
}

func fakeStatement(t *testing.T, first uint64, contents ...string) client.Statement {
	t.Helper()
	s := ledger.Statement{Device: crypto.ID{1}, Stream: crypto.ID{2}, First: first, Media: ledger.Media{Format: 42}}
	for _, c := range contents {
		s.Readings = append(s.Readings, ledger.Reading{Content: []byte(c)})
	}
	signed, err := ledger.SignStatement(crypto.KeyFromSeed([32]byte{3}), s)
	if err != nil {
		t.Fatal(err)
	}
	return client.Statement{First: first, Last: signed.Last(), Bytes: signed.Bytes()}
}

func TestExport(t *testing.T) {
	one, two, three := fakeStatement(t, 1, "a\r\n", ""), fakeStatement(t, 3, "b"), fakeStatement(t, 4, "c\n")
	for _, c := range []struct {
		name   string
		ledger fakeLedger
		want   string
		reason string
		gaps   bool
	}{
		{"whole", fakeLedger{info: client.StreamInfo{Mark: 4}, statements: []client.Statement{one, two, three}}, "a\r\nbc\n", "", false},
		{"empty", fakeLedger{}, "", "", false},
		{"open gaps", fakeLedger{info: client.StreamInfo{Mark: 9, GapCount: 2, Gaps: []client.Gap{{First: 3, Last: 3}, {First: 5, Last: 7}}}}, "", "3, 5 to 7", true},
		{"node leaves one out", fakeLedger{info: client.StreamInfo{Mark: 4}, statements: []client.Statement{one, three}}, "", "3 to 3", true},
		{"node leaves the end out", fakeLedger{info: client.StreamInfo{Mark: 4}, statements: []client.Statement{one, two}}, "", "no readings 4 to 4", false},
		{"not a statement", fakeLedger{info: client.StreamInfo{Mark: 1}, statements: []client.Statement{{First: 1, Last: 1, Bytes: []byte("x")}}}, "", "log entry 0", false},
	} {
		var out bytes.Buffer
		err := export(context.Background(), c.ledger, crypto.ID{2}, &out)
		if c.reason == "" {
			if err != nil || out.String() != c.want {
				t.Errorf("%s: %q, %v", c.name, out.String(), err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.reason) || errors.Is(err, errGaps) != c.gaps {
			t.Errorf("%s: error %v, want %q", c.name, err, c.reason)
		}
		if out.Len() != 0 {
			t.Errorf("%s: wrote %q before it was refused", c.name, out.String())
		}
	}
}

func TestGapText(t *testing.T) {
	var many []client.Gap
	for i := range uint64(12) {
		many = append(many, client.Gap{First: 2 * i, Last: 2 * i})
	}
	if got := gapText(many); !strings.HasSuffix(got, "18, and 2 more gaps") {
		t.Errorf("gapText: %q", got)
	}
}
