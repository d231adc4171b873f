package proof

import (
	"errors"
	"fmt"
	"slices"

	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// CheckLineage is the check that only lineages have, after those of the answer in
// it: the answer has what the walk asks, in its order, and nothing else.
const CheckLineage Check = "lineage"

// LineageFile is the parsed form of a lineage in one file (docs/spec/lineage.md):
// the question, and the file of one answer to all queries of the walk.
type LineageFile struct {
	Question LineageQuery
	Answer   []byte
}

const (
	lineageForm     = 1
	lineageElements = 5
)

var lineageFrame = frame{magic: newMagic(lineageElements, "mtm.lineage"), form: lineageForm, what: "lineage", max: MaxLineage}

// lineageDirections are in the order of their numbers, from 1 on.
var lineageDirections = []string{LineageInputs, LineageUses, LineageBoth}

// IsLineage tells whether a file begins like a lineage, not whether it is sound.
func IsLineage(file []byte) bool { return lineageFrame.is(file) }

// Encode writes the lineage as a file. It checks nothing.
func (f *LineageFile) Encode() []byte {
	b := append(make([]byte, 0, len(f.Answer)+128), lineageFrame.magic...)
	b = dcbor.AppendUint(b, lineageForm)
	b = dcbor.AppendArray(b, 4)
	b = dcbor.AppendBytes(b, f.Question.Stream[:])
	b = dcbor.AppendUint(b, f.Question.Number)
	b = dcbor.AppendUint(b, uint64(slices.Index(lineageDirections, f.Question.Direction)+1))
	b = dcbor.AppendUint(b, uint64(f.Question.Depth))
	return seal(dcbor.AppendBytes(b, f.Answer))
}

// ParseLineage reads a lineage file and checks its form, limits and checksum, not
// what it proves. What it accepts, [LineageFile.Encode] writes again byte for byte.
// The result aliases file. The error is a [*Refusal] of [CheckShape] or
// [CheckChecksum].
func ParseLineage(file []byte) (*LineageFile, error) {
	body, err := lineageFrame.open(file)
	if err != nil {
		return nil, err
	}
	r := dcbor.NewReader(body)
	r.ExpectArray(lineageElements)
	r.ExpectText("mtm.lineage")
	r.ExpectUint(lineageForm)
	r.ExpectArray(4)
	f := new(LineageFile)
	r.Fixed(f.Question.Stream[:])
	f.Question.Number = between(r, 1, ledger.MaxNumber)
	if d := between(r, 1, uint64(len(lineageDirections))); r.Err() == nil {
		f.Question.Direction = lineageDirections[d-1]
	}
	f.Question.Depth = int(between(r, 1, MaxLineageDepth))
	f.Answer = r.Bytes(MaxAnswer)
	if err := r.Done(); err != nil {
		return nil, &Refusal{Check: CheckShape, Err: fmt.Errorf("lineage: %w", err)}
	}
	return f, nil
}

// between reads an integer that has a least and a greatest value.
func between(r *dcbor.Reader, least, most uint64) uint64 {
	n := number(r, most)
	if n < least {
		r.Fail(dcbor.ErrRange)
	}
	return n
}

// ProvenLineage is what an accepted lineage file proves.
type ProvenLineage struct {
	*Lineage
	Question LineageQuery
	Answer   *Answered
}

// AsOf implements [Proven].
func (l *ProvenLineage) AsOf() (uint64, Micros) { return l.Answer.AsOf() }

// VerifyLineage checks a lineage file against a trust root and returns what it
// proves. The error is a [*Refusal].
func VerifyLineage(file []byte, root TrustRoot) (*ProvenLineage, error) {
	v, err := NewVerifier(root)
	if err != nil {
		return nil, err
	}
	return v.VerifyLineage(file)
}

// VerifyLineage checks a lineage file.
func (v *Verifier) VerifyLineage(file []byte) (*ProvenLineage, error) {
	f, err := ParseLineage(file)
	if err != nil {
		return nil, err
	}
	a, err := v.VerifyAnswer(f.Answer)
	if err != nil {
		return nil, err
	}
	if len(a.Entries) > 0 || a.Cover != nil {
		return nil, refuse(CheckLineage, "the answer has entries or a cover, which a lineage does not ask for")
	}
	l, err := walkAnswer(f.Question, a)
	if errors.Is(err, ErrOtherQuestion) {
		return nil, &Refusal{Check: CheckLineage, Err: err}
	} else if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	return &ProvenLineage{l, f.Question, a}, nil
}

// walkAnswer walks a lineage by the results of one answer, which must be used up.
func walkAnswer(q LineageQuery, a *Answered) (*Lineage, error) {
	rest := a.Results
	l, err := WalkLineage(q, func(queries ...Query) (*Answered, error) {
		part := *a
		n := min(len(queries), len(rest))
		part.Results, rest = rest[:n], rest[n:]
		return &part, nil
	})
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %s is not asked for", ErrOtherQuestion, rest[0].Query)
	}
	return l, err
}
