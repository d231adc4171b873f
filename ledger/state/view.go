package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

var errNoParameters = errors.New("no parameters row: not a genesis state")

// Reader reads committed records.
type Reader interface {
	// Get returns the value of the row, nil when there is none.
	Get(k merkle.Key) ([]byte, error)
	// Predecessor returns the row with the greatest key in [lo, k]; a nil value
	// when there is none. The caller does not change the value.
	Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error)
}

// Block is what the rules know about the block being applied.
type Block struct {
	Chain  string
	Height uint64
	Time   int64 // committed time of the block, µs since the Unix epoch
}

// Entry is one new entry of the log.
type Entry struct {
	Index uint64
	Bytes []byte // the exact signed bytes; aliases the transaction
}

// View is the records of a Reader with the changes of one block on top. It implements
// Reader itself. It is not safe for concurrent use.
type View struct {
	base    Reader
	rows    map[merkle.Key][]byte // changed rows; nil: deleted
	groups  map[group]*keyList    // the keys of rows, by family and id
	streams map[crypto.ID]*stream // heads read or written, decoded; nil: no such stream
	entries []Entry
	size    uint64 // entries in the log, the new ones included
	first   uint64 // index of the first entry of the current block
	err     error  // first failure of the base

	sales []sale   // of the current block, in order
	held  holdings // of the current block

	granted map[merkle.Key][]granted // by AccessRow, see grantsOf

	quotas   *Quota             // what the block used so far; nil: nothing
	limits   *record.Parameters // in force at limitsAt; nil: not read yet
	limitsAt uint64
}

// group is the part of a key that its neighbours share: family and id.
type group [17]byte

// stream is a decoded stream head. It is encoded once, in Changes.
type stream struct {
	record.StreamHead
	changed bool
	gaps    gaps
}

// NewView returns a view of the committed records in base, whose log holds logSize entries.
func NewView(base Reader, logSize uint64) *View {
	return &View{
		base:    base,
		rows:    make(map[merkle.Key][]byte),
		groups:  make(map[group]*keyList),
		streams: make(map[crypto.ID]*stream),
		granted: make(map[merkle.Key][]granted),
		size:    logSize,
		first:   logSize,
	}
}

// Err returns the first failure to read or decode a committed row, nil when there was
// none. After one, nothing the view holds may be used.
func (v *View) Err() error { return v.err }

// LogSize returns the number of entries in the log, the new ones included.
func (v *View) LogSize() uint64 { return v.size }

// Entries returns the new entries in order of their index.
func (v *View) Entries() []Entry { return v.entries }

// Get implements Reader.
func (v *View) Get(k merkle.Key) ([]byte, error) {
	if s := v.cached(k); s != nil {
		return s.Encode(), nil
	}
	if value, ok := v.rows[k]; ok {
		return value, nil
	}
	return v.base.Get(k)
}

// Predecessor implements Reader. It is fast when lo and k share family and id, as in every
// rule; otherwise it looks at all changed rows. It passes the deleted ones one by one: of
// what a rule asks for here none is ever deleted (open gaps are, see gapBelow).
func (v *View) Predecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	top, changed := v.lastChanged(lo, k)
	bk, bv, err := v.basePredecessor(lo, k)
	if err != nil {
		return merkle.Key{}, nil, err
	}
	switch {
	case changed && (bv == nil || compareKeys(top, bk) >= 0):
		bk, bv = top, v.rows[top]
	case bv == nil:
		return merkle.Key{}, nil, nil
	}
	if s := v.cached(bk); s != nil {
		bv = s.Encode()
	}
	return bk, bv, nil
}

// basePredecessor is the greatest row of the base in [lo, k] that is not deleted here.
func (v *View) basePredecessor(lo, k merkle.Key) (merkle.Key, []byte, error) {
	for {
		bk, bv, err := v.base.Predecessor(lo, k)
		if err != nil || bv == nil {
			return merkle.Key{}, nil, err
		}
		if r, ok := v.rows[bk]; !ok || r != nil {
			return bk, bv, nil
		}
		if bk == lo {
			return merkle.Key{}, nil, nil
		}
		k = before(bk)
	}
}

