package proof

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// MarshalJSON writes the answer as an object: rows and entries in words.
func (out *Answered) MarshalJSON() ([]byte, error) { return json.Marshal(out.Fields()) }

// Fields returns the members of the answer's JSON object.
func (out *Answered) Fields() Fields {
	f := Fields{{"chain", out.Chain}, {"as_of_height", out.AsOfHeight}, {"header_time", out.HeaderTime}}
	if len(out.Results) > 0 {
		f = append(f, Field{"results", out.Results})
	}
	if out.Cover != nil {
		f = append(f, Field{"cover", out.Cover})
	}
	if len(out.Entries) > 0 {
		f = append(f, Field{"entries", out.Entries})
	}
	return append(f, out.signedFields()...)
}

// signedFields say what was signed, and by how many.
func (out *Answered) signedFields() Fields {
	return Fields{
		{"log_size", out.LogSize}, {"app_hash", HexDigest(out.AppHash)},
		{"validators", out.Validators}, {"validators_signed", out.Signed}, {"power", out.TotalPower},
		{"power_signed", out.Power}, {"validator_set_changes", out.Changes}, {"assumption", out.Assumption},
	}
}

// MarshalJSON writes what was asked, and the rows.
func (r Result) MarshalJSON() ([]byte, error) {
	f := Fields{{"question", r.Query.String()}, {"kind", r.Query.Kind.String()}, {"from", r.Query.Lo.String()}}
	if r.Query.Kind != QueryRow {
		f = append(f, Field{"to", r.Query.Hi.String()})
	}
	return json.Marshal(append(f, Field{"rows", r.Rows}))
}

// String returns the name of the kind.
func (k QueryKind) String() string {
	switch k {
	case QueryRow:
		return "row"
	case QueryPredecessor:
		return "predecessor"
	case QueryList:
		return "list"
	}
	return fmt.Sprintf("query_%d", uint64(k))
}

// MarshalJSON writes the entry with the readings or the operation it holds.
func (e Entry) MarshalJSON() ([]byte, error) {
	f := Fields{{"kind", e.Kind}, {"log_index", e.Index}, {"committed_height", e.Height}, {"committed_time", e.Time}}
	if e.sign1 != nil {
		f = append(f, Fields{{"digest", e.Digest}, {"signer", e.Signer}, {"key_id", e.KeyID}, {"key", e.Key}, {"doubtful", e.Doubtful}}...)
		if e.DoubtfulFrom != 0 {
			f = append(f, Field{"doubtful_from", e.DoubtfulFrom})
		}
	}
	switch {
	case e.Statement != nil:
		f = append(f, Fields{
			{"stream", e.Statement.Stream}, {"first", e.Statement.First}, {"last", e.Statement.Last()},
			{"media", e.Statement.Media.String()}, {"readings", e.Readings(e.Statement.First, e.Statement.Last())},
		}...)
		if len(e.Statement.Inputs) > 0 {
			f = append(f, Field{"inputs", inputFields(e)})
		}
	case e.Operation != nil:
		f = append(f, Field{"operation", e.Operation.Body.Kind().String()}, Field{"body", display("", reflect.ValueOf(e.Operation.Body))})
	}
	return json.Marshal(f)
}

func inputFields(e Entry) []Fields {
	var list []Fields
	for _, in := range e.Statement.Inputs {
		list = append(list, Fields{{"stream", in.Stream}, {"first", in.First}, {"last", in.Last}, {"digest", HexDigest(in.Digest)}})
	}
	return list
}

// Readings returns those of a statement's readings that have numbers in
// first..last.
func (e *Entry) Readings(first, last uint64) []ProvenValue {
	list := []ProvenValue{}
	if e.Statement == nil {
		return list
	}
	for n := max(first, e.Statement.First); n <= min(last, e.Statement.Last()); n++ {
		r := e.Statement.Readings[n-e.Statement.First]
		list = append(list, ProvenValue{n, Micros(r.Time), r.Content})
	}
	return list
}

