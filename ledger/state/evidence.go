package state

import (
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// equivocation keeps the evidence that a device's key signed two statements for one
// number. That they contradict each other was checked by parsing, that the key signed
// both by the verdicts. Once per key: more of it changes nothing.
func equivocation(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.Equivocation)
	if !ok {
		return ledger.CodeMalformed
	}
	head := c.v.stream(body.A.Stream)
	switch {
	case head == nil:
		return ledger.CodeUnknownStream
	case head.Device != body.A.Device:
		return ledger.CodeWrongDevice
	}
	k := record.EvidenceRow(body.A.Device, body.A.KeyID())
	if c.v.get(k) != nil {
		return ledger.CodeExists
	}
	row := record.Evidence{Stream: body.A.Stream, Number: body.Overlap(), A: body.A.Digest(), B: body.B.Digest(), Height: c.b.Height}
	c.put(k, row.Encode())
	return ledger.CodeOK
}

// evidenceCheck is the check of a statement by a key that was ever enrolled, whether it
// is valid now or not.
func (l *lookup) evidenceCheck(s *ledger.Statement) Check {
	value, err := l.r.Get(record.KeyRow(s.Device, s.KeyID()))
	if err != nil || value == nil {
		return Check{Code: l.missing(err, ledger.CodeUnknownKey)}
	}
	key, err := record.ParseKey(value)
	if err != nil {
		return Check{Code: l.missing(err, ledger.CodeUnknownKey)}
	}
	return Check{Item: s.Sign1.Item(key.Public)}
}
