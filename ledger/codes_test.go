package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
)

func TestCodes(t *testing.T) {
	if len(codes) != 52 {
		t.Errorf("%d codes: add the new one here and to docs/spec/transaction.md", len(codes))
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	names := map[string]bool{}
	for i := range codes {
		c := Code(i)
		if !snake.MatchString(c.String()) || names[c.String()] || c.Advice() == "" {
			t.Errorf("code %d: %q", i, c)
		}
		names[c.String()] = true
		if got, err := ParseCode(c.String()); got != c || err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if !CodeUnknownDevice.Retryable() || CodeUsed.Retryable() || Code(99).Retryable() {
		t.Error("Retryable")
	}
	if Code(99).String() != "code_99" || Code(99).Advice() == "" {
		t.Error("unknown code")
	}
	if _, err := ParseCode("no_such_code"); err == nil {
		t.Error("ParseCode accepts anything")
	}
	b, err := json.Marshal(map[Code]Code{CodeUsed: CodeOK})
	if err != nil || string(b) != `{"used":"ok"}` {
		t.Errorf("%s, %v", b, err)
	}
	var m map[Code]Code
	if err := json.Unmarshal(b, &m); err != nil || m[CodeUsed] != CodeOK || len(m) != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", Errorf(CodeExpired, "at %d: %w", 7, cause))
	if CodeOf(err) != CodeExpired || !errors.Is(err, cause) || !errors.Is(err, &Error{Code: CodeExpired}) || errors.Is(err, &Error{Code: CodeUsed}) {
		t.Error(err)
	}
	if err.Error() != "outer: expired: at 7: cause" {
		t.Error(err)
	}
	if CodeOf(nil) != CodeOK || CodeOf(cause) != CodeMalformed || CodeOK.Err() != nil {
		t.Error("CodeOf")
	}
	if err := CodeUsed.Err(); CodeOf(err) != CodeUsed || err.Error() != "used: "+CodeUsed.Advice() {
		t.Error(err)
	}
	if err := (&Error{Code: CodeUsed}); err.Error() != "used" {
		t.Error(err)
	}
	inner := Errorf(CodeExists, "key x stands twice")
	for text, err := range map[string]error{
		"exists: key x stands twice":                    &Error{Code: CodeExists, Text: inner.Error()}, // from another process
		"operation payload: exists: key x stands twice": malformed("operation payload", inner),
		"used: operation: exists: key x stands twice":   Errorf(CodeUsed, "operation: %w", inner),
		"exists":                   &Error{Code: CodeExists, Text: "exists"},
		"exists: it exists: twice": &Error{Code: CodeExists, Text: "it exists: twice"},
		"submit: exists: key x stands twice, it is said so": &Error{Code: CodeExists, Text: "submit: exists: key x stands twice, it is said so"},
	} {
		if err.Error() != text {
			t.Errorf("%q, want %q", err, text)
		}
	}
}
