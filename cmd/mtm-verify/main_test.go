package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mtmledger/ledger/proof"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mtm-verify": main})
}

// vector is a case of testdata/vectors/certificate.json.
type vector struct {
	Name        string          `json:"name"`
	Trust       proof.TrustRoot `json:"trust"`
	Certificate []byte          `json:"certificate"`
	Check       proof.Check     `json:"check"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/certificate.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no vectors")
	}
	return file.Cases
}

// setup writes the vectors that the scripts name into the work folder:
// NAME.mtmcert and NAME.json, spaces in names as dashes.
func setup(t testing.TB, cases []vector) func(env *testscript.Env) error {
	wanted := map[string]bool{"statement": true, "one step": true, "trailing byte": true, "changed byte": true,
		"too little power": true, "root of strangers": true, "not a certificate": true}
	return func(env *testscript.Env) error {
		for _, v := range cases {
			if !wanted[v.Name] {
				continue
			}
			name := filepath.Join(env.WorkDir, strings.ReplaceAll(v.Name, " ", "-"))
			err := errors.Join(os.WriteFile(name+".mtmcert", v.Certificate, 0o600),
				os.WriteFile(name+".json", v.Trust.Encode(), 0o600))
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup(t, vectors(t))})
}

// TestVectors runs the command on every vector and compares the exit code and
// the named check.
func TestVectors(t *testing.T) {
	dir := t.TempDir()
	for _, v := range vectors(t) {
		file, trust := filepath.Join(dir, "c.mtmcert"), filepath.Join(dir, "root.json")
		err := errors.Join(os.WriteFile(file, v.Certificate, 0o600), os.WriteFile(trust, v.Trust.Encode(), 0o600))
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
		if got == exitRefused && !strings.HasPrefix(stderr.String(), "refused: "+string(v.Check)+": ") {
			t.Errorf("%s: want check %s: %s", v.Name, v.Check, stderr.String())
		}
		if (got == exitAccepted) != (stdout.Len() > 0) {
			t.Errorf("%s: exit code %d with stdout %q", v.Name, got, stdout.String())
		}
	}
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
