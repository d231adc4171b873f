package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// future lists parts of the layout that are not built yet; rules may name them before.
var future = []string{"web", "app/light"}

// TestImports checks every package of the module against every rule.
func TestImports(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			bound := 0
			for _, p := range packages {
				if !r.binds(p.ImportPath) {
					continue
				}
				bound++
				for _, path := range r.violations(p) {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, r.reason)
				}
			}
			if bound == 0 && !slices.Contains(future, r.who[0]) {
				t.Errorf("the rule binds no package: is %v still the name?", r.who)
			}
		})
	}
}

// TestPackageComments checks that every package says what it is for.
func TestPackageComments(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 && strings.TrimSpace(p.Doc) == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestRules checks that a violation of each kind is found.
func TestRules(t *testing.T) {
	direct := rule{who: []string{"ledger"}, except: []string{"ledger/x"}, never: []string{"app", pebble}}
	deep, tests := direct, direct
	deep.deep, tests.tests = true, true
	for _, c := range []struct {
		name string
		rule rule
		pkg  pkg
		want []string
	}{
		{"own package", direct, pkg{ImportPath: "mtmledger/ledger/state", Imports: []string{"fmt", "mtmledger/app/store"}}, []string{"mtmledger/app/store"}},
		{"other module", direct, pkg{ImportPath: "mtmledger/ledger", Imports: []string{pebble + "/v2/vfs"}}, []string{pebble + "/v2/vfs"}},
		{"excepted", direct, pkg{ImportPath: "mtmledger/ledger/x", Imports: []string{"mtmledger/app"}}, nil},
		{"not bound", direct, pkg{ImportPath: "mtmledger/cmd/mtm", Imports: []string{"mtmledger/app"}}, nil},
		{"only a like name", direct, pkg{ImportPath: "mtmledger/ledger", Imports: []string{"mtmledger/apple"}}, nil},
		{"not direct", direct, pkg{ImportPath: "mtmledger/ledger", Deps: []string{"mtmledger/app"}}, nil},
		{"deep", deep, pkg{ImportPath: "mtmledger/ledger", Deps: []string{"mtmledger/app"}}, []string{"mtmledger/app"}},
		{"test not asked", direct, pkg{ImportPath: "mtmledger/ledger", TestImports: []string{"mtmledger/app"}}, nil},
		{"test", tests, pkg{ImportPath: "mtmledger/ledger", TestImports: []string{"mtmledger/app"}}, []string{"mtmledger/app"}},
		{"outside test", tests, pkg{ImportPath: "mtmledger/ledger", XTestImports: []string{"mtmledger/app"}}, []string{"mtmledger/app"}},
	} {
		if got := c.rule.violations(c.pkg); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", c.name, got, c.want)
		}
	}
}

// list describes the packages of the module. A package that cannot be loaded is a test
// failure of its own, not of the rules.
func list(t *testing.T) (packages []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e",
		"-json=ImportPath,Doc,GoFiles,Imports,Deps,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath != module+"/internal/deps" {
			packages = append(packages, p)
		}
	}
	if len(packages) < 5 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	return packages
}
