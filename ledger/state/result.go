package state

import (
	"errors"
	"fmt"

	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// Result is what became of one transaction.
type Result struct {
	// Code is OK when the operation was applied or the batch was taken; otherwise the
	// whole transaction was refused and the slices are empty.
	Code ledger.Code
	// Codes has one code for each statement of a batch; it is empty for an operation.
	Codes []ledger.Code
	// Indexes has the log indexes, in order, of the statements of a batch with CodeOK;
	// for an operation, its own.
	Indexes []uint64
}

// ErrMalformedResult is returned for bytes that Encode does not write.
var ErrMalformedResult = errors.New("malformed result")

// Encode returns the result as it goes into the block's results, deterministic CBOR:
//
//	[code]                                    refused whole, code != 0
//	[0, index]                                an operation, applied
//	[0, first, count]                         a batch of count statements, all accepted;
//	                                          the first has log index first
//	[0, first, count, [place, code, ...]]     the same with some refused: their places,
//	                                          ascending from 0, each with its code; first
//	                                          is 0 when all are refused
//
// The accepted statements of a batch have consecutive indexes.
func (r Result) Encode() []byte {
	switch {
	case r.Code != ledger.CodeOK:
		return dcbor.AppendUint(dcbor.AppendArray(nil, 1), uint64(r.Code))
	case len(r.Codes) == 0 && len(r.Indexes) == 1:
		return dcbor.AppendUint(dcbor.AppendUint(dcbor.AppendArray(nil, 2), 0), r.Indexes[0])
	}
	first, parts := uint64(0), 3
	if len(r.Indexes) > 0 {
		first = r.Indexes[0]
	}
	refused := len(r.Codes) - len(r.Indexes)
	if refused > 0 {
		parts = 4
	}
	b := dcbor.AppendUint(dcbor.AppendArray(nil, parts), 0)
	b = dcbor.AppendUint(dcbor.AppendUint(b, first), uint64(len(r.Codes)))
	if refused == 0 {
		return b
	}
	b = dcbor.AppendArray(b, 2*refused)
	for i, code := range r.Codes {
		if code != ledger.CodeOK {
			b = dcbor.AppendUint(dcbor.AppendUint(b, uint64(i)), uint64(code))
		}
	}
	return b
}

// DecodeResult reads what Encode writes and nothing else.
func DecodeResult(b []byte) (Result, error) {
	r := dcbor.NewReader(b)
	parts := r.Array(4)
	code := readCode(r)
	res := Result{Code: code}
	switch {
	case r.Err() != nil:
	case parts == 0 || (parts == 1) != (code != ledger.CodeOK):
		r.Fail(ErrMalformedResult)
	case parts == 2:
		index := r.Uint()
		if index == 0 || index > ledger.MaxNumber {
			r.Fail(ErrMalformedResult)
		}
		res.Indexes = []uint64{index}
	case parts >= 3:
		res.Codes, res.Indexes = readBatchResult(r, parts == 4)
	}
	if err := r.Done(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrMalformedResult, err)
	}
	return res, nil
}

func readBatchResult(r *dcbor.Reader, some bool) ([]ledger.Code, []uint64) {
	first, count := r.Uint(), r.Uint()
	if r.Err() != nil || count == 0 || count > ledger.MaxStatements || first > ledger.MaxNumber-count {
		r.Fail(ErrMalformedResult)
		return nil, nil
	}
	codes := make([]ledger.Code, count)
	accepted := count
	if some {
		accepted -= readRefusals(r, codes)
	}
	if r.Err() != nil || (first == 0) != (accepted == 0) {
		r.Fail(ErrMalformedResult)
		return nil, nil
	}
	indexes := make([]uint64, accepted)
	for i := range indexes {
		indexes[i] = first + uint64(i)
	}
	return codes, indexes
}

// readRefusals sets the codes of the refused statements and returns how many there are.
func readRefusals(r *dcbor.Reader, codes []ledger.Code) uint64 {
	n := r.Array(2 * len(codes))
	if n == 0 || n%2 != 0 {
		r.Fail(ErrMalformedResult)
	}
	next := uint64(0)
	for i := 0; i < n && r.Err() == nil; i += 2 {
		place, code := r.Uint(), readCode(r)
		if r.Err() != nil || place < next || place >= uint64(len(codes)) || code == ledger.CodeOK {
			r.Fail(ErrMalformedResult)
			return 0
		}
		codes[place] = code
		next = place + 1
	}
	return uint64(n / 2)
}

func readCode(r *dcbor.Reader) ledger.Code {
	code := r.Uint()
	if code > 1<<32-1 {
		r.Fail(ErrMalformedResult)
		return 0
	}
	return ledger.Code(code)
}
