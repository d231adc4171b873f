package state

import (
	"crypto/sha256"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// validatorDelay is how many blocks after its own a change of the validators counts:
// CometBFT makes the set of block h+2 from the results of block h.
const validatorDelay = 2

// liveFrom is the number of validators from which on less than a third of the power may
// change in one block. Among fewer each one has a third or more.
const liveFrom = 4

// ValidatorUpdate is the new power of a validator; 0 removes it.
type ValidatorUpdate struct {
	Key   crypto.PublicKey
	Power uint64
}

// setValidator gives a validator its power.
func setValidator(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.SetValidator)
	if !ok {
		return ledger.CodeMalformed
	}
	organisation, found := c.organisation(body.Organisation)
	switch {
	case !found:
		return ledger.CodeUnknownOrganisation
	case organisation.Status != record.StatusActive:
		return activeCode(organisation.Status)
	}
	old, known := c.validator(body.Key)
	switch {
	case known && old.Organisation != body.Organisation:
		return ledger.CodeNotOwner
	case old.Power == body.Power && body.Power != 0:
		return ledger.CodeExists
	case old.Power == 0 && body.Power == 0:
		return ledger.CodeUnknownValidator
	}
	return c.setValidators(record.Validator{Organisation: body.Organisation, Key: body.Key, Power: body.Power})
}

// rotateValidator gives the power of a validator of the actor to a new key.
func rotateValidator(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.RotateValidator)
	if !ok {
		return ledger.CodeMalformed
	}
	if code := c.organisationActs(); code != ledger.CodeOK {
		return code
	}
	old, known := c.validator(body.Old)
	switch {
	case !known || old.Power == 0:
		return ledger.CodeUnknownValidator
	case old.Organisation != c.op.Actor:
		return ledger.CodeNotOwner
	}
	if _, known := c.validator(body.New); known {
		return ledger.CodeExists
	}
	next := record.Validator{Organisation: old.Organisation, Key: body.New, Power: old.Power}
	old.Power = 0
	return c.setValidators(old, next)
}

// setValidators changes the set that decides from block h+2 on.
func (c *change) setValidators(changed ...record.Validator) ledger.Code {
	height := c.b.Height + validatorDelay
	before, set := c.v.validatorsAt(height-1), c.v.validatorsAt(height)
	for _, v := range changed {
		id := ledger.ValidatorID(v.Key)
		set = set.With(v)
		c.put(record.ValidatorRow(id, height), v.Encode())
		if k := record.OrganisationValidatorRow(v.Organisation, id); c.v.get(k) == nil {
			c.put(k, record.Since{Height: c.b.Height}.Encode())
		}
	}
	switch {
	case len(set.Validators) > ledger.MaxValidators:
		return ledger.CodeTooMany
	case !staysLive(before, set):
		return ledger.CodeNotLive
	}
	c.put(record.ValidatorSetRow(height), set.Encode())
	return ledger.CodeOK
}

// staysLive tells whether one block may turn a validator set into another: what leaves
// and what joins is each less than a third of the power, so that those who stay can
// decide without them. Of fewer than four validators one may leave and one may join.
func staysLive(before, after record.ValidatorSet) bool {
	if len(before.Validators) == 0 || len(after.Validators) == 0 {
		return false
	}
	var up, down, joined, left uint64
	for _, v := range after.Validators {
		old := before.Find(v.Key).Power
		if old == 0 {
			joined++
		}
		up += v.Power - min(v.Power, old)
	}
	for _, v := range before.Validators {
		now := after.Find(v.Key).Power
		if now == 0 {
			left++
		}
		down += v.Power - min(v.Power, now)
	}
	if len(before.Validators) < liveFrom {
		return joined <= 1 && left <= 1
	}
	return 3*max(up, down) < before.Total()
}

// validator is the last that is known of a validator, with the changes of this block.
func (c *change) validator(key crypto.PublicKey) (record.Validator, bool) {
	id := ledger.ValidatorID(key)
	v, found, err := at(c.v, record.ValidatorRow(id, 0), record.ValidatorRow(id, c.b.Height+validatorDelay), record.ParseValidator)
	c.v.fail(err)
	return v, found
}

// validatorsAt is the validator set that decides the block at height.
func (v *View) validatorsAt(height uint64) record.ValidatorSet {
	set, _, err := at(v, record.ValidatorSetRow(0), record.ValidatorSetRow(height), record.ParseValidatorSet)
	v.fail(err)
	return set
}

// ValidatorUpdates returns the validators whose power block b changed, for CometBFT, by
// ascending key. Call it after the block's last transaction.
func (v *View) ValidatorUpdates(b Block) (list []ValidatorUpdate) {
	height := b.Height + validatorDelay
	if v.rows[record.ValidatorSetRow(height)] == nil {
		return nil
	}
	before, after := v.validatorsAt(height-1), v.validatorsAt(height)
	i, j := 0, 0
	for i < len(before.Validators) || j < len(after.Validators) {
		switch {
		case j == len(after.Validators) || i < len(before.Validators) && less(before.Validators[i].Key, after.Validators[j].Key):
			list = append(list, ValidatorUpdate{Key: before.Validators[i].Key})
			i++
		case i == len(before.Validators) || less(after.Validators[j].Key, before.Validators[i].Key):
			list = append(list, ValidatorUpdate{Key: after.Validators[j].Key, Power: after.Validators[j].Power})
			j++
		default:
			if power := after.Validators[j].Power; power != before.Validators[i].Power {
				list = append(list, ValidatorUpdate{Key: after.Validators[j].Key, Power: power})
			}
			i, j = i+1, j+1
		}
	}
	return list
}

func less(a, b crypto.PublicKey) bool { return string(a[:]) < string(b[:]) }

// Misbehaviour is evidence of CometBFT against a validator.
type Misbehaviour struct {
	Address [20]byte // SHA-256 of the consensus key, first 20 bytes
	Offence record.Offence
	Height  uint64 // at which it happened
}

// RecordMisbehaviour records what CometBFT's evidence in block b says. Evidence against
// nobody who was a validator of the records at that height is left out. Call it once a
// block, before or after its transactions.
func RecordMisbehaviour(v *View, b Block, list []Misbehaviour) {
	for _, m := range list {
		if m.Height > b.Height {
			continue
		}
		for _, validator := range v.validatorsAt(m.Height).Validators {
			if sum := sha256.Sum256(validator.Key[:]); [20]byte(sum[:20]) != m.Address {
				continue
			}
			k := record.MisbehaviourRow(ledger.ValidatorID(validator.Key), m.Height)
			if v.get(k) == nil {
				v.put(k, record.Misbehaviour{Organisation: validator.Organisation, Offence: m.Offence, Height: b.Height}.Encode())
			}
		}
	}
}
