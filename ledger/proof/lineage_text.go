package proof

import (
	"encoding/json"
	"fmt"
	"strings"
)

func (c Claim) fields() Fields {
	return Fields{{"stream", c.Stream}, {"first", c.First}, {"last", c.Last}}
}

func (c Claim) text() string { return fmt.Sprintf("%s %d to %d", c.Stream, c.First, c.Last) }

func (e *LineageEnd) fields() Fields {
	next := e.Next
	if next == nil {
		next = []*LineageEdge{}
	}
	f := Fields{{"edges", next}}
	if len(e.Again) > 0 {
		again := make([]Fields, len(e.Again))
		for i, c := range e.Again {
			again[i] = c.fields()
		}
		f = append(f, Field{"again", again})
	}
	if e.Cut != "" {
		f = append(f, Field{"cut_by", e.Cut})
	}
	return f
}

// MarshalJSON writes the end of an edge as an object.
func (e *LineageEnd) MarshalJSON() ([]byte, error) { return json.Marshal(e.fields()) }

// MarshalJSON writes the edge and the tree behind it.
func (e *LineageEdge) MarshalJSON() ([]byte, error) {
	f := Fields{{"derived", e.Derived.fields()}, {"input", e.Input.fields()}}
	if e.Digest != nil {
		f = append(f, Field{"input_digest", *e.Digest})
	}
	return json.Marshal(append(f, e.fields()...))
}

// MarshalJSON writes the tree.
func (l *Lineage) MarshalJSON() ([]byte, error) {
	f := Fields{{"stream", l.Stream}, {"number", l.Number}, {"as_of_height", l.AsOfHeight}, {"header_time", l.HeaderTime}}
	if l.Inputs != nil {
		f = append(f, Field{"inputs", l.Inputs})
	}
	if l.Uses != nil {
		f = append(f, Field{"uses", l.Uses})
	}
	return json.Marshal(append(f, Fields{
		{"edges", l.Edges}, {"answers", l.Answers}, {"complete", len(l.Cut) == 0}, {"cut", l.Cut}, {"assumption", Assumption},
	}...))
}

// MarshalJSON writes the question, the tree and who signed the state.
func (l *ProvenLineage) MarshalJSON() ([]byte, error) {
	f := Fields{
		{"chain", l.Answer.Chain}, {"stream", l.Stream}, {"number", l.Number}, {"direction", l.Question.Direction}, {"depth", l.Question.Depth},
		{"as_of_height", l.AsOfHeight}, {"header_time", l.HeaderTime},
	}
	if l.Inputs != nil {
		f = append(f, Field{"inputs", l.Inputs})
	}
	if l.Uses != nil {
		f = append(f, Field{"uses", l.Uses})
	}
	f = append(f, Fields{{"edges", l.Edges}, {"answers", l.Answers}, {"complete", len(l.Cut) == 0}, {"cut", l.Cut}}...)
	return json.Marshal(append(f, l.Answer.signedFields()...))
}

// String returns the tree and who signed the state.
func (l *ProvenLineage) String() string {
	a := l.Answer
	return fmt.Sprintf("%sledger %s, %d of %d signatures checked, power %d of %d, %d changes of the set since the trust root\n",
		l.Lineage, a.Chain, a.Signed, a.Validators, a.Power, a.TotalPower, a.Changes)
}

// String returns the tree for a person to read, in lines.
func (l *Lineage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stream %s, reading %d\n", l.Stream, l.Number)
	if l.Inputs != nil {
		b.WriteString("inputs:\n")
		l.Inputs.write(&b, "  ", "computed from", false)
	}
	if l.Uses != nil {
		b.WriteString("uses:\n")
		l.Uses.write(&b, "  ", "used by", true)
	}
	fmt.Fprintf(&b, "proven: %d edges in %d answers, as of height %d, signed in the header of %s\n", l.Edges, l.Answers, l.AsOfHeight, l.HeaderTime)
	for _, c := range []struct{ why, text string }{
		{CutDepth, "not walked further at %d places: the depth asked for ends there\n"},
		{CutEdges, fmt.Sprintf("cut at %%d places: a lineage has at most %d edges\n", MaxLineageEdges)},
		{CutAnswers, fmt.Sprintf("cut at %%d places: a lineage takes at most %d answers\n", MaxLineageAnswers)},
		{CutRows, fmt.Sprintf("cut at %%d places: a lineage looks at no more after %d rows\n", MaxLineageRows)},
	} {
		if n := l.Cut[c.why]; n > 0 {
			fmt.Fprintf(&b, c.text, n)
		}
	}
	if len(l.Cut) == 0 {
		b.WriteString("nothing is left out\n")
	}
	fmt.Fprintf(&b, "assuming %s\n", Assumption)
	return b.String()
}

func (e *LineageEnd) write(b *strings.Builder, indent, verb string, uses bool) {
	for _, next := range e.Next {
		if uses {
			fmt.Fprintf(b, "%s%s %s: %s\n", indent, next.Input.text(), verb, next.Derived.text())
		} else {
			fmt.Fprintf(b, "%s%s %s %s\n", indent, next.Derived.text(), verb, next.Input.text())
		}
		next.write(b, indent+"  ", verb, uses)
	}
	for _, c := range e.Again {
		fmt.Fprintf(b, "%s%s: its edges stand elsewhere in this tree\n", indent, c.text())
	}
	switch {
	case e.Cut != "":
		fmt.Fprintf(b, "%s... (bound: %s)\n", indent, e.Cut)
	case len(e.Next) == 0 && len(e.Again) == 0:
		fmt.Fprintf(b, "%snone, and that is proven\n", indent)
	}
}
