package mqttbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"mtmledger/ledger"
	"mtmledger/mqttbridge/internal/trim"
	"mtmledger/mqttbridge/spool"
)

// Times and bounds of the connection to an external broker.
const (
	dialTime      = 10 * time.Second
	answerTime    = 10 * time.Second // for CONNACK and SUBACK
	writeTime     = 10 * time.Second // for one write
	firstRedial   = 200 * time.Millisecond
	goodSession   = time.Minute // after which the pause between attempts starts anew
	partingTime   = 250         // milliseconds, for what is still to be sent
	maxUnacked    = 1 << 16     // more packet identifiers there are not
	deniedGranted = 0x80        // SUBACK: refused

	// maxIncoming is the most that is read of one incoming packet: an entry of the
	// spool, and what stands before it. What is left of a larger publication is larger
	// than a statement can be, and so becomes a dead letter.
	maxIncoming = spool.MaxPayload + spool.MaxTopic + 16
)

// Errors of the connection to an external broker.
var (
	errDenied   = errors.New("mqttbridge: the broker refuses the subscription; permit the bridge to read " + ledger.UpFilter)
	errNoAnswer = errors.New("mqttbridge: the broker does not answer")
	errOffline  = errors.New("mqttbridge: not connected to the broker")
	errPaused   = errors.New("mqttbridge: the spool is full")
)

// external receives from and publishes to a broker outside this process.
//
// Messages are acknowledged to the broker when the spool has them, in the order in
// which they came. A broker's window of unacknowledged messages bounds what is under
// way (mosquitto: max_inflight_messages, 20 by default; set more). When the spool is
// full, or can't store, the connection is closed: the broker then keeps the messages
// of the persistent session and sends those again that were not acknowledged.
type external struct {
	b      *Bridge
	cfg    External
	client atomic.Pointer[mqtt.Client] // nil while not connected
}

func newExternal(b *Bridge) *external { return &external{b: b, cfg: *b.cfg.External} }

// Subscribed implements sink: who listens at the other broker is not known.
func (e *external) Subscribed(string) bool { return true }

// Publish implements sink. It does not wait for the broker's answer.
func (e *external) Publish(topic string, payload []byte) error {
	c := e.client.Load()
	if c == nil || !(*c).IsConnectionOpen() {
		return errOffline
	}
	t := (*c).Publish(topic, 1, false, payload)
	select {
	case <-t.Done():
		return t.Error()
	default:
		return nil
	}
}

// run keeps a connection until ctx ends.
func (e *external) run(ctx context.Context) {
	for pause := firstRedial; ctx.Err() == nil; pause = min(2*pause, e.cfg.MaxReconnect) {
		began := time.Now()
		err := e.session(ctx)
		if ctx.Err() != nil {
			return
		}
		e.b.troubles.set("mqtt", err)
		e.b.cfg.Logger.Warn("mqtt connection", "broker", e.cfg.URL, "err", err)
		if errors.Is(err, errPaused) {
			e.awaitRoom(ctx)
		}
		if time.Since(began) > goodSession {
			pause = firstRedial
		}
		sleep(ctx, pause/2+rand.N(pause/2+1)) // ends early with ctx
	}
}

// awaitRoom waits until the spool may have room again.
func (e *external) awaitRoom(ctx context.Context) {
	t := time.NewTimer(holdBack)
	defer t.Stop()
	select {
	case <-e.b.spool.Room():
	case <-t.C:
	case <-ctx.Done():
	}
}

// session is one connection.
type session struct {
	b    *Bridge
	acks chan mqtt.Message // stored, to be acknowledged
	lost chan error        // capacity 1: why the session must end
}

