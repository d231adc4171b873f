package dcbor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// Kind is the type of the next item.
type Kind uint8

// The kinds. KindOther is false, true or null (or something that is refused);
// KindEnd means no byte is left, or that the Reader has failed.
const (
	KindUint Kind = iota
	KindNegInt
	KindBytes
	KindText
	KindArray
	KindMap
	KindTag
	KindOther
	KindEnd
)

// Reader reads items in a row from a byte slice and keeps its first error.
type Reader struct {
	buf []byte
	pos int
	err error
}

// NewReader returns a Reader over b, which must not be changed while the
// Reader or any slice it returned is in use.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Offset is the number of bytes read so far.
func (r *Reader) Offset() int { return r.pos }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Fail records err as the Reader's error, with the offset, unless it already
// has one.
func (r *Reader) Fail(err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("cbor: at byte %d: %w", r.pos, err)
	}
}

// Done returns the first error, or ErrTrailing when bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && r.pos != len(r.buf) {
		r.Fail(ErrTrailing)
	}
	return r.err
}

// Kind tells the type of the next item without reading it.
func (r *Reader) Kind() Kind {
	if r.err != nil || r.pos >= len(r.buf) {
		return KindEnd
	}
	return Kind(r.buf[r.pos] >> 5)
}

// head reads an item's head; on failure ok is false and the error is recorded.
func (r *Reader) head() (major byte, arg uint64, ok bool) {
	if r.err != nil {
		return 0, 0, false
	}
	if r.pos >= len(r.buf) {
		r.Fail(ErrTruncated)
		return 0, 0, false
	}
	first := r.buf[r.pos]
	major, info := first>>5, first&31
	if info < 24 {
		r.pos++
		return major, uint64(info), true
	}
	return r.longHead(major, info)
}

func (r *Reader) longHead(major, info byte) (byte, uint64, bool) {
	rest := r.buf[r.pos+1:]
	var v, least uint64
	var size int
	switch info {
	case 24:
		size, least = 1, 24
	case 25:
		size, least = 2, math.MaxUint8+1
	case 26:
		size, least = 4, math.MaxUint16+1
	case 27:
		size, least = 8, math.MaxUint32+1
	case 31:
		r.Fail(ErrIndefinite)
		return 0, 0, false
	default:
		r.Fail(ErrReserved)
		return 0, 0, false
	}
	if major == majorOther {
		r.Fail(ErrUnsupported)
		return 0, 0, false
	}
	if len(rest) < size {
		r.Fail(ErrTruncated)
		return 0, 0, false
	}
	switch size {
	case 1:
		v = uint64(rest[0])
	case 2:
		v = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		v = uint64(binary.BigEndian.Uint32(rest))
	default:
		v = binary.BigEndian.Uint64(rest)
	}
	if v < least {
		r.Fail(ErrNotShortest)
		return 0, 0, false
	}
	r.pos += 1 + size
	return major, v, true
}

// expect reads a head that must have the given major type.
func (r *Reader) expect(major byte) (uint64, bool) {
	start := r.pos
	got, arg, ok := r.head()
	if !ok {
		return 0, false
	}
	if got != major {
		r.pos = start
		r.Fail(ErrType)
		return 0, false
	}
	return arg, true
}

// Uint reads an unsigned integer.
func (r *Reader) Uint() uint64 {
	v, _ := r.expect(majorUint)
	return v
}

// Int reads a signed integer that fits in an int64.
func (r *Reader) Int() int64 {
	start := r.pos
	major, v, ok := r.head()
	if !ok {
		return 0
	}
	switch {
	case major > majorNeg:
		r.pos = start
		r.Fail(ErrType)
		return 0
	case v > math.MaxInt64:
		r.pos = start
		r.Fail(ErrRange)
		return 0
	case major == majorNeg:
		return -1 - int64(v)
	}
	return int64(v)
}

// take reads n bytes that follow a head which began at start.
func (r *Reader) take(start int, n uint64, max int) []byte {
	if n > uint64(max) {
		r.pos = start
		r.Fail(ErrTooLong)
		return nil
	}
	if n > uint64(len(r.buf)-r.pos) {
		r.pos = start
		r.Fail(ErrTruncated)
		return nil
	}
	end := r.pos + int(n)
	v := r.buf[r.pos:end:end]
	r.pos = end
	return v
}

// Bytes reads a byte string of at most max bytes. The result aliases the
// input; it is not nil unless the Reader has failed.
func (r *Reader) Bytes(max int) []byte {
	start := r.pos
	n, ok := r.expect(majorBytes)
	if !ok {
		return nil
	}
	return r.take(start, n, max)
}

// Fixed reads a byte string of exactly len(dst) bytes into dst.
func (r *Reader) Fixed(dst []byte) {
	start := r.pos
	n, ok := r.expect(majorBytes)
	if !ok {
		return
	}
	if n != uint64(len(dst)) {
		r.pos = start
		r.Fail(ErrLength)
		return
	}
	copy(dst, r.take(start, n, len(dst)))
}

// TextBytes reads a text string of at most max bytes as bytes that alias the
// input.
func (r *Reader) TextBytes(max int) []byte {
	start := r.pos
	n, ok := r.expect(majorText)
	if !ok {
		return nil
	}
	v := r.take(start, n, max)
	if r.err == nil && !utf8.Valid(v) {
		r.pos = start
		r.Fail(ErrUTF8)
		return nil
	}
	return v
}

