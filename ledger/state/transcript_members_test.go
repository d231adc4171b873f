package state_test

import (
	"fmt"
	"strings"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// memberRow writes a row of the consortium for people; ok is false for another family.
func (r *transcript) memberRow(c merkle.Change, name string) (text string, ok bool) {
	n := record.NumberOf(c.Key)
	switch family := record.FamilyOf(c.Key); family {
	case record.FamilyMembers:
		v, err := record.ParseMembers(c.Value)
		return r.line(err, "members at %d: %s", n, r.list(v.Organisations)), true
	case record.FamilyAdmins:
		v, err := record.ParseAdmins(c.Value)
		return r.line(err, "admins of %s at %d: %d keys", name, n, len(v.Keys)), true
	case record.FamilyValidator:
		v, err := record.ParseValidator(c.Value)
		return r.line(err, "validator %s at %d: %s, power %d", r.validator(v.Key), n, r.name(v.Organisation), v.Power), true
	case record.FamilyUntried:
		v, err := record.ParseUntried(c.Value)
		return r.line(err, "untried %s: since %d, signed with %d", name, v.Since, v.Power), true
	case record.FamilyOrganisationValidator:
		v, err := record.ParseSince(c.Value)
		return r.line(err, "%v %s: since %d", family, name, v.Height), true
	case record.FamilyValidatorSet:
		v, err := record.ParseValidatorSet(c.Value)
		list := make([]string, len(v.Validators))
		for i, x := range v.Validators {
			list[i] = fmt.Sprintf("%s=%d", r.validator(x.Key), x.Power)
		}
		return r.line(err, "validators at %d: %s", n, strings.Join(list, " ")), true
	case record.FamilyMisbehaviour:
		v, err := record.ParseMisbehaviour(c.Value)
		return r.line(err, "misbehaviour at %d: %s, kind %d", n, r.name(v.Organisation), v.Offence), true
	case record.FamilyProposal:
		v, err := record.ParseProposal(c.Value)
		body, err2 := ledger.ParseBody(v.Body)
		if err == nil {
			err = err2
		}
		return r.line(err, "proposal of %s: %v, status %d, decided %d", r.name(v.Proposer), body.Kind(), v.Status, v.Decided), true
	case record.FamilyApproval:
		v, err := record.ParseApprovals(c.Value)
		return r.line(err, "approvals of %s: %d", r.name(record.ChildOf(c.Key)), len(v.List)), true
	}
	return "", false
}

func (r *transcript) list(ids []crypto.ID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = r.name(id)
	}
	return strings.Join(names, " ")
}

func (r *transcript) validator(key crypto.PublicKey) string { return r.name(ledger.ValidatorID(key)) }

// validatorKey is the key of a founder's validator, or the one that the name makes.
func (r *transcript) validatorKey(name string) crypto.PublicKey {
	for _, o := range r.c.Organisations {
		for _, v := range o.Validators {
			if key := v.Key.Public(); r.validator(key) == name {
				return key
			}
		}
	}
	return simtest.Key(name).Public()
}

// memberBody is the body of an operation of the consortium, nil for another kind.
func (r *transcript) memberBody(kind, subject string, flags map[string]string) ledger.Body {
	switch kind {
	case "admit":
		o := simtest.NewOrganisation(subject)
		r.names[o.ID] = subject
		return r.c.Admit(o)
	case "remove":
		return ledger.Remove{Organisation: r.id(subject)}
	case "validator":
		key := r.validatorKey(subject)
		r.names[ledger.ValidatorID(key)] = subject
		return ledger.SetValidator{Organisation: r.id(flags["of"]), Key: key, Power: r.number(flags["power"])}
	case "set_parameter":
		p := ledger.Parameter{ID: ledger.ParameterID(r.number(subject)), Value: r.number(flags["value"])}
		return ledger.SetParameters{Values: []ledger.Parameter{p}}
	}
	return nil
}
