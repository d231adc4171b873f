package state

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// rule applies the body of one kind of operation: it looks at the records, collects the
// rows it sets in c, and returns OK or the code it is refused with. What it collected
// takes effect only when it returns OK.
type rule func(c *change) ledger.Code

// parties says who must agree to an operation; see agreement.
type parties func(c *change) (agreement, ledger.Code)

// kindRule is what the rules say about one kind.
type kindRule struct {
	apply  rule
	who    parties // nil: the actor alone
	single bool    // one key of the actor is enough whatever its threshold is
}

// ruleFor is the one table of the operations' rules.
func ruleFor(kind ledger.Kind) kindRule {
	switch kind {
	case ledger.KindEnrolDevice:
		return kindRule{apply: enrolDevice}
	case ledger.KindOpenStream:
		return kindRule{apply: openStream}
	case ledger.KindEnrolBridge:
		return kindRule{apply: enrolBridge}
	case ledger.KindRemoveBridge:
		return kindRule{apply: removeBridge}
	case ledger.KindRotate:
		return kindRule{apply: rotate}
	case ledger.KindSuspend:
		return kindRule{apply: suspend}
	case ledger.KindResume:
		return kindRule{apply: resume}
	case ledger.KindRetire:
		return kindRule{apply: retire, who: orMembers(leftDevice)}
	case ledger.KindEnrolDevices:
		return kindRule{apply: enrolDevices}
	case ledger.KindManifest:
		return kindRule{apply: signManifest}
	case ledger.KindEnrolListed:
		return kindRule{apply: enrolListed, single: true}
	case ledger.KindCloseManifest:
		return kindRule{apply: closeManifest}
	}
	return ownershipRuleFor(kind)
}

// ownershipRuleFor has the rules of what belongs to whom, and who may use it.
func ownershipRuleFor(kind ledger.Kind) kindRule {
	switch kind {
	case ledger.KindCompromise:
		return kindRule{apply: compromise, who: orMembers(leftPrincipal)}
	case ledger.KindTransferDevice:
		return kindRule{apply: transferDevice, who: giveDevice}
	case ledger.KindDescribe:
		return kindRule{apply: describe}
	case ledger.KindTransferStream:
		return kindRule{apply: transferStream, who: giveStream}
	case ledger.KindCloseStream:
		return kindRule{apply: closeStream, who: orMembers(leftStream)}
	case ledger.KindGrant:
		return kindRule{apply: grant}
	case ledger.KindRevoke:
		return kindRule{apply: revoke, who: orMembers(leftGrant)}
	case ledger.KindDeliver:
		return kindRule{apply: deliver}
	case ledger.KindEquivocation:
		return kindRule{apply: equivocation, single: true}
	}
	return memberRuleFor(kind)
}

// memberRuleFor has the rules of the consortium: decisions of several, members, validators.
func memberRuleFor(kind ledger.Kind) kindRule {
	switch kind {
	case ledger.KindPropose:
		return kindRule{apply: propose, single: true}
	case ledger.KindApprove:
		return kindRule{apply: approve, single: true}
	case ledger.KindAdmit:
		return kindRule{apply: admitMember, who: members}
	case ledger.KindRemove:
		return kindRule{apply: removeMember, who: members}
	case ledger.KindValidator:
		return kindRule{apply: setValidator, who: members}
	case ledger.KindSetParameters:
		return kindRule{apply: setParameters, who: members}
	case ledger.KindSetAdmins:
		return kindRule{apply: setAdmins}
	case ledger.KindRotateValidator:
		return kindRule{apply: rotateValidator}
	}
	return kindRule{}
}

// change is one operation being applied: what it may look at and what it sets so far.
type change struct {
	v      *View
	b      Block
	op     *ledger.Operation
	rows   []merkle.Change // rows to set
	opened []opened        // streams to open
	closed []crypto.ID     // streams to close, which exist
	sales  []sale          // streams to give away

	proposal crypto.ID // the proposal that op comes from; zero: op stands by itself
}

type opened struct {
	id   crypto.ID
	head record.StreamHead
}

func (c *change) put(k merkle.Key, value []byte) {
	c.rows = append(c.rows, merkle.Change{Key: k, Value: value})
}

// commit takes over what the rule collected.
func (c *change) commit() {
	for _, r := range c.rows {
		c.v.put(r.Key, r.Value)
		c.v.forgetGrants(r)
	}
	for _, s := range c.opened {
		c.v.openStream(s.id, s.head)
	}
	for _, id := range c.closed {
		c.v.closeStream(c.v.stream(id))
	}
	c.v.sales = append(c.v.sales, c.sales...)
}

func (v *View) applyOperation(b Block, op *ledger.Operation, verdicts []ledger.Code) Result {
	if code := v.takeOperationQuota(b, op); code != ledger.CodeOK {
		return Result{Code: code}
	}
	if code := v.checkOperation(b, op, verdicts); code != ledger.CodeOK {
		return Result{Code: code}
	}
	c := &change{v: v, b: b, op: op}
	if code := c.direct(); code != ledger.CodeOK {
		return Result{Code: code}
	}
	c.commit()
	index := v.append(op.Bytes())
	v.put(record.OperationRow(op.Digest()), record.Operation{Height: b.Height, Index: index}.Encode())
	return Result{Indexes: []uint64{index}}
}

// checkOperation holds the rules that are the same for every kind.
func (v *View) checkOperation(b Block, op *ledger.Operation, verdicts []ledger.Code) ledger.Code {
	now := b.Time / second
	switch {
	case v.get(record.OperationRow(op.Digest())) != nil:
		return ledger.CodeReplayed
	case op.NotAfter < now:
		return ledger.CodeExpired
	case op.NotAfter-now > v.parameters(b.Height).NotAfter:
		return ledger.CodeNotAfterTooFar
	}
	return checkVerdicts(op.Body, verdicts)
}

// checkVerdicts checks the signatures within a body, see bodyChecks.
func checkVerdicts(body ledger.Body, verdicts []ledger.Code) ledger.Code {
	if _, ok := body.(ledger.Equivocation); !ok {
		return checkPossessions(len(ledger.Possessions(body)), verdicts)
	}
	if len(verdicts) != 2 {
		return ledger.CodeBadSignature
	}
	if verdicts[0] != ledger.CodeOK {
		return verdicts[0]
	}
	return verdicts[1]
}

// checkPossessions checks the signatures of the keys to be enrolled. Parsing the operation
// checked what they say, and that the keys can be enrolled.
func checkPossessions(want int, verdicts []ledger.Code) ledger.Code {
	if len(verdicts) != want {
		return ledger.CodeBadPossession
	}
	for _, code := range verdicts {
		if code != ledger.CodeOK {
			return ledger.CodeBadPossession
		}
	}
	return ledger.CodeOK
}
