package proof

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// VerifyAnswer checks an answer file against a trust root and returns what it
// proves. The error is a [*Refusal].
func VerifyAnswer(file []byte, root TrustRoot) (*Answered, error) {
	v, err := NewVerifier(root)
	if err != nil {
		return nil, err
	}
	return v.VerifyAnswer(file)
}

// VerifyAnswer checks an answer file. The result aliases the file, which must
// not be changed while it is in use.
func (v *Verifier) VerifyAnswer(file []byte) (*Answered, error) {
	a, err := ParseAnswer(file)
	if err != nil {
		return nil, err
	}
	out := &Answered{Chain: v.root.Chain, LogSize: a.Size, Assumption: Assumption}
	for i := range a.Entries {
		e, err := readEntry(&a.Entries[i], v.root.Chain)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, *e)
	}
	logRoot, err := a.logRoot()
	if err != nil {
		return nil, &Refusal{Check: CheckLog, Err: err}
	}
	if out.tree, err = merkle.ParsePartial(a.Records); err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	if err := out.answer(a); err != nil {
		return nil, err
	}
	header := a.Light.Header
	header.AppHash = merkle.AppHash(a.Size, logRoot, out.tree.Root())
	for i := range out.Entries {
		if h := out.Entries[i].Height; header.Height <= h {
			return nil, refuse(CheckHeader, "the header at height %d is not over the state after block %d", header.Height, h)
		}
	}
	w, err := v.verifyLight(a.Path, header, &a.Light.Commit)
	if err != nil {
		return nil, err
	}
	out.signed(a, header, w)
	return out, nil
}

// answer reads from the partial tree what was asked, and what entries and the
// cover need.
func (out *Answered) answer(a *Answer) error {
	rows := 0
	for _, q := range a.Queries {
		r, err := out.ask(q)
		if err != nil {
			return err
		}
		if rows += len(r.Rows); rows > MaxAnswerRows {
			return refuse(CheckRecords, "more than %d rows", MaxAnswerRows)
		}
		out.Results = append(out.Results, r)
	}
	for i := range out.Entries {
		if err := out.checkEntry(&out.Entries[i]); err != nil {
			return err
		}
	}
	if a.Cover == nil {
		return nil
	}
	var err error
	out.Cover, err = out.cover(*a.Cover)
	return err
}

// ask answers one query.
func (out *Answered) ask(q Query) (Result, error) {
	r := Result{Query: q, Rows: []Row{}}
	if q.Kind == QueryPredecessor {
		k, value, found, err := out.tree.Predecessor(q.Lo, q.Hi)
		if err != nil {
			return r, &Refusal{Check: CheckRecords, Err: err}
		}
		if found {
			r.Rows = append(r.Rows, Row{k, value})
		}
		return r, nil
	}
	list, err := out.tree.List(q.Lo, q.Hi)
	if err != nil {
		return r, &Refusal{Check: CheckRecords, Err: err}
	}
	if len(list) > MaxRows {
		return r, refuse(CheckRecords, "a list of %d rows: a page has at most %d", len(list), MaxRows)
	}
	for _, kv := range list {
		r.Rows = append(r.Rows, Row{kv.Key, kv.Value})
	}
	return r, nil
}

// checkEntry finds the entry's block and the key that signed it.
func (out *Answered) checkEntry(e *Entry) error {
	block, err := blockRow(out.tree, e.Height, e.Index)
	if err != nil {
		return err
	}
	e.Time = Micros(block.Time)
	if e.sign1 == nil {
		return nil
	}
	key, err := keyRow(out.tree, e.Signer, e.KeyID, e.Height)
	if err != nil {
		return err
	}
	e.Key, e.Doubtful, e.DoubtfulFrom = key.Public, key.DoubtfulAt(e.Height), key.Doubtful
	if !e.sign1.Verify(key.Public) {
		return refuse(CheckSignature, "entry %d is not signed by the key of %s", e.Index, e.Signer)
	}
	return nil
}

// logRoot returns the root of the log that the entries and the path imply.
func (a *Answer) logRoot() (merkle.Hash, error) {
	if len(a.Entries) == 0 {
		if len(a.LogPath) != 1 || a.Size == 0 {
			return merkle.Hash{}, fmt.Errorf("without entries, the path of a log that has some is its root")
		}
		return a.LogPath[0], nil
	}
	leaves, indexes := make([]merkle.Hash, len(a.Entries)), make([]uint64, len(a.Entries))
	for i := range a.Entries {
		leaves[i], indexes[i] = merkle.LeafHash(a.Entries[i].Bytes), a.Entries[i].Index
	}
	return merkle.VerifyMulti(leaves, indexes, a.Size, a.LogPath)
}

// EntryKind says what an entry of the log is.
type EntryKind string

// The kinds of entries.
const (
	EntryGenesis   EntryKind = "genesis"
	EntryStatement EntryKind = "statement"
	EntryOperation EntryKind = "operation"
)

// Entry is a proven entry of the log.
type Entry struct {
	Index  uint64
	Height uint64 // at which it was committed
	Time   Micros // committed
	Kind   EntryKind
	Bytes  []byte
	Digest HexDigest // of what was signed; zero for the genesis entry

	Signer       crypto.ID // device or actor; zero for the genesis entry
	KeyID        crypto.KeyID
	Key          crypto.PublicKey
	Doubtful     bool   // the key was declared compromised from a height at or below Height
	DoubtfulFrom uint64 // from which height on it was declared compromised, also above Height; 0: it was not
	Statement    *ledger.Statement
	Operation    *ledger.Operation

	sign1 *crypto.Sign1
}

