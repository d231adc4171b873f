package state

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// Check is one signature of a transaction. If Code is OK the signature of Item is to be
// verified; otherwise it counts for nothing whatever its bytes are, and Item is empty.
type Check struct {
	Code ledger.Code
	Item crypto.Item
}

// Verdict returns the check's code, given whether the signature of its Item is valid.
func (c Check) Verdict(valid bool) ledger.Code {
	if c.Code == ledger.CodeOK && !valid {
		return ledger.CodeBadSignature
	}
	return c.Code
}

// Signatures returns the signatures that a transaction stands on: the first is the
// signer's of the transaction; then one for each statement of a batch, or for each
// proof of possession or statement that an operation carries. Apply takes their verdicts, in this order.
//
// Signers and keys are looked up in r, which holds the records at the START of block b: a
// key enrolled in b opens at b.Height+1. So the checks of a block do not depend on its
// other transactions, and all of them can be verified at once, in parallel.
//
// The error is a failure of r.
func Signatures(r Reader, b Block, tx *ledger.Transaction) ([]Check, error) {
	l := lookup{r: r, height: b.Height}
	var checks []Check
	if tx.Batch != nil {
		checks = l.batch(b, tx.Batch)
	} else {
		checks = l.operation(b, tx.Operation)
	}
	if l.err != nil {
		return nil, fmt.Errorf("state: resolving signers: %w", l.err)
	}
	return checks, nil
}

// Signer returns the first of Signatures alone: the one of the transaction as a whole.
func Signer(r Reader, b Block, tx *ledger.Transaction) (Check, error) {
	l := lookup{r: r, height: b.Height}
	var c Check
	if tx.Batch != nil {
		c = l.bridgeCheck(b, tx.Batch)
	} else {
		c = l.actorCheck(b, tx.Operation)
	}
	if l.err != nil {
		return Check{}, fmt.Errorf("state: resolving the signer: %w", l.err)
	}
	return c, nil
}

// lookup resolves signers at a height, and keeps the first failure of the reader.
type lookup struct {
	r      Reader
	height uint64
	err    error

	// The last device key found: statements of one device often come together.
	device crypto.ID
	kid    crypto.KeyID
	key    crypto.PublicKey
	code   ledger.Code
	known  bool

	// The last organisation asked for: a bridge mostly carries its own organisation's.
	owner     crypto.ID
	ownerCode ledger.Code
	asked     bool
}

func (l *lookup) batch(b Block, batch *ledger.Batch) []Check {
	checks := make([]Check, 1, 1+batch.Len())
	checks[0] = l.bridgeCheck(b, batch)
	for i := range batch.Len() {
		checks = append(checks, l.statementCheck(batch.Parse(i)))
	}
	return checks
}

func (l *lookup) bridgeCheck(b Block, batch *ledger.Batch) Check {
	if batch.Chain != b.Chain {
		return Check{Code: ledger.CodeWrongChain}
	}
	if code := l.bridge(batch.Bridge); code != ledger.CodeOK {
		return Check{Code: code}
	}
	return l.check(batch.Sign1, batch.Bridge)
}

func (l *lookup) statementCheck(s *ledger.Statement, err error) Check {
	if err != nil {
		return Check{Code: ledger.CodeOf(err)}
	}
	kid := s.KeyID()
	if !l.known || l.device != s.Device || l.kid != kid {
		l.device, l.kid, l.known = s.Device, kid, true
		if l.code = l.deviceStatus(s.Device); l.code == ledger.CodeOK {
			l.key, l.code = l.publicKey(s.Device, kid)
		}
	}
	if l.code != ledger.CodeOK {
		return Check{Code: l.code}
	}
	return Check{Item: s.Sign1.Item(l.key)}
}

func (l *lookup) operation(b Block, op *ledger.Operation) []Check {
	checks := []Check{l.actorCheck(b, op)}
	return append(checks, l.bodyChecks(op.Body)...)
}

