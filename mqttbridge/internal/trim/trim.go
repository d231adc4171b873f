// Package trim cuts MQTT publications that are too large while they are read. The
// clients and servers that parse them would take any size into memory, or close the
// connection, which makes the other side send the same again for ever.
package trim

import (
	"bufio"
	"errors"
	"io"
)

// ErrPacket: what comes is not MQTT, or too large and not a publication.
var ErrPacket = errors.New("trim: bad MQTT packet")

const packetPublish = 3

// Reader reads MQTT packets of which none is longer than a limit. What is left of a
// publication that was longer is one with the same topic and packet identifier and the
// begin of the payload. Its last bytes come when all of it has been read, so it is not
// acknowledged before.
type Reader struct {
	in  *bufio.Reader
	max int // bytes after the fixed header

	buf  [5]byte
	head []byte // in buf; of the current packet: being collected, or still to be given out
	full bool   // head is complete
	body int    // bytes of the packet to be given out after head
	drop int    // bytes of the packet to be dropped after that
}

// NewReader returns a Reader of at most max bytes after a packet's fixed header, with a
// buffer of the given size. max is at least 16,384, whose length takes three bytes.
func NewReader(r io.Reader, max, buffer int) *Reader {
	t := &Reader{in: bufio.NewReaderSize(r, buffer), max: max}
	t.head = t.buf[:0]
	return t
}

// Read implements io.Reader.
func (t *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for !t.full {
		if err := t.collect(); err != nil {
			return 0, err
		}
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		t.next()
		return n, nil
	}
	n, err := t.in.Read(p[:min(len(p), t.body)])
	t.body -= n
	if t.body == 0 && t.drop > 0 && err == nil {
		_, err = t.in.Discard(t.drop)
		t.drop = 0
	}
	t.next()
	return n, err
}

// next begins the next packet when the current one is given out.
func (t *Reader) next() {
	if len(t.head) == 0 && t.body == 0 {
		t.head, t.full = t.buf[:0], false
	}
}

// collect reads one more byte of the fixed header, and completes it if it is the
// last one.
func (t *Reader) collect() error {
	b, err := t.in.ReadByte()
	if err != nil {
		return err
	}
	t.head = append(t.head, b)
	if len(t.head) == 1 {
		return nil
	}
	if b&0x80 != 0 {
		if len(t.head) == 5 {
			return ErrPacket
		}
		return nil
	}
	size := 0
	for i, b := range t.head[1:] {
		size |= int(b&0x7f) << (7 * i)
	}
	t.full, t.body = true, size
	if size > t.max {
		if t.head[0]>>4 != packetPublish {
			return ErrPacket
		}
		t.body, t.drop = t.max, size-t.max
		t.head = AppendLength(t.head[:1], t.max)
	}
	return nil
}

// AppendLength appends an MQTT remaining length.
func AppendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
