package state

import (
	"math"

	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// microseconds in a second: declared and committed times are in µs, not_after in seconds.
const second = 1_000_000

// Apply applies one transaction to the view. The verdicts are those of Signatures: for
// each check its own code, or BadSignature where the signature is not valid.
//
// A transaction whose first verdict is not OK is refused whole. In a batch each statement
// stands for itself: a refused one changes nothing and disturbs no other. An operation is
// applied whole or not at all.
//
// After a failure of the Reader the result means nothing; see View.Err.
func Apply(v *View, b Block, tx *ledger.Transaction, verdicts []ledger.Code) Result {
	if len(verdicts) == 0 {
		return Result{Code: ledger.CodeBadSignature}
	}
	if verdicts[0] != ledger.CodeOK {
		return Result{Code: verdicts[0]}
	}
	if tx.Batch != nil {
		return v.applyBatch(b, tx.Batch, verdicts[1:])
	}
	return v.applyOperation(b, tx.Operation, verdicts[1:])
}

func (v *View) applyBatch(b Block, batch *ledger.Batch, verdicts []ledger.Code) Result {
	n := batch.Len()
	if len(verdicts) != n {
		return Result{Code: ledger.CodeBadSignature}
	}
	limits := v.parameters(b.Height)
	latest := addClamped(b.Time, limits.ClockAhead)
	res := Result{Codes: make([]ledger.Code, n), Indexes: make([]uint64, 0, n)}
	for i := range n {
		if code := v.takeQuota(b, batch.Bridge, len(batch.Raw[i])); code != ledger.CodeOK {
			res.Codes[i] = code
			continue
		}
		s, err := batch.Parse(i)
		switch {
		case err != nil:
			res.Codes[i] = ledger.CodeOf(err)
		case verdicts[i] != ledger.CodeOK:
			res.Codes[i] = verdicts[i]
		default:
			res.Codes[i] = v.applyStatement(b, s, latest, limits.OpenGaps)
		}
		if res.Codes[i] == ledger.CodeOK {
			res.Indexes = append(res.Indexes, v.append(s.Bytes()))
		}
	}
	return res
}

func (v *View) applyStatement(b Block, s *ledger.Statement, latest int64, maxGaps uint64) ledger.Code {
	head := v.stream(s.Stream)
	switch {
	case head == nil:
		return ledger.CodeUnknownStream
	case head.Device != s.Device:
		return ledger.CodeWrongDevice
	case head.Status != record.StatusActive:
		return ledger.CodeClosed
	}
	for i := range s.Readings {
		if s.Readings[i].Time > latest {
			return ledger.CodeClockAhead
		}
	}
	if len(s.Inputs) == 0 {
		return v.admit(s.Stream, head, s.First, s.Last(), maxGaps)
	}
	code := v.checkInputs(b, s)
	if code == ledger.CodeOK {
		code = v.admit(s.Stream, head, s.First, s.Last(), maxGaps)
	}
	if code == ledger.CodeOK {
		v.recordInputs(s)
	}
	return code
}

// EndBlock ends the block: if it added entries to the log, their row says which ones they
// are and when they were committed, and the streams that it sold are divided. An empty
// block changes nothing.
func EndBlock(v *View, b Block) {
	if v.size == v.first {
		return
	}
	v.divide(b)
	row := record.Block{First: v.first, Count: v.size - v.first, Time: b.Time}
	v.put(record.BlockRow(b.Height), row.Encode())
	v.first = v.size
}

// parameters are the limits in force at height.
func (v *View) parameters(height uint64) record.Parameters {
	if v.limits == nil || v.limitsAt != height {
		p, found, err := parametersAt(v, height)
		if err == nil && !found {
			err = errNoParameters
		}
		v.fail(err)
		v.limits, v.limitsAt = &p, height
	}
	return *v.limits
}

// addClamped is t plus a number of seconds, at most the greatest time there is.
func addClamped(t, seconds int64) int64 {
	if seconds > math.MaxInt64/second || t > math.MaxInt64-seconds*second {
		return math.MaxInt64
	}
	return t + seconds*second
}
