package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Frame kinds.
const (
	kindHeader = 1
	kindEntry  = 2
	kindMarks  = 3
	kindCopy   = 4
)

const (
	frameHead  = 9 // length, checksum, kind
	headerBody = 8 * 8
	entryHead  = 8 + 8 + 2 // sequence, time, topic length

	// MaxTopic bounds an entry's topic, in bytes.
	MaxTopic = 1024
	// MaxPayload bounds an entry's payload, in bytes.
	MaxPayload = 128 << 10

	maxBody = entryHead + MaxTopic + MaxPayload
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errFrame: the bytes are no whole, intact frame.
var errFrame = errors.New("spool: broken frame")

// openFrame appends the head of a frame; closeFrame fills it in when the body, which
// begins at start + frameHead, has been appended.
func openFrame(b []byte, kind byte) (_ []byte, start int) {
	start = len(b)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, kind), start
}

func closeFrame(b []byte, start int) {
	framed := b[start+8:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(framed)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(framed, castagnoli))
}

// nextFrame splits the first frame off b.
func nextFrame(b []byte) (kind byte, body, rest []byte, err error) {
	if len(b) < frameHead {
		return 0, nil, nil, errFrame
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxBody+1 || uint64(len(b)) < 8+uint64(n) {
		return 0, nil, nil, errFrame
	}
	framed := b[8 : 8+n]
	if crc32.Checksum(framed, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return 0, nil, nil, errFrame
	}
	return framed[0], framed[1:], b[8+n:], nil
}

// header begins a segment.
type header struct {
	segment, prev, prevLen, next uint64
	counts                       tally
}

func appendHeader(b []byte, h header) []byte {
	b, start := openFrame(b, kindHeader)
	for _, v := range [...]uint64{
		h.segment, h.prev, h.prevLen, h.next,
		h.counts.received, h.counts.done[Committed], h.counts.done[Duplicate], h.counts.done[DeadLettered],
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	closeFrame(b, start)
	return b
}

func parseHeader(body []byte) (h header, err error) {
	if len(body) != headerBody {
		return h, errFrame
	}
	for i, p := range [...]*uint64{
		&h.segment, &h.prev, &h.prevLen, &h.next,
		&h.counts.received, &h.counts.done[Committed], &h.counts.done[Duplicate], &h.counts.done[DeadLettered],
	} {
		*p = binary.LittleEndian.Uint64(body[8*i:])
	}
	return h, nil
}

func appendEntry(b []byte, kind byte, e Entry) []byte {
	b, start := openFrame(b, kind)
	b = binary.LittleEndian.AppendUint64(b, e.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Time))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Topic)))
	b = append(b, e.Topic...)
	b = append(b, e.Payload...)
	closeFrame(b, start)
	return b
}

// parseEntry returns the entry in body; its payload aliases body.
func parseEntry(body []byte) (e Entry, err error) {
	if len(body) < entryHead {
		return e, errFrame
	}
	e.Seq = binary.LittleEndian.Uint64(body)
	e.Time = int64(binary.LittleEndian.Uint64(body[8:]))
	n := int(binary.LittleEndian.Uint16(body[16:]))
	body = body[entryHead:]
	if n > MaxTopic || len(body) < n || len(body)-n > MaxPayload {
		return Entry{}, errFrame
	}
	e.Topic = string(body[:n])
	e.Payload = body[n:len(body):len(body)]
	return e, nil
}

// maxRuns bounds the runs of one marks frame, so that its body stays below maxBody.
const maxRuns = 5000

// appendMarks appends frames that mark the sequences, which it sorts.
func appendMarks(b []byte, o Outcome, seqs []uint64) []byte {
	slices.Sort(seqs)
	for len(seqs) > 0 {
		var start, count int
		b, start = openFrame(b, kindMarks)
		b = append(b, byte(o))
		at := len(b)
		b = append(b, 0, 0) // count, filled in below as two bytes
		var end uint64
		for count = 0; len(seqs) > 0 && count < maxRuns; count++ {
			n := 1
			for n < len(seqs) && seqs[n] == seqs[n-1]+1 {
				n++
			}
			b = binary.AppendUvarint(b, seqs[0]-end)
			b = binary.AppendUvarint(b, uint64(n-1))
			end = seqs[0] + uint64(n)
			seqs = seqs[n:]
		}
		binary.LittleEndian.PutUint16(b[at:], uint16(count))
		closeFrame(b, start)
	}
	return b
}

// parseMarks calls f for each run of sequences that body marks.
func parseMarks(body []byte, f func(o Outcome, first, count uint64) error) error {
	if len(body) < 3 || body[0] >= byte(outcomes) {
		return errFrame
	}
	o, count := Outcome(body[0]), int(binary.LittleEndian.Uint16(body[1:]))
	body = body[3:]
	var end uint64
	for range count {
		distance, n := binary.Uvarint(body)
		if n <= 0 {
			return errFrame
		}
		run, m := binary.Uvarint(body[n:])
		if m <= 0 || run > maxSeq || distance > maxSeq {
			return errFrame
		}
		body = body[n+m:]
		first := end + distance
		if err := f(o, first, run+1); err != nil {
			return err
		}
		end = first + run + 1
	}
	if len(body) != 0 {
		return fmt.Errorf("%w: bytes after the marks", errFrame)
	}
	return nil
}
