package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// checkInputs refuses a derived statement that names readings which are not there, or
// which its device may not compute from: the input must belong to the device's
// organisation, or one grant to either must cover all of it.
func (v *View) checkInputs(b Block, s *ledger.Statement) ledger.Code {
	device, _, err := deviceAt(v, s.Device, b.Height)
	v.fail(err)
	for i := range s.Inputs {
		in := &s.Inputs[i]
		head := v.stream(in.Stream)
		switch {
		case head == nil:
			return ledger.CodeUnknownStream
		case !v.holds(in.Stream, head, in.First, in.Last):
			return ledger.CodeOutOfRange
		}
		if all, _ := v.parts(in.Stream, b.Height).Held(device.Organisation, in.First, in.Last); all {
			continue
		}
		if !v.mayDerive(b, s.Device, in) && !v.mayDerive(b, device.Organisation, in) {
			return ledger.CodeNoGrant
		}
	}
	return ledger.CodeOK
}

// mayDerive tells whether a grant permits the principal to compute from the input.
func (v *View) mayDerive(b Block, principal crypto.ID, in *ledger.Input) bool {
	for _, g := range v.grantsOf(principal, in.Stream) {
		if g.Rights&ledger.RightDerive != 0 && g.InForce(b.Height, b.Time) && g.Covers(in.First, in.Last) {
			return true
		}
	}
	return false
}

// recordInputs writes the rows of a derived statement that is accepted as the next entry:
// one that leads back from it, and one for each input that leads to it.
func (v *View) recordInputs(s *ledger.Statement) {
	derived := record.Derived{Last: s.Last(), Inputs: s.Inputs}
	v.put(record.DerivedRow(s.Stream, s.First), derived.Encode())
	v.recordUses(s)
}
