package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The packets of MQTT 3.1.1 that a load generator needs (OASIS MQTT 3.1.1,
// sections 2 and 3). A library spends several times the CPU a message, and the
// generator shares the machine with what it measures.
const (
	packetConnect   = 0x10
	packetConnack   = 0x20
	packetPublish   = 0x30
	packetPuback    = 0x40
	packetSubscribe = 0x82
	packetSuback    = 0x90

	qos1       = 0x02
	maxPacket  = 128 << 10
	patience   = 10 * time.Second
	bufferSize = 64 << 10
)

var errMQTT = errors.New("load: unexpected MQTT packet")

// conn is one device's connection: QoS 1 out, QoS 0 in.
type conn struct {
	c net.Conn
	r *bufio.Reader

	mu sync.Mutex
	w  *bufio.Writer
	id uint16
}

// dial connects and subscribes to one topic.
func dial(address, client, topic string) (*conn, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	m := &conn{c: c, r: bufio.NewReaderSize(c, bufferSize), w: bufio.NewWriterSize(c, bufferSize)}
	if err := m.hello(client, topic); err != nil {
		c.Close()
		return nil, err
	}
	return m, nil
}

func (m *conn) hello(client, topic string) error {
	if err := m.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	connect := appendString(nil, "MQTT")
	connect = append(connect, 4, 0x02, 0, 0) // level 4, clean session, no keepalive
	connect = appendString(connect, client)
	if err := m.exchange(packetConnect, connect, packetConnack, 1); err != nil {
		return err
	}
	subscribe := appendString([]byte{0, 1}, topic)
	if err := m.exchange(packetSubscribe, append(subscribe, 0), packetSuback, 2); err != nil {
		return err
	}
	return m.c.SetReadDeadline(time.Time{})
}

// exchange sends a packet and wants the answer, with a byte 0 at place status.
func (m *conn) exchange(kind byte, body []byte, answer byte, status int) error {
	packet := append(appendLength([]byte{kind}, len(body)), body...)
	if _, err := m.c.Write(packet); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	got, reply, err := m.read()
	if err != nil {
		return err
	}
	if got != answer || len(reply) <= status || reply[status] != 0 {
		return fmt.Errorf("%w: kind %#x, %x", errMQTT, got, reply)
	}
	return nil
}

// publish queues a QoS 1 message; flush sends what is queued.
func (m *conn) publish(topic string, payload []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id++; m.id == 0 {
		m.id = 1
	}
	head := appendLength([]byte{packetPublish | qos1}, 2+len(topic)+2+len(payload))
	head = appendString(head, topic)
	head = binary.BigEndian.AppendUint16(head, m.id)
	if _, err := m.w.Write(head); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if _, err := m.w.Write(payload); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

func (m *conn) flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.w.Flush(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// read returns the next packet: its first byte and its body.
func (m *conn) read() (kind byte, body []byte, err error) {
	if kind, err = m.r.ReadByte(); err != nil {
		return 0, nil, fmt.Errorf("load: %w", err)
	}
	size, err := binary.ReadUvarint(m.r) // MQTT's length is the same form
	if err != nil {
		return 0, nil, fmt.Errorf("load: %w", err)
	}
	if size > maxPacket {
		return 0, nil, fmt.Errorf("%w: %d bytes", errMQTT, size)
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(m.r, body); err != nil {
		return 0, nil, fmt.Errorf("load: %w", err)
	}
	return kind, body, nil
}

// message returns the payload of a QoS 0 PUBLISH packet.
func message(body []byte) ([]byte, error) {
	if len(body) < 2 {
		return nil, errMQTT
	}
	n := 2 + int(binary.BigEndian.Uint16(body))
	if len(body) < n {
		return nil, errMQTT
	}
	return body[n:], nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendLength(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }
