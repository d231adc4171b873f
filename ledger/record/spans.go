package record

import (
	"errors"

	"mtmledger/internal/dcbor"
)

// MaxSpans bounds how often one thing may come back to the same organisation.
const MaxSpans = 1_000

// Span is a run of heights: From and all above, up to but without To.
type Span struct {
	From uint64
	To   uint64 // above From; 0 = still so
}

// Spans is the value of a row that lists what belongs to an organisation: when
// it did. Spans ascend, do not touch, and only the last may have no end. So one
// complete list, filtered by At, says what an organisation had at a height.
type Spans []Span

// ErrSpans is returned for a change that would break the order of spans, or
// their bound MaxSpans.
var ErrSpans = errors.New("spans out of order or too many")

// At tells whether it belonged at height.
func (s Spans) At(height uint64) bool {
	for _, span := range s {
		if span.From <= height && (span.To == 0 || height < span.To) {
			return true
		}
	}
	return false
}

// Current tells whether the last span has no end.
func (s Spans) Current() bool { return len(s) > 0 && s[len(s)-1].To == 0 }

// Open returns the spans with one more, from height on. A span that ended at
// this very height goes on.
func (s Spans) Open(height uint64) (Spans, error) {
	out := append(Spans(nil), s...)
	n := len(out)
	switch {
	case n > 0 && (out[n-1].To == 0 || out[n-1].To > height):
		return nil, ErrSpans
	case n > 0 && out[n-1].To == height:
		out[n-1].To = 0
		return out, nil
	case n >= MaxSpans:
		return nil, ErrSpans
	}
	return append(out, Span{From: height}), nil
}

// Close returns the spans with the last one ended at height. A span that began at
// this very height, or would begin later, goes; the result may be empty.
func (s Spans) Close(height uint64) (Spans, error) {
	if !s.Current() {
		return nil, ErrSpans
	}
	out := append(Spans(nil), s...)
	n := len(out)
	if out[n-1].From >= height {
		return out[:n-1], nil
	}
	out[n-1].To = height
	return out, nil
}

// Encode returns the row's value.
func (s Spans) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(s))
	for _, span := range s {
		b = appendUints(dcbor.AppendArray(b, 2), span.From, span.To)
	}
	return b
}

// ParseSpans decodes the value of a row that says when something belonged to an
// organisation.
func ParseSpans(b []byte) (s Spans, err error) {
	r := open(b, 2)
	n := r.Array(MaxSpans)
	if r.Err() == nil && n == 0 {
		r.Fail(ErrSpans)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		r.ExpectArray(2)
		span := Span{From: number(r), To: number(r)}
		if r.Err() == nil && (span.To != 0 && span.To <= span.From || i > 0 && (s[i-1].To == 0 || s[i-1].To >= span.From)) {
			r.Fail(ErrSpans)
		}
		s = append(s, span)
	}
	return s, done(r, "spans")
}
