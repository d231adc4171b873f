package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// Quota counts what bridges and organisations use up of a block: statements, operations
// and their bytes, accepted or not. It is not safe for concurrent use.
type Quota struct {
	limits        record.Parameters
	bridges       map[crypto.ID]*usage
	organisations map[crypto.ID]*usage
	owners        map[crypto.ID]crypto.ID // of bridges and actors
	r             Reader
	height        uint64
}

// usage is what was used of a block so far.
type usage struct{ statements, bytes uint64 }

func (u *usage) fits(statements, bytes, maxStatements, maxBytes uint64) bool {
	return u.statements+statements <= maxStatements && u.bytes+bytes <= maxBytes
}

func (u *usage) add(statements, bytes uint64) {
	u.statements += statements
	u.bytes += bytes
}

// NewQuota returns the unused quotas of block b. The error is a failure of r.
func NewQuota(r Reader, b Block) (*Quota, error) {
	limits, err := ParametersAt(r, b.Height)
	return &Quota{
		limits: limits, r: r, height: b.Height, owners: make(map[crypto.ID]crypto.ID),
		bridges: make(map[crypto.ID]*usage), organisations: make(map[crypto.ID]*usage),
	}, err
}

// Take uses up what a whole batch, or an operation, needs. It returns CodeQuota, and uses
// nothing, if there is not enough left: such a transaction does not belong into the block.
// For PrepareProposal, in the order it chooses; for ProcessProposal, in the order of the
// block. The error is a failure of the Reader.
func (q *Quota) Take(tx *ledger.Transaction) (ledger.Code, error) {
	if tx.Batch == nil {
		return q.takeOperation(tx.Operation)
	}
	statements, bytes := Need(tx)
	return q.take(tx.Batch.Bridge, statements, bytes)
}

// Need is what a transaction uses of its quotas, if all of it counts.
func Need(tx *ledger.Transaction) (statements, bytes uint64) {
	if tx.Batch == nil {
		return 1, operationBytes(tx.Operation)
	}
	for _, raw := range tx.Batch.Raw {
		bytes += uint64(len(raw))
	}
	return uint64(tx.Batch.Len()), bytes
}

func operationBytes(op *ledger.Operation) uint64 {
	return uint64(min(len(op.Bytes()), ledger.MaxOperation))
}

// take uses up statements of a bridge, or returns CodeQuota.
func (q *Quota) take(bridge crypto.ID, statements, bytes uint64) (ledger.Code, error) {
	owner, err := q.owner(bridge)
	if err != nil {
		return ledger.CodeOK, err
	}
	b, o := used(q.bridges, bridge), used(q.organisations, owner)
	l := &q.limits
	if !b.fits(statements, bytes, l.StatementsPerBridge, l.BytesPerBridge) ||
		!o.fits(statements, bytes, l.StatementsPerOrganisation, l.BytesPerOrganisation) {
		return ledger.CodeQuota, nil
	}
	b.add(statements, bytes)
	o.add(statements, bytes)
	return ledger.CodeOK, nil
}

// takeOperation uses up an operation of the organisation that acts, or that owns the
// device that acts.
func (q *Quota) takeOperation(op *ledger.Operation) (ledger.Code, error) {
	owner, err := q.actorOf(op.Actor)
	if err != nil {
		return ledger.CodeOK, err
	}
	bytes := operationBytes(op)
	o, l := used(q.organisations, owner), &q.limits
	if !o.fits(1, bytes, l.StatementsPerOrganisation, l.BytesPerOrganisation) {
		return ledger.CodeQuota, nil
	}
	o.add(1, bytes)
	return ledger.CodeOK, nil
}

// Payer is the organisation whose quota a transaction uses.
func (q *Quota) Payer(tx *ledger.Transaction) (crypto.ID, error) {
	if tx.Batch != nil {
		return q.owner(tx.Batch.Bridge)
	}
	return q.actorOf(tx.Operation.Actor)
}

// actorOf is the organisation that an actor is, or that owns it, whose row was there
// before the block.
func (q *Quota) actorOf(id crypto.ID) (crypto.ID, error) {
	if owner, known := q.owners[id]; known {
		return owner, nil
	}
	owner := id
	_, organisation, err := organisationAt(q.r, id, q.height)
	if err == nil && !organisation {
		var device record.Device
		device, _, err = deviceAt(q.r, id, q.height)
		owner = device.Organisation
	}
	q.owners[id] = owner
	return owner, err
}

func used(m map[crypto.ID]*usage, id crypto.ID) *usage {
	u := m[id]
	if u == nil {
		u = new(usage)
		m[id] = u
	}
	return u
}

// owner is the organisation that answers for a bridge, whose row was there before the
// block.
func (q *Quota) owner(bridge crypto.ID) (crypto.ID, error) {
	if id, known := q.owners[bridge]; known {
		return id, nil
	}
	row, _, err := bridgeAt(q.r, bridge, q.height)
	q.owners[bridge] = row.Organisation
	return row.Organisation, err
}

// quota is the use of the current block.
func (v *View) quota(b Block) *Quota {
	if v.quotas == nil || v.quotas.height != b.Height {
		q, err := NewQuota(v, b)
		v.fail(err)
		v.quotas = q
	}
	return v.quotas
}

// takeOperationQuota uses up one operation.
func (v *View) takeOperationQuota(b Block, op *ledger.Operation) ledger.Code {
	code, err := v.quota(b).takeOperation(op)
	v.fail(err)
	return code
}

// takeQuota uses up one statement.
func (v *View) takeQuota(b Block, bridge crypto.ID, bytes int) ledger.Code {
	code, err := v.quota(b).take(bridge, 1, uint64(bytes))
	v.fail(err)
	return code
}
