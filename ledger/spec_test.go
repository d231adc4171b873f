package ledger

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// specPart returns what stands between <!-- name --> and <!-- /name --> in a page
// of docs/spec.
func specPart(t *testing.T, page, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "spec", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "<!-- "+name+" -->\n")
	part, _, ok2 := strings.Cut(rest, "<!-- /"+name+" -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", page, name)
	}
	return part
}

// TestSpecExample: the annotated bytes of docs/spec/statement.md are the
// vectors' example.
func TestSpecExample(t *testing.T) {
	column := regexp.MustCompile(`^ {4,12}((?:[0-9a-f]{2})+(?: (?:[0-9a-f]{2})+)*)(?: {2,}|$)`)
	var got string
	for line := range strings.Lines(specPart(t, "statement.md", "example")) {
		if m := column.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			got += strings.ReplaceAll(m[1], " ", "")
		}
	}
	if want := hex.EncodeToString(goodStatement(t).Bytes()); got != want {
		t.Errorf("docs/spec/statement.md has\n%s, the example is\n%s", got, want)
	}
}

// TestSpecCodes: the table of docs/spec/transaction.md lists every code.
func TestSpecCodes(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(specPart(t, "transaction.md", "codes")), "\n")[2:]
	if len(rows) != len(codes) {
		t.Errorf("%d rows for %d codes", len(rows), len(codes))
	}
	for i, row := range rows[:min(len(rows), len(codes))] {
		retryable := map[bool]string{true: "yes", false: "no"}[Code(i).Retryable()]
		if want := fmt.Sprintf("| %d | `%v` | %s | ", i, Code(i), retryable); !strings.HasPrefix(row, want) {
			t.Errorf("row %q, want %q", row, want)
		}
	}
}
