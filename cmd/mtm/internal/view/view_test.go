package view

import (
	"bytes"
	"strings"
	"testing"
)

func TestSilent(t *testing.T) {
	var b bytes.Buffer
	v := New(&b)
	v.Draw([]string{"x"})
	v.Close()
	if v.Live() || b.Len() != 0 {
		t.Errorf("a view of a pipe wrote %q", b.String())
	}
}

func TestDraw(t *testing.T) {
	var b bytes.Buffer
	v := newView(&b, func() (int, int) { return 5, 4 })
	v.Draw([]string{Bold("heading"), "ü234567", "c", "too high"})
	if got := b.String(); !strings.Contains(got, bold+"headi"+plain) || !strings.Contains(got, "ü2345"+clearLine) || strings.Contains(got, "high") {
		t.Errorf("frame not cut to the terminal: %q", got)
	}
	b.Reset()
	v.Draw([]string{"a"})
	if got := b.String(); !strings.HasPrefix(got, "\x1b[3A") || !strings.HasSuffix(got, clearDown) {
		t.Errorf("second frame does not replace the first: %q", got)
	}
	b.Reset()
	v.Close()
	v.Close()
	v.Draw([]string{"after"})
	if got := b.String(); got != showCursor {
		t.Errorf("Close wrote %q", got)
	}
}
