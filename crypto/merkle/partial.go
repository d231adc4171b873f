package merkle

import "errors"

// KV is a row of records.
type KV struct {
	Key   Key
	Value []byte
}

// Errors of partial trees.
var (
	ErrNotRevealed      = errors.New("the proof does not reveal enough to answer")
	ErrMalformedPartial = errors.New("malformed partial tree")
	ErrInterval         = errors.New("interval ends before it starts")
)

// ValueReader reads the value of a row. A key that is not there is an error.
type ValueReader interface {
	Value(Key) ([]byte, error)
}

// Query is a question that a proof answers.
type Query struct {
	kind   queryKind
	lo, hi Key
}

type queryKind uint8

const (
	queryGet queryKind = iota
	queryPredecessor
	queryList
)

// GetQuery asks for the value under a key, or its absence.
func GetQuery(k Key) Query { return Query{queryGet, k, k} }

// PredecessorQuery asks for the row with the greatest key in [lo, k].
func PredecessorQuery(lo, k Key) Query { return Query{queryPredecessor, lo, k} }

// ListQuery asks for all rows with keys in [lo, hi].
func ListQuery(lo, hi Key) Query { return Query{queryList, lo, hi} }

// Prove returns the partial tree that answers the queries.
func Prove(nodes NodeReader, values ValueReader, root Ref, queries ...Query) ([]byte, error) {
	return nil, errors.New("todo")
}

// Partial is a partial tree.
type Partial struct{}

// ParsePartial reads a partial tree.
func ParsePartial(b []byte) (*Partial, error) { return nil, errors.New("todo") }

// Root returns the root of the trie that the partial tree is part of.
func (p *Partial) Root() Hash { return Hash{} }

// Get returns the value under a key; found is false if the key is absent.
func (p *Partial) Get(k Key) (value []byte, found bool, err error) { return nil, false, nil }

// Predecessor returns the row with the greatest key in [lo, k].
func (p *Partial) Predecessor(lo, k Key) (key Key, value []byte, found bool, err error) {
	return Key{}, nil, false, nil
}

// List returns all rows with keys in [lo, hi], ascending.
func (p *Partial) List(lo, hi Key) ([]KV, error) { return nil, nil }
