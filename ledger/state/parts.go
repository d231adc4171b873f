package state

import (
	"fmt"
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// sale is a stream that changes hands with the next block.
type sale struct {
	stream, from, to crypto.ID
	fromNow          bool
}

// holdings are whose the readings of streams are in one block. Nothing that a transaction
// of the block does changes them: sales count from the next one on.
type holdings struct {
	height  uint64
	streams map[crypto.ID]record.Parts
}

// parts are whose the readings of a stream, which exists, are at a height that is not
// above the current block's.
func (v *View) parts(stream crypto.ID, height uint64) record.Parts {
	if v.held.streams == nil || v.held.height != height {
		v.held = holdings{height, make(map[crypto.ID]record.Parts)}
	}
	if parts, known := v.held.streams[stream]; known {
		return parts
	}
	parts, divided, err := partsAt(v, stream, height)
	v.fail(err)
	if !divided {
		owner, _, err := ownerAt(v, stream, height)
		v.fail(err)
		parts = record.Whole(owner.Organisation)
	}
	v.held.streams[stream] = parts
	return parts
}

func partsAt(r Reader, stream crypto.ID, height uint64) (record.Parts, bool, error) {
	return at(r, record.PartsRow(stream, 0), record.PartsRow(stream, height), record.ParseParts)
}

// holdsAll refuses an actor that does not own all readings of a range of a stream.
func (c *change) holdsAll(stream crypto.ID, first, last uint64) ledger.Code {
	all, some := c.v.parts(stream, c.b.Height).Held(c.op.Actor, first, last)
	switch {
	case !some:
		return ledger.CodeNotOwner
	case !all:
		return ledger.CodeSeveralOwners
	}
	return ledger.CodeOK
}

// holdsAny tells whether a reading of a range of a stream is the actor's.
func (c *change) holdsAny(stream crypto.ID, first, last uint64) bool {
	_, some := c.v.parts(stream, c.b.Height).Held(c.op.Actor, first, last)
	return some
}

// divide writes whose readings are whose in the streams that the block's operations gave
// away. At its end, because all that the block commits still is the giver's.
func (v *View) divide(b Block) {
	for _, s := range v.sales {
		head := v.stream(s.stream)
		_, divided, err := partsAt(v, s.stream, b.Height)
		v.fail(err)
		if v.err != nil || head == nil {
			v.fail(fmt.Errorf("stream %s: no head", s.stream))
			return
		}
		old := v.parts(s.stream, b.Height)
		next := old.Given(s.from, s.to)
		if s.fromNow {
			next = old.Sold(head.Mark, s.to)
		}
		if divided && !slices.Equal(old, next) || !divided && !slices.Equal(next, record.Whole(s.to)) {
			v.put(record.PartsRow(s.stream, b.Height+1), next.Encode())
		}
	}
	v.sales = nil
}
