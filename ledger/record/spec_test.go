package record

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSpecFamilies: the table of docs/spec/records.md lists every family.
func TestSpecFamilies(t *testing.T) {
	b, err := os.ReadFile("../../docs/spec/records.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "<!-- families -->\n")
	table, _, ok := strings.Cut(rest, "<!-- /families -->")
	if !ok {
		t.Fatal("no table of families")
	}
	rows := strings.Split(strings.TrimSpace(table), "\n")[2:]
	if len(rows) != len(families) {
		t.Errorf("%d rows for %d families", len(rows), len(families))
	}
	for i, row := range rows[:min(len(rows), len(families))] {
		f := families[i]
		if want := fmt.Sprintf("| %02x | %s | ", uint8(f.family), f.name); !strings.HasPrefix(row, want) {
			t.Errorf("row %q, want %q", row, want)
		}
		elements := topElements(row[strings.Index(row, "`[")+2:])
		if name := valueOf(f.family); int(values[name][0]&0x1f) != elements {
			t.Errorf("%s: %d elements in the page, the value has %d", f.name, elements, values[name][0]&0x1f)
		}
	}
}

// topElements counts the elements of an array, without those of arrays in it.
func topElements(text string) int {
	n, depth := 1, 0
	for _, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth == 0:
			return n
		case c == ']':
			depth--
		case c == ',' && depth == 0:
			n++
		}
	}
	return 0
}

// valueOf names the value of a family in values.
func valueOf(f Family) string {
	switch f {
	case FamilyOrganisationBridge, FamilyOrganisationDevice, FamilyOrganisationStream:
		return "spans"
	case FamilyStreamGrant, FamilyGranteeGrant, FamilyStreamDelivery, FamilyConsumerDelivery, FamilyOrganisationValidator,
		FamilyOrganisationManifest:
		return "since"
	}
	return f.String()
}