// Text reads a text string of at most max bytes.
func (r *Reader) Text(max int) string { return string(r.TextBytes(max)) }

// list reads the head of an array or map whose count items of at least size
// bytes each must still fit into the input.
func (r *Reader) list(major byte, size uint64, max int) int {
	start := r.pos
	n, ok := r.expect(major)
	if !ok {
		return 0
	}
	switch {
	case n > uint64(max):
		r.pos = start
		r.Fail(ErrTooLong)
		return 0
	case n > uint64(len(r.buf)-r.pos)/size:
		r.pos = start
		r.Fail(ErrTruncated)
		return 0
	}
	return int(n)
}

// Array reads the head of an array of at most max items and returns how many
// there are. The input is known to hold at least that many bytes.
func (r *Reader) Array(max int) int { return r.list(majorArray, 1, max) }

// Map reads the head of a map of at most max pairs. The caller reads each key
// with a typed method and must refuse keys out of order with ErrMapOrder.
func (r *Reader) Map(max int) int { return r.list(majorMap, 2, max) }

// Tag reads a tag; the tagged item comes next.
func (r *Reader) Tag() uint64 {
	v, _ := r.expect(majorTag)
	return v
}

// Bool reads false or true.
func (r *Reader) Bool() bool {
	if r.err == nil && r.pos < len(r.buf) {
		switch r.buf[r.pos] {
		case simpleFalse:
			r.pos++
			return false
		case simpleTrue:
			r.pos++
			return true
		}
	}
	r.failType()
	return false
}

// Null reads a null if one comes next, and tells whether it did.
func (r *Reader) Null() bool {
	if r.err == nil && r.pos < len(r.buf) && r.buf[r.pos] == simpleNull {
		r.pos++
		return true
	}
	return false
}

func (r *Reader) failType() {
	if r.pos >= len(r.buf) {
		r.Fail(ErrTruncated)
		return
	}
	if r.buf[r.pos]>>5 == majorOther {
		r.Fail(ErrUnsupported)
		return
	}
	r.Fail(ErrType)
}

// ExpectUint reads an unsigned integer that must be v.
func (r *Reader) ExpectUint(v uint64) {
	start := r.pos
	if got := r.Uint(); r.err == nil && got != v {
		r.pos = start
		r.Fail(ErrValue)
	}
}

// ExpectText reads a text string that must be s.
func (r *Reader) ExpectText(s string) {
	start := r.pos
	if got := r.TextBytes(math.MaxInt32); r.err == nil && string(got) != s {
		r.pos = start
		r.Fail(ErrValue)
	}
}

// ExpectArray reads the head of an array that must have n items.
func (r *Reader) ExpectArray(n int) {
	start := r.pos
	if got := r.Array(math.MaxInt32); r.err == nil && got != n {
		r.pos = start
		r.Fail(ErrLength)
	}
}

// ExpectMap reads the head of a map that must have n pairs.
func (r *Reader) ExpectMap(n int) {
	start := r.pos
	if got := r.Map(math.MaxInt32); r.err == nil && got != n {
		r.pos = start
		r.Fail(ErrLength)
	}
}

// ExpectTag reads a tag that must be v.
func (r *Reader) ExpectTag(v uint64) {
	start := r.pos
	if got := r.Tag(); r.err == nil && got != v {
		r.pos = start
		r.Fail(ErrValue)
	}
}

// Raw reads one whole item of any kind, checks all the rules of the package
// comment inside it, and returns its bytes, which alias the input.
func (r *Reader) Raw() []byte {
	start := r.pos
	r.skip(MaxDepth)
	if r.err != nil {
		return nil
	}
	return r.buf[start:r.pos:r.pos]
}

func (r *Reader) skip(depth int) {
	if depth == 0 {
		r.Fail(ErrDepth)
		return
	}
	switch r.Kind() {
	case KindUint, KindNegInt:
		r.head()
	case KindBytes:
		r.Bytes(math.MaxInt32)
	case KindText:
		r.TextBytes(math.MaxInt32)
	case KindArray:
		for n := r.Array(math.MaxInt32); n > 0 && r.err == nil; n-- {
			r.skip(depth - 1)
		}
	case KindMap:
		r.skipMap(depth)
	case KindTag:
		r.ExpectTag(TagSign1)
		r.skip(depth - 1)
	case KindOther:
		if !r.Null() {
			r.Bool()
		}
	case KindEnd:
		r.Fail(ErrTruncated)
	}
}

func (r *Reader) skipMap(depth int) {
	var last []byte
	for n := r.Map(math.MaxInt32); n > 0 && r.err == nil; n-- {
		start := r.pos
		r.skip(depth - 1)
		key := r.buf[start:r.pos]
		if r.err == nil && last != nil && bytes.Compare(last, key) >= 0 {
			r.Fail(ErrMapOrder)
			return
		}
		last = key
		r.skip(depth - 1)
	}
}

// Check returns nil when b is exactly one item that follows the rules.
func Check(b []byte) error {
	r := Reader{buf: b}
	r.Raw()
	return r.Done()
}
