package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// TestRecency: an answer about the past is refused when a recent one is demanded, and warned
// of otherwise, on standard error alone.
func TestRecency(t *testing.T) {
	n := newLyingNode(t)
	a := n.organisation("Works A", "a", 0)
	n.rows[record.MembersRow(0)] = record.Members{Organisations: []crypto.ID{a}}.Encode()
	n.rows[record.AdminsRow(a, 0)] = record.Admins{Keys: []crypto.KeyID{lyingKey("a").Public().KeyID()}}.Encode()
	n.rows[record.ValidatorSetRow(0)] = record.ValidatorSet{}.Encode()
	stream, _ := n.stream("press", "x")
	n.rows[record.ProposalRow(crypto.ID{1})] = record.Proposal{Expires: 4_000_000_000, Body: ledger.EncodeBody(ledger.Remove{Organisation: a})}.Encode()
	for _, args := range [][]string{
		{"query", "organisations"}, {"query", "cover", "--stream", stream.String(), "--first", "1", "--last", "1"}, {"query", "entries", "--index", "1"},
		{"query", "streams", "--org", "Works A"}, {"query", "lineage", "--stream", stream.String(), "--number", "1"},
		{"query", "cover", "--stream", stream.String(), "--from-time", "1970-01-01T00:00:00Z", "--to-time", "2027-01-01T00:00:00Z"},
		{"vote", "list"}, {"vote", "show", "--proposal", crypto.ID{1}.String()}, {"org", "show"}, {"validator", "status"},
	} {
		name := strings.Join(args[:2], " ")
		n.signed = time.Now().Add(-2 * time.Minute)
		if _, stderr := n.accepted("", args...); stderr != "" {
			t.Errorf("%s: two minutes old: %s", name, stderr)
		}
		n.signed = time.Now().Add(-3 * time.Hour)
		for _, asJSON := range []bool{false, true} {
			stdout, stderr := n.accepted("", append(args, map[bool][]string{true: {"--json"}}[asJSON]...)...)
			if strings.Count(stderr, "warning: true as of height 20, signed 3h0m0s ago") != 1 || strings.Count(stderr, "\n") != 1 || strings.Contains(stdout, "warning") ||
				json.Valid([]byte(stdout)) != asJSON {
				t.Errorf("%s: three hours old: %s%s", name, stdout, stderr)
			}
		}
		if _, stderr := n.accepted("", append(args, "--max-age", "4h", "--min-height", "20")...); stderr != "" {
			t.Errorf("%s: not older than demanded: %s", name, stderr)
		}
		for _, demand := range [][]string{{"--max-age", "2h"}, {"--min-height", "21"}} {
			code, stdout, stderr := n.mtm(append(args, demand...)...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, "the node's answer is refused: fresh: ") {
				t.Errorf("%s %v: exit code %d, %s%s", name, demand, code, stdout, stderr)
			}
		}
		if code, _, _ := n.mtm(append(args, "--max-age", "-1h")...); code != exitUsage {
			t.Errorf("%s: a negative age: exit code %d", name, code)
		}
	}
}
