package ledger

import (
	"errors"
	"fmt"

	"mtmledger/internal/dcbor"
)

// ParameterID names a parameter of the ledger.
type ParameterID uint64

// The parameters. Numbers never change; new ones are added at the end.
const (
	ParameterClockAhead                ParameterID = 1  // seconds that a declared time may be ahead of the block's time
	ParameterNotAfter                  ParameterID = 2  // seconds that not_after may be ahead of the block's time
	ParameterOpenGaps                  ParameterID = 3  // open gaps of a stream
	ParameterVoteNum                   ParameterID = 4  // a vote needs vote_num/vote_den of the members
	ParameterVoteDen                   ParameterID = 5  //
	ParameterStatementsPerBridge       ParameterID = 6  // in one block
	ParameterBytesPerBridge            ParameterID = 7  // of statements in one block
	ParameterStatementsPerOrganisation ParameterID = 8  // in one block, by all its bridges
	ParameterBytesPerOrganisation      ParameterID = 9  // of statements in one block, by all its bridges
	ParameterAppVersion                ParameterID = 10 // of the rules
)

// ParameterInfo says what values a parameter may have.
type ParameterInfo struct {
	ID       ParameterID
	Name     string
	Least    uint64
	Greatest uint64
	Default  uint64
}

// parameterInfos lists all parameters, ascending by id from 1.
var parameterInfos = [...]ParameterInfo{
	{ParameterClockAhead, "clock_ahead_seconds", 1, MaxClockAhead, MaxClockAhead},
	{ParameterNotAfter, "not_after_seconds", 1, MaxNotAfter, MaxNotAfter},
	{ParameterOpenGaps, "open_gaps", 1, MaxOpenGaps, MaxOpenGaps},
	{ParameterVoteNum, "vote_num", 1, MaxVoteDen, 2},
	{ParameterVoteDen, "vote_den", 1, MaxVoteDen, 3},
	{ParameterStatementsPerBridge, "statements_per_bridge", 1, MaxQuotaStatements, DefaultQuotaStatements},
	{ParameterBytesPerBridge, "bytes_per_bridge", MaxStatement, MaxQuotaBytes, DefaultQuotaBytes},
	{ParameterStatementsPerOrganisation, "statements_per_organisation", 1, MaxQuotaStatements, DefaultQuotaStatements},
	{ParameterBytesPerOrganisation, "bytes_per_organisation", MaxStatement, MaxQuotaBytes, DefaultQuotaBytes},
	{ParameterAppVersion, "app_version", 1, MaxAppVersion, 1},
}

// NumParameters is how many parameters there are; their ids are 1 to NumParameters.
const NumParameters = len(parameterInfos)

// ParameterInfos returns what is known of all parameters, ascending by id from 1.
func ParameterInfos() []ParameterInfo { return append([]ParameterInfo(nil), parameterInfos[:]...) }

// String returns the parameter's name.
func (p ParameterID) String() string {
	if p >= 1 && int64(p) <= int64(NumParameters) {
		return parameterInfos[p-1].Name
	}
	return fmt.Sprintf("parameter_%d", uint64(p))
}

// Parameter is a parameter with its value.
type Parameter struct {
	ID    ParameterID
	Value uint64
}

// SetParameters changes parameters from a height on, by a vote of the members.
type SetParameters struct {
	Values []Parameter // 1..NumParameters, by ascending id
	Active uint64      // first height at which they count; 0: as soon as may be
}

// Kind returns KindSetParameters.
func (SetParameters) Kind() Kind { return KindSetParameters }

func (o SetParameters) append(b []byte) []byte {
	return dcbor.AppendUint(AppendParameters(appendKind(b, 3, KindSetParameters), o.Values), o.Active)
}

// AppendParameters appends a list of parameters: [[id, value]...].
func AppendParameters(b []byte, list []Parameter) []byte {
	b = dcbor.AppendArray(b, len(list))
	for _, p := range list {
		b = dcbor.AppendUint(dcbor.AppendArray(b, 2), uint64(p.ID))
		b = dcbor.AppendUint(b, p.Value)
	}
	return b
}

func readParametersBody(r *dcbor.Reader, kind Kind, n int) Body {
	if kind != KindSetParameters || n != 3 {
		return nil
	}
	return SetParameters{Values: ReadParameters(r), Active: readNumber(r)}
}

// ReadParameters reads a list of parameters, at least one, by ascending id, each in
// range.
func ReadParameters(r *dcbor.Reader) (list []Parameter) {
	count := r.Array(NumParameters)
	if r.Err() == nil && count == 0 {
		r.Fail(errNoParameter)
	}
	last := ParameterID(0)
	for range count {
		r.ExpectArray(2)
		p := Parameter{ID: ParameterID(readNumber(r)), Value: readNumber(r)}
		if r.Err() == nil && p.ID <= last {
			r.Fail(errParameterOrder)
		}
		if r.Err() == nil {
			r.Fail(p.Check())
		}
		if r.Err() != nil {
			return nil
		}
		last = p.ID
		list = append(list, p)
	}
	return list
}

var (
	errNoParameter    = errors.New("at least one parameter")
	errParameterOrder = errors.New("parameters stand by ascending id")
)

// Check checks that the parameter is known and its value in range.
func (p Parameter) Check() error {
	if p.ID < 1 || int64(p.ID) > int64(NumParameters) {
		return Errorf(CodeBadParameter, "no parameter %d", uint64(p.ID))
	}
	if i := parameterInfos[p.ID-1]; p.Value < i.Least || p.Value > i.Greatest {
		return Errorf(CodeBadParameter, "%v %d, must be %d to %d", p.ID, p.Value, i.Least, i.Greatest)
	}
	return nil
}
