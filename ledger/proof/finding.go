package proof

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Assumption is what an accepted certificate still rests on.
const Assumption = "more than 2/3 of the pinned validator set never signs a fork, even after leaving"

// Finding says what an accepted certificate proves: the readings of the claim,
// signed by the device's key, on a stream with this owner, in the log and
// committed then, according to the validators.
type Finding struct {
	Chain    string        `json:"chain"`
	Stream   crypto.ID     `json:"stream"`
	First    uint64        `json:"first"`
	Last     uint64        `json:"last"`
	Media    string        `json:"media"`
	Readings []ProvenValue `json:"readings"` // one for each number First..Last

	Statement StatementFinding `json:"statement"`
	Device    crypto.ID        `json:"device"`
	KeyID     crypto.KeyID     `json:"key_id"`
	Key       crypto.PublicKey `json:"key"`
	// Doubtful: the key was declared compromised from a height at or below Height, so
	// somebody else may have signed. The certificate is sound all the same.
	Doubtful bool `json:"doubtful"`
	// DoubtfulFrom is the height from which on the key was declared compromised, also one
	// above Height; 0: it was not, as of AsOfHeight.
	DoubtfulFrom uint64    `json:"doubtful_from,omitempty"`
	Owner        crypto.ID `json:"owner"` // the organisation that owned the stream at Height

	Index  uint64 `json:"log_index"`
	Height uint64 `json:"committed_height"`
	Time   Micros `json:"committed_time"`

	AsOfHeight uint64 `json:"as_of_height"` // of the last block of the proven state
	LogSize    uint64 `json:"log_size"`     // in that state
	HeaderTime Micros `json:"header_time"`  // of the header at AsOfHeight+1, which the validators signed

	Validators int    `json:"validators"`        // in the set that signed
	Signed     int    `json:"validators_signed"` // whose signatures were checked
	TotalPower int64  `json:"power"`
	Power      int64  `json:"power_signed"`
	Changes    int    `json:"validator_set_changes"` // between the pinned set and that set
	Assumption string `json:"assumption"`
}

// StatementFinding identifies the statement that holds the readings.
type StatementFinding struct {
	Digest HexDigest `json:"digest"`
	First  uint64    `json:"first"`
	Last   uint64    `json:"last"`
}

// ProvenValue is one reading. In JSON its content is base64, and also text if it
// is printable UTF-8.
type ProvenValue struct {
	Number   uint64
	Declared Micros // as the device declared it; 0 = it has no clock
	Content  []byte
}

// MarshalJSON writes the reading as an object.
func (p ProvenValue) MarshalJSON() ([]byte, error) {
	out := struct {
		Number   uint64 `json:"number"`
		Declared Micros `json:"declared_time"`
		Content  []byte `json:"content"`
		Text     string `json:"text,omitempty"`
	}{p.Number, p.Declared, p.Content, ""}
	if printable(withoutEnd(p.Content)) {
		out.Text = string(p.Content)
	}
	return json.Marshal(out)
}

// HexDigest is a SHA-256 digest, in hexadecimal where it is text.
type HexDigest [32]byte

// MarshalText writes the digest in hexadecimal.
func (d HexDigest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// Micros is a time in microseconds since the Unix epoch; 0 is none.
type Micros int64

// String returns the time by RFC 3339, in UTC, with microseconds; "none" for 0.
func (m Micros) String() string {
	if m == 0 {
		return "none"
	}
	return time.UnixMicro(int64(m)).UTC().Format("2006-01-02T15:04:05.000000Z")
}

// MarshalJSON writes the time by RFC 3339, or null if there is none.
func (m Micros) MarshalJSON() ([]byte, error) {
	if m == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(m.String())
}

func (v *Verifier) finding(c *Certificate, s *ledger.Statement, r *rows, w votes) *Finding {
	f := &Finding{
		Chain: v.root.Chain, Stream: s.Stream, First: c.Claim.First, Last: c.Claim.Last, Media: s.Media.String(),
		Statement: StatementFinding{Digest: s.Digest(), First: s.First, Last: s.Last()},
		Device:    s.Device, KeyID: s.KeyID(), Key: r.key.Public, Owner: r.owner.Organisation,
		Doubtful: r.key.DoubtfulAt(c.Height), DoubtfulFrom: r.key.Doubtful,
		Index: c.Index, Height: c.Height, Time: Micros(r.block.Time),
		AsOfHeight: c.Light.Header.Height - 1, LogSize: c.Size, HeaderTime: Micros(c.Light.Header.Time / 1000),
		Validators: w.validators, Signed: w.signed, TotalPower: w.total, Power: w.power,
		Changes: len(c.Path), Assumption: Assumption,
	}
	for n := f.First; n <= f.Last; n++ {
		reading := s.Readings[n-s.First]
		f.Readings = append(f.Readings, ProvenValue{n, Micros(reading.Time), reading.Content})
	}
	return f
}

// Bounds of the text form; the JSON form has everything.
const (
	textReadings = 20
	textContent  = 200
)

// String returns the finding for a person to read, in lines.
func (f *Finding) String() string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	if f.Doubtful {
		line("IN DOUBT", "the key is declared compromised from height %d on: somebody else may have signed this", f.DoubtfulFrom)
	}
	for i, r := range f.Readings {
		if i == textReadings {
			line("", "and %d more", len(f.Readings)-i)
			break
		}
		line(fmt.Sprintf("reading %d", r.Number), "%s  %s", declared(r.Declared), clip(r.Content))
	}
	line("media", "%s", f.Media)
	line("stream", "%s on ledger %s", f.Stream, f.Chain)
	line("device", "%s, which signed with key %s", f.Device, f.KeyID)
	if f.DoubtfulFrom != 0 && !f.Doubtful {
		line("", "the key is declared compromised from height %d on, after this", f.DoubtfulFrom)
	}
	line("owner", "organisation %s owned the stream at height %d", f.Owner, f.Height)
	line("statement", "readings %d to %d, digest %x", f.Statement.First, f.Statement.Last, f.Statement.Digest[:])
	line("log", "entry %d of %d", f.Index, f.LogSize)
	line("committed", "at height %d, %s", f.Height, f.Time)
	line("as of", "height %d, signed in the header of %s", f.AsOfHeight, f.HeaderTime)
	line("validators", "%d of %d signatures checked, power %d of %d, %d changes of the set since the trust root",
		f.Signed, f.Validators, f.Power, f.TotalPower, f.Changes)
	line("assuming", "%s", f.Assumption)
	return b.String()
}

func declared(m Micros) string {
	if m == 0 {
		return "declared no time"
	}
	return "declared " + m.String()
}

// clip renders a content for a terminal: text if it is printable, quoted if it
// is a line with its end, else hexadecimal, shortened if it is long.
func clip(content []byte) string {
	s := string(content)
	switch {
	case printable(content):
	case printable(withoutEnd(content)):
		s = strconv.Quote(s)
	default:
		s = "hex " + hex.EncodeToString(content)
	}
	if len(s) <= textContent {
		return s
	}
	cut := textContent
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:cut], len(content))
}

// withoutEnd cuts the end of a line off: LF or CRLF.
func withoutEnd(content []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(content, []byte{'\n'}), []byte{'\r'})
}

func printable(content []byte) bool {
	for s := content; len(s) > 0; {
		r, size := utf8.DecodeRune(s)
		if (r == utf8.RuneError && size == 1) || !unicode.IsPrint(r) {
			return false
		}
		s = s[size:]
	}
	return len(content) > 0
}
