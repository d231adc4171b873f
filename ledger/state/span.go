package state

import (
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// join says from which height on something belongs to an organisation; k is the key of the
// row that lists it. It is refused with too_many if it came and went too often.
func (c *change) join(k merkle.Key, height uint64) ledger.Code {
	spans, err := c.spans(k).Open(height)
	if err != nil {
		return ledger.CodeTooMany
	}
	c.put(k, spans.Encode())
	return ledger.CodeOK
}

// leave says from which height on something that belongs to an organisation does so no
// more.
func (c *change) leave(k merkle.Key, height uint64) ledger.Code {
	spans, err := c.spans(k).Close(height)
	switch {
	case err != nil:
		return ledger.CodeNotOwner
	case len(spans) == 0:
		c.put(k, nil)
	default:
		c.put(k, spans.Encode())
	}
	return ledger.CodeOK
}

// spans is the value of a list row, nil when there is none. A row that the same operation
// set before is not seen: a rule joins or leaves each row once.
func (c *change) spans(k merkle.Key) record.Spans {
	value := c.v.get(k)
	if value == nil {
		return nil
	}
	spans, err := record.ParseSpans(value)
	c.v.fail(err)
	return spans
}

// newSpan is the value of a list row of what is new at height.
func newSpan(height uint64) []byte { return record.Spans{{From: height}}.Encode() }
