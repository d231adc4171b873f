package ledger

import (
	"strconv"

	"mtmledger/internal/dcbor"
)

// Media is the type of a statement's contents: a registered CoAP content format
// (RFC 7252 section 12.3) or, where there is none, a media type as text.
type Media struct {
	Format uint64 // 0..65535; counts only when Text is empty
	Text   string // 3..64 bytes of printable ASCII, type "/" subtype, parameters allowed
}

// ParseMedia reads a decimal content format ("112") or a media type
// ("text/csv").
func ParseMedia(s string) (Media, error) {
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != s {
			return Media{}, Errorf(CodeMalformed, "content format %q is not a number from 0 to %d", clip(s), MaxMediaFormat)
		}
		return Media{Format: n}, nil
	}
	m := Media{Text: s}
	if s == "" {
		return Media{}, Errorf(CodeMalformed, "media type is empty")
	}
	return m, m.Check()
}

// String returns what ParseMedia reads.
func (m Media) String() string {
	if m.Text != "" {
		return m.Text
	}
	return strconv.FormatUint(m.Format, 10)
}

// Check checks the rules of the fields.
func (m Media) Check() error {
	if m.Text == "" {
		if m.Format > MaxMediaFormat {
			return Errorf(CodeMalformed, "content format %d, at most %d", m.Format, MaxMediaFormat)
		}
		return nil
	}
	if m.Format != 0 {
		return Errorf(CodeMalformed, "media has both a format and a text")
	}
	return checkMediaText(m.Text)
}

func checkMediaText(s string) error {
	if len(s) > MaxMedia {
		return Errorf(CodeTooLarge, "media type of %d bytes, at most %d", len(s), MaxMedia)
	}
	slash := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			return Errorf(CodeMalformed, "media type %q is not printable ASCII", s)
		case c == '/' && slash == 0:
			slash = i
		}
	}
	if slash == 0 || slash == len(s)-1 || s[0] == ' ' || s[len(s)-1] == ' ' || isDigit(s[0]) {
		return Errorf(CodeMalformed, "media type %q is not type/subtype", s)
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (m Media) append(b []byte) []byte {
	if m.Text != "" {
		return dcbor.AppendText(b, m.Text)
	}
	return dcbor.AppendUint(b, m.Format)
}

func readMedia(r *dcbor.Reader) (m Media) {
	if r.Kind() != dcbor.KindText {
		if m.Format = r.Uint(); m.Format > MaxMediaFormat {
			r.Fail(dcbor.ErrRange)
		}
		return m
	}
	m.Text = r.Text(MaxMedia)
	if r.Err() == nil {
		r.Fail(checkMediaText(m.Text))
	}
	return m
}