// MarshalJSON writes the cover; a part names the statement by its log index.
func (c *Cover) MarshalJSON() ([]byte, error) {
	parts := make([]Fields, len(c.Parts))
	for i, p := range c.Parts {
		parts[i] = Fields{{"kind", p.Kind}, {"first", p.First}, {"last", p.Last}}
		if p.Entry != nil {
			parts[i] = append(parts[i], Field{"log_index", p.Entry.Index})
		}
	}
	return json.Marshal(Fields{
		{"stream", c.Stream}, {"device", c.Device}, {"first", c.First}, {"last", c.Last}, {"mark", c.Mark},
		{"committed", c.Count(CoverStatement)}, {"missing", c.Count(CoverMissing)}, {"not_written", c.Count(CoverUnwritten)},
		{"parts", parts},
	})
}

// Count returns how many numbers of the range are in parts of a kind.
func (c *Cover) Count(k CoverKind) (n uint64) {
	for _, p := range c.Parts {
		if p.Kind == k {
			n += p.Last - p.First + 1
		}
	}
	return n
}

// String returns the answer for a person to read, in lines; long lists in full.
func (out *Answered) String() string {
	var b strings.Builder
	for _, r := range out.Results {
		fmt.Fprintf(&b, "%s: %s\n", r.Query, counted(len(r.Rows), "row", "rows"))
		for _, row := range r.Rows {
			fmt.Fprintf(&b, "  %s\n", row)
		}
	}
	if out.Cover != nil {
		out.Cover.write(&b)
	} else {
		for i := range out.Entries {
			out.Entries[i].write(&b)
		}
	}
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	line("ledger", "%s, a log of %d entries", out.Chain, out.LogSize)
	line("as of", "height %d, signed in the header of %s", out.AsOfHeight, out.HeaderTime)
	line("validators", "%d of %d signatures checked, power %d of %d, %d changes of the set since the trust root",
		out.Signed, out.Validators, out.Power, out.TotalPower, out.Changes)
	line("assuming", "%s", out.Assumption)
	return b.String()
}

func counted(n int, one, many string) string {
	switch n {
	case 0:
		return "none, which is proven"
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (c *Cover) write(b *strings.Builder) {
	fmt.Fprintf(b, "stream %s by device %s, numbers %d to %d: %d committed, %d missing, %d not written; nothing is left out\n",
		c.Stream, c.Device, c.First, c.Last, c.Count(CoverStatement), c.Count(CoverMissing), c.Count(CoverUnwritten))
	for _, p := range c.Parts {
		switch p.Kind {
		case CoverStatement:
			fmt.Fprintf(b, "  %d to %d: entry %d, committed at height %d, %s%s\n", p.First, p.Last, p.Entry.Index, p.Entry.Height, p.Entry.Time, p.Entry.doubt())
		case CoverMissing:
			fmt.Fprintf(b, "  %d to %d: missing\n", p.First, p.Last)
		case CoverUnwritten:
			fmt.Fprintf(b, "  %d to %d: not written; the greatest number used is %d\n", p.First, p.Last, c.Mark)
		}
	}
}

func (e *Entry) doubt() string {
	if e.Doubtful {
		return fmt.Sprintf(", in doubt: the key is declared compromised from height %d on", e.DoubtfulFrom)
	}
	return ""
}

func (e *Entry) write(b *strings.Builder) {
	fmt.Fprintf(b, "entry %d: %s", e.Index, e.Kind)
	switch {
	case e.Statement != nil:
		fmt.Fprintf(b, " on stream %s, readings %d to %d", e.Statement.Stream, e.Statement.First, e.Statement.Last())
	case e.Operation != nil:
		fmt.Fprintf(b, " %s", e.Operation.Body.Kind())
	}
	if e.sign1 != nil {
		fmt.Fprintf(b, ", signed by %s with key %s", e.Signer, e.KeyID)
	}
	fmt.Fprintf(b, ", committed at height %d, %s%s\n", e.Height, e.Time, e.doubt())
}
