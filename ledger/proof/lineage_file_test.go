package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

func lineageVariants() []lineageVariant {
	return slices.Concat(soundLineages(), misshapenLineages(), otherLineages(), unsoundLineages())
}

func asking(of func(w *lineageWorld) LineageQuery) func(*lineageWorld) {
	return func(w *lineageWorld) { w.q = of(w) }
}

func soundLineages() []lineageVariant {
	return []lineageVariant{
		{name: "inputs", why: "of c 1: b 1..4, and of that a"},
		{name: "uses", why: "of a 3: b 1..2, and of that c 1", world: asking(func(w *lineageWorld) LineageQuery { return LineageQuery{w.a, 3, LineageUses, 3} })},
		{name: "both, cut by the depth", why: "of b 2, one derivation each way", world: asking(func(w *lineageWorld) LineageQuery { return LineageQuery{w.b, 2, LineageBoth, 1} })},
		{name: "nothing", why: "a 7 came from nothing and went into nothing", world: asking(func(w *lineageWorld) LineageQuery { return LineageQuery{w.a, 7, LineageBoth, 16} })},
		{name: "circle of inputs", why: "c 5, b 9, c 5", world: asking(func(w *lineageWorld) LineageQuery { return LineageQuery{w.c, 5, LineageInputs, 16} })},
		{name: "circle of uses", why: "b 9, c 5, b 9", world: asking(func(w *lineageWorld) LineageQuery { return LineageQuery{w.b, 9, LineageUses, 16} })},
		{name: "pages of one row", why: "each list ends early", world: func(w *lineageWorld) {
			w.page, w.q = 1, LineageQuery{w.b, 2, LineageBoth, 3}
			w.derive(20, Claim{w.b, 20, 20}, Claim{w.c, 1, 5})
			w.derive(21, Claim{w.a, 2, 2}, Claim{w.b, 20, 21})
		}},
		{name: "uses of many lengths", why: "of a 3: by statements of 1, 2, 3, 10 and 2^40 readings of it, which begin before it or with it; not by those beside it", world: func(w *lineageWorld) {
			w.q = LineageQuery{w.a, 3, LineageUses, 1}
			w.derive(30, Claim{w.c, 20, 20}, Claim{w.a, 3, 3}, Claim{w.a, 2, 3}, Claim{w.a, 3, 12}, Claim{w.a, 1, 1 << 40}, Claim{w.a, 1, 2}, Claim{w.a, 4, 5})
			w.derive(31, Claim{w.c, 21, 21}, Claim{w.a, 4, 1 << 40}, Claim{w.a, 3, ledger.MaxNumber}, Claim{w.a, 2, 2}, Claim{w.a, 4, 4})
		}},
		{name: "validators changed", why: "one step", world: func(w *lineageWorld) { w.changeSet(5, newSigners("later", laterSet...)) }},
	}
}

