package proof

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// Reasons for which a validator set is refused.
var (
	ErrValidatorCount = fmt.Errorf("a validator set has 1 to %d validators", MaxValidators)
	ErrValidatorPower = errors.New("a validator's power is not positive")
	ErrValidatorTwice = errors.New("a validator stands twice in the set")
	ErrValidatorOrder = errors.New("validators are not sorted by power (highest first), then address")
	ErrTotalPower     = errors.New("the validators' powers add up to more than CometBFT allows")
)

// AddressSize is the length of a validator's address in bytes.
const AddressSize = 20

// Address names a validator in CometBFT: the first 20 bytes of the SHA-256 of
// its public key.
type Address [AddressSize]byte

// Validator is a member of a validator set: an ed25519 key and its power, above
// zero.
type Validator struct {
	Key   crypto.PublicKey `json:"key"`
	Power int64            `json:"power"`
}

// Address returns the validator's address.
func (v Validator) Address() Address {
	h := sha256.Sum256(v.Key[:])
	return Address(h[:AddressSize])
}

// append writes the SimpleValidator message that stands for v in the set's hash:
// {1: PublicKey {1: ed25519 key}, 2: power}.
func (v Validator) append(b []byte) []byte {
	b = appendMessageField(b, 1, appendBytesField(nil, 1, v.Key[:]))
	return appendVarintField(b, 2, uint64(v.Power))
}

// compareValidators is the order of a set in CometBFT.
func compareValidators(a, b Validator) int {
	if c := cmp.Compare(b.Power, a.Power); c != 0 {
		return c
	}
	x, y := a.Address(), b.Address()
	return bytes.Compare(x[:], y[:])
}

// SortValidators sorts the set into its one order: by power, highest first, then
// by address. Indexes of validators in commits count in this order.
func SortValidators(set []Validator) { slices.SortFunc(set, compareValidators) }

// ValidatorsHash returns the hash that headers carry for a sorted set.
func ValidatorsHash(set []Validator) merkle.Hash {
	leaves := make([][]byte, len(set))
	for i, v := range set {
		leaves[i] = v.append(make([]byte, 0, 48))
	}
	return treeHash(leaves)
}

// totalPower checks a sorted set and adds up its power.
func totalPower(set []Validator) (int64, error) {
	if len(set) < 1 || len(set) > MaxValidators {
		return 0, ErrValidatorCount
	}
	var total int64
	seen := make(map[crypto.PublicKey]bool, len(set))
	for i, v := range set {
		switch {
		case v.Power <= 0:
			return 0, fmt.Errorf("validator %d: %w", i, ErrValidatorPower)
		case seen[v.Key]:
			return 0, fmt.Errorf("validator %d: %w", i, ErrValidatorTwice)
		case i > 0 && compareValidators(set[i-1], v) >= 0:
			return 0, fmt.Errorf("validator %d: %w", i, ErrValidatorOrder)
		case v.Power > MaxTotalPower-total:
			return 0, fmt.Errorf("validator %d: %w", i, ErrTotalPower)
		}
		seen[v.Key] = true
		total += v.Power
	}
	return total, nil
}
