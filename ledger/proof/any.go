package proof

import "encoding/json"

// Proven is what a file proves, a [*Finding], an [*Answered] or a [*ProvenLineage],
// or several do, [*Joined]. Its text is for people; json.Marshal writes it as an object.
type Proven interface {
	String() string
	// AsOf returns the height of the last block of the proven state, and the time
	// of the header that the validators signed over it.
	AsOf() (height uint64, signed Micros)
}

// AsOf implements [Proven].
func (f *Finding) AsOf() (uint64, Micros) { return f.AsOfHeight, f.HeaderTime }

// AsOf implements [Proven].
func (out *Answered) AsOf() (uint64, Micros) { return out.AsOfHeight, out.HeaderTime }

// VerifyAny checks a certificate, an answer or a lineage, by how the file begins. The error
// is a [*Refusal].
func VerifyAny(file []byte, root TrustRoot) (Proven, error) {
	if IsAnswer(file) {
		out, err := VerifyAnswer(file, root)
		if err != nil {
			return nil, err // not a nil pointer in an interface
		}
		return out, nil
	}
	if IsLineage(file) {
		out, err := VerifyLineage(file, root)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	out, err := Verify(file, root)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Accepted returns what tools write as JSON for an accepted file: the members of
// what it proves after "accepted": true.
func Accepted(p Proven) any { return accepted{p} }

type accepted struct{ Proven }

// MarshalJSON writes the object.
func (a accepted) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(a.Proven)
	if err != nil || len(b) < 2 {
		return nil, err
	}
	return append([]byte(`{"accepted":true,`), b[1:]...), nil
}
