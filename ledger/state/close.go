package state

import (
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// closeStream ends a stream: later statements of it are refused, those of this block too.
func closeStream(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.CloseStream)
	if !ok {
		return ledger.CodeMalformed
	}
	head, code := c.ownStream(body.Stream)
	switch {
	case code != ledger.CodeOK:
		return code
	case head.Status != record.StatusActive:
		return ledger.CodeExists
	}
	c.closed = append(c.closed, body.Stream)
	c.put(record.ClosedRow(body.Stream), record.Closed{Organisation: c.op.Actor, Height: c.b.Height}.Encode())
	return ledger.CodeOK
}

// closeStream closes a stream that exists.
func (v *View) closeStream(s *stream) {
	s.Status = record.StatusRetired
	s.changed = true
}
