package device

import (
	"cmp"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Answer is what became of a statement.
type Answer struct {
	Statement *ledger.Statement
	Code      ledger.Code // CodeOK: committed, and forgotten here
	Height    uint64      // where it was committed; 0 if refused
	Index     uint64      // its index in the log; 0 if refused
}

// Acknowledge takes what arrived on the device's acknowledgement topic. It must be
// signed by a trusted bridge key and answer exactly a statement that is kept. If it says
// committed, the statement is forgotten; if it says refused for good, the statement is
// not pending any more and stays among Refused until DropRefused. Of several outcomes
// those that answer nothing that is kept are passed over; if all are, the error says
// why the first was. On an error nothing has changed, unless it is ErrBroken or that of
// a write, when the answers before it count.
func (d *Device) Acknowledge(b []byte) ([]Answer, error) {
	ack, err := ledger.ParseAcknowledgement(b)
	if err != nil {
		return nil, err
	}
	key, err := d.expects(ack)
	if err != nil {
		return nil, err
	}
	if !ack.Sign1.Verify(key) {
		return nil, ledger.Errorf(ledger.CodeBadSignature, "%w", ErrUntrusted)
	}
	return d.Settle(ack)
}

// expects checks everything but the signature, and returns the key to check it
// with.
func (d *Device) expects(ack *ledger.Acknowledgement) (crypto.PublicKey, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.match(ack); err != nil {
		return crypto.PublicKey{}, err
	}
	key, ok := d.bridges[ack.KeyID()]
	if !ok {
		return crypto.PublicKey{}, fmt.Errorf("%w: key id %v", ErrUntrusted, ack.KeyID())
	}
	return key, nil
}

// matched is an outcome of an acknowledgement with the statement that it answers.
type matched struct {
	*ledger.Outcome
	kept *entry
}

// match finds the statements that an acknowledgement answers, at least one.
func (d *Device) match(ack *ledger.Acknowledgement) ([]matched, error) {
	if ack.Chain != d.cfg.Chain {
		return nil, ledger.Errorf(ledger.CodeWrongChain, "acknowledgement for chain %q: %w", ack.Chain, ErrMismatch)
	}
	var list []matched
	var first error
	for i := range ack.Outcomes {
		o := &ack.Outcomes[i]
		e := d.entries[place{o.Stream, o.First}]
		switch {
		case e == nil:
			first = cmp.Or(first, ErrNotPending)
		case !o.Answers(e.Value.(*entry).statement):
			first = cmp.Or(first, ErrMismatch)
		default:
			list = append(list, matched{o, e.Value.(*entry)})
		}
	}
	if len(list) == 0 {
		return nil, first
	}
	return list, nil
}

// Settle is Acknowledge for callers that have already checked that a trusted
// bridge key has signed ack, for instance many signatures at once.
func (d *Device) Settle(ack *ledger.Acknowledgement) ([]Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list, err := d.match(ack)
	if err != nil {
		return nil, err
	}
	if d.broken != nil {
		return nil, d.broken
	}
	answers := make([]Answer, 0, len(list))
	for _, m := range list {
		at := place{m.Stream, m.First}
		if d.entries[at] == nil {
			continue // said twice
		}
		if err := d.settle(at, m); err != nil {
			return answers, err
		}
		answers = append(answers, Answer{Statement: m.kept.statement, Code: m.Code, Height: m.Height, Index: m.Index})
	}
	return answers, d.compactIfDue()
}

// settle notes down what became of a statement. The record is not synced: if it is lost,
// the statement is sent again and answered again.
func (d *Device) settle(at place, m matched) error {
	if m.Code == ledger.CodeOK {
		if err := d.write(false, settledRecord(at)); err != nil {
			return err
		}
		d.remove(at)
		return nil
	}
	if m.kept.code != ledger.CodeOK {
		return nil // refused before
	}
	if err := d.write(false, refusedRecord(at, m.Code)); err != nil {
		return err
	}
	d.refuse(at, m.Code)
	return nil
}

// Refusal is a statement that the ledger refused for good, and why.
type Refusal struct {
	Statement *ledger.Statement
	Code      ledger.Code
}

// Refused returns the refused statements that were not dropped, oldest first.
// Their numbers stay used.
func (d *Device) Refused() []Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := make([]Refusal, 0, d.refused)
	for e := d.order.Front(); e != nil; e = e.Next() {
		if kept := e.Value.(*entry); kept.code != ledger.CodeOK {
			refused = append(refused, Refusal{kept.statement, kept.code})
		}
	}
	return refused
}

// DropRefused forgets a refused statement. It is ErrNotPending if there is none
// with this stream and first number.
func (d *Device) DropRefused(stream crypto.ID, first uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := place{stream, first}
	e := d.entries[at]
	if e == nil || e.Value.(*entry).code == ledger.CodeOK {
		return ErrNotPending
	}
	if d.broken != nil {
		return d.broken
	}
	if err := d.write(false, settledRecord(at)); err != nil {
		return err
	}
	d.remove(at)
	return d.compactIfDue()
}
