package state

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// rule applies the body of one kind of operation: it looks at the records, collects the
// rows it sets in c, and returns OK or the code it is refused with. What it collected
// takes effect only when it returns OK.
type rule func(c *change) ledger.Code

// ruleFor is the one table of the operations' rules.
func ruleFor(kind ledger.Kind) rule {
	switch kind {
	case ledger.KindEnrolDevice:
		return enrolDevice
	case ledger.KindOpenStream:
		return openStream
	case ledger.KindEnrolBridge:
		return enrolBridge
	case ledger.KindRotate:
		return rotate
	case ledger.KindSuspend:
		return suspend
	case ledger.KindResume:
		return resume
	case ledger.KindRetire:
		return retire
	}
	return nil
}

// change is one operation being applied: what it may look at and what it sets so far.
type change struct {
	v      *View
	b      Block
	op     *ledger.Operation
	rows   []merkle.Change // rows to set
	opened []opened        // streams to open
}

type opened struct {
	id   crypto.ID
	head record.StreamHead
}

func (c *change) put(k merkle.Key, value []byte) {
	c.rows = append(c.rows, merkle.Change{Key: k, Value: value})
}

// commit takes over what the rule collected.
func (c *change) commit() {
	for _, r := range c.rows {
		c.v.put(r.Key, r.Value)
	}
	for _, s := range c.opened {
		c.v.openStream(s.id, s.head)
	}
}

func (v *View) applyOperation(b Block, op *ledger.Operation, verdicts []ledger.Code) Result {
	if code := v.checkOperation(b, op, verdicts); code != ledger.CodeOK {
		return Result{Code: code}
	}
	apply := ruleFor(op.Body.Kind())
	if apply == nil {
		return Result{Code: ledger.CodeMalformed}
	}
	c := &change{v: v, b: b, op: op}
	if code := apply(c); code != ledger.CodeOK {
		return Result{Code: code}
	}
	c.commit()
	index := v.append(op.Bytes())
	v.put(record.OperationRow(op.Digest()), record.Operation{Height: b.Height, Index: index}.Encode())
	return Result{Indexes: []uint64{index}}
}

// checkOperation holds the rules that are the same for every kind.
func (v *View) checkOperation(b Block, op *ledger.Operation, verdicts []ledger.Code) ledger.Code {
	now := b.Time / second
	switch {
	case v.get(record.OperationRow(op.Digest())) != nil:
		return ledger.CodeReplayed
	case op.NotAfter < now:
		return ledger.CodeExpired
	case op.NotAfter-now > v.parameters(b.Height).NotAfter:
		return ledger.CodeNotAfterTooFar
	}
	return checkPossessions(len(ledger.Possessions(op.Body)), verdicts)
}

// checkPossessions checks the signatures of the keys to be enrolled. Parsing the operation
// checked what they say, and that the keys can be enrolled.
func checkPossessions(want int, verdicts []ledger.Code) ledger.Code {
	if len(verdicts) != want {
		return ledger.CodeBadPossession
	}
	for _, code := range verdicts {
		if code != ledger.CodeOK {
			return ledger.CodeBadPossession
		}
	}
	return ledger.CodeOK
}
