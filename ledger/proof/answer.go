package proof

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// QueryKind says what a [Query] asks.
type QueryKind uint64

// The kinds of queries.
const (
	QueryRow         QueryKind = 1 // the row under Lo, or that there is none; Hi is Lo
	QueryPredecessor QueryKind = 2 // the row with the greatest key in Lo..Hi, or that there is none
	QueryList        QueryKind = 3 // all rows with keys in Lo..Hi: at most MaxRows
)

// Query is a question about the records that an answer proves.
type Query struct {
	Kind   QueryKind
	Lo, Hi merkle.Key
}

// RowQuery asks for the row under a key.
func RowQuery(k merkle.Key) Query { return Query{QueryRow, k, k} }

// AtQuery asks for the row in force at a height (0 = the last) among the history
// rows of (f, id).
func AtQuery(f record.Family, id crypto.ID, height uint64) Query {
	lo, hi := record.Range(f, id)
	if height != 0 {
		hi = record.HistoryRow(f, id, height)
	}
	return Query{QueryPredecessor, lo, hi}
}

// ListQuery asks for all rows with keys in lo..hi.
func ListQuery(lo, hi merkle.Key) Query { return Query{QueryList, lo, hi} }

// merkle returns the query as the partial tree answers it.
func (q Query) merkle() merkle.Query {
	if q.Kind == QueryPredecessor {
		return merkle.PredecessorQuery(q.Lo, q.Hi)
	}
	return merkle.ListQuery(q.Lo, q.Hi)
}

// Answer is the parsed form of an answer file: queries about the records, log
// entries and perhaps a cover, all of them in one state.
type Answer struct {
	Queries []Query
	// Cover claims that the entries and the gap rows account for every number of
	// a range of a stream; nil if the answer makes no such claim.
	Cover   *Claim
	Size    uint64 // of the log in the proven state, at least 1
	Entries []AnswerEntry
	// LogPath proves the entries in the log, as merkle.MultiProof returns it;
	// without entries it is the log's root alone.
	LogPath []merkle.Hash
	// Records is the partial tree of the records that answers
	// [Answer.RecordQueries], as merkle.Prove returns it.
	Records []byte
	Light   LightBlock // see [Certificate]
	Path    []PathStep // see [Certificate]
}

// AnswerEntry is an entry of the log. Entries are sorted by index.
type AnswerEntry struct {
	Index  uint64
	Height uint64 // at which it was committed
	Bytes  []byte // as signed
}

const (
	answerName     = "mtm.answer"
	answerForm     = 1
	answerElements = 9
)

var answerFrame = frame{magic: newMagic(answerElements, answerName), form: answerForm, what: "answer", max: MaxAnswer}

// IsAnswer tells whether a file begins like an answer, not whether it is sound.
func IsAnswer(file []byte) bool { return answerFrame.is(file) }

// Encode writes the answer as a file. It checks nothing.
func (a *Answer) Encode() []byte {
	size := 1024 + 75*len(a.Queries) + len(a.Records) + len(a.LogPath)*34
	for i := range a.Entries {
		size += len(a.Entries[i].Bytes) + 24
	}
	b := append(make([]byte, 0, size), answerFrame.magic...)
	b = dcbor.AppendUint(b, answerForm)
	b = a.appendQuestion(b)
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendUint(b, a.Size)
	b = dcbor.AppendArray(b, len(a.Entries))
	for i := range a.Entries {
		e := &a.Entries[i]
		b = dcbor.AppendArray(b, 3)
		b = dcbor.AppendUint(b, e.Index)
		b = dcbor.AppendUint(b, e.Height)
		b = dcbor.AppendBytes(b, e.Bytes)
	}
	b = dcbor.AppendArray(b, len(a.LogPath))
	for _, h := range a.LogPath {
		b = dcbor.AppendBytes(b, h[:])
	}
	b = dcbor.AppendBytes(b, a.Records)
	return seal(appendSigned(b, &a.Light, a.Path))
}

func (a *Answer) appendQuestion(b []byte) []byte {
	b = dcbor.AppendArray(b, len(a.Queries))
	for _, q := range a.Queries {
		if q.Kind == QueryRow {
			b = dcbor.AppendUint(dcbor.AppendArray(b, 2), uint64(q.Kind))
			b = dcbor.AppendBytes(b, q.Lo[:])
			continue
		}
		b = dcbor.AppendUint(dcbor.AppendArray(b, 3), uint64(q.Kind))
		b = dcbor.AppendBytes(b, q.Lo[:])
		b = dcbor.AppendBytes(b, q.Hi[:])
	}
	if a.Cover == nil {
		return dcbor.AppendArray(b, 0)
	}
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendBytes(b, a.Cover.Stream[:])
	b = dcbor.AppendUint(b, a.Cover.First)
	return dcbor.AppendUint(b, a.Cover.Last)
}

