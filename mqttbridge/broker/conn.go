package broker

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"mtmledger/mqttbridge/internal/trim"
)

// Errors of a connection.
var (
	errSlow   = errors.New("broker: client does not read what is sent to it")
	errClosed = errors.New("broker: connection closed")
)

// conn is a client's connection. Writing never blocks: bytes are collected and one
// goroutine sends them, many PUBACKs in one write. So neither a PUBACK nor a
// publication waits for a client that does not read; such a client is disconnected
// when too much waits for it.
//
// conn is also the [Receipt] of the client's messages: it writes their PUBACKs and
// bounds how many wait for one.
type conn struct {
	net.Conn
	in        *trim.Reader // reads from Conn
	principal Principal    // set before the first publication

	wake chan struct{} // capacity 1: there is something for the sender
	gone func()        // called once, when the connection is closed

	mu      sync.Mutex
	room    sync.Cond // unacked went below the limit, or closed
	out     []byte    // waiting for the sender
	closed  bool      // Close was called or sending failed
	unacked int

	// Used by the reading goroutine alone.
	readUntil time.Time
	patience  time.Duration // of the last SetDeadline, 0: none
}

// newConn wraps c and starts its sender. gone is called when the connection ends.
func newConn(c net.Conn, gone func()) *conn {
	cn := &conn{Conn: c, wake: make(chan struct{}, 1), gone: gone}
	cn.in = trim.NewReader(wire{cn}, maxPacket, readBuffer)
	cn.room.L = &cn.mu
	go cn.send()
	return cn
}

// Read cuts publications that are too large: refusing one by closing the connection
// would make the client send it again for ever, before anything else.
func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// wire reads from the client. Each arrival renews the patience with it: mochi counts
// whole packets, and one that is large on a slow line would never get through.
type wire struct{ c *conn }

// Read implements io.Reader.
func (w wire) Read(p []byte) (int, error) {
	n, err := w.c.Conn.Read(p)
	if err == nil && w.c.patience > 0 {
		err = w.c.SetDeadline(time.Now().Add(w.c.patience))
	}
	return n, err
}

// Write queues p for sending; it does not keep p and does not block.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, errClosed
	}
	if len(c.out)+len(p) > maxUnsent {
		c.mu.Unlock()
		c.abort()
		return 0, errSlow
	}
	first := len(c.out) == 0
	c.out = append(c.out, p...)
	c.mu.Unlock()
	if first {
		c.signal()
	}
	return len(p), nil
}

// Stored writes the PUBACK of a message, or ends the connection when the message
// could not be stored, so that the client sends it again. Packet identifier 0 is a
// message that wants no PUBACK.
func (c *conn) Stored(id uint32, err error) {
	c.mu.Lock()
	c.unacked--
	c.room.Signal()
	if c.closed {
		c.mu.Unlock()
		return
	}
	first := len(c.out) == 0
	if err == nil && id != 0 {
		c.out = append(c.out, 0x40, 2)
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(id))
	}
	c.mu.Unlock()
	if err != nil {
		c.Close()
	} else if first {
		c.signal()
	}
}

// admit counts one more message that waits for its PUBACK, after waiting for room
// among max. It reports false when the connection has ended.
func (c *conn) admit(max int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unacked >= max && !c.closed {
		c.room.Wait()
	}
	if c.closed {
		return false
	}
	c.unacked++
	return true
}

// Close sends what waits, for a short time, and closes the connection. It does not
// wait for that.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.room.Broadcast()
	c.mu.Unlock()
	c.signal()
	return c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends a read that waits
}

// abort closes without sending what waits.
func (c *conn) abort() {
	c.mu.Lock()
	c.out = nil
	c.mu.Unlock()
	c.Close()
}

// SetDeadline sets the time until which reading may wait. (mochi sets both
// directions for every packet; sending has its own limit.) Deadlines are moved at
// most once a second, and lie a second later than asked.
func (c *conn) SetDeadline(t time.Time) error {
	c.patience = 0
	if !t.IsZero() {
		c.patience = time.Until(t)
		t = t.Add(time.Second)
		if d := t.Sub(c.readUntil); d >= 0 && d < time.Second {
			return nil
		}
	}
	c.readUntil = t
	return c.setReadDeadline(t)
}

// setReadDeadline sets the deadline unless the connection is being closed.
func (c *conn) setReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// send is the sender: it writes what waits until the connection closes.
func (c *conn) send() {
	defer c.gone()
	defer c.Conn.Close()
	var spare []byte
	for range c.wake {
		c.mu.Lock()
		p, closed := c.out, c.closed
		c.out = spare[:0]
		c.mu.Unlock()
		limit := writeTime
		if closed {
			limit = farewellTime
		}
		if err := c.transmit(p, limit); err != nil || closed {
			c.mu.Lock()
			c.closed = true
			c.room.Broadcast()
			c.mu.Unlock()
			return
		}
		spare = p
		if cap(spare) > maxPacket {
			spare = nil // one large message should not be remembered for ever
		}
	}
}

func (c *conn) transmit(p []byte, limit time.Duration) error {
	if len(p) == 0 {
		return nil
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := c.Conn.Write(p)
	return err
}
