package state

import (
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// parametersDelay is how many blocks after its own a change of parameters counts at the
// earliest: who proposes or checks the next block knows the parameters already.
const parametersDelay = 2

// setParameters changes parameters from a height on. Changes come in the order of their
// heights, so that each row holds all that is in force.
func setParameters(c *change) ledger.Code {
	body, ok := c.op.Body.(ledger.SetParameters)
	if !ok {
		return ledger.CodeMalformed
	}
	active, least := body.Active, c.b.Height+parametersDelay
	if active == 0 {
		active = least
	}
	if active < least || active-c.b.Height > ledger.MaxActiveAhead {
		return ledger.CodeBadParameter
	}
	k, value := c.v.last(record.ParametersRow(0), record.ParametersRow(record.MaxNumber))
	now, err := record.ParseParameters(value)
	c.v.fail(err)
	next := now.With(body.Values)
	switch {
	case record.NumberOf(k) > active:
		return ledger.CodeBadParameter
	case !ledger.VoteShare(next.VoteNum, next.VoteDen) || next.AppVersion < now.AppVersion:
		return ledger.CodeBadParameter
	case next == now:
		return ledger.CodeExists
	}
	c.put(record.ParametersRow(active), next.Encode())
	return ledger.CodeOK
}

// ParametersAt returns the parameters that count at height.
func ParametersAt(r Reader, height uint64) (record.Parameters, error) {
	p, found, err := parametersAt(r, height)
	if err == nil && !found {
		err = errNoParameters
	}
	return p, err
}
