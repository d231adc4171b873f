package ledger

import (
	"mtmledger/internal/dcbor"
)

// Equivocation shows two different statements for one number of a stream, signed
// by one key of a device. Anyone may be the actor.
type Equivocation struct{ A, B *Statement }

// Kind returns KindEquivocation.
func (Equivocation) Kind() Kind { return KindEquivocation }

// Overlap is the first number that both statements have.
func (o Equivocation) Overlap() uint64 { return max(o.A.First, o.B.First) }

func (o Equivocation) append(b []byte) []byte {
	b = appendKind(b, 3, KindEquivocation)
	return appendStatement(appendStatement(b, o.A), o.B)
}

func appendStatement(b []byte, s *Statement) []byte {
	if s == nil || s.Sign1 == nil {
		return dcbor.AppendBytes(b, nil) // refused when it is parsed
	}
	return dcbor.AppendBytes(b, s.Bytes())
}

// readEvidenceBody reads the rest of a body of n elements whose kind was read,
// nil if it is none of this file's.
func readEvidenceBody(r *dcbor.Reader, kind Kind, n int) Body {
	if kind != KindEquivocation || n != 3 {
		return nil
	}
	body := Equivocation{A: readStatement(r), B: readStatement(r)}
	if r.Err() == nil {
		r.Fail(body.check())
	}
	return body
}

func readStatement(r *dcbor.Reader) *Statement {
	b := r.Bytes(MaxStatement)
	if r.Err() != nil {
		return nil
	}
	s, err := ParseStatement(b)
	r.Fail(err)
	return s
}

// check tells what the two statements have in common and what not.
func (o Equivocation) check() error {
	a, b := o.A, o.B
	switch {
	case a.Device != b.Device || a.KeyID() != b.KeyID():
		return Errorf(CodeNotEquivocation, "the statements are by different devices or keys")
	case a.Stream != b.Stream:
		return Errorf(CodeNotEquivocation, "the statements are of different streams")
	case a.Last() < b.First || b.Last() < a.First:
		return Errorf(CodeNotEquivocation, "the statements have no number in common")
	case a.Digest() == b.Digest():
		return Errorf(CodeNotEquivocation, "it is the same statement twice")
	}
	return nil
}