func misshapenLineages() []lineageVariant {
	question := func(change func(q *LineageQuery)) func(*lineageWorld, *LineageFile) {
		return func(_ *lineageWorld, f *LineageFile) { change(&f.Question) }
	}
	return []lineageVariant{
		{name: "empty", why: "no byte", check: CheckShape, file: func([]byte) []byte { return nil }},
		{name: "an answer", why: "another kind of file", check: CheckShape, file: func(b []byte) []byte { return (&Answer{Light: parseable()}).Encode() }},
		{name: "unknown form", why: "form 2", check: CheckShape, file: func(b []byte) []byte {
			b[len(lineageFrame.magic)] = 2
			return reseal(b)
		}},
		{name: "truncated", why: "the last byte is missing", check: CheckChecksum, file: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "trailing byte", why: "after the end", check: CheckChecksum, file: func(b []byte) []byte { return append(b, 0) }},
		{name: "trailing element", why: "before the checksum", check: CheckShape, file: insertBeforeChecksum},
		{name: "longer checksum", why: "its element has two bytes more, which look like its head", check: CheckShape, file: longerChecksum},
		{name: "number 0", why: "numbers begin at 1", check: CheckShape, lineage: question(func(q *LineageQuery) { q.Number = 0 })},
		{name: "number too great", why: "2^63", check: CheckShape, lineage: question(func(q *LineageQuery) { q.Number = ledger.MaxNumber + 1 })},
		{name: "depth 0", why: "nothing to be walked", check: CheckShape, lineage: question(func(q *LineageQuery) { q.Depth = 0 })},
		{name: "depth 17", why: "over the bound", check: CheckShape, lineage: question(func(q *LineageQuery) { q.Depth = MaxLineageDepth + 1 })},
		{name: "no direction", why: "0", check: CheckShape, lineage: question(func(q *LineageQuery) { q.Direction = "sideways" })},
		{name: "unknown direction", why: "4", check: CheckShape, file: func(b []byte) []byte {
			b[len(lineageFrame.magic)+1+1+17+1] = 4
			return reseal(b)
		}},
		{name: "no answer", why: "no byte of it", check: CheckShape, lineage: func(_ *lineageWorld, f *LineageFile) { f.Answer = nil }},
		{name: "answer with a trailing byte", why: "after its checksum", check: CheckChecksum, lineage: func(_ *lineageWorld, f *LineageFile) { f.Answer = append(f.Answer, 0) }},
		{name: "answer damaged", why: "a byte of it is changed", check: CheckChecksum, lineage: func(_ *lineageWorld, f *LineageFile) { f.Answer[len(f.Answer)/2] ^= 1 }},
	}
}

// otherLineages have sound answers, but not to the question.
func otherLineages() []lineageVariant {
	question := func(change func(w *lineageWorld, q *LineageQuery)) func(*lineageWorld, *LineageFile) {
		return func(w *lineageWorld, f *LineageFile) { change(w, &f.Question) }
	}
	return []lineageVariant{
		{name: "another root", why: "c 2 in place of c 1", check: CheckLineage, lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Number = 2 })},
		{name: "root of another stream", why: "b 1", check: CheckLineage, lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Stream = w.b })},
		{name: "another direction", why: "uses in place of inputs", check: CheckLineage, lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Direction = LineageUses })},
		{name: "a direction more", why: "both in place of inputs", check: CheckLineage, lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Direction = LineageBoth })},
		{name: "less depth", why: "answers are left over", check: CheckLineage, lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Depth = 1 })},
		{name: "more depth", why: "walked to 1, said to be walked to 2", check: CheckLineage, world: func(w *lineageWorld) { w.q.Depth = 1 },
			lineage: question(func(w *lineageWorld, q *LineageQuery) { q.Depth = 2 })},
		{name: "branch cut", why: "the last range is not asked about", check: CheckLineage, queries: func(_ *lineageWorld, q []Query) []Query { return q[:len(q)-1] }},
		{name: "branch cut in the middle", why: "the first range of b is not asked about", check: CheckLineage, queries: func(_ *lineageWorld, q []Query) []Query { return slices.Delete(q, 1, 3) }},
		{name: "edge left out", why: "the list of b's statements ends before 3", check: CheckLineage, queries: func(w *lineageWorld, q []Query) []Query {
			q[2].Hi = record.DerivedRow(w.b, 2)
			q[2].Lo = min2(q[2].Lo, q[2].Hi)
			return q
		}},
		{name: "edge left out, page missing", why: "a list ends early, and its rest is not there", check: CheckLineage, world: func(w *lineageWorld) {
			w.derive(30, Claim{w.c, 20, 20}, Claim{w.a, 2, 3})
			w.q = LineageQuery{w.a, 3, LineageUses, 1}
		}, queries: func(w *lineageWorld, q []Query) []Query {
			q[2].Hi = sortedKeys(w.rows, q[2].Lo, q[2].Hi)[0]
			return q
		}},
		{name: "uses that begin earlier left out", why: "the list begins with the range", check: CheckLineage, world: func(w *lineageWorld) {
			w.q = LineageQuery{w.a, 3, LineageUses, 1}
		}, queries: func(w *lineageWorld, q []Query) []Query {
			q[2].Lo, _ = record.UseRange(w.a, 1, 5, 5)
			q[2].Hi = q[2].Lo
			return q
		}},
		{name: "a class of lengths left out", why: "the uses of two or three readings are not asked for", check: CheckLineage, world: func(w *lineageWorld) {
			w.q = LineageQuery{w.a, 3, LineageUses, 1}
		}, queries: func(w *lineageWorld, q []Query) []Query { return q[:2] }},
		{name: "first query may not end early", why: "the predecessor of another number", check: CheckLineage, queries: func(w *lineageWorld, q []Query) []Query {
			q[1].Hi = record.DerivedRow(w.b, 1)
			return q
		}},
		{name: "other order", why: "two queries swapped", check: CheckLineage, queries: func(_ *lineageWorld, q []Query) []Query {
			q[3], q[5] = q[5], q[3]
			return q
		}},
		{name: "a query more", why: "it is not asked", check: CheckLineage, queries: func(w *lineageWorld, q []Query) []Query { return append(q, RowQuery(record.StreamRow(w.b))) }},
		{name: "no queries", why: "a proven state only", check: CheckLineage, queries: func(w *lineageWorld, q []Query) []Query { return nil }},
		{name: "answer with entries", why: "a lineage asks for none", check: CheckLineage, world: func(w *lineageWorld) { w.places = []place{{3, 3}} }},
		{name: "answer with a cover", why: "a lineage asks for none", check: CheckLineage, world: func(w *lineageWorld) { w.cover = &Claim{w.stream, 20, 25} }},
	}
}