// session connects, subscribes, and serves until the connection fails or ctx ends.
func (e *external) session(ctx context.Context) error {
	s := &session{b: e.b, acks: make(chan mqtt.Message, maxUnacked), lost: make(chan error, 1)}
	opts, err := e.options(s)
	if err != nil {
		return err
	}
	c := mqtt.NewClient(opts)
	if err := await(ctx, c.Connect()); err != nil {
		c.Disconnect(0)
		return fmt.Errorf("connect: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	defer c.Disconnect(partingTime)
	go s.acknowledge(done)
	if err := e.subscribe(ctx, c); err != nil {
		return err
	}
	e.client.Store(&c)
	defer e.client.Store(nil)
	e.b.troubles.clear("mqtt")
	e.b.cfg.Logger.Info("mqtt connected", "broker", e.cfg.URL, "client", e.cfg.ClientID)
	select {
	case err := <-s.lost:
		return err
	case <-ctx.Done():
		e.leave(c)
		return ctx.Err()
	}
}

// options configures paho against its traps: no reconnecting of its own (jitter and
// resubscription are ours), no acknowledgement but ours, a deadline for every write.
func (e *external) options(s *session) (*mqtt.ClientOptions, error) {
	u, err := url.Parse(e.cfg.URL)
	if err != nil {
		return nil, err
	}
	o := mqtt.NewClientOptions()
	o.AddBroker(e.cfg.URL)
	o.SetClientID(e.cfg.ClientID)
	o.SetUsername(e.cfg.Username)
	o.SetPassword(e.cfg.Password)
	o.SetProtocolVersion(4)
	o.SetCleanSession(false)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetAutoAckDisabled(true)
	o.SetOrderMatters(true) // the handler does not block
	o.SetKeepAlive(e.cfg.Keepalive)
	o.SetPingTimeout(answerTime)
	o.SetConnectTimeout(dialTime)
	o.SetWriteTimeout(writeTime)
	o.SetDefaultPublishHandler(s.receive)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.lose(err) })
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		return dial(u, e.cfg.TLS)
	})
	return o, nil
}

// await waits for paho's token.
func await(ctx context.Context, t mqtt.Token) error {
	timer := time.NewTimer(dialTime + answerTime)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return errNoAnswer
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *external) filter() string {
	if e.cfg.Share != "" {
		return "$share/" + e.cfg.Share + "/" + ledger.UpFilter
	}
	return ledger.UpFilter
}

// subscribe subscribes anew, which a persistent session does not need but a lost one
// does, and checks the broker's answer, which paho does not.
func (e *external) subscribe(ctx context.Context, c mqtt.Client) error {
	if e.cfg.Share != "" { // the session may be from before it was set
		if err := await(ctx, c.Unsubscribe(ledger.UpFilter)); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	t := c.Subscribe(e.filter(), 1, nil)
	if err := await(ctx, t); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	st, ok := t.(*mqtt.SubscribeToken)
	if !ok || len(st.Result()) != 1 {
		return errDenied
	}
	for _, code := range st.Result() { // named without the share
		if code == deniedGranted {
			return errDenied
		}
	}
	return nil
}

// leave gives up a share on a planned exit: an absent member of a group would still
// be given messages.
func (e *external) leave(c mqtt.Client) {
	if e.cfg.Share != "" {
		c.Unsubscribe(e.filter()).WaitTimeout(2 * time.Second)
	}
}

// receive is called by paho for each message, one after another.
func (s *session) receive(_ mqtt.Client, m mqtt.Message) {
	var r spool.Receipt
	if m.Qos() > 0 {
		r = unacked{s, m}
	}
	err := s.b.put(m.Topic(), m.Payload(), r, 0)
	if errors.Is(err, spool.ErrFull) {
		err = errPaused
	}
	if err != nil {
		s.lose(err)
	}
}

// lose ends the session; the first reason counts.
func (s *session) lose(err error) {
	select {
	case s.lost <- err:
	default:
	}
}

// acknowledge sends the PUBACKs of stored messages. paho may block in this, which
// the spool must not.
func (s *session) acknowledge(done <-chan struct{}) {
	for {
		select {
		case m := <-s.acks:
			m.Ack()
		case <-done:
			return
		}
	}
}

// unacked is the receipt of a message from the broker.
type unacked struct {
	s *session
	m mqtt.Message
}

// Stored implements spool.Receipt.
func (u unacked) Stored(_ uint32, err error) {
	if err == nil {
		select {
		case u.s.acks <- u.m:
			return
		default:
			err = errNoAnswer // more messages than there are packet identifiers
		}
	}
	u.s.lose(err)
}

// dial opens a connection whose writes have deadlines and whose incoming packets are
// bounded.
func dial(u *url.URL, config *tls.Config) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTime}
	host, port := u.Hostname(), u.Port()
	secure := slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme)
	if port == "" {
		port = "1883"
		if secure {
			port = "8883"
		}
	}
	var c net.Conn
	var err error
	if secure {
		c, err = tls.DialWithDialer(d, "tcp", net.JoinHostPort(host, port), config)
	} else {
		c, err = d.Dial("tcp", net.JoinHostPort(host, port))
	}
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: c, in: trim.NewReader(c, maxIncoming, 64<<10)}, nil // paho reads byte by byte
}

// boundedConn sets a deadline for every write, and trims incoming publications.
type boundedConn struct {
	net.Conn
	in *trim.Reader
}

// Write implements net.Conn.
func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) { return c.in.Read(p) }
