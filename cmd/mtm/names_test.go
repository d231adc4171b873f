package main

import (
	"os"
	"strings"
	"testing"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestNamesAreProven: the name of an organisation becomes the id that the records prove, not
// the one that the node says.
func TestNamesAreProven(t *testing.T) {
	n := newLyingNode(t)
	stream := crypto.ID{8}
	n.organisation("Works A", "a", 0)
	b := n.organisation("Works B", "b", 0)
	n.organisation("Works B", "b", 7) // its second row
	twins := []string{n.organisation("Twin", "c", 0).String(), n.organisation("Twin", "d", 3).String()}
	args := func(to string) []string {
		return []string{"grant", "give", "--stream", stream.String(), "--to", to, "--as", crypto.ID{5}.String(), "--key", n.file("key.pem"), "--save-body", n.file("saved")}
	}
	must(t, crypto.SaveKey(n.file("key.pem"), lyingKey("a")))
	grantee := func(to string) crypto.ID {
		t.Helper()
		n.accepted("grant", args(to)...)
		raw, err := os.ReadFile(n.file("saved"))
		must(t, err)
		body, err := ledger.ParseBody(raw)
		must(t, err)
		return body.(ledger.Grant).Grantee
	}
	for n.page = range 6 {
		if n.page == 0 {
			continue // a page has a row at least
		}
		if got := grantee("Works B"); got != b {
			t.Errorf("pages of %d: %s, want %s", n.page, got, b)
		}
	}
	n.page = 1000
	// An id is taken as it is: nobody is asked.
	n.another = func(*client.AnswerRequest) { t.Error("the node was asked") }
	if got := grantee(crypto.ID{0x77}.String()); got != (crypto.ID{0x77}) {
		t.Errorf("an id became %s", got)
	}
	n.another = nil
	if code, _, stderr := n.mtm(args("Twin")...); code != exitFailed || !strings.Contains(stderr, `2 organisations have the name "Twin"`) ||
		!strings.Contains(stderr, twins[0]) || !strings.Contains(stderr, twins[1]) {
		t.Errorf("an ambiguous name: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := n.mtm(args("Works C")...); code != exitFailed || !strings.Contains(stderr, "unknown_organisation") {
		t.Errorf("an unknown name: exit code %d, %s", code, stderr)
	}
	n.refused([]lie{
		{"another list", args("Works B"), instead(proof.ListQuery(record.FamilyRange(record.FamilyDevice))), nil},
		{"a list without its beginning", args("Works B"), func(q *client.AnswerRequest) { q.Questions[0].Lo = record.OrganisationRow(b, 7) }, nil},
		{"nothing", args("Works B"), nil, first(0)},
	})
	// What is asked about takes names in the same way.
	n.rows[record.OrganisationStreamRow(b, stream)] = record.Spans{{From: 2}}.Encode()
	n.accepted(stream.String(), "query", "streams", "--org", "Works B", "--out", n.file("streams.mtmanswer"))
	if _, err := os.Stat(n.file("streams.mtmanswer.2")); err == nil {
		t.Error("the answer about names is kept with those of the question")
	}
	if code, _, stderr := n.mtm("query", "streams", "--org", "Twin"); code != exitFailed || !strings.Contains(stderr, twins[1]) {
		t.Errorf("an ambiguous name: exit code %d, %s", code, stderr)
	}
}

// TestAnotherLedger: nothing is signed for a ledger that is not the trust root's.
func TestAnotherLedger(t *testing.T) {
	n := newLyingNode(t)
	root := n.root()
	root.Chain = "mine"
	must(t, os.WriteFile(n.file("trust.json"), root.Encode(), 0o600))
	code, _, stderr := n.mtm("stream", "close", "--stream", crypto.ID{8}.String(), "--as", crypto.ID{5}.String(), "--key", n.key("a"), "--save-body", n.file("saved"))
	if code != exitFailed || !strings.Contains(stderr, "the node is of ledger lying, ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