func min2[K ~[33]byte](a, b K) K {
	if bytes.Compare(a[:], b[:]) < 0 {
		return a
	}
	return b
}

// unsoundLineages have an answer that proves nothing, or rows that mean nothing.
func unsoundLineages() []lineageVariant {
	return []lineageVariant{
		{name: "another height", why: "the header's height is changed", check: CheckCommit, world: func(w *lineageWorld) {
			w.answer = func(_ *lineageWorld, a *Answer) { a.Light.Header.Height++ }
		}},
		{name: "other records", why: "an input of b is left out of the tree after it was signed", check: CheckCommit, world: func(w *lineageWorld) {
			w.answer = func(w *lineageWorld, a *Answer) {
				w.derive(11, Claim{w.b, 3, 4}, Claim{w.a, 4, 6})
				a.Records = w.world.answer().Records
			}
		}},
		{name: "two of four", why: "half of the power", check: CheckPower, world: func(w *lineageWorld) {
			w.answer = func(_ *lineageWorld, a *Answer) { a.Light.Commit.Signatures = a.Light.Commit.Signatures[:2] }
		}},
		{name: "another ledger's validators", why: "a trust root with other keys", check: CheckTrust, root: func(r *TrustRoot) {
			r.Validators = validators(newSigners("another", 10, 10, 10, 10))
		}},
		{name: "unusable trust root", why: "no validators", check: CheckTrust, root: func(r *TrustRoot) { r.Validators = nil }},
		{name: "malformed derived row", why: "no array", check: CheckRecords, world: func(w *lineageWorld) { w.rows[record.DerivedRow(w.b, 3)] = []byte{0} }},
		{name: "derived row backwards", why: "1 to 0", check: CheckRecords, world: func(w *lineageWorld) { w.derive(13, Claim{w.c, 1, 0}, Claim{w.b, 2, 3}) }},
		{name: "input backwards", why: "3 to 2", check: CheckRecords, world: func(w *lineageWorld) { w.derive(13, Claim{w.c, 1, 1}, Claim{w.b, 3, 2}) }},
		{name: "input from 0", why: "numbers begin at 1", check: CheckRecords, world: func(w *lineageWorld) { w.derive(13, Claim{w.c, 1, 1}, Claim{w.b, 0, 2}) }},
		{name: "malformed use", why: "no array", check: CheckRecords, world: func(w *lineageWorld) {
			w.rows[record.UseRow(w.a, 1, 3, 10, 0)] = []byte{0}
			w.q = LineageQuery{w.a, 3, LineageUses, 3}
		}},
		{name: "malformed classes of lengths", why: "no array", check: CheckRecords, world: func(w *lineageWorld) {
			w.rows[record.UseLengthsRow(w.a)] = []byte{0}
			w.q = LineageQuery{w.a, 3, LineageUses, 3}
		}},
		{name: "use backwards", why: "3 to 1", check: CheckRecords, world: func(w *lineageWorld) {
			w.derive(10, Claim{w.b, 1, 2}, Claim{w.a, 3, 1})
			w.q = LineageQuery{w.a, 3, LineageUses, 3}
		}},
		{name: "use by a statement backwards", why: "2 to 1", check: CheckRecords, world: func(w *lineageWorld) {
			w.derive(10, Claim{w.b, 2, 1}, Claim{w.a, 1, 3})
			w.q = LineageQuery{w.a, 3, LineageUses, 3}
		}},
	}
}

