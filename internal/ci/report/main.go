// Command report reads the output of `go test -json` and prints what a person
// wants from it: one line a package, the whole output of what failed, the reason
// of every skip, and the counts of top-level tests as the last line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type summary struct {
	passed, failed, skipped int
	broken                  int // packages that failed to build or outside a test
	skips                   []string
	output                  map[string][]string
}

func main() {
	s := &summary{output: map[string][]string{}}
	if err := s.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if s.finish(os.Stdout) {
		os.Exit(1)
	}
}

func (s *summary) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not an event: said by the go command itself
			continue
		}
		s.take(e, out)
	}
	return lines.Err()
}

func (s *summary) take(e event, out io.Writer) {
	name := e.Package + e.ImportPath + " " + e.Test
	top := e.Test != "" && !strings.Contains(e.Test, "/")
	switch e.Action {
	case "output", "build-output":
		s.output[name] = append(s.output[name], e.Output)
	case "build-fail":
		s.broken++
		fmt.Fprintf(out, "%s", strings.Join(s.output[name], ""))
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, name, out)
			return
		}
		s.endTest(e, name, top, out)
	}
}

func (s *summary) endTest(e event, name string, top bool, out io.Writer) {
	said := strings.Join(s.output[name], "")
	delete(s.output, name)
	switch e.Action {
	case "fail":
		fmt.Fprintf(out, "--- %s\n%s", name, said)
		if top {
			s.failed++
		}
	case "skip":
		s.skips = append(s.skips, name+": "+reason(said))
		if top {
			s.skipped++
		}
	case "pass":
		if top {
			s.passed++
		}
	}
}

func (s *summary) endPackage(e event, name string, out io.Writer) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(out, "ok    %-40s %7.1fs\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(out, "-     %-40s no tests\n", e.Package)
	case "fail":
		fmt.Fprintf(out, "%sFAIL  %-40s %7.1fs\n", strings.Join(s.output[name], ""), e.Package, e.Elapsed)
		s.broken++
	}
	delete(s.output, name)
}

// reason is the last line that the test itself logged before it was skipped.
func reason(said string) string {
	last := "no reason given"
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			last = line
		}
	}
	return last
}

// finish prints skips and counts and reports whether anything failed.
func (s *summary) finish(out io.Writer) bool {
	slices.Sort(s.skips)
	for _, line := range s.skips {
		fmt.Fprintln(out, "skip ", line)
	}
	if s.broken > 0 {
		fmt.Fprintf(out, "%d packages failed\n", s.broken)
	}
	if s.passed+s.failed == 0 {
		fmt.Fprintln(out, "no test ran")
		s.failed++
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", s.passed, max(s.failed, min(s.broken, 1)), s.skipped)
	return s.failed > 0 || s.broken > 0
}