// lastChanged is the greatest key in [lo, k] that has a changed row with a value.
func (v *View) lastChanged(lo, k merkle.Key) (best merkle.Key, found bool) {
	if groupOf(lo) == groupOf(k) {
		return v.lastIn(v.groups[groupOf(k)], lo, k)
	}
	for _, keys := range v.groups {
		if top, ok := v.lastIn(keys, lo, k); ok && (!found || bytes.Compare(top[:], best[:]) > 0) {
			best, found = top, true
		}
	}
	return best, found
}

func (v *View) lastIn(list *keyList, lo, k merkle.Key) (merkle.Key, bool) {
	if list == nil {
		return merkle.Key{}, false
	}
	for _, key := range slices.Backward(list.upTo(lo, k)) {
		if v.rows[key] != nil {
			return key, true
		}
	}
	return merkle.Key{}, false
}

// cached returns the decoded stream head that replaces the row under k, nil if there is none.
func (v *View) cached(k merkle.Key) *stream {
	if record.FamilyOf(k) != record.FamilyStream {
		return nil
	}
	id := record.IDOf(k)
	if s := v.streams[id]; s != nil && k == record.StreamRow(id) {
		return s
	}
	return nil
}

// Changes returns the changed rows, sorted by key. Each value is encoded once, however
// many statements touched it.
func (v *View) Changes() []merkle.Change {
	changes := make([]merkle.Change, 0, len(v.rows)+len(v.streams))
	for k, value := range v.rows {
		if v.cached(k) == nil {
			changes = append(changes, merkle.Change{Key: k, Value: value})
		}
	}
	for id, s := range v.streams {
		if s != nil && s.changed {
			changes = append(changes, merkle.Change{Key: record.StreamRow(id), Value: s.Encode()})
		}
	}
	slices.SortFunc(changes, func(a, b merkle.Change) int { return compareKeys(a.Key, b.Key) })
	return changes
}

// put sets a row.
func (v *View) put(k merkle.Key, value []byte) {
	if _, known := v.rows[k]; !known {
		g := groupOf(k)
		if v.groups[g] == nil {
			v.groups[g] = new(keyList)
		}
		v.groups[g].add(k)
	}
	v.rows[k] = value
}

// remove deletes a row.
func (v *View) remove(k merkle.Key) { v.put(k, nil) }

// append adds an entry to the log and returns its index.
func (v *View) append(entry []byte) uint64 {
	index := v.size
	v.entries = append(v.entries, Entry{Index: index, Bytes: entry})
	v.size++
	return index
}

// stream returns the head of a stream, nil when there is none.
func (v *View) stream(id crypto.ID) *stream {
	if s, ok := v.streams[id]; ok {
		return s
	}
	value, err := v.base.Get(record.StreamRow(id))
	if err != nil {
		v.fail(err)
		return nil
	}
	if value == nil {
		v.streams[id] = nil
		return nil
	}
	head, err := record.ParseStreamHead(value)
	if err != nil {
		v.fail(fmt.Errorf("stream %s: %w", id, err))
		return nil
	}
	s := &stream{StreamHead: head}
	v.streams[id] = s
	return s
}

// openStream adds a new stream. Its row is there for Predecessor; the head in streams
// holds its current value.
func (v *View) openStream(id crypto.ID, head record.StreamHead) {
	v.put(record.StreamRow(id), head.Encode())
	v.streams[id] = &stream{StreamHead: head, changed: true}
}

// get is Get for a rule: a failure is kept, and reads as absence.
func (v *View) get(k merkle.Key) []byte {
	value, err := v.Get(k)
	v.fail(err)
	return value
}

// last is Predecessor for a rule.
func (v *View) last(lo, k merkle.Key) (merkle.Key, []byte) {
	key, value, err := v.Predecessor(lo, k)
	v.fail(err)
	return key, value
}

// fail keeps the first failure.
func (v *View) fail(err error) {
	if v.err == nil && err != nil {
		v.err = fmt.Errorf("state: reading records: %w", err)
	}
}

func groupOf(k merkle.Key) group { return group(k[:17]) }

// before is the greatest key below k; k is not zero.
func before(k merkle.Key) merkle.Key {
	for i := len(k) - 1; i >= 0; i-- {
		k[i]--
		if k[i] != 0xff {
			break
		}
	}
	return k
}