// ParseAnswer reads an answer file and checks its form, limits and checksum, not
// what it proves. What it accepts, [Answer.Encode] writes again byte for byte.
// The result aliases file, which must not be changed while it is in use. The
// error is a [*Refusal] of [CheckShape] or [CheckChecksum].
func ParseAnswer(file []byte) (*Answer, error) {
	body, err := answerFrame.open(file)
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(body)
	if err != nil {
		return nil, &Refusal{Check: CheckShape, Err: err}
	}
	return a, nil
}

func parseAnswer(body []byte) (*Answer, error) {
	r := dcbor.NewReader(body)
	r.ExpectArray(answerElements)
	r.ExpectText(answerName)
	r.ExpectUint(answerForm)
	a := new(Answer)
	n := r.Array(MaxQueries)
	for i := 0; i < n && r.Err() == nil; i++ {
		a.Queries = append(a.Queries, readQuery(r))
	}
	a.Cover = readCover(r)
	r.ExpectArray(3)
	a.Size = number(r, ledger.MaxNumber)
	n = r.Array(MaxEntries)
	for i := 0; i < n && r.Err() == nil; i++ {
		r.ExpectArray(3)
		e := AnswerEntry{Index: number(r, ledger.MaxNumber), Height: number(r, ledger.MaxNumber)}
		e.Bytes = r.Bytes(ledger.MaxEvidence)
		a.Entries = append(a.Entries, e)
	}
	n = r.Array(MaxAnswerPath)
	for i := 0; i < n && r.Err() == nil; i++ {
		var h merkle.Hash
		r.Fixed(h[:])
		a.LogPath = append(a.LogPath, h)
	}
	a.Records = r.Bytes(merkle.MaxPartialSize)
	a.Path = readSigned(r, &a.Light)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return a, nil
}

func readQuery(r *dcbor.Reader) Query {
	var q Query
	n := r.Array(3)
	q.Kind = QueryKind(r.Uint())
	r.Fixed(q.Lo[:])
	q.Hi = q.Lo
	switch {
	case n == 2 && q.Kind == QueryRow:
	case n == 3 && (q.Kind == QueryPredecessor || q.Kind == QueryList):
		r.Fixed(q.Hi[:])
	default:
		r.Fail(fmt.Errorf("a query of kind %d with %d elements", q.Kind, n))
	}
	if r.Err() == nil && string(q.Lo[:]) > string(q.Hi[:]) {
		r.Fail(merkle.ErrInterval)
	}
	return q
}

func readCover(r *dcbor.Reader) *Claim {
	switch n := r.Array(3); n {
	case 0:
		return nil
	case 3:
		c := new(Claim)
		r.Fixed(c.Stream[:])
		c.First = number(r, ledger.MaxNumber)
		c.Last = number(r, ledger.MaxNumber)
		return c
	default:
		r.Fail(fmt.Errorf("a cover of %d elements", n))
		return nil
	}
}

// RecordQueries returns all questions that the records of the answer must
// answer: its queries, and what the entries and the cover need. It fails with a
// [*Refusal] for an entry that is none.
func (a *Answer) RecordQueries() ([]merkle.Query, error) {
	var out []merkle.Query
	for _, q := range a.Queries {
		out = append(out, q.merkle())
	}
	seen := make(map[merkle.Key]bool)
	row := func(k merkle.Key) {
		if !seen[k] {
			seen[k] = true
			out = append(out, merkle.GetQuery(k))
		}
	}
	for i := range a.Entries {
		e, err := readEntry(&a.Entries[i], "")
		if err != nil {
			return nil, err
		}
		row(record.BlockRow(e.Height))
		if e.sign1 != nil {
			row(record.KeyRow(e.Signer, e.KeyID))
		}
	}
	if c := a.Cover; c != nil {
		first, _ := record.Range(record.FamilyGap, c.Stream)
		row(record.StreamRow(c.Stream))
		out = append(out, merkle.PredecessorQuery(first, record.GapRow(c.Stream, c.First)),
			merkle.ListQuery(record.GapRow(c.Stream, c.First), record.GapRow(c.Stream, c.Last)))
	}
	return out, nil
}