func TestLineageFile(t *testing.T) {
	seen := make(map[Check]bool)
	for _, v := range lineageVariants() {
		file, root := v.build(t)
		if got := lineageFails(t, file, root); got != v.check {
			_, err := VerifyLineage(file, root)
			t.Errorf("%s: check %q, want %q: %v", v.name, got, v.check, err)
		}
		seen[v.check] = true
	}
	for _, c := range []Check{"", CheckTrust, CheckShape, CheckChecksum, CheckRecords, CheckLineage, CheckCommit, CheckPower} {
		if !seen[c] {
			t.Errorf("nothing fails check %q", c)
		}
	}
}

// TestLineageFileWalk: the file proves what the walk by single answers proved.
func TestLineageFileWalk(t *testing.T) {
	for _, v := range soundLineages() {
		w := newLineageWorld(t)
		if v.world != nil {
			v.world(w)
		}
		hops := must(WalkLineage(w.q, func(queries ...Query) (*Answered, error) {
			for i := range queries {
				queries[i] = w.paged(queries[i])
			}
			w.queries = queries
			return VerifyAnswer(w.world.answer().Encode(), w.root())
		}))
		p := must(VerifyLineage(w.file().Encode(), w.root()))
		if a, b := must(json.Marshal(hops)), must(json.Marshal(p.Lineage)); !bytes.Equal(a, b) || p.Question != w.q {
			t.Errorf("%s: by hops\n%s\nby the file\n%s", v.name, a, b)
		}
		if height, _ := p.AsOf(); height != 6 || !strings.Contains(p.String(), "signatures checked") {
			t.Errorf("%s: %s", v.name, p)
		}
	}
}

// TestLineageEveryByte: a byte changed is refused; sealed again only another
// question may be answered, truly.
func TestLineageEveryByte(t *testing.T) {
	w := newLineageWorld(t)
	file, root := w.file().Encode(), w.root()
	question := len(lineageFrame.magic) + 1
	changed := slices.Clone(file)
	for i := range file {
		changed[i] = file[i] ^ 1
		if lineageFails(t, changed, root) == "" {
			t.Errorf("byte %d: accepted", i)
		}
		if i < len(file)-32 && lineageFails(t, reseal(changed), root) == "" && (i < question || i >= question+21) {
			t.Errorf("byte %d, sealed again: accepted", i)
		}
		changed[i] = file[i]
		if lineageFails(t, file[:i], root) == "" {
			t.Errorf("cut at %d: accepted", i)
		}
	}
}

