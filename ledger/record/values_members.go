package record

import (
	"bytes"
	"errors"
	"slices"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// Members lists the organisations that are members, by ascending id.
type Members struct{ Organisations []crypto.ID }

// Has tells whether an organisation is a member.
func (v Members) Has(id crypto.ID) bool { _, found := v.find(id); return found }

func (v Members) find(id crypto.ID) (int, bool) {
	return slices.BinarySearchFunc(v.Organisations, id, compareIDs)
}

// With returns the members and one more.
func (v Members) With(id crypto.ID) Members {
	i, found := v.find(id)
	if found {
		return v
	}
	return Members{slices.Insert(slices.Clone(v.Organisations), i, id)}
}

// Without returns the members but one.
func (v Members) Without(id crypto.ID) Members {
	i, found := v.find(id)
	if !found {
		return v
	}
	return Members{slices.Delete(slices.Clone(v.Organisations), i, i+1)}
}

func compareIDs(a, b crypto.ID) int { return bytes.Compare(a[:], b[:]) }

// Admins lists an organisation's admin keys, in the order they were given.
type Admins struct{ Keys []crypto.KeyID }

// Validator is a validator's power from the row's height on; 0: it is none.
type Validator struct {
	Organisation crypto.ID
	Key          crypto.PublicKey // its consensus key
	Power        uint64
}

// ValidatorSet is all validators with a power above 0, by ascending key.
type ValidatorSet struct{ Validators []Validator }

// Untried says that no block has shown a signature of a validator since it got more power.
type Untried struct {
	Since uint64 // height from which on it has that power
	Power uint64 // what it had when it last signed; 0: it never did
}

// Total is the power of all.
func (v ValidatorSet) Total() (sum uint64) {
	for i := range v.Validators {
		sum += v.Validators[i].Power
	}
	return sum
}

// Find returns the validator with a key; its power is 0 if there is none.
func (v ValidatorSet) Find(key crypto.PublicKey) Validator {
	if i, found := v.find(key); found {
		return v.Validators[i]
	}
	return Validator{Key: key}
}

func (v ValidatorSet) find(key crypto.PublicKey) (int, bool) {
	return slices.BinarySearchFunc(v.Validators, key, func(a Validator, b crypto.PublicKey) int { return bytes.Compare(a.Key[:], b[:]) })
}

// With returns the set with a validator changed, added, or removed if its power is 0.
func (v ValidatorSet) With(next Validator) ValidatorSet {
	i, found := v.find(next.Key)
	list := slices.Clone(v.Validators)
	switch {
	case found && next.Power == 0:
		list = slices.Delete(list, i, i+1)
	case found:
		list[i] = next
	case next.Power != 0:
		list = slices.Insert(list, i, next)
	}
	return ValidatorSet{list}
}

// Offence is what a validator did against the rules of consensus.
type Offence uint64

// The offences.
const (
	OffenceDuplicateVote Offence = 1 // it signed two votes of one round
	OffenceLightAttack   Offence = 2 // it signed a false header for light clients
)

// Misbehaviour says what a validator did at the height in the row's key.
type Misbehaviour struct {
	Organisation crypto.ID // that it belonged to
	Offence      Offence
	Height       uint64 // of the block with the evidence
}

// ProposalStatus says what became of a proposal. One that has expired stays open.
type ProposalStatus uint64

// The statuses of a proposal.
const (
	ProposalOpen    ProposalStatus = 0
	ProposalApplied ProposalStatus = 1
)

// Proposal is an operation put to those who must agree.
type Proposal struct {
	Proposer crypto.ID
	Expires  int64 // seconds since the Unix epoch after which it can be approved no more
	Status   ProposalStatus
	Decided  uint64 // height of the block that applied it; 0 = open
	Body     []byte // see ledger.ParseBody
}

// Approval is the agreement of one key.
type Approval struct {
	Key    crypto.KeyID
	Height uint64 // of the block that holds it
}

// Approvals are those of one organisation, oldest first.
type Approvals struct{ List []Approval }

// Encode returns the row's value.
func (v Members) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(v.Organisations))
	for i := range v.Organisations {
		b = dcbor.AppendBytes(b, v.Organisations[i][:])
	}
	return b
}

// Encode returns the row's value.
func (v Admins) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(v.Keys))
	for i := range v.Keys {
		b = dcbor.AppendBytes(b, v.Keys[i][:])
	}
	return b
}

// Encode returns the row's value.
func (v Untried) Encode() []byte { return appendUints(head(3), v.Since, v.Power) }

// Encode returns the row's value.
func (v Validator) Encode() []byte { return v.append(head(4)) }

func (v Validator) append(b []byte) []byte {
	b = dcbor.AppendBytes(b, v.Organisation[:])
	return dcbor.AppendUint(dcbor.AppendBytes(b, v.Key[:]), v.Power)
}

// Encode returns the row's value.
func (v ValidatorSet) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(v.Validators))
	for i := range v.Validators {
		b = v.Validators[i].append(dcbor.AppendArray(b, 3))
	}
	return b
}

// Encode returns the row's value.
func (v Misbehaviour) Encode() []byte {
	return appendUints(dcbor.AppendBytes(head(4), v.Organisation[:]), uint64(v.Offence), v.Height)
}

// Encode returns the row's value.
func (v Proposal) Encode() []byte {
	b := dcbor.AppendInt(dcbor.AppendBytes(head(6), v.Proposer[:]), v.Expires)
	return dcbor.AppendBytes(appendUints(b, uint64(v.Status), v.Decided), v.Body)
}

// Encode returns the row's value.
func (v Approvals) Encode() []byte {
	b := dcbor.AppendArray(head(2), len(v.List))
	for i := range v.List {
		b = dcbor.AppendBytes(dcbor.AppendArray(b, 2), v.List[i].Key[:])
		b = dcbor.AppendUint(b, v.List[i].Height)
	}
	return b
}

var errOrder = errors.New("list out of order, or too short")

// ParseMembers decodes the value of a members row.
func ParseMembers(b []byte) (v Members, err error) {
	r := open(b, 2)
	n := r.Array(ledger.MaxMembers)
	for i := 0; i < n && r.Err() == nil; i++ {
		var id crypto.ID
		r.Fixed(id[:])
		if i > 0 && compareIDs(v.Organisations[i-1], id) >= 0 {
			r.Fail(errOrder)
		}
		v.Organisations = append(v.Organisations, id)
	}
	return v, done(r, FamilyMembers)
}

// ParseAdmins decodes the value of an admins row.
func ParseAdmins(b []byte) (v Admins, err error) {
	r := open(b, 2)
	n := r.Array(ledger.MaxAdminKeys)
	if r.Err() == nil && n == 0 {
		r.Fail(errOrder)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		var kid crypto.KeyID
		r.Fixed(kid[:])
		v.Keys = append(v.Keys, kid)
	}
	return v, done(r, FamilyAdmins)
}

// ParseValidator decodes the value of a validator row.
func ParseValidator(b []byte) (v Validator, err error) {
	r := open(b, 4)
	v = readValidator(r)
	return v, done(r, FamilyValidator)
}

// ParseUntried decodes the value of an untried row.
func ParseUntried(b []byte) (v Untried, err error) {
	r := open(b, 3)
	v.Since = number(r)
	if v.Power = number(r); r.Err() == nil && v.Power > ledger.MaxPower {
		r.Fail(dcbor.ErrRange)
	}
	return v, done(r, FamilyUntried)
}

func readValidator(r *dcbor.Reader) (v Validator) {
	r.Fixed(v.Organisation[:])
	r.Fixed(v.Key[:])
	if v.Power = number(r); r.Err() == nil && v.Power > ledger.MaxPower {
		r.Fail(dcbor.ErrRange)
	}
	return v
}

// ParseValidatorSet decodes the value of a validator_set row.
func ParseValidatorSet(b []byte) (v ValidatorSet, err error) {
	r := open(b, 2)
	n := r.Array(ledger.MaxValidators)
	for i := 0; i < n && r.Err() == nil; i++ {
		r.ExpectArray(3)
		next := readValidator(r)
		if r.Err() == nil && (next.Power == 0 || i > 0 && bytes.Compare(v.Validators[i-1].Key[:], next.Key[:]) >= 0) {
			r.Fail(errOrder)
		}
		v.Validators = append(v.Validators, next)
	}
	return v, done(r, FamilyValidatorSet)
}

// ParseMisbehaviour decodes the value of a misbehaviour row.
func ParseMisbehaviour(b []byte) (v Misbehaviour, err error) {
	r := open(b, 4)
	r.Fixed(v.Organisation[:])
	v.Offence = Offence(number(r))
	v.Height = number(r)
	return v, done(r, FamilyMisbehaviour)
}

// ParseProposal decodes the value of a proposal row. Its body aliases b.
func ParseProposal(b []byte) (v Proposal, err error) {
	r := open(b, 6)
	r.Fixed(v.Proposer[:])
	v.Expires = int64(number(r))
	v.Status = ProposalStatus(number(r))
	v.Decided = number(r)
	v.Body = r.Bytes(ledger.MaxOperation)
	if r.Err() == nil && (v.Status > ProposalApplied || (v.Status == ProposalOpen) != (v.Decided == 0)) {
		r.Fail(dcbor.ErrRange)
	}
	return v, done(r, FamilyProposal)
}

// ParseApprovals decodes the value of an approval row.
func ParseApprovals(b []byte) (v Approvals, err error) {
	r := open(b, 2)
	n := r.Array(ledger.MaxApprovals)
	if r.Err() == nil && n == 0 {
		r.Fail(errOrder)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		var a Approval
		r.ExpectArray(2)
		r.Fixed(a.Key[:])
		a.Height = number(r)
		v.List = append(v.List, a)
	}
	return v, done(r, FamilyApproval)
}
