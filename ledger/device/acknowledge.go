package device

import (
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

// Acknowledge takes what arrived on the device's acknowledgement topic. The
// acknowledgement must be about exactly a statement that is kept, and signed by
// a trusted bridge key. If it says committed, the statement is forgotten; if it
// says refused for good, the statement is not pending any more and stays among
// Refused until DropRefused. On an error nothing has changed, unless it is
// ErrBroken.
func (d *Device) Acknowledge(b []byte) (Answer, error) {
	ack, err := ledger.ParseAcknowledgement(b)
	if err != nil {
		return Answer{}, err
	}
	key, err := d.expects(ack)
	if err != nil {
		return Answer{}, err
	}
	if !ack.Sign1.Verify(key) {
		return Answer{}, ledger.Errorf(ledger.CodeBadSignature, "%w", ErrUntrusted)
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

// match finds the statement that an acknowledgement is about.
func (d *Device) match(ack *ledger.Acknowledgement) (*entry, error) {
	if ack.Chain != d.cfg.Chain {
		return nil, ledger.Errorf(ledger.CodeWrongChain, "acknowledgement for chain %q: %w", ack.Chain, ErrMismatch)
	}
	e := d.entries[place{ack.Stream, ack.First}]
	if e == nil {
		return nil, ErrNotPending
	}
	kept := e.Value.(*entry)
	if !ack.Answers(d.cfg.Chain, kept.statement) {
		return nil, ErrMismatch
	}
	return kept, nil
}

// Settle is Acknowledge for callers that have already checked that a trusted
// bridge key has signed ack, for instance many signatures at once.
func (d *Device) Settle(ack *ledger.Acknowledgement) (Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, err := d.match(ack)
	if err != nil {
		return Answer{}, err
	}
	if d.broken != nil {
		return Answer{}, d.broken
	}
	answer := Answer{Statement: kept.statement, Code: ack.Code, Height: ack.Height, Index: ack.Index}
	at := place{ack.Stream, ack.First}
	// Neither record is synced: if it is lost, the statement is sent again and
	// answered again.
	if ack.Code == ledger.CodeOK {
		if err := d.write(false, settledRecord(at)); err != nil {
			return Answer{}, err
		}
		d.remove(at)
		return answer, d.compactIfDue()
	}
	if kept.code != ledger.CodeOK {
		return answer, nil // refused before
	}
	if err := d.write(false, refusedRecord(at, ack.Code)); err != nil {
		return Answer{}, err
	}
	d.refuse(at, ack.Code)
	return answer, nil
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
