package simtest

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// equip gives a founding organisation its admin keys and validators. Key i of
// "organisation 0" is that of the name "organisation 0 admin i", validator i that of
// "organisation 0 validator i".
func (c *Chain) equip(o *Organisation, cfg Config) {
	for i := 1; i < cfg.Admins; i++ {
		o.Admins = append(o.Admins, Key(fmt.Sprintf("%s admin %d", o.Name, i)))
	}
	o.Threshold = max(cfg.Threshold, 1)
	for i := range cfg.Validators {
		o.Validators = append(o.Validators, Validator{Key: Key(fmt.Sprintf("%s validator %d", o.Name, i)), Power: 10})
	}
}

// NewOrganisation returns an organisation of one key that is no member.
func NewOrganisation(name string) *Organisation { return newOrganisation(name) }

// Propose returns the operation by which an organisation proposes something, signed by
// its first key, and the proposal's id. It expires in an hour of block time.
func (c *Chain) Propose(o *Organisation, body ledger.Body) (tx []byte, proposal crypto.ID) {
	c.t.Helper()
	tx = c.Operation(o.Key, o.ID, ledger.Propose{Expires: c.Time/1e6 + 3600, Body: body})
	return tx, c.ProposalID(tx)
}

// ProposalID is the id of the proposal that an operation makes.
func (c *Chain) ProposalID(tx []byte) crypto.ID {
	c.t.Helper()
	op, err := ledger.ParseOperation(tx)
	c.must(err)
	return ledger.MadeID(op.Digest())
}

// Approve returns the operation by which an organisation approves a proposal with one of
// its keys, 0 being the first.
func (c *Chain) Approve(o *Organisation, key int, proposal crypto.ID) []byte {
	c.t.Helper()
	return c.Operation(o.Admins[key], o.ID, ledger.Approve{Proposal: proposal})
}

// Admit is the body by which a new organisation of one key becomes a member.
func (c *Chain) Admit(o *Organisation) ledger.Admit {
	c.t.Helper()
	a := ledger.Admit{Name: o.Name, Threshold: uint64(o.Threshold), Possession: c.Possession(o.Key, o.ID)}
	for _, key := range o.Admins {
		a.Keys = append(a.Keys, key.Public())
	}
	return a
}

// Decide proposes something as the first organisation and lets the others approve in the
// same block until it is decided. Every one of these must succeed.
func (c *Chain) Decide(body ledger.Body, voters ...*Organisation) *Block {
	c.t.Helper()
	tx, id := c.Propose(voters[0], body)
	txs := [][]byte{tx}
	for _, o := range voters[1:] {
		txs = append(txs, c.Approve(o, 0, id))
	}
	b := c.Block(txs...)
	for i, r := range b.Results {
		if r.Code != ledger.CodeOK {
			c.t.Fatalf("simtest: %v: vote %d refused: %v", body.Kind(), i, r.Code)
		}
	}
	return b
}
