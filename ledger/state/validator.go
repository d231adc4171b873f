package state

import (
	"crypto/sha256"
	"slices"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// validatorDelay is how many blocks after its own a change of the validators counts:
// CometBFT makes the set of block h+2 from the results of block h.
const validatorDelay = 2

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
	return c.setValidators(c.staysLive, record.Validator{Organisation: body.Organisation, Key: body.Key, Power: body.Power})
}

// rotateValidator gives the power of a validator of the actor to a new key. One with a third
// of the power or more, as the only one has, can do so too, where nothing else changes the
// set: its owner could halt the chain anyway, and proves to have the new key.
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
	live := c.staysLive
	height := c.b.Height + validatorDelay
	before := c.v.validatorsAt(height - 1)
	if 3*next.Power >= before.Total() && slices.Equal(before.Validators, c.v.validatorsAt(height).Validators) {
		live = func(_, _ record.ValidatorSet, _ untried) bool { return true }
	}
	return c.setValidators(live, old, next)
}

// untried are validators that get more power than they are known to run with.
type untried map[crypto.PublicKey]record.Untried

// liveness tells whether a vote that gives some more power may turn the set before into the
// set after.
type liveness func(before, after record.ValidatorSet, raised untried) bool

// setValidators changes the set that decides from block h+2 on, if the rule says that it
// may become what it becomes.
func (c *change) setValidators(live liveness, changed ...record.Validator) ledger.Code {
	height := c.b.Height + validatorDelay
	before, set := c.v.validatorsAt(height-1), c.v.validatorsAt(height)
	raised := make(untried)
	for _, v := range changed {
		id := ledger.ValidatorID(v.Key)
		old := set.Find(v.Key)
		row, found := c.v.untried(v.Key)
		switch {
		case v.Power > old.Power:
			if !found {
				row.Power = old.Power
			}
			row.Since = height
			raised[v.Key] = row
			c.put(record.UntriedRow(id), row.Encode())
		case v.Power == 0 && found:
			c.put(record.UntriedRow(id), nil)
		}
		set = set.With(v)
		c.put(record.ValidatorRow(id, height), v.Encode())
		if k := record.OrganisationValidatorRow(v.Organisation, id); c.v.get(k) == nil {
			c.put(k, record.Since{Height: c.b.Height}.Encode())
		}
	}
	switch {
	case len(set.Validators) > ledger.MaxValidators:
		return ledger.CodeTooMany
	case !live(before, set, raised):
		return ledger.CodeNotLive
	}
	c.put(record.ValidatorSetRow(height), set.Encode())
	return ledger.CodeOK
}

// staysLive tells whether a vote may turn the validator set of one block into that of the
// next: what stays as it is, of each validator the least of its powers and of the one that
// it is known to sign with, is more than two thirds of both. So those who stay decide
// without what is new, even if nobody runs it, and what leaves is less than a third. One
// rule for sets of all sizes: a small one changes in more steps. Whether who signed once
// goes on running, no rule can know.
func (c *change) staysLive(before, after record.ValidatorSet, raised untried) bool {
	stays := uint64(0)
	for _, v := range before.Validators {
		known := min(v.Power, after.Find(v.Key).Power)
		row, found := raised[v.Key]
		if !found {
			row, found = c.v.untried(v.Key)
		}
		if found {
			known = min(known, row.Power)
		}
		stays += known
	}
	return 3*stays > 2*max(before.Total(), after.Total())
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

// untried is the row of a validator that has not signed since it got more power.
func (v *View) untried(key crypto.PublicKey) (row record.Untried, found bool) {
	value := v.get(record.UntriedRow(ledger.ValidatorID(key)))
	if value == nil {
		return row, false
	}
	row, err := record.ParseUntried(value)
	v.fail(err)
	return row, err == nil
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

// Address is how CometBFT names a validator: SHA-256 of its consensus key, first 20 bytes.
type Address [20]byte

func addressOf(key crypto.PublicKey) Address {
	sum := sha256.Sum256(key[:])
	return Address(sum[:20])
}

// RecordSignatures notes which validators signed the block before b, as b shows: votes count
// on all of their power from now on. Call it once a block, before its
// transactions.
func RecordSignatures(v *View, b Block, signers []Address) {
	lo, hi := record.FamilyRange(record.FamilyUntried)
	_, some, err := v.Predecessor(lo, hi)
	v.fail(err)
	if some == nil {
		return
	}
	last := b.Height - 1
	for _, validator := range v.validatorsAt(last).Validators {
		row, found := v.untried(validator.Key)
		if found && row.Since <= last && slices.Contains(signers, addressOf(validator.Key)) {
			v.put(record.UntriedRow(ledger.ValidatorID(validator.Key)), nil)
		}
	}
}

// Misbehaviour is evidence of CometBFT against a validator.
type Misbehaviour struct {
	Address Address
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
			if addressOf(validator.Key) != m.Address {
				continue
			}
			k := record.MisbehaviourRow(ledger.ValidatorID(validator.Key), m.Height)
			if v.get(k) == nil {
				v.put(k, record.Misbehaviour{Organisation: validator.Organisation, Offence: m.Offence, Height: b.Height}.Encode())
			}
		}
	}
}