// bodyChecks are the checks of the messages within an operation.
func (l *lookup) bodyChecks(body ledger.Body) (checks []Check) {
	for _, p := range ledger.Possessions(body) {
		checks = append(checks, Check{Item: p.Sign1.Item(p.Key)})
	}
	if e, ok := body.(ledger.Equivocation); ok {
		checks = append(checks, l.evidenceCheck(e.A), l.evidenceCheck(e.B))
	}
	return checks
}

func (l *lookup) actorCheck(b Block, op *ledger.Operation) Check {
	if op.Chain != b.Chain {
		return Check{Code: ledger.CodeWrongChain}
	}
	if code := l.actor(op.Actor); code != ledger.CodeOK {
		return Check{Code: code}
	}
	return l.check(op.Sign1, op.Actor)
}

// check is the check of a signature by a key of the principal, named in its header.
func (l *lookup) check(s *crypto.Sign1, principal crypto.ID) Check {
	key, code := l.publicKey(principal, s.Header.KeyID)
	if code != ledger.CodeOK {
		return Check{Code: code}
	}
	return Check{Item: s.Item(key)}
}

// publicKey finds a key of a principal that is valid at the height.
func (l *lookup) publicKey(principal crypto.ID, kid crypto.KeyID) (crypto.PublicKey, ledger.Code) {
	value, err := l.r.Get(record.KeyRow(principal, kid))
	if err != nil || value == nil {
		return crypto.PublicKey{}, l.missing(err, ledger.CodeUnknownKey)
	}
	key, err := record.ParseKey(value)
	switch {
	case err != nil:
		return crypto.PublicKey{}, l.missing(err, ledger.CodeUnknownKey)
	case key.ValidAt(l.height):
		return key.Public, ledger.CodeOK
	case l.height < key.Opens:
		return crypto.PublicKey{}, ledger.CodeUnknownKey
	}
	return crypto.PublicKey{}, ledger.CodeKeyClosed
}

// bridge tells whether a bridge and its organisation are active.
func (l *lookup) bridge(id crypto.ID) ledger.Code {
	bridge, found, err := bridgeAt(l.r, id, l.height)
	if !found {
		return l.missing(err, ledger.CodeUnknownBridge)
	}
	if code := activeCode(bridge.Status); code != ledger.CodeOK {
		return code
	}
	return l.organisation(bridge.Organisation)
}

func (l *lookup) organisation(id crypto.ID) ledger.Code {
	if l.asked && l.owner == id {
		return l.ownerCode
	}
	code := l.readOrganisation(id)
	l.owner, l.ownerCode, l.asked = id, code, true
	return code
}

func (l *lookup) readOrganisation(id crypto.ID) ledger.Code {
	organisation, found, err := organisationAt(l.r, id, l.height)
	if !found {
		return l.missing(err, ledger.CodeUnknownOrganisation)
	}
	return activeCode(organisation.Status)
}

func (l *lookup) deviceStatus(id crypto.ID) ledger.Code {
	device, found, err := deviceAt(l.r, id, l.height)
	if !found {
		return l.missing(err, ledger.CodeUnknownDevice)
	}
	if code := activeCode(device.Status); code != ledger.CodeOK {
		return code
	}
	return l.organisation(device.Organisation)
}

// actor tells whether the actor of an operation, an organisation or a device, is active.
func (l *lookup) actor(id crypto.ID) ledger.Code {
	code := l.organisation(id)
	if code == ledger.CodeUnknownOrganisation {
		code = l.deviceStatus(id)
	}
	if code == ledger.CodeUnknownDevice {
		return ledger.CodeUnknownActor
	}
	return code
}

// missing keeps a failure of the reader; without one it is the code of what is not there.
func (l *lookup) missing(err error, code ledger.Code) ledger.Code {
	if l.err == nil {
		l.err = err
	}
	return code
}

// activeCode is the code of a status: OK, or why its bearer may not act.
func activeCode(s record.Status) ledger.Code {
	switch s {
	case record.StatusActive:
		return ledger.CodeOK
	case record.StatusRetired:
		return ledger.CodeRetired
	}
	return ledger.CodeSuspended
}
