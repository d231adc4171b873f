package broker

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mtmledger/crypto"
)

// collector is a handler that keeps what it gets, and answers when told to.
type collector struct {
	mu      sync.Mutex
	got     []message
	hold    bool  // don't answer
	refuse  error // of Receive
	failure error // of storing
	panics  bool
}

type message struct {
	topic   string
	payload string
	receipt Receipt
	id      uint32
}

func (c *collector) Receive(topic string, payload []byte, receipt Receipt, id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.panics {
		panic("handler")
	}
	if c.refuse != nil {
		return c.refuse
	}
	c.got = append(c.got, message{topic, string(payload), receipt, id})
	if !c.hold {
		receipt.Stored(id, c.failure)
	}
	return nil
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

func serve(t *testing.T, cfg Config, c *collector) *Broker {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// client speaks MQTT 3.1.1 byte by byte.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, b *Broker) *client {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t, c, bufio.NewReader(c)}
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (c *client) send(head byte, body []byte) {
	c.t.Helper()
	b := []byte{head}
	for n := len(body); ; n >>= 7 {
		if n < 0x80 {
			b = append(b, byte(n))
			break
		}
		b = append(b, byte(n)|0x80)
	}
	if _, err := c.Write(append(b, body...)); err != nil {
		c.t.Logf("write: %v", err) // the next read tells
	}
}

// packet reads one packet; ok is false when the connection has ended.
func (c *client) packet() (head byte, body []byte, ok bool) {
	head, err := c.in.ReadByte()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the broker says nothing, nor ends the connection")
	}
	if err != nil {
		return 0, nil, false
	}
	size, shift := 0, 0
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return 0, nil, false
		}
		size |= int(b&0x7f) << shift
		shift += 7
		if b&0x80 == 0 {
			break
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(c.in, body)
	return head, body, err == nil
}

// connect sends CONNECT and returns the answer's code, or -1 if there is none.
func (c *client) connect(id, user, password string, will bool, keepalive uint16) int {
	c.t.Helper()
	flags := byte(2)
	if user != "" {
		flags |= 0xc0
	}
	if will {
		flags |= 0x04 | 0x08
	}
	body := append(field(nil, "MQTT"), 4, flags)
	body = binary.BigEndian.AppendUint16(body, keepalive)
	body = field(body, id)
	if will {
		body = field(field(body, "mtm/1/up/a/b"), "last words")
	}
	if user != "" {
		body = field(field(body, user), password)
	}
	c.send(0x10, body)
	head, answer, ok := c.packet()
	if !ok || head != 0x20 {
		return -1
	}
	return int(answer[1])
}

func connected(t *testing.T, b *Broker, id string) *client {
	t.Helper()
	c := dial(t, b)
	if code := c.connect(id, "", "", false, 60); code != 0 {
		t.Fatalf("connect: %d", code)
	}
	return c
}

func (c *client) publish(qos byte, topic string, id uint16, payload string) {
	c.t.Helper()
	body := field(nil, topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	c.send(0x30|qos<<1, append(body, payload...))
}

// acked expects the PUBACK of a message.
func (c *client) acked(id uint16) {
	c.t.Helper()
	head, body, ok := c.packet()
	if !ok || head != 0x40 || binary.BigEndian.Uint16(body) != id {
		c.t.Fatalf("got %x %x, want the PUBACK of %d", head, body, id)
	}
}

// ends expects the connection to be closed without another packet.
func (c *client) ends() {
	c.t.Helper()
	for {
		head, _, ok := c.packet()
		if !ok {
			return
		}
		if head != 0xe0 { // mochi sends DISCONNECT, which 3.1.1 does not know
			c.t.Fatalf("got packet %x", head)
		}
	}
}

// subscribe returns the broker's answer: 0..2, or 0x80 for a refusal.
func (c *client) subscribe(filter string, qos byte) byte {
	c.t.Helper()
	c.send(0x82, append(field([]byte{0, 1}, filter), qos))
	head, body, ok := c.packet()
	if !ok || head != 0x90 || len(body) != 3 {
		c.t.Fatalf("got %x %x, want SUBACK", head, body)
	}
	return body[2]
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("timeout: %s", what)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

const up = "mtm/1/up/dev/stream"

// TestPuback: PUBACK comes when the message is stored, not before, without holding
// up the messages after it, and in their order.
func TestPuback(t *testing.T) {
	h := &collector{hold: true}
	b := serve(t, Config{}, h)
	c := connected(t, b, "c")
	for i := range uint16(100) {
		c.publish(1, up, i+1, fmt.Sprint(i))
	}
	eventually(t, "all received", func() bool { return h.count() == 100 })
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.in.Peek(1); err == nil {
		t.Fatal("PUBACK before the message is stored")
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for i, m := range h.got {
		if m.topic != up || m.payload != fmt.Sprint(i) {
			t.Fatalf("message %d: %+v", i, m)
		}
		m.receipt.Stored(m.id, nil)
	}
	for i := range uint16(100) {
		c.acked(i + 1)
	}
}

// TestHoldBack: a client has at most MaxUnacked messages waiting.
func TestHoldBack(t *testing.T) {
	h := &collector{hold: true}
	b := serve(t, Config{MaxUnacked: 10}, h)
	c := connected(t, b, "c")
	for i := range uint16(50) {
		c.publish(1, up, i+1, "x")
	}
	for done := 0; done < 50; done++ {
		eventually(t, "received", func() bool { return h.count() >= min(50, done+10) })
		if n := h.count(); n > done+10 {
			t.Fatalf("%d messages taken, %d answered", n, done)
		}
		h.got[done].receipt.Stored(h.got[done].id, nil)
		c.acked(uint16(done + 1))
	}
}

// TestNotStored: without storing there is no PUBACK, and the client is disconnected
// so that it sends the message again.
func TestNotStored(t *testing.T) {
	for name, h := range map[string]*collector{
		"refused": {refuse: errors.New("full")},
		"failed":  {failure: errors.New("disk")},
		"panic":   {panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, Config{}, h)
			c := connected(t, b, "c")
			c.publish(1, up, 1, "x")
			if name == "panic" {
				c.publish(1, up, 2, "x") // denied, and the process lives
				eventually(t, "denied", func() bool { return b.Stats().Denied == 2 })
				return
			}
			c.ends()
		})
	}
}

func TestQoS(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	c := connected(t, b, "c")
	c.publish(0, up, 0, "zero")
	c.publish(1, up, 7, "one")
	c.acked(7)
	if h.count() != 2 || h.got[0].id != 0 {
		t.Fatalf("%+v", h.got)
	}
	c.publish(2, up, 8, "two")
	c.ends()
}

// TestTopics: what is not permitted is denied.
func TestTopics(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	for _, topic := range []string{"x", "mtm/1/up", "mtm/1/up/a", "mtm/1/up/a/b/c", "mtm/1/ack/a", "mtm/1/data/a", "mtm/2/up/a/b"} {
		c := connected(t, b, "p")
		c.publish(1, topic, 1, "x")
		c.ends()
	}
	if h.count() != 0 {
		t.Fatalf("received %+v", h.got)
	}
	c := connected(t, b, "s")
	for filter, want := range map[string]byte{
		"mtm/1/ack/a": 1, "mtm/1/ack/+": 1, "mtm/1/data/+": 1, "$share/g/mtm/1/data/+": 1,
		"#": 0x80, "mtm/1/#": 0x80, "mtm/1/up/+/+": 0x80, "$SYS/#": 0x80, "mtm/1/ack/a/b": 0x80, "mtm/+/ack/a": 0x80, "$share/g/#": 0x80,
	} {
		if got := c.subscribe(filter, 1); got != want {
			t.Errorf("subscribe %s: %x, want %x", filter, got, want)
		}
	}
}

func TestPublish(t *testing.T) {
	b := serve(t, Config{}, &collector{})
	if b.Subscribed("mtm/1/ack/a") {
		t.Fatal("nobody is there")
	}
	c := connected(t, b, "c")
	c.subscribe("mtm/1/ack/a", 1)
	if !b.Subscribed("mtm/1/ack/a") || b.Subscribed("mtm/1/ack/b") {
		t.Fatal("one has subscribed")
	}
	if err := b.Publish("mtm/1/ack/a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	head, body, ok := c.packet()
	if !ok || head != 0x32 || !strings.HasSuffix(string(body), "hello") {
		t.Fatalf("got %x %q", head, body)
	}
}

// people are test credentials: the user name is the device id or "reader".
type people struct{ device crypto.ID }

func (p people) Authenticate(user string, password []byte, _ *tls.ConnectionState) (Principal, bool) {
	switch {
	case string(password) != "secret":
		return Principal{}, false
	case user == "reader":
		return Principal{Consumer: true}, true
	case user == "panic":
		panic("credentials")
	}
	return Principal{Device: p.device}, user == p.device.String()
}

// TestCredentials: a device publishes and listens as itself, under its own client
// identifier; everyone else is refused.
func TestCredentials(t *testing.T) {
	id := crypto.ID{1, 2, 3}
	name := id.String()
	h := &collector{}
	b := serve(t, Config{Credentials: people{id}}, h)
	for _, c := range []struct {
		client, user, password string
		ok                     bool
	}{
		{name, name, "secret", true}, {name + "-2", name, "secret", true}, {"", name, "secret", true},
		{name, name, "wrong", false}, {name, "", "", false}, {"other", name, "secret", false},
		{name + "2", name, "secret", false}, {"any", "reader", "secret", true}, {"x", "panic", "secret", false},
	} {
		if code := dial(t, b).connect(c.client, c.user, c.password, false, 60); (code == 0) != c.ok {
			t.Errorf("%+v: code %d", c, code)
		}
	}
	own := dial(t, b)
	own.connect(name, name, "secret", false, 60)
	own.publish(1, "mtm/1/up/"+name+"/s", 1, "mine")
	own.acked(1)
	for filter, want := range map[string]byte{"mtm/1/ack/" + name: 1, "mtm/1/ack/+": 0x80, "mtm/1/ack/other": 0x80, "mtm/1/data/s": 0x80} {
		if got := own.subscribe(filter, 1); got != want {
			t.Errorf("device subscribes to %s: %x, want %x", filter, got, want)
		}
	}
	own.publish(1, "mtm/1/up/other/s", 2, "not mine")
	own.ends()
	reader := dial(t, b)
	reader.connect("r", "reader", "secret", false, 60)
	if got := reader.subscribe("mtm/1/data/+", 1); got != 1 {
		t.Errorf("reader subscribes to data: %x", got)
	}
	reader.publish(1, "mtm/1/up/"+name+"/s", 1, "x")
	reader.ends()
	if h.count() != 1 {
		t.Fatalf("%+v", h.got)
	}
}

func TestOpenListener(t *testing.T) {
	if _, err := New(Config{Address: "0.0.0.0:0"}); !errors.Is(err, ErrOpen) {
		t.Fatalf("open to everyone: %v", err)
	}
	b, err := New(Config{Address: "0.0.0.0:0", Credentials: people{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(&collector{}); !errors.Is(err, ErrStarted) {
		t.Fatalf("started after Close: %v", err)
	}
	for _, c := range []Config{{Address: "x"}, {MaxConnections: -1}, {MaxUnacked: 1025}, {MaxKeepalive: 43691 * time.Second}, {MaxConnections: 5, MaxSessions: 4}} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestSilent: a connection that does not say CONNECT, or something else first, ends.
func TestSilent(t *testing.T) {
	b := serve(t, Config{}, &collector{})
	c := dial(t, b)
	c.publish(1, up, 1, "too early")
	c.ends()
	garbage := dial(t, b)
	garbage.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	garbage.ends()
}

// TestStalled: a subscriber that does not read neither blocks the publisher nor the
// PUBACKs of others, and is disconnected.
func TestStalled(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	stalled := connected(t, b, "stalled")
	stalled.subscribe("mtm/1/data/+", 1)
	other := connected(t, b, "other")
	payload := make([]byte, 32<<10)
	began := time.Now()
	for i := 0; b.Stats().Connections == 2; i++ {
		if err := b.Publish("mtm/1/data/x", payload); err != nil {
			t.Fatal(err)
		}
		other.publish(1, up, uint16(i%65535+1), "x")
		other.acked(uint16(i%65535 + 1))
		if time.Since(began) > 9*time.Second {
			t.Fatal("still connected")
		}
	}
}

func connectedV5(t *testing.T, b *Broker) *client {
	t.Helper()
	c := dial(t, b)
	body := append(field(nil, "MQTT"), 5, 2, 0, 60, 0)
	c.send(0x10, field(body, "five"))
	head, answer, ok := c.packet()
	if !ok || head != 0x20 || answer[1] != 0 {
		t.Fatalf("connack %x %x", head, answer)
	}
	return c
}

// TestV5: MQTT 5 clients get the same PUBACK, without properties.
func TestV5(t *testing.T) {
	h := &collector{}
	b := serve(t, Config{}, h)
	c := connectedV5(t, b)
	// With a user property, which mochi would echo.
	props := field(field([]byte{0x26}, "k"), "v")
	p := append(field(nil, up), 0, 9, byte(len(props)))
	c.send(0x32, append(append(p, props...), "five"...))
	c.acked(9)
	if h.got[0].payload != "five" {
		t.Fatalf("%+v", h.got)
	}
}
