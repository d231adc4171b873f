package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLimits: connections, packets and keepalive are bounded; wills are dropped.
func TestLimits(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{MaxConnections: 3}, h)
	first := connected(t, b, "1")
	connected(t, b, "2")
	third := dial(t, b)
	if code := third.connect("3", "", "", true, 0); code != 0 {
		t.Fatalf("with a will and no keepalive: %d", code)
	}
	dial(t, b).ends() // beyond MaxConnections
	third.Close()     // without DISCONNECT, so a will would be sent
	eventually(t, "a free place", func() bool { return b.Stats().Connections == 2 })
	fourth := dial(t, b)
	eventually(t, "connected", func() bool {
		if fourth.connect("4", "", "", false, 65535) == 0 {
			return true
		}
		fourth = dial(t, b)
		return false
	})
	fourth.publish(1, up, 1, "keepalive 65535 is no problem")
	fourth.acked(1)
	first.publish(1, up, 1, strings.Repeat("x", maxPacket-100))
	first.acked(1)
	if n := h.count(); n != 2 {
		t.Fatalf("%d messages, want 2 and no will", n)
	}
	if b.Stats().Refused == 0 {
		t.Fatal("refused connections are not counted")
	}
}

// TestTooLarge: a publication beyond the limit is cut while it is read, given to the
// handler and answered, and what stands behind it gets through. What can't be cut
// ends the connection, and is counted.
func TestTooLarge(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	c := connected(t, b, "c")
	rest := maxPacket - len(field(nil, up)) - 2 // of a packet, for the payload
	for i, size := range []int{rest, rest + 1, 5 << 20, 1} {
		c.publish(1, up, uint16(i+1), strings.Repeat("x", size))
		c.acked(uint16(i + 1))
		if m := h.got[i]; m.topic != up || len(m.payload) != min(size, rest) {
			t.Fatalf("%d bytes on %s of %d, want %d", len(m.payload), m.topic, size, min(size, rest))
		}
	}
	c.publish(0, up, 0, strings.Repeat("x", 5<<20))
	eventually(t, "QoS 0", func() bool { return h.count() == 5 })
	c.send(0x82, make([]byte, maxPacket+1)) // SUBSCRIBE
	c.ends()
	eventually(t, "counted", func() bool { return b.Stats().Refused == 1 })
	five := connectedV5(t, b)
	properties := append([]byte{0xa5, 0x8d, 0x06}, make([]byte, 100_005)...) // no end within the limit
	five.send(0x32, append(append(field(nil, up), 0, 1), properties...))
	five.ends()
	eventually(t, "counted", func() bool { return b.Stats().Refused == 2 })
}

// TestSlowLine: a packet may take longer than the keepalive, as long as it comes.
func TestSlowLine(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	c := dial(t, b)
	if code := c.connect("slow", "", "", false, 1); code != 0 {
		t.Fatalf("connect: %d", code)
	}
	packet := append([]byte{0x32, 0xc0, 0x9a, 0x0c}, field(nil, up)...) // 200,000 bytes
	packet = append(packet, 0, 7)
	packet = append(packet, make([]byte, 200_004-len(packet))...)
	const parts = 40
	for i := range parts { // 4 s; mochi's patience is 1, and conn's another
		if _, err := c.Write(packet[i*len(packet)/parts : (i+1)*len(packet)/parts]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the line is slow
	}
	c.acked(7)
}

// TestSessionsBounded: persistent sessions do not grow without limit.
func TestSessionsBounded(t *testing.T) {
	b := serve(t, Config{MaxConnections: 2, MaxSessions: 5}, &collector{})
	refused := false
	for i := range 20 {
		c := dial(t, b)
		body := append(field(nil, "MQTT"), 4, 0, 0, 60) // not clean
		c.send(0x10, field(body, fmt.Sprint("session", i)))
		head, _, ok := c.packet()
		refused = refused || !ok
		if ok && head == 0x20 {
			c.send(0xe0, nil)
		}
		c.ends()
	}
	if n := b.Stats().Sessions; n > 5 || !refused {
		t.Fatalf("%d sessions, refused %v", n, refused)
	}
}
