package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"mtmledger/ledger"
)

// ErrTrustRoot is wrapped by all errors about the content of a trust root.
var ErrTrustRoot = errors.New("not a usable trust root")

// A TrustRoot is what the holder of certificates pins: the chain id and one
// validator set of the ledger, usually the first. As a file it is JSON:
//
//	{"chain":"NAME","validators":[{"key":"BASE64","power":N}, ...]}
type TrustRoot struct {
	Chain      string      `json:"chain"`
	Validators []Validator `json:"validators"`
}

// ParseTrustRoot reads a trust root file. The validators may stand in any order;
// they are returned sorted. Each member stands there once, under its own name, and
// no other: whoever wrote another meant something by it.
func ParseTrustRoot(file []byte) (TrustRoot, error) {
	if len(file) > MaxTrustRoot {
		return TrustRoot{}, fmt.Errorf("%w: more than %d bytes", ErrTrustRoot, MaxTrustRoot)
	}
	root, err := readTrustRoot(file)
	if err != nil {
		return TrustRoot{}, fmt.Errorf("%w: %w", ErrTrustRoot, err)
	}
	root, _, err = root.check()
	return root, err
}

// Encode writes the trust root as a file that [ParseTrustRoot] reads, validators
// sorted, one a line.
func (r TrustRoot) Encode() []byte {
	set := slices.Clone(r.Validators)
	SortValidators(set)
	var b bytes.Buffer
	chain, _ := json.Marshal(r.Chain) // a string always marshals
	fmt.Fprintf(&b, "{\n  \"chain\": %s,\n  \"validators\": [", chain)
	for i, v := range set {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    {\"key\": %q, \"power\": %d}", v.Key, v.Power)
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes()
}

// check returns the root with its validators sorted, and their power.
func (r TrustRoot) check() (TrustRoot, int64, error) {
	if err := ledger.CheckChain(r.Chain); err != nil {
		return r, 0, fmt.Errorf("%w: %w", ErrTrustRoot, err)
	}
	r.Validators = slices.Clone(r.Validators)
	SortValidators(r.Validators)
	power, err := totalPower(r.Validators)
	if err != nil {
		return r, 0, fmt.Errorf("%w: %w", ErrTrustRoot, err)
	}
	return r, power, nil
}
