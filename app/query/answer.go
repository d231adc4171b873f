package query

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// Limits of an answer, beside those of package proof.
const (
	// MaxQuestions bounds the questions of one request.
	MaxQuestions = 1_000
	// maxListBytes bounds the values of the lists in an answer, so that their
	// proof stays below merkle.MaxPartialSize.
	maxListBytes = 1 << 20
)

// Question is a query about the records. A list that has more than a page's rows
// is answered for the keys up to the last row of the page: the answer's file says
// which.
type Question struct {
	proof.Query
	// Follow, if not 0, asks about the child that each row of a list names too:
	// the row of that family and id or, with History, the row in force at the
	// height At (0 = the last).
	Follow  record.Family
	History bool
	At      uint64
}

// AnswerRequest asks for an answer file (docs/spec/answer.md).
type AnswerRequest struct {
	Pin       crypto.ID // whose state is to be proven; zero: the latest
	Questions []Question
	Entries   []uint64 // log indexes
	// Cover asks for a cover of a range of a stream; one that takes more than
	// Limit statements ends with the last number that these cover.
	Cover *RangeRequest
	Limit uint64 // rows of a list, statements of a cover; 0: a page, 1,000
	// From is the proof.ValidatorsHash of the set that the asker pinned; zero: the
	// genesis's set.
	From merkle.Hash
}

func (m *AnswerRequest) fields(x *coder) {
	x.array(6)
	x.id(&m.Pin)
	list(x, &m.Questions, MaxQuestions, func(q *Question) { q.fields(x) })
	list(x, &m.Entries, MaxPage, x.uint)
	covers := []RangeRequest{}
	if m.Cover != nil {
		covers = append(covers, *m.Cover)
	}
	list(x, &covers, 1, func(c *RangeRequest) { c.fields(x) })
	if len(covers) == 1 {
		m.Cover = &covers[0]
	}
	x.uint(&m.Limit)
	x.fixed(m.From[:])
}

func (q *Question) fields(x *coder) {
	x.array(6)
	kind, follow := uint64(q.Kind), uint64(q.Follow)
	x.uint(&kind)
	x.fixed(q.Lo[:])
	x.fixed(q.Hi[:])
	x.uint(&follow)
	x.bool(&q.History)
	x.uint(&q.At)
	if x.r != nil && follow > 0xff {
		x.r.Fail(errors.New("no such family"))
	}
	q.Kind, q.Follow = proof.QueryKind(kind), record.Family(follow)
}

// answer assembles an answer file.
func (h *Handler) answer(_ *store.View, q *AnswerRequest) (*File, error) {
	p, err := h.state(q.Pin)
	if err != nil {
		return nil, err
	}
	defer p.view.Release()
	b := &answerBuilder{v: p.view, limit: q.Limit}
	b.Size, b.Light = p.view.LogSize(), p.light
	if b.Path, err = h.path(q.From, p.light.Header.Height); err != nil {
		return nil, err
	}
	for i := range q.Questions {
		if err := b.question(&q.Questions[i]); err != nil {
			return nil, err
		}
	}
	for _, index := range q.Entries {
		if err := b.entry(index); err != nil {
			return nil, err
		}
	}
	if q.Cover != nil {
		if err := b.cover(*q.Cover); err != nil {
			return nil, err
		}
	}
	if err := b.prove(); err != nil {
		return nil, err
	}
	file := b.Encode()
	if len(file) > proof.MaxAnswer {
		return nil, tooLarge(len(file))
	}
	return &File{Bytes: file}, nil
}

func tooLarge(n int) error {
	return ledger.Errorf(ledger.CodeTooLarge, "the answer would have %d bytes, at most %d: ask for less at once", n, proof.MaxAnswer)
}

// answerBuilder collects an answer about one state.
type answerBuilder struct {
	proof.Answer
	v     *store.View
	limit uint64
	rows  int // of all lists
	bytes int // of all lists
	block store.BlockInfo
	size  int // of the entries
}

func (b *answerBuilder) question(q *Question) error {
	switch {
	case q.Kind < proof.QueryRow || q.Kind > proof.QueryList, q.Kind == proof.QueryRow && q.Lo != q.Hi,
		string(q.Lo[:]) > string(q.Hi[:]), q.Follow != 0 && q.Kind != proof.QueryList:
		return ledger.Errorf(ledger.CodeMalformed, "no question: kind %d from %s to %s", q.Kind, q.Lo, q.Hi)
	}
	var follow []proof.Query
	query := q.Query
	if q.Kind == proof.QueryList {
		var err error
		if query.Hi, follow, err = b.list(q); err != nil {
			return err
		}
	}
	b.Queries = append(append(b.Queries, query), follow...)
	b.rows += len(follow)
	if len(b.Queries) > proof.MaxQueries || b.rows > proof.MaxAnswerRows {
		return ledger.Errorf(ledger.CodeTooLarge, "more than %d queries in an answer: ask for less at once", proof.MaxQueries)
	}
	return nil
}

