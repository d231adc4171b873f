package record

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// MembersRow is the key of the list of members set at height.
func MembersRow(height uint64) merkle.Key { return withNumber(FamilyMembers, crypto.ID{}, height) }

// AdminsRow is the key of the list of an organisation's admin keys set at height.
func AdminsRow(organisation crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyAdmins, organisation, height)
}

// ValidatorRow is the key of a validator's row set at height.
func ValidatorRow(validator crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyValidator, validator, height)
}

// OrganisationValidatorRow lists a validator under its organisation.
func OrganisationValidatorRow(organisation, validator crypto.ID) merkle.Key {
	return withChild(FamilyOrganisationValidator, organisation, validator)
}

// MisbehaviourRow is the key of what a validator did wrong at a height.
func MisbehaviourRow(validator crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyMisbehaviour, validator, height)
}

// ValidatorSetRow is the key of the validator set that decides from height on.
func ValidatorSetRow(height uint64) merkle.Key {
	return withNumber(FamilyValidatorSet, crypto.ID{}, height)
}

// UntriedRow is the key of the row of a validator that has not signed a block yet since
// it got more power.
func UntriedRow(validator crypto.ID) merkle.Key { return prefix(FamilyUntried, validator) }

// ProposalRow is the key of a proposal.
func ProposalRow(proposal crypto.ID) merkle.Key { return prefix(FamilyProposal, proposal) }

// ApprovalRow is the key of an organisation's approvals of a proposal.
func ApprovalRow(proposal, organisation crypto.ID) merkle.Key {
	return withChild(FamilyApproval, proposal, organisation)
}
