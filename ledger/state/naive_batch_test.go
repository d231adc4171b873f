package state_test

import (
	"math"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// batch is sections 3 and 4.
func (n *naive) batch(b *ledger.Batch) (ledger.Code, []ledger.Code) {
	signer, known := n.signers[b.Bridge]
	if _, bridge := n.bridges[b.Bridge]; !bridge || !known {
		return ledger.CodeUnknownBridge, nil
	}
	if code := firstOf(signer.code, n.signed(b.Bridge, b.Sign1)); code != ledger.CodeOK {
		return code, nil
	}
	var codes []ledger.Code
	for _, raw := range b.Raw {
		codes = append(codes, n.rawStatement(b.Bridge, raw))
	}
	return ledger.CodeOK, codes
}

func (n *naive) rawStatement(bridge crypto.ID, raw []byte) ledger.Code {
	if !n.takeQuota(bridge, uint64(len(raw))) {
		return ledger.CodeQuota
	}
	s, err := ledger.ParseStatement(raw)
	if err != nil {
		return ledger.CodeOf(err)
	}
	signer, known := n.signers[s.Device]
	if _, device := n.devices[s.Device]; !device || !known {
		return ledger.CodeUnknownDevice
	}
	if code := firstOf(signer.code, n.signed(s.Device, s.Sign1)); code != ledger.CodeOK {
		return code
	}
	return n.statement(s)
}

// takeQuota takes what a statement needs, if both the bridge and its organisation have it.
func (n *naive) takeQuota(bridge crypto.ID, bytes uint64) bool {
	now, _ := n.bridges[bridge].is.at(n.height)
	byBridge, byAll := n.used[bridge], n.used[now.Organisation]
	byBridge.statements++
	byBridge.bytes += bytes
	byAll.statements++
	byAll.bytes += bytes
	if byBridge.statements > n.parameter(ledger.ParameterStatementsPerBridge) ||
		byBridge.bytes > n.parameter(ledger.ParameterBytesPerBridge) ||
		byAll.statements > n.parameter(ledger.ParameterStatementsPerOrganisation) ||
		byAll.bytes > n.parameter(ledger.ParameterBytesPerOrganisation) {
		return false
	}
	n.used[bridge], n.used[now.Organisation] = byBridge, byAll
	return true
}

// takeOperationQuota takes what an operation needs, if its organisation has it.
func (n *naive) takeOperationQuota(o *ledger.Operation) bool {
	payer := o.Actor
	if d := n.devices[o.Actor]; d != nil {
		now, _ := d.is.at(n.height)
		payer = now.Organisation
	}
	used := n.used[payer]
	used.statements++
	used.bytes += uint64(min(len(o.Bytes()), 60_000))
	if used.statements > n.parameter(ledger.ParameterStatementsPerOrganisation) || used.bytes > n.parameter(ledger.ParameterBytesPerOrganisation) {
		return false
	}
	n.used[payer] = used
	return true
}

// statement applies a statement whose signature is valid.
func (n *naive) statement(s *ledger.Statement) ledger.Code {
	stream := n.streams[s.Stream]
	switch {
	case stream == nil:
		return ledger.CodeUnknownStream
	case stream.device != s.Device:
		return ledger.CodeWrongDevice
	case stream.closed != nil:
		return ledger.CodeClosed
	}
	for _, r := range s.Readings {
		ahead := int64(n.parameter(ledger.ParameterClockAhead)) * 1_000_000
		if r.Time > n.time && uint64(r.Time-n.time) > uint64(ahead) {
			return ledger.CodeClockAhead
		}
	}
	for _, in := range s.Inputs {
		if code := n.mayDerive(s.Device, in); code != ledger.CodeOK {
			return code
		}
	}
	if code := stream.take(s.First, s.Last(), n.parameter(ledger.ParameterOpenGaps)); code != ledger.CodeOK {
		return code
	}
	if len(s.Inputs) > 0 {
		n.derived = append(n.derived, naiveDerived{s.Stream, uint64(len(n.log)), s.First, s.Last(), s.Inputs})
	}
	n.log = append(n.log, s.Bytes())
	return ledger.CodeOK
}

// take takes the numbers first to last, each of which must be free.
func (s *naiveStream) take(first, last, limit uint64) ledger.Code {
	before := len(s.gaps())
	for number := first; number <= last; number++ {
		if s.used[number] {
			return ledger.CodeUsed
		}
	}
	for number := first; number <= last; number++ {
		s.used[number] = true
	}
	if after := len(s.gaps()); after > before && uint64(after) > limit {
		for number := first; number <= last; number++ {
			delete(s.used, number)
		}
		return ledger.CodeTooManyGaps
	}
	return ledger.CodeOK
}

func (s *naiveStream) mark() (mark uint64) {
	for number := range s.used {
		mark = max(mark, number)
	}
	return mark
}

// gaps are the runs of numbers below the mark that are free: first and last.
func (s *naiveStream) gaps() (gaps [][2]uint64) {
	last := uint64(0)
	for _, number := range sorted(s.used) {
		if number > last+1 {
			gaps = append(gaps, [2]uint64{last + 1, number - 1})
		}
		last = number
	}
	return gaps
}

// holds tells whether the numbers first to last are all used.
func (s *naiveStream) holds(first, last uint64) bool {
	for _, gap := range s.gaps() {
		if gap[0] <= last && first <= gap[1] {
			return false
		}
	}
	return last <= s.mark()
}

// mayDerive is the code of an input of a statement by a device.
func (n *naive) mayDerive(device crypto.ID, in ledger.Input) ledger.Code {
	stream := n.streams[in.Stream]
	switch {
	case stream == nil:
		return ledger.CodeUnknownStream
	case !stream.holds(in.First, in.Last):
		return ledger.CodeOutOfRange
	}
	by, _ := n.devices[device].is.at(n.height)
	if owners := stream.whose(n.height, in.First, in.Last); len(owners) == 1 && owners[by.Organisation] {
		return ledger.CodeOK
	}
	for _, g := range n.grants {
		if g.Stream == in.Stream && (g.Grantee == device || g.Grantee == by.Organisation) && g.Rights != ledger.RightRead &&
			n.inForce(g) && g.First <= in.First && in.Last <= g.end() {
			return ledger.CodeOK
		}
	}
	return ledger.CodeNoGrant
}

// inForce tells whether a grant counts in this block.
func (n *naive) inForce(g *naiveGrant) bool {
	return !(g.Revoked != 0 && n.height >= g.Revoked) && n.time >= g.From && !(g.Until != 0 && n.time >= g.Until)
}

// end is the last number that a grant is for.
func (g *naiveGrant) end() uint64 {
	if g.Last == 0 {
		return math.MaxUint64
	}
	return g.Last
}
