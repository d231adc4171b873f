// Package dcbor writes and strictly reads the one CBOR form that this project
// uses: the core deterministic encoding of RFC 8949 section 4.2.1, narrowed
// further (docs/spec/encoding.md).
//
//   - Integers, lengths and tags in their shortest form; definite lengths only.
//   - Text is valid UTF-8.
//   - Map keys are sorted by their encoded bytes, none twice.
//   - No floats, no undefined, no simple values but false, true and null; the
//     only tag is 18 (COSE_Sign1).
//   - Nothing after the last byte.
//
// There is therefore exactly one encoding of each value, and whatever a
// [Reader] accepts, the Append functions write again byte for byte.
//
// A Reader keeps its first error: a decoder reads all its fields in a row and
// asks once, with [Reader.Done], whether it all went well. After an error every
// method returns a zero value, so that counts end loops and nothing panics.
package dcbor

import (
	"encoding/binary"
	"errors"
	"math"
)

// TagSign1 is the only tag that is allowed: a COSE_Sign1 (RFC 9052 section 2).
const TagSign1 = 18

// MaxDepth bounds the nesting that [Reader.Raw] follows.
const MaxDepth = 16

// Reasons for which input is refused.
var (
	ErrTruncated   = errors.New("input ends inside an item")
	ErrNotShortest = errors.New("integer or length is not in its shortest form")
	ErrIndefinite  = errors.New("indefinite length")
	ErrReserved    = errors.New("reserved additional information")
	ErrType        = errors.New("item has another type than expected")
	ErrValue       = errors.New("item has another value than expected")
	ErrRange       = errors.New("number out of range")
	ErrTooLong     = errors.New("string or list is longer than allowed")
	ErrLength      = errors.New("string or list has another length than expected")
	ErrUTF8        = errors.New("text is not valid UTF-8")
	ErrMapOrder    = errors.New("map keys are not sorted, or one stands twice")
	ErrUnsupported = errors.New("floats, other tags and other simple values are not allowed")
	ErrDepth       = errors.New("nested too deeply")
	ErrTrailing    = errors.New("bytes after the last item")
)

const (
	majorUint  = 0
	majorNeg   = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7

	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
)

func appendHead(b []byte, major byte, v uint64) []byte {
	m := major << 5
	switch {
	case v < 24:
		return append(b, m|byte(v))
	case v <= math.MaxUint8:
		return append(b, m|24, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, m|27), v)
}

// AppendUint appends an unsigned integer.
func AppendUint(b []byte, v uint64) []byte { return appendHead(b, majorUint, v) }

// AppendInt appends a signed integer.
func AppendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, majorNeg, uint64(-1-v))
	}
	return appendHead(b, majorUint, uint64(v))
}

// AppendBytes appends a byte string.
func AppendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

// AppendText appends a text string. The caller answers for valid UTF-8.
func AppendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// AppendArray appends the head of an array of n items; the items follow.
func AppendArray(b []byte, n int) []byte { return appendHead(b, majorArray, uint64(n)) }

// AppendMap appends the head of a map of n pairs; keys and values follow in
// turn, keys sorted by their encoded bytes.
func AppendMap(b []byte, n int) []byte { return appendHead(b, majorMap, uint64(n)) }

// AppendTag appends a tag; the tagged item follows.
func AppendTag(b []byte, tag uint64) []byte { return appendHead(b, majorTag, tag) }

// AppendBool appends false or true.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, simpleTrue)
	}
	return append(b, simpleFalse)
}

// AppendNull appends null.
func AppendNull(b []byte) []byte { return append(b, simpleNull) }

// SizeUint returns the encoded length of v, which is also the length of the
// head of a string or list of v bytes or items.
func SizeUint(v uint64) int {
	switch {
	case v < 24:
		return 1
	case v <= math.MaxUint8:
		return 2
	case v <= math.MaxUint16:
		return 3
	case v <= math.MaxUint32:
		return 5
	}
	return 9
}
