package state_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mtmledger/ledger"
)

// coverage counts what happened over all runs.
type coverage struct {
	steps, statements int
	codes             map[ledger.Code]int
	kinds             map[ledger.Kind]map[ledger.Code]int // what became of operations, also of proposed ones
	wholes            map[string]map[ledger.Code]int      // of transactions and statements
	voted             map[ledger.Kind]int                 // what members' votes decided
}

func newCoverage() *coverage {
	return &coverage{
		codes: make(map[ledger.Code]int), kinds: make(map[ledger.Kind]map[ledger.Code]int), wholes: make(map[string]map[ledger.Code]int),
		voted: make(map[ledger.Kind]int),
	}
}

// operation counts what became of an operation of a kind.
func (s *coverage) operation(kind ledger.Kind, code ledger.Code) { count(s.kinds, kind, code) }

// transaction counts what became of a transaction and its statements.
func (s *coverage) transaction(raw []byte, code ledger.Code, statements []ledger.Code) {
	what := "garbage"
	if tx, err := ledger.ParseTransaction(raw); err == nil && tx.Batch != nil {
		what = "batch"
	} else if err == nil {
		what = "operation"
	}
	s.steps++
	s.statements += len(statements)
	s.codes[code]++
	count(s.wholes, what, code)
	for _, c := range statements {
		s.codes[c]++
		count(s.wholes, "statement", c)
	}
}

func count[K comparable](m map[K]map[ledger.Code]int, what K, code ledger.Code) {
	if m[what] == nil {
		m[what] = make(map[ledger.Code]int)
	}
	m[what][code]++
}

func (s *coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d transactions, %d statements\n", s.steps, s.statements)
	line := func(what any, codes map[ledger.Code]int) {
		fmt.Fprintf(&b, "%v:", what)
		for _, code := range sorted(codes) {
			fmt.Fprintf(&b, " %v %d", code, codes[code])
		}
		b.WriteString("\n")
	}
	for _, what := range sorted(s.wholes) {
		line(what, s.wholes[what])
	}
	for _, kind := range sorted(s.kinds) {
		line(kind, s.kinds[kind])
	}
	for _, kind := range sorted(s.voted) {
		fmt.Fprintf(&b, "%v by vote: %d\n", kind, s.voted[kind])
	}
	return b.String()
}

// neverSeen are the codes that the rules do not give to what parses, and why.
var neverSeen = map[ledger.Code]string{
	ledger.CodeInputsDisabled:  "not given out any more",
	ledger.CodePruned:          "of queries",
	ledger.CodeOverloaded:      "of the pool",
	ledger.CodeBadKey:          "of parsing",
	ledger.CodeNotEquivocation: "of parsing",
}

// require fails the test where it tested nothing.
func (s *coverage) require(t *testing.T) {
	for code := ledger.CodeOK; !strings.HasPrefix(code.String(), "code_"); code++ {
		why, never := neverSeen[code]
		switch {
		case never && s.codes[code] > 0:
			t.Errorf("%v was given, though it is %s", code, why)
		case !never && s.codes[code] == 0:
			t.Errorf("%v was never given: the test does not test it", code)
		}
	}
	if s.steps < 30_000 {
		t.Errorf("%d transactions, want tens of thousands", s.steps)
	}
	for _, kind := range ofLeft {
		if s.voted[kind] == 0 {
			t.Errorf("%v never was decided for a member that left: the test does not test it", kind)
		}
	}
	for kind, codes := range specified(t) {
		for _, code := range append(codes, ledger.CodeOK) {
			if s.kinds[kind][code] == 0 && !slices.Contains(beyond[kind], code) {
				t.Errorf("%v of %v, which the specification names, was never given: the test does not test it", code, kind)
			}
		}
	}
}

// beyond are refusals that the specification names and random ledgers do not reach.
var beyond = map[ledger.Kind][]ledger.Code{
	ledger.KindAdmit:          {ledger.CodeTooMany},   // 1,000 members: a test of its own fills the list
	ledger.KindValidator:      {ledger.CodeTooMany},   // 200 validators: likewise
	ledger.KindRetire:         {ledger.CodeRetired},   // it is exists: named for suspend and resume
	ledger.KindTransferDevice: {ledger.CodeSuspended}, // no operation suspends an organisation
}

// specified are the codes that docs/spec/state.md names in the paragraph of each kind.
func specified(t *testing.T) map[ledger.Kind][]ledger.Code {
	text, err := os.ReadFile("../../docs/spec/state.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]ledger.Kind)
	for kind := ledger.Kind(1); !strings.HasPrefix(kind.String(), "kind_"); kind++ {
		kinds[fmt.Sprintf("%d %v", kind, kind)] = kind
	}
	all := make(map[ledger.Kind][]ledger.Code)
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		title := regexp.MustCompile(`^\*\*(\d.*?)\*\*`).FindStringSubmatch(paragraph)
		if title == nil {
			continue
		}
		var codes []ledger.Code
		for _, word := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(paragraph, -1) {
			if code, err := ledger.ParseCode(word[1]); err == nil {
				codes = append(codes, code)
			}
		}
		for name := range strings.SplitSeq(title[1], ", ") {
			kind, known := kinds[name]
			if !known {
				t.Fatalf("docs/spec/state.md has a paragraph of %q, which is no kind", name)
			}
			all[kind] = codes
		}
	}
	if len(all) != len(kinds) {
		t.Fatalf("docs/spec/state.md has paragraphs of %d kinds, there are %d", len(all), len(kinds))
	}
	return all
}
