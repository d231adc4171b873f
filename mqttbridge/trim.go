package mqttbridge

import (
	"errors"
	"io"

	"mtmledger/mqttbridge/spool"
)

// maxIncoming is the most that is read of one incoming MQTT packet: an entry of the
// spool, and what stands before it.
const maxIncoming = spool.MaxPayload + spool.MaxTopic + 16

// errPacket: the broker sends something that is not MQTT, or is absurdly large.
var errPacket = errors.New("mqttbridge: bad packet from the broker")

const packetPublish = 3

// trimmer cuts publications that are too large while they are read: paho would take
// any size into memory, and refusing one by closing the connection would make the
// broker send it again for ever. What is left is a publication with the same topic
// and packet identifier and the begin of the payload, which is larger than a
// statement can be and so becomes a dead letter.
type trimmer struct {
	head []byte // of the current packet: being collected, or still to be given out
	full bool   // head is complete
	body int    // bytes of the packet to be given out after head
	drop int    // bytes of the packet to be dropped after that
}

// read reads from r into p.
func (t *trimmer) read(r io.Reader, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for !t.full {
		if err := t.collect(r); err != nil {
			return 0, err
		}
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		t.next()
		return n, nil
	}
	n, err := r.Read(p[:min(len(p), t.body)])
	t.body -= n
	if t.body == 0 && t.drop > 0 && err == nil {
		_, err = io.CopyN(io.Discard, r, int64(t.drop))
		t.drop = 0
	}
	t.next()
	return n, err
}

// next begins the next packet when the current one is given out.
func (t *trimmer) next() {
	if len(t.head) == 0 && t.body == 0 {
		*t = trimmer{head: t.head[:0]}
	}
}

// collect reads one more byte of the fixed header, and completes it if it is the
// last one.
func (t *trimmer) collect(r io.Reader) error {
	var one [1]byte
	if _, err := io.ReadFull(r, one[:]); err != nil {
		return err
	}
	t.head = append(t.head, one[0])
	if len(t.head) == 1 {
		return nil
	}
	if one[0]&0x80 != 0 {
		if len(t.head) == 5 {
			return errPacket
		}
		return nil
	}
	size := 0
	for i, b := range t.head[1:] {
		size |= int(b&0x7f) << (7 * i)
	}
	t.full, t.body = true, size
	if size > maxIncoming {
		if t.head[0]>>4 != packetPublish {
			return errPacket
		}
		t.body, t.drop = maxIncoming, size-maxIncoming
		t.head = appendLength(t.head[:1], maxIncoming)
	}
	return nil
}

// appendLength appends an MQTT remaining length.
func appendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
