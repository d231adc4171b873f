package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, in string
		failed   bool
		want     []string
	}{
		{"all well", `{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: SKIPPED LOUDLY: no data\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}`, false, []string{"ok    p", "skip  p TestB: b_test.go:3: SKIPPED LOUDLY: no data", "\n1 passed, 0 failed, 1 skipped\n"}},
		{"a test fails", `{"Action":"output","Package":"p","Test":"TestA","Output":"because\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, true, []string{"because", "FAIL  p", "0 passed, 1 failed, 0 skipped"}},
		{"build fails", `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: no\n"}
{"Action":"build-fail","ImportPath":"p"}
{"Action":"fail","Package":"p"}`, true, []string{"p.go:1: no", "packages failed", "1 failed"}},
		{"panic outside a test", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: x\n"}
{"Action":"fail","Package":"p"}`, true, []string{"panic: x", "1 passed, 1 failed"}},
		{"nothing ran", `{"Action":"skip","Package":"p"}`, true, []string{"no test ran", "0 passed, 1 failed"}},
	} {
		var out strings.Builder
		s := &summary{output: map[string][]string{}}
		if err := s.read(strings.NewReader(c.in), &out); err != nil {
			t.Fatal(err)
		}
		if got := s.finish(&out); got != c.failed {
			t.Errorf("%s: failed = %v", c.name, got)
		}
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %q is not in:\n%s", c.name, w, out.String())
			}
		}
	}
}
