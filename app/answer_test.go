package app

import (
	"errors"
	"fmt"
	"testing"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// signer is a CometBFT of one validator for the queries of a chain.
type signer struct {
	c   *chain
	key crypto.PrivateKey
}

// sign gives the chain's queries a signer.
func (c *chain) sign() signer {
	s := signer{c, ledgertest.Key("validator")}
	c.app.query.SetChain(s)
	return s
}

func (s signer) set() []proof.Validator { return []proof.Validator{{Key: s.key.Public(), Power: 1}} }

func (s signer) root() proof.TrustRoot {
	return proof.TrustRoot{Chain: ledgertest.Chain, Validators: s.set()}
}

// Signed signs the header at a height, over the state before it.
func (s signer) Signed(height uint64) (query.SignedHeader, error) {
	if height == 0 || height > uint64(s.c.height) {
		return query.SignedHeader{}, errors.New("no such header")
	}
	h := proof.Header{
		BlockVersion: proof.BlockProtocol, Chain: ledgertest.Chain, Height: height, Time: blockTime(int64(height)).UnixNano(),
		ValidatorsHash: proof.ValidatorsHash(s.set()), Proposer: s.set()[0].Address(), AppHash: merkle.Hash(s.c.hashes[height-1]),
		LastBlockID: proof.BlockID{PartsTotal: 1},
	}
	c := proof.Commit{PartsTotal: 1}
	c.Signatures = []proof.CommitSig{{Time: h.Time, Signature: s.key.Sign(c.SignBytes(h.Chain, height, h.Hash(), h.Time))}}
	return query.SignedHeader{Light: proof.LightBlock{Header: h, Commit: c}, Validators: s.set()}, nil
}

func (s signer) Path(merkle.Hash, uint64) ([]proof.PathStep, error) { return nil, nil }

func (s signer) Describe(*query.Status) {}

// answer asks for an answer and verifies it.
func (s signer) answer(q *query.AnswerRequest) *proof.Answered {
	s.c.t.Helper()
	var f query.File
	s.c.must(query.PathAnswer, q, &f)
	out, err := proof.VerifyAnswer(f.Bytes, s.root())
	if err != nil {
		s.c.t.Fatal(err)
	}
	return out
}

func listOf(f record.Family, id crypto.ID) query.Question {
	return query.Question{Query: proof.ListQuery(record.Range(f, id))}
}

func TestAnswers(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	s := c.sign()
	d := c.device("press")
	c.block(l.Batch(d.StatementAt(10, 3), d.Statement(2), d.StatementAt(20, 1)))
	c.block(l.Batch(d.StatementAt(5, 2)))
	c.block()
	q := &query.AnswerRequest{
		Questions: []query.Question{
			listOf(record.FamilyOrganisationDevice, l.Organisation), listOf(record.FamilyGap, d.Stream),
			{Query: proof.AtQuery(record.FamilyOwner, d.Stream, 1)}, {Query: proof.RowQuery(record.StreamRow(crypto.ID{9}))},
		},
		Entries: []uint64{0, 1, 4},
	}
	out := s.answer(q)
	if out.AsOfHeight != 3 || len(out.Results) != 4 || len(out.Entries) != 3 || len(out.Results[3].Rows) != 0 {
		t.Fatalf("answer %+v", out)
	}
	if rows, err := out.Of(record.FamilyOrganisationDevice, l.Organisation); err != nil || len(rows) != 1 || record.ChildOf(rows[0].Key) != d.ID {
		t.Errorf("devices %v, %v", rows, err)
	}
	if rows, err := out.Of(record.FamilyGap, d.Stream); err != nil || len(rows) != 3 {
		t.Errorf("gaps %v, %v", rows, err)
	}
	if out.Entries[0].Kind != proof.EntryGenesis || out.Entries[1].Operation == nil || out.Entries[2].Statement == nil {
		t.Errorf("entries %+v", out.Entries)
	}
	out = s.answer(&query.AnswerRequest{Cover: &query.RangeRequest{Stream: d.Stream, First: 1, Last: 30}})
	text := ""
	for _, p := range out.Cover.Parts {
		text += fmt.Sprintf("%s %d-%d, ", p.Kind, p.First, p.Last)
	}
	if out.Cover.Count(proof.CoverStatement) != 8 || out.Cover.Count(proof.CoverUnwritten) != 30-out.Cover.Mark {
		t.Errorf("cover %s", text)
	}
}

// TestAnswerAfterRestart: the state before the last is provable, lists too, from
// the undo record alone.
func TestAnswerAfterRestart(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	for i := range 5 {
		c.device(fmt.Sprint("device ", i))
	}
	d := c.device("press")
	c.block(l.Batch(d.StatementAt(10, 3)))
	q := &query.AnswerRequest{Questions: []query.Question{
		listOf(record.FamilyOrganisationDevice, l.Organisation), listOf(record.FamilyGap, d.Stream),
		{Query: proof.ListQuery(record.FamilyRange(record.FamilyBlock))},
	}}
	before := c.sign().answer(q)
	c.reopen(Config{})
	after := c.sign().answer(q)
	if before.String() != after.String() || len(after.Results[0].Rows) != 6 || len(after.Results[1].Rows) != 0 {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestAnswerPages: any page size gives the same list and cover, without holes,
// at one height with a pin, whatever is committed meanwhile.
func TestAnswerPages(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	s := c.sign()
	for i := range 6 {
		c.device(fmt.Sprint("device ", i))
	}
	d := c.device("press")
	for i := range 6 {
		c.block(l.Batch(d.StatementAt(uint64(3*i+2), 2)))
	}
	c.block()
	lo, hi := record.Range(record.FamilyOrganisationDevice, l.Organisation)
	for _, limit := range []uint64{1, 2, 3, 7, 8, 0} {
		var pin query.Pin
		c.must(query.PathPin, &query.Empty{}, &pin)
		var pages, covers []*proof.Answered
		for next, more := lo, true; more; {
			p := s.answer(&query.AnswerRequest{Pin: pin.ID, Limit: limit, Questions: []query.Question{{
				Query: proof.ListQuery(next, hi), Follow: record.FamilyDevice, History: true,
			}}})
			if n := len(p.Results[0].Rows); limit != 0 && uint64(n) > limit || len(p.Results) != 1+n {
				t.Fatalf("limit %d: %d rows, %d results", limit, n, len(p.Results))
			}
			pages = append(pages, p)
			end := p.Results[0].Query.Hi
			more = end != hi
			next, _ = record.Successor(end)
			c.block(l.Batch(d.StatementAt(100+uint64(c.height), 1)))
		}
		rows, heights, err := proof.JoinLists(lo, hi, pages...)
		if err != nil || len(rows) != 7 || !heights.One() || heights.From != pin.Height {
			t.Errorf("limit %d: %d rows at %+v, %v", limit, len(rows), heights, err)
		}
		for next := uint64(1); next <= 30; {
			p := s.answer(&query.AnswerRequest{Pin: pin.ID, Limit: limit, Cover: &query.RangeRequest{Stream: d.Stream, First: next, Last: 30}})
			covers = append(covers, p)
			next = p.Cover.Last + 1
		}
		parts, heights, err := proof.JoinCovers(d.Stream, 1, 30, covers...)
		if err != nil || !heights.One() || len(parts) < 13 {
			t.Errorf("limit %d: cover %+v at %+v, %v", limit, parts, heights, err)
		}
		c.must(query.PathUnpin, &query.IDRequest{ID: pin.ID}, &query.Empty{})
	}
}

func TestPins(t *testing.T) {
	c := newChain(t, ledgertest.New(t))
	if code := c.ask(query.PathPin, &query.Empty{}, &query.Pin{}); code != ledger.CodeFutureHeight {
		t.Errorf("pin before anything is signed: %v", code)
	}
	s := c.sign()
	c.block()
	c.block()
	var shared query.Pin // of the first height, beside the first
	held := make([]query.Pin, query.MaxPinnedHeights)
	for i := range held {
		c.must(query.PathPin, &query.Empty{}, &held[i])
		if held[i].Height != uint64(c.height)-1 {
			t.Errorf("pin %+v at height %d", held[i], c.height)
		}
		if i == 0 {
			c.must(query.PathPin, &query.Empty{}, &shared)
		}
		c.block()
	}
	if shared.ID == held[0].ID || shared.Height != held[0].Height {
		t.Errorf("%+v shares %+v", shared, held[0])
	}
	if code := c.ask(query.PathPin, &query.Empty{}, &query.Pin{}); code != ledger.CodeOverloaded {
		t.Errorf("one height too many: %v", code)
	}
	// The height is held until its last pin ends.
	c.must(query.PathUnpin, &query.IDRequest{ID: held[0].ID}, &query.Empty{})
	if code := c.ask(query.PathPin, &query.Empty{}, &query.Pin{}); code != ledger.CodeOverloaded {
		t.Errorf("one height too many, one of whose pins ended: %v", code)
	}
	if out := s.answer(&query.AnswerRequest{Pin: shared.ID}); out.AsOfHeight != shared.Height {
		t.Errorf("answer at height %d, pinned %d", out.AsOfHeight, shared.Height)
	}
	unpin := &query.IDRequest{ID: held[1].ID}
	c.must(query.PathUnpin, unpin, &query.Empty{})
	if code := c.ask(query.PathUnpin, unpin, &query.Empty{}); code != ledger.CodeNotFound {
		t.Errorf("unpinned twice: %v", code)
	}
	if code := c.ask(query.PathAnswer, &query.AnswerRequest{Pin: held[1].ID}, &query.File{}); code != ledger.CodePruned {
		t.Errorf("answer at a pin that ended: %v", code)
	}
	for range query.MaxPinsOfHeight {
		c.must(query.PathPin, &query.Empty{}, &query.Pin{})
	}
	if code := c.ask(query.PathPin, &query.Empty{}, &query.Pin{}); code != ledger.CodeOverloaded {
		t.Errorf("one pin of a height too many: %v", code)
	}
	c.app.query.Close() // or the database can't be closed
	if code := c.ask(query.PathPin, &query.Empty{}, &query.Pin{}); code != ledger.CodeOverloaded {
		t.Errorf("pin after closing: %v", code)
	}
}

func TestBadAnswerRequests(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	c.block()
	lo, hi := record.FamilyRange(record.FamilyBlock)
	asked := func(q proof.Query, follow record.Family) *query.AnswerRequest {
		return &query.AnswerRequest{Questions: []query.Question{{Query: q, Follow: follow}}}
	}
	cover := func(stream crypto.ID, first, last uint64) *query.AnswerRequest {
		return &query.AnswerRequest{Cover: &query.RangeRequest{Stream: stream, First: first, Last: last}}
	}
	mixed := cover(d.Stream, 1, 2)
	mixed.Entries = []uint64{1}
	if code := c.ask(query.PathAnswer, asked(proof.ListQuery(lo, hi), 0), &query.File{}); code != ledger.CodeFutureHeight {
		t.Errorf("without CometBFT: %v", code)
	}
	c.sign()
	for name, tt := range map[string]struct {
		q    *query.AnswerRequest
		want ledger.Code
	}{
		"backwards":              {asked(proof.ListQuery(hi, lo), 0), ledger.CodeMalformed},
		"unknown kind":           {asked(proof.Query{Kind: 4, Lo: lo, Hi: hi}, 0), ledger.CodeMalformed},
		"a row of two keys":      {asked(proof.Query{Kind: proof.QueryRow, Lo: lo, Hi: hi}, 0), ledger.CodeMalformed},
		"follow without a list":  {asked(proof.RowQuery(lo), record.FamilyGrant), ledger.CodeMalformed},
		"too many questions":     {&query.AnswerRequest{Questions: make([]query.Question, query.MaxQuestions+1)}, ledger.CodeMalformed},
		"entry beyond the log":   {&query.AnswerRequest{Entries: []uint64{1 << 40}}, ledger.CodeNotFound},
		"entry twice":            {&query.AnswerRequest{Entries: []uint64{1, 1}}, ledger.CodeMalformed},
		"unknown pin":            {&query.AnswerRequest{Pin: crypto.ID{1}}, ledger.CodePruned},
		"cover of no stream":     {cover(crypto.ID{1}, 1, 2), ledger.CodeUnknownStream},
		"cover of nothing":       {cover(d.Stream, 0, 2), ledger.CodeMalformed},
		"cover backwards":        {cover(d.Stream, 3, 2), ledger.CodeMalformed},
		"cover with other entry": {mixed, ledger.CodeMalformed},
		"whole family":           {asked(proof.ListQuery(lo, hi), 0), ledger.CodeOK},
	} {
		if code := c.ask(query.PathAnswer, tt.q, &query.File{}); code != tt.want {
			t.Errorf("%s: %v, want %v", name, code, tt.want)
		}
	}
}
