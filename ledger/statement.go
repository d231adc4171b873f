package ledger

import (
	"errors"
	"fmt"
	"math"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// The forms of a statement's payload.
const (
	formInline    = 1
	formCommitted = 2
)

// ErrCommittedForm is returned for a well-formed statement in the committed
// form, which is specified but not accepted yet.
var ErrCommittedForm error = &Error{Code: CodeCommittedDisabled, Text: "the committed form is not accepted yet"}

// Reading is one measurement.
type Reading struct {
	Time    int64  // declared time, microseconds since the Unix epoch; 0 = the device has no clock
	Content []byte // up to MaxContent bytes, may be empty
}

// Input names readings that a derived statement was computed from.
type Input struct {
	Stream      crypto.ID
	First, Last uint64   // 1 <= First <= Last <= MaxNumber
	Digest      [32]byte // what it is a digest of is the deriving device's to say
}

// Statement is a run of 1..MaxReadings consecutive readings of one stream,
// signed by a device. Reading i has number First+i. See docs/spec/statement.md.
type Statement struct {
	Sign1    *crypto.Sign1 // the signed message; nil before SignStatement
	Device   crypto.ID
	Stream   crypto.ID
	First    uint64 // number of the first reading, at least 1
	Media    Media
	Readings []Reading
	Inputs   []Input // empty unless the statement was derived from others
}

// Last is the number of the last reading.
func (s *Statement) Last() uint64 { return s.First + uint64(len(s.Readings)) - 1 }

// Bytes returns the signed message exactly as it was made or received.
func (s *Statement) Bytes() []byte { return s.Sign1.Bytes() }

// Digest is the statement's identity: SHA-256 of the Sig_structure. Two
// messages are the same statement when their digests are equal.
func (s *Statement) Digest() [32]byte { return s.Sign1.Digest() }

// KeyID names the key that signed.
func (s *Statement) KeyID() crypto.KeyID { return s.Sign1.Header.KeyID }

// SignStatement signs s, of which all fields but Sign1 are set, with a device's
// key. The result does not alias s.
func SignStatement(k crypto.PrivateKey, s Statement) (*Statement, error) {
	payload, err := s.payload()
	if err != nil {
		return nil, err
	}
	h := crypto.Header{ContentFormat: FormatStatement, HasClaims: true, Issuer: s.Device, Subject: s.Stream}
	return ParseStatement(crypto.NewSign1(k, h, payload).Bytes())
}

// payload encodes the inline form. What it does not check, parsing does.
func (s *Statement) payload() ([]byte, error) {
	if len(s.Readings) == 0 {
		return nil, Errorf(CodeMalformed, "statement has no reading")
	}
	size := 64
	for i := range s.Readings {
		size += len(s.Readings[i].Content) + 16
	}
	n := 5
	if len(s.Inputs) > 0 {
		n = 6
	}
	b := dcbor.AppendArray(make([]byte, 0, size), n)
	b = dcbor.AppendUint(b, formInline)
	b = dcbor.AppendUint(b, s.First)
	b = s.Media.append(b)
	base := s.Readings[0].Time
	b = dcbor.AppendInt(b, base)
	b = dcbor.AppendArray(b, len(s.Readings))
	for _, r := range s.Readings {
		dt := r.Time - base
		if (dt < 0) != (r.Time < base) {
			return nil, Errorf(CodeMalformed, "declared times lie too far apart")
		}
		b = dcbor.AppendArray(b, 2)
		b = dcbor.AppendInt(b, dt)
		b = dcbor.AppendBytes(b, r.Content)
	}
	if n == 6 {
		b = appendInputs(b, s.Inputs)
	}
	return b, s.Media.Check()
}

func appendInputs(b []byte, inputs []Input) []byte {
	b = dcbor.AppendArray(b, len(inputs))
	for i := range inputs {
		b = dcbor.AppendArray(b, 4)
		b = dcbor.AppendBytes(b, inputs[i].Stream[:])
		b = dcbor.AppendUint(b, inputs[i].First)
		b = dcbor.AppendUint(b, inputs[i].Last)
		b = dcbor.AppendBytes(b, inputs[i].Digest[:])
	}
	return b
}

// ParseStatement decodes a statement and makes every check that needs only its
// bytes; the signature is not one of them. The result aliases b.
func ParseStatement(b []byte) (*Statement, error) {
	sign1, err := parseSign1("statement", b, MaxStatement, FormatStatement)
	if err != nil {
		return nil, err
	}
	s := &Statement{Sign1: sign1, Device: sign1.Header.Issuer, Stream: sign1.Header.Subject}
	r := dcbor.NewReader(sign1.Payload)
	n := r.Array(anyLength)
	switch form := r.Uint(); {
	case r.Err() != nil:
	case form == formInline && (n == 5 || n == 6):
		s.readInline(r, n == 6)
	case form == formCommitted && n == 7:
		readCommittedForm(r)
		if r.Done() == nil {
			return nil, ErrCommittedForm
		}
	default:
		r.Fail(fmt.Errorf("payload of form %d with %d elements: %w", form, n, dcbor.ErrValue))
	}
	if err := r.Done(); err != nil {
		return nil, malformed("statement payload", err)
	}
	return s, nil
}

func (s *Statement) readInline(r *dcbor.Reader, inputs bool) {
	s.First = readFirst(r)
	s.Media = readMedia(r)
	base := r.Int()
	n := r.Array(MaxReadings)
	if r.Err() != nil {
		return
	}
	if n == 0 {
		r.Fail(errNoReading)
		return
	}
	s.Readings = make([]Reading, n)
	for i := range s.Readings {
		r.ExpectArray(2)
		dt := r.Int()
		s.Readings[i] = Reading{Time: base + dt, Content: r.Bytes(MaxContent)}
		if (base+dt < base) != (dt < 0) {
			r.Fail(errTimeOverflow)
		}
		if i == 0 && dt != 0 {
			r.Fail(errFirstOffset)
		}
		if r.Err() != nil {
			return
		}
	}
	checkRun(r, s.First, uint64(n))
	if inputs {
		s.readInputs(r)
	}
}

func (s *Statement) readInputs(r *dcbor.Reader) {
	n := r.Array(MaxInputs)
	if r.Err() == nil && n == 0 {
		r.Fail(errNoInput)
	}
	if r.Err() != nil {
		return
	}
	s.Inputs = make([]Input, n)
	for i := range s.Inputs {
		in := &s.Inputs[i]
		r.ExpectArray(4)
		in.Stream = readID(r)
		in.First = readFirst(r)
		in.Last = readNumber(r)
		r.Fixed(in.Digest[:])
		if r.Err() == nil && in.Last < in.First {
			r.Fail(errInputOrder)
		}
	}
}

// readCommittedForm checks the shape of the reserved form:
// [2, first, media, count, time_first, time_last, root bstr32].
func readCommittedForm(r *dcbor.Reader) {
	first := readFirst(r)
	readMedia(r)
	count := r.Uint()
	r.Int()
	r.Int()
	var root [32]byte
	r.Fixed(root[:])
	if r.Err() == nil && (count == 0 || count > MaxReadings) {
		r.Fail(errNoReading)
	}
	checkRun(r, first, count)
}

var (
	errNoReading    = fmt.Errorf("a statement has 1 to %d readings", MaxReadings)
	errTimeOverflow = errors.New("declared time does not fit in 64 bits")
	errFirstOffset  = errors.New("the first reading's time offset must be 0")
	errNoInput      = errors.New("the list of inputs must be left out when it is empty")
	errInputOrder   = errors.New("input ends before it begins")
	errNumberZero   = errors.New("reading numbers begin at 1")
	errNumberRange  = errors.New("reading numbers end at 2^63-1")
	errHeader       = errors.New("protected header does not fit this message")
)

func readFirst(r *dcbor.Reader) uint64 {
	v := readNumber(r)
	if r.Err() == nil && v == 0 {
		r.Fail(errNumberZero)
	}
	return v
}

// checkRun checks that the run of count numbers from first stays in range.
func checkRun(r *dcbor.Reader, first, count uint64) {
	if r.Err() == nil && count-1 > math.MaxInt64-first {
		r.Fail(errNumberRange)
	}
}

// parseSign1 decodes a signed message of at most max bytes whose header must
// have the given content format, and claims if it is a statement.
func parseSign1(what string, b []byte, max int, format uint64) (*crypto.Sign1, error) {
	if len(b) > max {
		return nil, Errorf(CodeTooLarge, "%s of %d bytes, at most %d", what, len(b), max)
	}
	s, err := crypto.ParseSign1(b)
	if err != nil {
		return nil, Errorf(CodeMalformed, "%s: %w", what, err)
	}
	return s, checkHeader(what, s, format)
}

func checkHeader(what string, s *crypto.Sign1, format uint64) error {
	if s.Header.ContentFormat != format {
		return malformed(what, fmt.Errorf("content format %d, want %d: %w", s.Header.ContentFormat, format, errHeader))
	}
	if s.Header.HasClaims != (format == FormatStatement) {
		return malformed(what, fmt.Errorf("claims stand in statements and only there: %w", errHeader))
	}
	return nil
}

// anyLength is the bound of an array whose number of elements says which form it is:
// another number is another form, not a broken limit.
const anyLength = math.MaxInt32

// malformed gives an error in a payload its code: too_large for a broken limit,
// otherwise the code it has, otherwise malformed.
func malformed(what string, err error) error {
	code := CodeOf(err)
	if errors.Is(err, dcbor.ErrTooLong) {
		code = CodeTooLarge
	}
	return &Error{Code: code, Text: what + ": " + err.Error(), Err: err}
}
