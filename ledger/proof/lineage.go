package proof

import (
	"errors"
	"fmt"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// Bounds of a lineage.
const (
	// LineageDepth is how many derivations a lineage goes if not told.
	LineageDepth = 3
	// MaxLineageDepth bounds how many derivations a lineage goes.
	MaxLineageDepth = 16
	// MaxLineageEdges bounds the edges of a lineage; each mention of a statement
	// that stands elsewhere in the tree counts too.
	MaxLineageEdges = 1_000
	// MaxLineageAnswers bounds the answers that a lineage asks for.
	MaxLineageAnswers = 2_000
	// MaxLineageRows bounds the rows that a lineage looks at before it asks no more: with
	// those of one more answer they are fewer than MaxAnswerRows, so it has a file.
	MaxLineageRows = 7_000
)

// Directions of a lineage.
const (
	LineageInputs = "inputs" // what readings were computed from
	LineageUses   = "uses"   // what was computed from them
	LineageBoth   = "both"
)

// Why a lineage goes no further somewhere.
const (
	CutDepth   = "depth"
	CutEdges   = "edges"
	CutAnswers = "answers"
	CutRows    = "rows"
)

// ErrLineage: the question for a lineage is none.
var ErrLineage = errors.New("no lineage")

// LineageQuery asks for the derivations that a reading came from and went into.
type LineageQuery struct {
	Stream    crypto.ID
	Number    uint64
	Direction string
	Depth     int // 1..MaxLineageDepth
}

// LineageEdge is a proven derivation: Derived was computed from Input. In the
// direction of the inputs Next holds what Input was derived from, in that of the
// uses what was computed from Derived.
type LineageEdge struct {
	Derived, Input Claim
	Digest         *HexDigest // of the input, as the deriving device signed it; nil in the direction of the uses
	LineageEnd
}

// LineageEnd is where a lineage goes on.
type LineageEnd struct {
	Next  []*LineageEdge
	Again []Claim // derived statements whose edges stand elsewhere in the tree
	Cut   string  // the bound that ends the walk here; empty: nothing is left out
}

// Lineage is what a walk proved, all of it at one height.
type Lineage struct {
	Stream       crypto.ID
	Number       uint64
	Inputs, Uses *LineageEnd // nil: not asked for
	AsOfHeight   uint64
	HeaderTime   Micros
	Edges        int
	Answers      int
	Cut          map[string]int // how often a bound ended the walk
}

// AskLineage returns the verified answer to queries. All answers must be about one
// height.
type AskLineage func(queries ...Query) (*Answered, error)

// lineageStep is a range of readings to be looked at.
type lineageStep struct {
	span  Claim
	uses  bool
	depth int // edges behind it
	end   *LineageEnd
}

type lineageWalk struct {
	q       LineageQuery
	ask     AskLineage
	out     *Lineage
	first   *Answered
	queue   []lineageStep
	visited map[merkle.Key]bool  // derived statements in the direction of the inputs
	went    map[merkle.Key]bool  // and of the uses
	lengths map[crypto.ID]uint64 // classes of uses of a stream, see record.UseLengths
	rows    int                  // that were answered
	bound   int                  // of edges
}

// WalkLineage walks the derivations of a reading, nearest first, with one answer a
// hop. Each statement is walked from once, so a circle ends. An answer to another
// question, or about another height, is refused.
func WalkLineage(q LineageQuery, ask AskLineage) (*Lineage, error) {
	w := &lineageWalk{
		q: q, ask: ask, bound: MaxLineageEdges,
		visited: make(map[merkle.Key]bool), went: make(map[merkle.Key]bool),
		lengths: make(map[crypto.ID]uint64),
	}
	return w.walk()
}

func (w *lineageWalk) walk() (*Lineage, error) {
	q := w.q
	if q.Number == 0 || q.Number > ledger.MaxNumber || q.Depth < 1 || q.Depth > MaxLineageDepth {
		return nil, fmt.Errorf("%w: of number %d with depth %d; numbers begin at 1, the depth is 1 to %d", ErrLineage, q.Number, q.Depth, MaxLineageDepth)
	}
	w.out = &Lineage{Stream: q.Stream, Number: q.Number, Cut: make(map[string]int)}
	start := Claim{q.Stream, q.Number, q.Number}
	if q.Direction == LineageInputs || q.Direction == LineageBoth {
		w.out.Inputs = new(LineageEnd)
		w.queue = append(w.queue, lineageStep{span: start, end: w.out.Inputs})
	}
	if q.Direction == LineageUses || q.Direction == LineageBoth {
		w.out.Uses = new(LineageEnd)
		w.queue = append(w.queue, lineageStep{span: start, uses: true, end: w.out.Uses})
	}
	if len(w.queue) == 0 {
		return nil, fmt.Errorf("%w: the direction is %s, %s or %s", ErrLineage, LineageInputs, LineageUses, LineageBoth)
	}
	for len(w.queue) > 0 {
		step := w.queue[0]
		w.queue = w.queue[1:]
		if err := w.expand(step); err != nil {
			return nil, err
		}
	}
	return w.out, nil
}

func (w *lineageWalk) expand(s lineageStep) error {
	switch {
	case s.depth >= w.q.Depth:
		w.end(s, CutDepth)
		return nil
	case w.out.Edges >= w.bound:
		w.end(s, CutEdges)
		return nil
	case s.uses:
		return w.expandUses(s)
	}
	return w.expandInputs(s)
}

// end notes which bound ends the walk at a step; the first counts.
func (w *lineageWalk) end(s lineageStep, why string) {
	if s.end.Cut == "" {
		s.end.Cut = why
		w.out.Cut[why]++
	}
}

// room takes an edge from the bound.
func (w *lineageWalk) room(s lineageStep) bool {
	if w.out.Edges >= w.bound {
		w.end(s, CutEdges)
		return false
	}
	w.out.Edges++
	return true
}

// add adds an edge, and what lies behind it to the steps to be taken.
func (w *lineageWalk) add(s lineageStep, e *LineageEdge, on Claim, again bool) {
	s.end.Next = append(s.end.Next, e)
	if again {
		e.Again = []Claim{on}
		return
	}
	w.queue = append(w.queue, lineageStep{on, s.uses, s.depth + 1, &e.LineageEnd})
}

// expandInputs adds what the statements that reach into a range were derived from.
func (w *lineageWalk) expandInputs(s lineageStep) error {
	lo, _ := record.Range(record.FamilyDerived, s.span.Stream)
	from, hi := record.DerivedRow(s.span.Stream, s.span.First), record.DerivedRow(s.span.Stream, s.span.Last)
	queries := []Query{{QueryPredecessor, lo, from}}
	next, more := from, s.span.Last > s.span.First
	if more {
		next, _ = record.Successor(from)
		queries = append(queries, ListQuery(next, hi))
	}
	for len(queries) > 0 {
		results, err := w.answer(s, queries)
		if err != nil || results == nil {
			return err
		}
		for _, r := range results {
			for _, row := range r.Rows {
				if ok, err := w.derived(s, row); !ok {
					return err
				}
			}
		}
		end := results[len(results)-1].Query.Hi
		if queries = nil; more && end != hi {
			next, _ = record.Successor(end)
			queries = []Query{ListQuery(next, hi)}
		}
	}
	return nil
}

// derived adds the edges of one derived statement; false: a bound is reached.
func (w *lineageWalk) derived(s lineageStep, row Row) (bool, error) {
	v, err := record.ParseDerived(row.Value)
	if err != nil {
		return false, fmt.Errorf("row %s: %w", row.Key, err)
	}
	statement := Claim{s.span.Stream, record.NumberOf(row.Key), v.Last}
	if err := checkRanges(statement, v.Inputs); err != nil {
		return false, fmt.Errorf("row %s: %w", row.Key, err)
	}
	if statement.Last < s.span.First {
		return true, nil
	}
	if w.visited[row.Key] {
		if !w.room(s) {
			return false, nil
		}
		s.end.Again = append(s.end.Again, statement)
		return true, nil
	}
	w.visited[row.Key] = true
	for _, in := range v.Inputs {
		if !w.room(s) {
			return false, nil
		}
		digest, input := HexDigest(in.Digest), Claim{in.Stream, in.First, in.Last}
		w.add(s, &LineageEdge{Derived: statement, Input: input, Digest: &digest}, input, false)
	}
	return true, nil
}

var errNoRange = errors.New("numbers that are no range")

// isRange tells whether the numbers are a range.
func (c Claim) isRange() bool { return c.First >= 1 && c.First <= c.Last }

func checkRanges(statement Claim, inputs []ledger.Input) error {
	for _, in := range inputs {
		if !(Claim{in.Stream, in.First, in.Last}).isRange() {
			return errNoRange
		}
	}
	if !statement.isRange() {
		return errNoRange
	}
	return nil
}

// expandUses adds the statements that were derived from readings of a range: for each class
// of lengths that uses of the stream have, those that may reach into it.
func (w *lineageWalk) expandUses(s lineageStep) error {
	classes, ok, err := w.lengthsOf(s)
	if err != nil || !ok {
		return err
	}
	for class := range record.LengthClasses {
		if classes>>class&1 == 0 {
			continue
		}
		if more, err := w.usesOf(s, class); err != nil || !more {
			return err
		}
	}
	return nil
}

// lengthsOf reads the classes of lengths of a stream's uses, once; false: a bound is reached.
func (w *lineageWalk) lengthsOf(s lineageStep) (uint64, bool, error) {
	if classes, known := w.lengths[s.span.Stream]; known {
		return classes, true, nil
	}
	results, err := w.answer(s, []Query{RowQuery(record.UseLengthsRow(s.span.Stream))})
	if err != nil || results == nil {
		return 0, false, err
	}
	var v record.UseLengths
	for _, row := range results[0].Rows {
		if v, err = record.ParseUseLengths(row.Value); err != nil {
			return 0, false, fmt.Errorf("row %s: %w", row.Key, err)
		}
	}
	w.lengths[s.span.Stream] = v.Classes
	return v.Classes, true, nil
}

// usesOf adds the uses of one class; false: a bound is reached.
func (w *lineageWalk) usesOf(s lineageStep, class int) (bool, error) {
	next, hi := record.UseRange(s.span.Stream, class, s.span.First, s.span.Last)
	for {
		results, err := w.answer(s, []Query{ListQuery(next, hi)})
		if err != nil || results == nil {
			return false, err
		}
		for _, row := range results[0].Rows {
			if ok, err := w.use(s, row); !ok {
				return false, err
			}
		}
		end := results[0].Query.Hi
		if end == hi {
			return true, nil
		}
		next, _ = record.Successor(end)
	}
}

// use adds the edge of one use, if it overlaps the range; false: a bound is reached.
func (w *lineageWalk) use(s lineageStep, row Row) (bool, error) {
	v, err := record.ParseUse(row.Value)
	input, derived := Claim{s.span.Stream, v.First, v.Last}, Claim{v.Stream, v.DerivedFirst, v.DerivedLast}
	if err == nil && (!input.isRange() || !derived.isRange()) {
		err = errNoRange
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("row %s: %w", row.Key, err)
	case input.First > s.span.Last || input.Last < s.span.First:
		return true, nil
	case !w.room(s):
		return false, nil
	}
	k := record.DerivedRow(derived.Stream, derived.First)
	w.add(s, &LineageEdge{Derived: derived, Input: input}, derived, w.went[k])
	w.went[k] = true
	return true, nil
}

// answer asks, and checks that the answer is one to these queries at the height of
// the others. Without results and error the bound of answers or of rows is reached.
func (w *lineageWalk) answer(s lineageStep, queries []Query) ([]Result, error) {
	switch {
	case w.out.Answers >= MaxLineageAnswers:
		w.end(s, CutAnswers)
		return nil, nil
	case w.rows >= MaxLineageRows:
		w.end(s, CutRows)
		return nil, nil
	}
	w.out.Answers++
	a, err := w.ask(slices.Clone(queries)...)
	if err != nil {
		return nil, err
	}
	if w.first == nil {
		w.first, w.out.AsOfHeight, w.out.HeaderTime = a, a.AsOfHeight, a.HeaderTime
	}
	if a.Chain != w.first.Chain || a.AsOfHeight != w.first.AsOfHeight || a.AppHash != w.first.AppHash {
		return nil, fmt.Errorf("%w: at height %d, the others at %d", ErrOtherQuestion, a.AsOfHeight, w.first.AsOfHeight)
	}
	for _, r := range a.Results {
		w.rows += len(r.Rows)
	}
	return a.Results, a.AnswersTo(queries...)
}

// ErrOtherQuestion: an answer, sound by itself, is to another question.
var ErrOtherQuestion = errors.New("the answer is to another question")

// AnswersTo checks that the answer has exactly these queries. The last may be a list
// that ends early, with its last row.
func (out *Answered) AnswersTo(queries ...Query) error {
	if len(out.Results) != len(queries) {
		return fmt.Errorf("%w: %d results, %d asked for", ErrOtherQuestion, len(out.Results), len(queries))
	}
	for i, asked := range queries {
		r := out.Results[i]
		if r.Query == asked {
			continue
		}
		short := i == len(queries)-1 && asked.Kind == QueryList && r.Query.Kind == QueryList && r.Query.Lo == asked.Lo &&
			len(r.Rows) > 0 && r.Rows[len(r.Rows)-1].Key == r.Query.Hi && string(r.Query.Hi[:]) < string(asked.Hi[:])
		if !short {
			return fmt.Errorf("%w: %s", ErrOtherQuestion, r.Query)
		}
	}
	return nil
}
