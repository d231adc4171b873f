// Package view draws a small live table on a terminal and stays silent
// everywhere else.
package view

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearLine  = "\x1b[K"
	clearDown  = "\x1b[J"
	bold       = "\x1b[1m"
	plain      = "\x1b[0m"
)

// View draws frames over one another. A View of anything but a terminal draws
// nothing.
type View struct {
	out   io.Writer
	size  func() (width, height int)
	lines int // of the last frame, to move back over
}

// New returns a view of w: live if w is a terminal, silent otherwise.
func New(w io.Writer) *View {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &View{}
	}
	return newView(w, func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	})
}

func newView(w io.Writer, size func() (int, int)) *View {
	fmt.Fprint(w, hideCursor)
	return &View{out: w, size: size}
}

// Live reports whether frames are drawn.
func (v *View) Live() bool { return v.out != nil }

// Draw replaces the last frame. Lines are cut to the terminal's width and the
// frame to its height.
func (v *View) Draw(lines []string) {
	if v.out == nil {
		return
	}
	width, height := v.size()
	if len(lines) > height-1 && height > 1 {
		lines = lines[:height-1]
	}
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	b.WriteString("\r")
	for _, line := range lines {
		b.WriteString(cut(line, width))
		b.WriteString(clearLine + "\n")
	}
	b.WriteString(clearDown)
	v.lines = len(lines)
	io.WriteString(v.out, b.String())
}

// Close leaves the last frame standing and gives the cursor back.
func (v *View) Close() {
	if v.out != nil {
		io.WriteString(v.out, showCursor)
		v.out = nil
	}
}

// Bold marks a heading; it must be the whole line.
func Bold(s string) string { return bold + s + plain }

// cut shortens a line to width characters. Only a whole-line Bold may hold
// escape codes.
func cut(line string, width int) string {
	inner, isBold := strings.CutPrefix(line, bold)
	inner = strings.TrimSuffix(inner, plain)
	if r := []rune(inner); width > 0 && len(r) > width {
		inner = string(r[:width])
	}
	if isBold {
		return bold + inner + plain
	}
	return inner
}