// readEntry parses an entry of a ledger; of any if chain is empty.
func readEntry(a *AnswerEntry, chain string) (*Entry, error) {
	e := &Entry{Index: a.Index, Height: a.Height, Bytes: a.Bytes}
	err := e.parse(chain)
	if err != nil {
		return nil, refuse(CheckEntry, "entry %d: %w", e.Index, err)
	}
	return e, nil
}

func (e *Entry) parse(chain string) error {
	if e.Index == 0 {
		e.Kind = EntryGenesis
		return checkGenesis(e.Bytes, chain)
	}
	s, err := crypto.ParseSign1(e.Bytes)
	if err != nil {
		return err
	}
	e.KeyID, e.Digest = s.Header.KeyID, s.Digest()
	if s.Header.ContentFormat == ledger.FormatStatement {
		e.Kind = EntryStatement
		if e.Statement, err = ledger.ParseStatement(e.Bytes); err != nil {
			return err
		}
		e.Signer, e.sign1 = e.Statement.Device, e.Statement.Sign1
		return nil
	}
	e.Kind = EntryOperation
	if e.Operation, err = ledger.ParseOperation(e.Bytes); err != nil {
		return err
	}
	e.Signer, e.sign1 = e.Operation.Actor, e.Operation.Sign1
	if chain != "" && e.Operation.Chain != chain {
		return fmt.Errorf("an operation on ledger %s", e.Operation.Chain)
	}
	return nil
}

// checkGenesis checks entry 0: ["mtm.genesis", 1, chain, SHA-256 of app_state].
func checkGenesis(b []byte, chain string) error {
	r := dcbor.NewReader(b)
	r.ExpectArray(4)
	r.ExpectText("mtm.genesis")
	r.ExpectUint(1)
	name := r.Text(ledger.MaxChain)
	var sum [32]byte
	r.Fixed(sum[:])
	if chain != "" && name != chain {
		r.Fail(fmt.Errorf("the genesis of ledger %s", name))
	}
	return r.Done()
}

// CoverKind says what a part of a cover is.
type CoverKind string

// The kinds of parts.
const (
	CoverStatement CoverKind = "statement"   // the numbers are in a statement
	CoverMissing   CoverKind = "missing"     // they lie in an open gap
	CoverUnwritten CoverKind = "not_written" // they lie above the stream's mark
)

// CoverPart accounts for a run of numbers.
type CoverPart struct {
	Kind        CoverKind `json:"kind"`
	First, Last uint64    // clipped to the claim
	Entry       *Entry    // of a statement
}

// Cover accounts for every number of a range of a stream, exactly once. Nothing
// else can be there: the ledger admits each number of a stream once.
type Cover struct {
	Claim
	Device crypto.ID
	Mark   uint64 // the greatest number used
	Parts  []CoverPart
}

// cover checks a claimed cover.
func (out *Answered) cover(c Claim) (*Cover, error) {
	if c.First == 0 || c.First > c.Last {
		return nil, refuse(CheckClaim, "numbers %d to %d are no range", c.First, c.Last)
	}
	value, found, err := out.tree.Get(record.StreamRow(c.Stream))
	if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	if !found {
		return nil, refuse(CheckCover, "there is no stream %s", c.Stream)
	}
	head, err := record.ParseStreamHead(value)
	if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	parts, err := out.gaps(c)
	if err != nil {
		return nil, err
	}
	for i := range out.Entries {
		e := &out.Entries[i]
		if e.Statement == nil || e.Statement.Stream != c.Stream || e.Statement.Device != head.Device {
			return nil, refuse(CheckCover, "entry %d is no statement of the stream by its device", e.Index)
		}
		parts = append(parts, CoverPart{CoverStatement, e.Statement.First, e.Statement.Last(), e})
	}
	if c.Last > head.Mark {
		parts = append(parts, CoverPart{Kind: CoverUnwritten, First: head.Mark + 1, Last: ledger.MaxNumber})
	}
	if err := tile(parts, c.First, c.Last); err != nil {
		return nil, &Refusal{Check: CheckCover, Err: err}
	}
	return &Cover{Claim: c, Device: head.Device, Mark: head.Mark, Parts: parts}, nil
}

// gaps returns the open gaps that touch the range.
func (out *Answered) gaps(c Claim) ([]CoverPart, error) {
	first, _ := record.Range(record.FamilyGap, c.Stream)
	lo, hi := record.GapRow(c.Stream, c.First), record.GapRow(c.Stream, c.Last)
	rows, err := out.tree.List(lo, hi)
	if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	k, value, found, err := out.tree.Predecessor(first, lo)
	if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	if found && k != lo {
		rows = append(rows, merkle.KV{Key: k, Value: value})
	}
	var parts []CoverPart
	for _, kv := range rows {
		gap, err := record.ParseGap(kv.Value)
		if err != nil {
			return nil, &Refusal{Check: CheckRecords, Err: err}
		}
		first := record.NumberOf(kv.Key)
		if gap.Last < first {
			return nil, refuse(CheckRecords, "a gap from %d to %d", first, gap.Last)
		}
		if gap.Last >= c.First {
			parts = append(parts, CoverPart{Kind: CoverMissing, First: first, Last: gap.Last})
		}
	}
	return parts, nil
}
