package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mtmledger/ledger/proof"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mtm-verify": main})
}

// vector is a case of testdata/vectors/certificate.json, answer.json or lineage.json.
type vector struct {
	Name        string          `json:"name"`
	Trust       proof.TrustRoot `json:"trust"`
	Certificate []byte          `json:"certificate"`
	Answer      []byte          `json:"answer"`
	Lineage     []byte          `json:"lineage"`
	Check       proof.Check     `json:"check"`
}

// bytes returns the file.
func (v vector) bytes() []byte { return slices.Concat(v.Certificate, v.Answer, v.Lineage) }

func vectors(t testing.TB) []vector { return vectorsOf(t, "certificate.json") }

func vectorsOf(t testing.TB, file string) []vector {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var read struct{ Cases []vector }
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Cases) == 0 {
		t.Fatal("no vectors")
	}
	return read.Cases
}

// setup writes the vectors that the scripts name into the work folder:
// NAME.mtmcert, .mtmanswer or .mtmlineage, and NAME.json, spaces in names as dashes.
func setup(certificates, answers, lineages []vector) func(env *testscript.Env) error {
	wanted := map[string]bool{"statement": true, "doubtful": true, "one step": true, "trailing byte": true, "changed byte": true,
		"too little power": true, "root of strangers": true, "not a certificate": true}
	for _, name := range []string{"rows and cover", "entries only", "first page", "second page", "last page", "second page, later",
		"second page, forked", "first part of a cover", "second part of a cover", "last part of a cover", "two of four",
		"another ledger's validators", "inputs", "both, cut by the depth", "circle of uses", "another root", "branch cut", "edge left out",
		"answer with a trailing byte", "malformed use"} {
		wanted[name] = true
	}
	kept := func(file string) string { return strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(file) }
	return func(env *testscript.Env) error {
		for _, v := range slices.Concat(certificates, answers, lineages) {
			if !wanted[v.Name] {
				continue
			}
			name, ending := filepath.Join(env.WorkDir, kept(v.Name)), ".mtmcert"
			if v.Answer != nil {
				ending = ".mtmanswer"
			}
			if v.Lineage != nil {
				ending = ".mtmlineage"
			}
			err := errors.Join(os.WriteFile(name+ending, v.bytes(), 0o600),
				os.WriteFile(name+".json", v.Trust.Encode(), 0o600))
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup(vectors(t), vectorsOf(t, "answer.json"), vectorsOf(t, "lineage.json"))})
}

// TestVectors runs the command on every vector and compares the exit code and
// the named check.
func TestVectors(t *testing.T) {
	dir := t.TempDir()
	for _, v := range slices.Concat(vectors(t), vectorsOf(t, "answer.json"), vectorsOf(t, "lineage.json")) {
		file, trust := filepath.Join(dir, "c.mtmcert"), filepath.Join(dir, "root.json")
		err := errors.Join(os.WriteFile(file, v.bytes(), 0o600), os.WriteFile(trust, v.Trust.Encode(), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		want := exitRefused
		if v.Check == "" {
			want = exitAccepted
		}
		if _, err := proof.ParseTrustRoot(v.Trust.Encode()); err != nil {
			want = exitUsage
		}
		var stdout, stderr bytes.Buffer
		got := run([]string{file, "--trust", trust}, &stdout, &stderr)
		if got != want {
			t.Errorf("%s: exit code %d, want %d: %s", v.Name, got, want, stderr.String())
		}
		if v.Answer != nil && !proof.IsAnswer(v.Answer) || v.Lineage != nil && !proof.IsLineage(v.Lineage) {
			continue // checked as something else, by how it begins
		}
		if got == exitRefused && !strings.HasPrefix(stderr.String(), "refused: "+string(v.Check)+": ") {
			t.Errorf("%s: want check %s: %s", v.Name, v.Check, stderr.String())
		}
		if (got == exitAccepted) != (stdout.Len() > 0) {
			t.Errorf("%s: exit code %d with stdout %q", v.Name, got, stdout.String())
		}
	}
}

// TestEveryByte: an answer with any byte flipped, more or fewer is refused with exit
// code 1 and a reason, in words and as JSON.
func TestEveryByte(t *testing.T) {
	var v vector
	for _, a := range vectorsOf(t, "answer.json") {
		if a.Name == "rows only" {
			v = a
		}
	}
	sound := v.Answer
	dir := t.TempDir()
	file, trust := filepath.Join(dir, "a.mtmanswer"), filepath.Join(dir, "root.json")
	if err := os.WriteFile(trust, v.Trust.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(data []byte, flags ...string) (int, string, string) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code := run(append(flags, file, "--trust", trust), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, out, reason := verify(sound); code != exitAccepted || !strings.HasPrefix(out, "accepted\n") || reason != "" {
		t.Fatalf("exit code %d: %s%s", code, out, reason)
	}
	refused := func(what string, data []byte) {
		t.Helper()
		if code, out, reason := verify(data); code != exitRefused || out != "" || !strings.HasPrefix(reason, "refused: ") {
			t.Errorf("%s: exit code %d: %s%s", what, code, out, reason)
		}
		var said struct {
			Accepted *bool
			Check    string
		}
		code, out, reason := verify(data, "--json")
		if err := json.Unmarshal([]byte(out), &said); code != exitRefused || reason != "" || err != nil || said.Accepted == nil || *said.Accepted || said.Check == "" {
			t.Errorf("%s: as JSON: exit code %d: %s%s", what, code, out, reason)
		}
	}
	for i := range sound {
		changed := slices.Clone(sound)
		changed[i] ^= 1
		refused(fmt.Sprintf("byte %d flipped", i), changed)
	}
	refused("one byte more", append(slices.Clone(sound), 0))
	refused("one byte more before it", append([]byte{sound[0]}, sound...))
	refused("one byte fewer", sound[:len(sound)-1])
	refused("without the first byte", sound[1:])
	refused("nothing", nil)
}

// TestDependencies keeps the verifier small and its trusted code short.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{
		"mtmledger/cmd/mtm-verify": true, "mtmledger/ledger/proof": true, "mtmledger/ledger": true,
		"mtmledger/ledger/record":  true,
		"mtmledger/internal/dcbor": true, "filippo.io/edwards25519": true, "filippo.io/edwards25519/field": true,
	}
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		first, _, _ := strings.Cut(pkg, "/")
		outside := strings.Contains(first, ".") || first == "mtmledger"
		if outside && !allowed[pkg] && pkg != "mtmledger/crypto" && !strings.HasPrefix(pkg, "mtmledger/crypto/") {
			t.Errorf("imports %s", pkg)
		}
	}
}

// full is a writer that cannot be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputFails(t *testing.T) {
	v := vectors(t)[0]
	dir := t.TempDir()
	file, trust := filepath.Join(dir, "c"), filepath.Join(dir, "r")
	err := errors.Join(os.WriteFile(file, v.Certificate, 0o600), os.WriteFile(trust, v.Trust.Encode(), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{file, "--trust", trust}, {file, "--trust", trust, "--json"}} {
		var stderr bytes.Buffer
		if got := run(args, full{}, &stderr); got != exitUsage || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit code %d: %s", args, got, stderr.String())
		}
	}
}
