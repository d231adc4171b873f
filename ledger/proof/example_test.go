package proof

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

const specFile = "../../docs/spec/certificate.md"

// The worked example of the specification stands between these lines.
var (
	exampleBegin = []byte("```text\n")
	exampleEnd   = []byte("\n```\n")
)

// TestSpecExample: the worked example of the specification is what this code
// computes for the first vector. With -update it is written.
func TestSpecExample(t *testing.T) {
	spec, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	heading := bytes.Index(spec, []byte("\n## Worked example\n"))
	if heading < 0 {
		t.Fatal("no worked example in the specification")
	}
	begin := heading + bytes.Index(spec[heading:], exampleBegin) + len(exampleBegin)
	length := bytes.Index(spec[begin:], exampleEnd)
	want := workedExample(t)
	if *update {
		out := append(bytes.Clone(spec[:begin]), want...)
		if err := os.WriteFile(specFile, append(out, spec[begin+length:]...), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := spec[begin : begin+length]; string(got) != want {
		t.Errorf("run go test ./ledger/proof -update; the specification has\n%s\nwant\n%s", got, want)
	}
}

// workedExample lists every value on the way from the first vector to its
// acceptance.
func workedExample(t *testing.T) string {
	file, root := soundVariants()[0].build(t)
	c, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-18s %s\n", label, fmt.Sprintf(format, args...))
	}
	line("file", "%d bytes, beginning with %x", len(file), file[:len(magic)+1])
	line("claim", "stream %x, readings %d to %d", c.Claim.Stream[:], c.Claim.First, c.Claim.Last)
	line("entry", "%d bytes, digest of the statement %x", len(c.Entry), statementOf(t, c).Digest())
	leaf := merkle.LeafHash(c.Entry)
	logRoot, err := merkle.VerifyInclusion(leaf, c.Index, c.Size, c.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	line("place", "height %d, index %d, size %d", c.Height, c.Index, c.Size)
	line("leaf hash", "%x", leaf[:])
	for i, h := range c.LogPath {
		line(fmt.Sprintf("log path %d", i), "%x", h[:])
	}
	line("log root", "%x", logRoot[:])
	recordsRoot := exampleRows(t, c, line)
	h := c.Light.Header
	h.Chain, h.ValidatorsHash = root.Chain, ValidatorsHash(root.Validators)
	h.AppHash = merkle.AppHash(c.Size, logRoot, recordsRoot)
	line("app hash", "%x", h.AppHash[:])
	for i, v := range root.Validators {
		line(fmt.Sprintf("validator %d", i), "%x", v.append(nil))
	}
	line("validators hash", "%x", h.ValidatorsHash[:])
	for i, l := range h.leaves() {
		line(fmt.Sprintf("header field %d", i+1), "%x", l)
	}
	hash := h.Hash()
	line("header hash", "%x", hash[:])
	for _, s := range c.Light.Commit.Signatures {
		line(fmt.Sprintf("validator %d signs", s.Index), "%x", c.Light.Commit.SignBytes(root.Chain, h.Height, hash, s.Time))
	}
	fmt.Fprintf(&b, "%-18s %x", "checksum", file[len(file)-32:])
	return b.String()
}

func statementOf(t *testing.T, c *Certificate) *ledger.Statement {
	t.Helper()
	s, err := c.statement()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exampleRows(t *testing.T, c *Certificate, line func(label, format string, args ...any)) merkle.Hash {
	t.Helper()
	tree, err := merkle.ParsePartial(c.Records)
	if err != nil {
		t.Fatal(err)
	}
	s := statementOf(t, c)
	first, _ := record.Range(record.FamilyOwner, s.Stream)
	owner, value, _, err := tree.Predecessor(first, record.OwnerRow(s.Stream, c.Height))
	if err != nil {
		t.Fatal(err)
	}
	line("owner row", "%x = %x", owner[:], value)
	for _, row := range []struct {
		label string
		key   merkle.Key
	}{{"block row", record.BlockRow(c.Height)}, {"key row", record.KeyRow(s.Device, s.KeyID())}} {
		value, _, err := tree.Get(row.key)
		if err != nil {
			t.Fatal(err)
		}
		line(row.label, "%x = %x", row.key[:], value)
	}
	root := tree.Root()
	line("records root", "%x", root[:])
	return root
}
