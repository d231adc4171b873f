package ledger

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// SetValidator gives a validator of an organisation its power, by a vote of the members.
type SetValidator struct {
	Organisation crypto.ID
	Key          crypto.PublicKey // its consensus key
	Power        uint64           // 0..MaxPower; 0 removes it
}

// RotateValidator replaces the consensus key of a validator of the actor, an
// organisation. The new one has the same power.
type RotateValidator struct {
	Old, New   crypto.PublicKey
	Possession *Possession // of the new key, for the actor
}

// Kind returns KindValidator.
func (SetValidator) Kind() Kind { return KindValidator }

// Kind returns KindRotateValidator.
func (RotateValidator) Kind() Kind { return KindRotateValidator }

// ValidatorID is the id of the validator with a consensus key.
func ValidatorID(key crypto.PublicKey) crypto.ID { return crypto.DeriveID("mtm/validator/1", key[:]) }

func (o SetValidator) append(b []byte) []byte {
	b = dcbor.AppendBytes(appendKind(b, 4, KindValidator), o.Organisation[:])
	return dcbor.AppendUint(dcbor.AppendBytes(b, o.Key[:]), o.Power)
}

func (o RotateValidator) append(b []byte) []byte {
	b = dcbor.AppendBytes(appendKind(b, 4, KindRotateValidator), o.Old[:])
	return appendPossession(dcbor.AppendBytes(b, o.New[:]), o.Possession)
}

func readValidatorBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindValidator && n == 4:
		body := SetValidator{Organisation: readID(r), Key: readPublicKey(r), Power: r.Uint()}
		if r.Err() == nil && body.Power > MaxPower {
			r.Fail(fmt.Errorf("power %d, at most %d: %w", body.Power, int64(MaxPower), dcbor.ErrRange))
		}
		return body
	case kind == KindRotateValidator && n == 4:
		var body RotateValidator
		r.Fixed(body.Old[:])
		body.New = readPublicKey(r)
		body.Possession = readPossession(r)
		if r.Err() == nil && body.Possession.Key != body.New {
			r.Fail(Errorf(CodeBadPossession, "the proof of possession is not by the new key"))
		}
		return body
	}
	return nil
}
