package proof

import (
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// Answered is what an accepted answer proves. All of it was true in the state
// after the block at AsOfHeight; a change that takes effect in the next block
// already has its row.
type Answered struct {
	Chain   string
	Results []Result // one for each query, in order
	Entries []Entry  // by index
	Cover   *Cover   // nil if none was claimed

	AsOfHeight uint64
	LogSize    uint64
	HeaderTime Micros // of the header at AsOfHeight+1, which the validators signed
	AppHash    merkle.Hash

	Validators int // in the set that signed
	Signed     int
	TotalPower int64
	Power      int64
	Changes    int
	Assumption string

	tree *merkle.Partial
}

// Result answers one query: at most one row, unless it is a list.
type Result struct {
	Query Query
	Rows  []Row // ascending
}

// Row is a row of the records. Value must not be changed.
type Row struct {
	Key   merkle.Key
	Value []byte
}

// signed notes who signed the state.
func (out *Answered) signed(a *Answer, header Header, w votes) {
	out.AsOfHeight, out.HeaderTime = header.Height-1, Micros(header.Time/1000)
	out.AppHash = header.AppHash
	out.Validators, out.Signed, out.TotalPower, out.Power = w.validators, w.signed, w.total, w.power
	out.Changes = len(a.Path)
}

// ErrNotProven is returned when an answer does not prove what is read from it.
var ErrNotProven = errors.New("the answer does not prove this")

// Get returns the row under a key; found is false if there is proven to be none.
func (out *Answered) Get(k merkle.Key) (row Row, found bool, err error) {
	value, found, err := out.tree.Get(k)
	return Row{k, value}, found, notProven(err)
}

// At returns the row in force at a height among the history rows of (f, id).
func (out *Answered) At(f record.Family, id crypto.ID, height uint64) (row Row, found bool, err error) {
	q := AtQuery(f, id, height)
	k, value, found, err := out.tree.Predecessor(q.Lo, q.Hi)
	return Row{k, value}, found, notProven(err)
}

// List returns all rows with keys in lo..hi: no more and no fewer than there are.
func (out *Answered) List(lo, hi merkle.Key) ([]Row, error) {
	kvs, err := out.tree.List(lo, hi)
	if err != nil {
		return nil, notProven(err)
	}
	rows := make([]Row, len(kvs))
	for i, kv := range kvs {
		rows[i] = Row(kv)
	}
	return rows, nil
}

// Of returns all rows of (f, id): the children of an organisation, the history of
// an owner, the gaps of a stream.
func (out *Answered) Of(f record.Family, id crypto.ID) ([]Row, error) {
	return out.List(record.Range(f, id))
}

// All returns all rows of a family.
func (out *Answered) All(f record.Family) ([]Row, error) { return out.List(record.FamilyRange(f)) }

func notProven(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNotProven, err)
}

// Parsed returns a function's values of rows, or its first error.
func Parsed[T any](rows []Row, parse func([]byte) (T, error)) ([]T, error) {
	out := make([]T, len(rows))
	for i, r := range rows {
		v, err := parse(r.Value)
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", r.Key, err)
		}
		out[i] = v
	}
	return out, nil
}
