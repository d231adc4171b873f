package proof

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// subKind says what the last 16 bytes of a row's key are.
type subKind uint8

const (
	subNone   subKind = iota // zeros
	subNumber                // a height or a number
	subKeyID
	subID
	subPlace  // a log index and the place of an input
	subDigest // with the id before, the two halves of a digest
)

// rowShape says how the rows of a family read: what the id and the sub part of
// the key are called, and what the value means. A new family is one line.
type rowShape struct {
	family  record.Family
	id, sub string
	kind    subKind
	value   func([]byte) (any, error)
}

// anyValue makes a decoder of one kind of value a decoder of any.
func anyValue[T any](parse func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return parse(b) }
}

var rowShapes = []rowShape{
	{record.FamilyParameters, "", "from_height", subNumber, anyValue(record.ParseParameters)},
	{record.FamilyBlock, "", "block", subNumber, anyValue(record.ParseBlock)},
	{record.FamilyOperation, "", "operation", subDigest, anyValue(record.ParseOperation)},
	{record.FamilyOrganisation, "organisation", "from_height", subNumber, anyValue(record.ParseOrganisation)},
	{record.FamilyKey, "principal", "key_id", subKeyID, anyValue(record.ParseKey)},
	{record.FamilyBridge, "bridge", "from_height", subNumber, anyValue(record.ParseBridge)},
	{record.FamilyOrganisationBridge, "organisation", "bridge", subID, anyValue(record.ParseSpans)},
	{record.FamilyDevice, "device", "from_height", subNumber, anyValue(record.ParseDevice)},
	{record.FamilyOrganisationDevice, "organisation", "device", subID, anyValue(record.ParseSpans)},
	{record.FamilyManifest, "manifest", "", subNone, anyValue(record.ParseManifest)},
	{record.FamilyOrganisationManifest, "organisation", "manifest", subID, anyValue(record.ParseSince)},
	{record.FamilyListed, "manifest", "index", subNumber, anyValue(record.ParseListed)},
	{record.FamilyStream, "stream", "", subNone, anyValue(record.ParseStreamHead)},
	{record.FamilyOwner, "stream", "from_height", subNumber, anyValue(record.ParseOwner)},
	{record.FamilyParts, "stream", "from_height", subNumber, anyValue(record.ParseParts)},
	{record.FamilyOrganisationStream, "organisation", "stream", subID, anyValue(record.ParseSpans)},
	{record.FamilyDeviceStream, "device", "stream", subID, anyValue(record.ParseDeviceStream)},
	{record.FamilyGap, "stream", "first", subNumber, anyValue(record.ParseGap)},
	{record.FamilyKeyless, "device", "", subNone, anyValue(record.ParseKeyless)},
	{record.FamilyDescription, "subject", "from_height", subNumber, anyValue(record.ParseDescription)},
	{record.FamilyClosed, "stream", "", subNone, anyValue(record.ParseClosed)},
	{record.FamilyGrant, "grant", "", subNone, anyValue(record.ParseGrant)},
	{record.FamilyStreamGrant, "stream", "grant", subID, anyValue(record.ParseSince)},
	{record.FamilyGranteeGrant, "grantee", "grant", subID, anyValue(record.ParseSince)},
	{record.FamilyDelivery, "delivery", "", subNone, anyValue(record.ParseDelivery)},
	{record.FamilyStreamDelivery, "stream", "delivery", subID, anyValue(record.ParseSince)},
	{record.FamilyConsumerDelivery, "consumer", "delivery", subID, anyValue(record.ParseSince)},
	{record.FamilyDerived, "derived_stream", "derived_first", subNumber, anyValue(record.ParseDerived)},
	{record.FamilyUse, "input_stream", "log_index", subPlace, anyValue(record.ParseUse)},
	{record.FamilyUseLengths, "input_stream", "", subNone, anyValue(record.ParseUseLengths)},
	{record.FamilyEvidence, "device", "key_id", subKeyID, anyValue(record.ParseEvidence)},
	{record.FamilyMembers, "", "from_height", subNumber, anyValue(record.ParseMembers)},
	{record.FamilyAdmins, "organisation", "from_height", subNumber, anyValue(record.ParseAdmins)},
	{record.FamilyValidator, "validator", "from_height", subNumber, anyValue(record.ParseValidator)},
	{record.FamilyOrganisationValidator, "organisation", "validator", subID, anyValue(record.ParseSince)},
	{record.FamilyMisbehaviour, "validator", "at_height", subNumber, anyValue(record.ParseMisbehaviour)},
	{record.FamilyValidatorSet, "", "from_height", subNumber, anyValue(record.ParseValidatorSet)},
	{record.FamilyUntried, "validator", "", subNone, anyValue(record.ParseUntried)},
	{record.FamilyProposal, "proposal", "", subNone, anyValue(parseProposal)},
	{record.FamilyApproval, "proposal", "organisation", subID, anyValue(record.ParseApprovals)},
	{record.FamilyAccess, "grantee", "stream", subID, anyValue(record.ParseAccess)},
}

// proposal is a proposal's row with its body in words.
type proposal struct {
	Proposer crypto.ID
	Expires  int64
	Status   record.ProposalStatus
	Decided  uint64
	Body     ledger.Body
}

func parseProposal(b []byte) (proposal, error) {
	row, err := record.ParseProposal(b)
	if err != nil {
		return proposal{}, err
	}
	body, err := ledger.ParseBody(row.Body)
	return proposal{row.Proposer, row.Expires, row.Status, row.Decided, body}, err
}

func shapeOf(f record.Family) (rowShape, bool) {
	for _, s := range rowShapes {
		if s.family == f {
			return s, true
		}
	}
	return rowShape{}, false
}