// list finds out how far a page of a list goes, and what is to be asked about
// its rows.
func (b *answerBuilder) list(q *Question) (hi merkle.Key, follow []proof.Query, err error) {
	limit, count, last := pageOf(b.limit, MaxPage), uint64(0), merkle.Key{}
	hi = q.Hi
	err = b.v.Scan(q.Lo, q.Hi, func(k merkle.Key, value []byte) bool {
		if count > 0 && (count >= limit || b.bytes > maxListBytes) {
			hi = last
			return false
		}
		count, last = count+1, k
		b.rows++
		b.bytes += len(value)
		if q.Follow != 0 {
			follow = append(follow, q.About(record.ChildOf(k)))
		}
		return true
	})
	return hi, follow, err
}

// About is the query about one child of a list, if Follow is not 0.
func (q *Question) About(child crypto.ID) proof.Query {
	if q.History {
		return proof.AtQuery(q.Follow, child, q.At)
	}
	lo, _ := record.Range(q.Follow, child)
	return proof.RowQuery(lo)
}

func pageOf(limit, most uint64) uint64 {
	if limit == 0 {
		limit = MaxPage
	}
	return min(limit, most)
}

// entry adds an entry of the log.
func (b *answerBuilder) entry(index uint64) error {
	if index >= b.Size {
		return ledger.Errorf(ledger.CodeNotFound, "entry %d: the log has %d at height %d", index, b.Size, b.v.Height)
	}
	raw, err := b.v.Entry(index)
	if err != nil {
		return err
	}
	if b.block.Count == 0 || index-b.block.First >= b.block.Count {
		if b.block, err = b.v.BlockOf(index); err != nil {
			return err
		}
	}
	if b.size += len(raw); b.size > MaxPageBytes {
		return tooLarge(b.size)
	}
	b.Entries = append(b.Entries, proof.AnswerEntry{Index: index, Height: b.block.Height, Bytes: raw})
	return nil
}

// cover adds the statements of a range of a stream, as many as fit.
func (b *answerBuilder) cover(q RangeRequest) error {
	if q.First == 0 || q.Last < q.First {
		return ledger.Errorf(ledger.CodeMalformed, "numbers %d to %d are no range", q.First, q.Last)
	}
	if len(b.Entries) > 0 {
		return ledger.Errorf(ledger.CodeMalformed, "a cover has no other entries: ask for them apart")
	}
	if head, err := b.v.Get(record.StreamRow(q.Stream)); err != nil || head == nil {
		return errors.Join(err, ledger.Errorf(ledger.CodeUnknownStream, "no stream %s at height %d", q.Stream, b.v.Height))
	}
	b.Cover = &proof.Claim{Stream: q.Stream, First: q.First, Last: q.Last}
	from := q.First
	if s, _, found, err := holder(b.v, q.Stream, from); err != nil {
		return err
	} else if found {
		from = s.First
	}
	limit, failed := int(pageOf(b.limit, proof.MaxEntries)), error(nil)
	err := b.v.StatementsFrom(q.Stream, from, func(p store.Position) bool {
		if p.First > q.Last {
			return false
		}
		if len(b.Entries) >= limit || b.size+ledger.MaxStatement > MaxPageBytes {
			b.Cover.Last = p.First - 1
			return false
		}
		failed = b.entry(p.Index)
		return failed == nil
	})
	return errors.Join(failed, err)
}

// prove adds the proofs of what was collected.
func (b *answerBuilder) prove() (err error) {
	slices.SortFunc(b.Entries, func(x, y proof.AnswerEntry) int { return cmp.Compare(x.Index, y.Index) })
	indexes := make([]uint64, len(b.Entries))
	for i := range b.Entries {
		indexes[i] = b.Entries[i].Index
	}
	if len(indexes) == 0 {
		b.LogPath = []merkle.Hash{b.v.Log.Root()}
	} else if b.LogPath, err = merkle.MultiProof(b.v, b.Size, indexes); err != nil {
		return ledger.Errorf(ledger.CodeMalformed, "entries: %w", err)
	}
	questions, err := b.RecordQueries()
	if err != nil {
		return fmt.Errorf("query: answer: %w", err)
	}
	b.Records, err = merkle.Prove(b.v, b.v, b.v.Trie, questions...)
	if errors.Is(err, merkle.ErrPartialSize) {
		return tooLarge(merkle.MaxPartialSize)
	}
	return err
}