// TestLineageOfMany: however often other readings of the stream were used, a lineage of
// one reading has a file; uses next to it may flood it, and then it says so.
func TestLineageOfMany(t *testing.T) {
	w := newLineageWorld(t)
	w.q = LineageQuery{w.a, 5_000, LineageUses, 1}
	for i := range uint64(9_000) {
		w.derive(100+i, Claim{w.c, 100 + i, 100 + i}, Claim{w.a, 20 + i, 29 + i})
	}
	file := w.file().Encode()
	p := must(VerifyLineage(file, w.root()))
	if p.Edges != 10 || len(p.Cut) != 1 || p.Cut[CutDepth] != 10 || len(p.Answer.Results) > 5 || len(file) > 20_000 {
		t.Errorf("%d edges, cut %v, %d queries, %d bytes", p.Edges, p.Cut, len(p.Answer.Results), len(file))
	}
	t.Logf("10 of 9,000 uses: %d queries, %d bytes", len(p.Answer.Results), len(file))
	w.page = MaxRows
	for i := range uint64(MaxLineageRows + 500) {
		w.derive(20_000+i, Claim{w.c, 20_000 + i, 20_000 + i}, Claim{w.a, 4_990, 4_997})
	}
	file = w.file().Encode()
	p = must(VerifyLineage(file, w.root()))
	if p.Uses.Cut != CutRows || p.Cut[CutRows] != 1 || !strings.Contains(p.String(), "no more after 7000 rows") {
		t.Errorf("%d edges, cut %v", p.Edges, p.Cut)
	}
	t.Logf("cut by rows: %d queries, %d bytes", len(p.Answer.Results), len(file))
}

func TestLineageLimits(t *testing.T) {
	for n, want := range map[int]bool{MaxAnswer: true, MaxAnswer + 1: false} {
		f := &LineageFile{LineageQuery{Number: 1, Direction: LineageInputs, Depth: 1}, make([]byte, n)}
		file := f.Encode()
		if _, err := ParseLineage(file); (err == nil) != want || len(file) > MaxFile && want {
			t.Errorf("an answer of %d bytes: %v", n, err)
		}
	}
	var r *Refusal
	if _, err := ParseLineage(make([]byte, MaxLineage+1)); !errors.As(err, &r) || r.Check != CheckShape {
		t.Error(err)
	}
}

// FuzzParseLineage: whatever is parsed is encoded to the same bytes.
func FuzzParseLineage(f *testing.F) {
	w := newLineageWorld(f)
	f.Add(w.file().Encode())
	f.Add((&LineageFile{LineageQuery{Number: 1, Direction: LineageBoth, Depth: 16}, nil}).Encode())
	root := w.root()
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, b := range [][]byte{file, reseal(file)} {
			if out, err := VerifyLineage(b, root); err == nil {
				_, _ = out.String(), must(json.Marshal(out))
			}
			l, err := ParseLineage(b)
			if err != nil {
				continue
			}
			if again := l.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("parsed\n%x\nencodes to\n%x", b, again)
			}
		}
	})
}

// lineageVector is one case of lineage.json.
type lineageVector struct {
	Name     string          `json:"name"`
	Why      string          `json:"why,omitempty"`
	Trust    TrustRoot       `json:"trust"`
	Lineage  []byte          `json:"lineage"` // base64
	Accepted bool            `json:"accepted"`
	Check    Check           `json:"check,omitempty"`
	Finding  json.RawMessage `json:"finding,omitempty"`
}

type lineageVectors struct {
	About string          `json:"about"`
	Cases []lineageVector `json:"cases"`
}

// TestLineageVectors makes the vectors, which must be those in the file, and
// verifies those in the file.
func TestLineageVectors(t *testing.T) {
	made := lineageVectors{About: "Lineages in one file (docs/spec/lineage.md), each with the trust root to check it against: accepted " +
		"with this finding, or refused; check names the check that fails in the order of the specification."}
	for _, v := range lineageVariants() {
		file, root := v.build(t)
		out := lineageVector{Name: v.name, Why: v.why, Trust: root, Lineage: file, Check: v.check, Accepted: v.check == ""}
		if out.Accepted {
			out.Finding = must(json.Marshal(must(VerifyLineage(file, root))))
		}
		made.Cases = append(made.Cases, out)
	}
	var stored lineageVectors
	checkVectors(t, "lineage.json", made, &stored)
	for _, v := range stored.Cases {
		if got := lineageFails(t, v.Lineage, v.Trust); got != v.Check || v.Accepted != (got == "") {
			t.Errorf("%s: check %q, want %q", v.Name, got, v.Check)
		}
	}
}