// Field is a named part of a row.
type Field struct {
	Name  string
	Value any
}

// Fields are the parts of a row in order; in JSON an object.
type Fields []Field

// Fields returns the row in words: the family, what its key names and what its
// value says. A row of a family that is not known here is shown in hexadecimal.
func (r Row) Fields() Fields {
	s, ok := shapeOf(record.FamilyOf(r.Key))
	if ok {
		if value, err := s.value(r.Value); err == nil {
			return append(s.key(r), s.says(value)...)
		}
	}
	return Fields{{"family", record.FamilyOf(r.Key).String()}, {"key", hex.EncodeToString(r.Key[:])}, {"value", hex.EncodeToString(r.Value)}}
}

func (s rowShape) key(r Row) Fields {
	f := Fields{{"family", s.family.String()}}
	if s.id != "" {
		f = append(f, Field{s.id, record.IDOf(r.Key)})
	}
	switch s.kind {
	case subNumber:
		f = append(f, Field{s.sub, record.NumberOf(r.Key)})
	case subKeyID:
		f = append(f, Field{s.sub, record.KeyIDOf(r.Key)})
	case subPlace:
		index, place := record.UseOf(r.Key)
		f = append(f, Field{s.sub, index}, Field{"input", place})
	case subID:
		f = append(f, Field{s.sub, record.ChildOf(r.Key)})
	case subDigest:
		f = append(f, Field{s.sub, HexDigest(r.Key[1:])})
	}
	return f
}

// says returns what a value says: its fields, or the list that it is.
func (s rowShape) says(value any) Fields {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Struct {
		return structFields(v)
	}
	return Fields{{snake(reflect.TypeOf(value).Name()), display("", reflect.ValueOf(value))}}
}

// envelope is left out of what is shown: its content stands beside it.
var envelope = reflect.TypeFor[*crypto.Sign1]()

// structFields returns the exported fields of a value, named in snake case.
func structFields(v reflect.Value) Fields {
	var out Fields
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && f.Type != envelope {
			name := snake(f.Name)
			out = append(out, Field{name, display(name, v.Field(i))})
		}
	}
	return out
}

// timeFields are the fields of values that hold microseconds since the Unix epoch.
var timeFields = map[string]bool{"time": true, "from": true, "until": true}

// secondFields are those that hold seconds.
var secondFields = map[string]bool{"expires": true}

// display returns the form of a value that JSON and text show.
func display(name string, v reflect.Value) any {
	if v.Kind() == reflect.Interface {
		if body, ok := v.Interface().(ledger.Body); ok {
			return append(Fields{{"kind", body.Kind().String()}}, structFields(reflect.ValueOf(body))...)
		}
	}
	switch x := v.Interface().(type) {
	case [32]byte:
		return HexDigest(x)
	case []byte:
		return hex.EncodeToString(x)
	case encoding.TextMarshaler:
		return x
	case fmt.Stringer:
		return x.String()
	case int64:
		if timeFields[name] {
			return Micros(x)
		}
		if secondFields[name] && x <= math.MaxInt64/1_000_000 {
			return Micros(x * 1_000_000)
		}
		return x
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return display(name, v.Elem())
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = display(name, v.Index(i))
		}
		return list
	case reflect.Struct:
		return structFields(v)
	}
	return v.Interface()
}

// snake writes a Go name like ClockAhead as clock_ahead, KeyID as key_id.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// MarshalJSON writes the fields as an object, in order.
func (f Fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(field.Name) // a string always marshals
		value, err := json.Marshal(field.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// String writes the fields on a line, the name of a family first.
func (f Fields) String() string {
	parts := make([]string, len(f))
	for i, field := range f {
		parts[i] = field.Name + " " + showValue(field.Value)
	}
	return strings.Join(parts, "  ")
}

func showValue(v any) string {
	switch x := v.(type) {
	case string:
		return clip([]byte(x))
	case HexDigest:
		return hex.EncodeToString(x[:])
	case crypto.PublicKey:
		return x.String()
	case []any:
		parts := make([]string, len(x))
		for i := range x {
			parts[i] = showValue(x[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Fields:
		return "(" + x.String() + ")"
	}
	return fmt.Sprint(v)
}

// MarshalJSON writes the row in words.
func (r Row) MarshalJSON() ([]byte, error) { return json.Marshal(r.Fields()) }

// String writes the row in words.
func (r Row) String() string { return r.Fields()[1:].String() }

// String says in words what a query asks.
func (q Query) String() string {
	f := record.FamilyOf(q.Lo)
	s, ok := shapeOf(f)
	if !ok || record.FamilyOf(q.Hi) != f {
		return fmt.Sprintf("rows with keys %s to %s", q.Lo, q.Hi)
	}
	what := f.String()
	if q.Kind == QueryRow {
		return what + " row of " + s.key(Row{Key: q.Lo})[1:].String()
	}
	if lo, hi := record.FamilyRange(f); q.Lo == lo && q.Hi == hi {
		return "all " + what + " rows"
	}
	id := record.IDOf(q.Lo)
	of := what + " rows"
	if s.id != "" {
		of += fmt.Sprintf(" of %s %s", s.id, id)
	}
	lo, hi := record.Range(f, id)
	switch {
	case q.Lo == lo && q.Hi == hi && q.Kind == QueryList:
		return "all " + of
	case q.Lo == lo && q.Hi == hi:
		return "last of the " + of
	case q.Kind == QueryPredecessor && q.Lo == lo && record.IDOf(q.Hi) == id && s.kind == subNumber:
		return fmt.Sprintf("last of the %s up to %d", of, record.NumberOf(q.Hi))
	}
	return fmt.Sprintf("%s with keys %s to %s", what+" rows", q.Lo, q.Hi)
}
