// Package uplink connects a device (package ledger/device) to an MQTT broker:
// what the device keeps is published until the ledger acknowledged it, over as
// many connections as it takes.
package uplink

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/device"
)

// Limits of a link.
const (
	// window is how many statements may wait for an acknowledgement before Send
	// holds the sender back.
	window = 256
	// resendAfter is how long a published statement waits before it is published
	// again on the same connection.
	resendAfter = 10 * time.Second
	// latencies is how many of the last latencies are kept.
	latencies = 10_000

	connectTimeout = 5 * time.Second
	writeTimeout   = 10 * time.Second
	keepalive      = 30 * time.Second
	reconnect      = 2 * time.Second
	pollEvery      = 20 * time.Millisecond
	partingTime    = 100 // milliseconds, for what is still to be sent

	// Pauses after a refused subscription, doubling from the first to the last.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// Errors of a subscription.
var (
	// ErrDenied: the broker does not let the device read its acknowledgements.
	ErrDenied   = errors.New("uplink: the broker refuses the subscription to acknowledgements; permit the device to read mtm/1/ack/<its id>")
	errNoSuback = errors.New("uplink: the broker does not answer the subscription to acknowledgements")
)

// Config says which device is linked to which broker.
type Config struct {
	Device device.Config
	Broker string // URL: tcp://host:port ...
	Logger *slog.Logger
	// Answered, if set, is told of every acknowledgement that settled a statement.
	Answered func(device.Answer)
}

// Stats counts readings of this run.
type Stats struct {
	Sent         uint64             `json:"sent"`         // signed and stored
	Acknowledged uint64             `json:"acknowledged"` // committed, also of former runs
	Refused      uint64             `json:"refused"`
	Pending      uint64             `json:"pending"` // kept until acknowledged
	LastRefusal  string             `json:"last_refusal,omitempty"`
	Trouble      string             `json:"trouble,omitempty"` // why no acknowledgement can come
	Next         map[string]uint64  `json:"next,omitempty"`    // next number, by stream name
	Latency      []time.Duration    `json:"-"`                 // the last ones, from signing to the acknowledgement
	LastHeight   uint64             `json:"last_height,omitempty"`
	LastStream   crypto.ID          `json:"-"`
	LastNumber   uint64             `json:"-"`
	LastContent  map[crypto.ID]Last `json:"-"` // by stream
}

// Last is the newest acknowledged reading of a stream.
type Last struct {
	Number  uint64
	Height  uint64
	Content []byte
}

type place struct {
	stream crypto.ID
	first  uint64
}

// sending is when a statement was signed and last published, and on which
// connection.
type sending struct {
	signed, published time.Time
	connection        uint64
}

// Link is a linked device.
type Link struct {
	cfg    Config
	device *device.Device
	client mqtt.Client
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup
	order  sync.Mutex // held while publishing: a connection sees each stream in order

	mu         sync.Mutex
	connection uint64 // counts connections
	online     bool
	subscribes uint64        // counts attempts to subscribe
	pause      time.Duration // before the next connection, after a refused subscription
	trouble    error         // why no acknowledgement can come
	sent       map[place]sending
	stats      Stats
	streams    map[string]*device.Stream
	broken     error
}

// Open opens the device and begins to connect. What the device kept from former
// runs is sent again.
func Open(cfg Config) (*Link, error) {
	d, err := device.Open(cfg.Device)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Link{
		cfg: cfg, device: d, sent: map[place]sending{}, streams: map[string]*device.Stream{},
		stats: Stats{LastContent: map[crypto.ID]Last{}},
	}
	for s := range d.Pending() {
		l.sent[place{s.Stream, s.First}] = sending{}
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.client = mqtt.NewClient(l.options())
	l.client.Connect() // with retries: the broker need not be there yet
	l.done.Go(l.resend)
	return l, nil
}

func (l *Link) options() *mqtt.ClientOptions {
	var run [4]byte
	_, _ = rand.Read(run[:]) // never fails
	o := mqtt.NewClientOptions()
	o.AddBroker(l.cfg.Broker)
	// Begins with the device id, as the embedded broker wants it; the rest tells
	// this run from one that the broker has not given up yet.
	o.SetClientID(l.device.ID().String() + "-" + hex.EncodeToString(run[:]))
	o.SetProtocolVersion(4)
	o.SetCleanSession(true) // what was sent is known here, not at the broker
	o.SetKeepAlive(keepalive)
	o.SetConnectTimeout(connectTimeout)
	o.SetWriteTimeout(writeTimeout)
	o.SetConnectRetry(true)
	o.SetConnectRetryInterval(reconnect / 4)
	o.SetAutoReconnect(true)
	o.SetMaxReconnectInterval(reconnect)
	o.SetOnConnectHandler(l.connected)
	o.SetConnectionLostHandler(l.disconnected)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.received(m.Payload()) })
	return o
}

// connected subscribes, then sends everything that waits. Without the subscription no
// acknowledgement would ever come on this connection, so it is given up for another.
func (l *Link) connected(c mqtt.Client) {
	if l.ctx.Err() != nil {
		return
	}
	topic := ledger.AckTopic(l.device.ID())
	token := c.Subscribe(topic, 1, nil)
	l.mu.Lock()
	l.subscribes++
	attempt := l.subscribes
	l.mu.Unlock()
	l.done.Go(func() {
		answered := token.WaitTimeout(connectTimeout)
		switch {
		case !answered:
			l.redial(c, attempt, errNoSuback)
		case token.Error() != nil: // the connection was lost, so there will be another
			l.cfg.Logger.Info("not subscribed to acknowledgements", "err", token.Error())
		case refused(token, topic):
			l.redial(c, attempt, ErrDenied)
		default:
			l.subscribed()
		}
	})
}

// subscribed sends what waits.
func (l *Link) subscribed() {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	l.connection++
	l.online, l.trouble, l.pause = true, nil, 0
	l.mu.Unlock()
	l.publishPending(time.Now().Add(-resendAfter))
}

// redial ends a connection without a subscription and, after a pause, connects again;
// unless there is another connection already.
func (l *Link) redial(c mqtt.Client, attempt uint64, why error) {
	l.mu.Lock()
	if attempt != l.subscribes {
		l.mu.Unlock()
		return
	}
	l.trouble = why
	l.pause = min(max(2*l.pause, firstPause), lastPause)
	pause := l.pause
	l.mu.Unlock()
	l.cfg.Logger.Warn("no acknowledgements; connecting again", "pause", pause, "err", why)
	c.Disconnect(partingTime)
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(pause):
		}
		if c.Connect().Error() == nil { // else it is still disconnecting
			return
		}
	}
}

func (l *Link) disconnected(_ mqtt.Client, err error) {
	l.cfg.Logger.Info("connection lost", "err", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.online = false
}

// refused tells whether the broker refused a subscription: paho reports no
// error then.
func refused(token mqtt.Token, topic string) bool {
	s, ok := token.(*mqtt.SubscribeToken)
	return ok && s.Result()[topic] == 0x80
}

// resend publishes again what has waited too long.
func (l *Link) resend() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case now := <-tick.C:
			l.order.Lock()
			l.publishPending(now.Add(-resendAfter))
			l.order.Unlock()
		}
	}
}

// publishPending publishes what waits: what was not published on this
// connection, or not since a time.
func (l *Link) publishPending(since time.Time) {
	for s := range l.device.Pending() {
		if l.ctx.Err() != nil {
			return
		}
		l.publish(s, since)
	}
}

// publish publishes a statement if there is a connection, unless it was
// published on it since a time.
func (l *Link) publish(s *ledger.Statement, since time.Time) {
	if l.due(place{s.Stream, s.First}, since) {
		l.client.Publish(ledger.UpTopic(s.Device, s.Stream), 1, false, s.Bytes())
	}
}

// due tells whether to publish, and if so takes note that it was.
func (l *Link) due(at place, since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	when, waits := l.sent[at] // not one that was answered meanwhile
	if !l.online || !waits || when.connection == l.connection && when.published.After(since) {
		return false
	}
	when.published, when.connection = time.Now(), l.connection
	l.sent[at] = when
	return true
}

// received takes an acknowledgement.
func (l *Link) received(payload []byte) {
	answers, err := l.device.Acknowledge(append([]byte(nil), payload...))
	for _, a := range answers {
		l.count(a)
		if l.cfg.Answered != nil {
			l.cfg.Answered(a)
		}
	}
	switch {
	case errors.Is(err, device.ErrNotPending):
		return // answered before
	case errors.Is(err, device.ErrBroken):
		l.fail(err)
	case err != nil:
		l.cfg.Logger.Warn("acknowledgement not accepted", "err", err)
	}
}

func (l *Link) count(a device.Answer) {
	s := a.Statement
	n := uint64(len(s.Readings))
	l.mu.Lock()
	defer l.mu.Unlock()
	at := place{s.Stream, s.First}
	when, ok := l.sent[at]
	delete(l.sent, at)
	if a.Code != ledger.CodeOK {
		l.stats.Refused += n
		l.stats.LastRefusal = fmt.Sprintf("%s: %s", a.Code, a.Code.Advice())
		return
	}
	l.stats.Acknowledged += n
	l.stats.LastHeight, l.stats.LastStream, l.stats.LastNumber = a.Height, s.Stream, s.Last()
	l.stats.LastContent[s.Stream] = Last{s.Last(), a.Height, s.Readings[n-1].Content}
	if ok && !when.signed.IsZero() {
		if len(l.stats.Latency) == latencies {
			l.stats.Latency = l.stats.Latency[:copy(l.stats.Latency, l.stats.Latency[latencies/2:])]
		}
		l.stats.Latency = append(l.stats.Latency, time.Since(when.signed))
	}
}

func (l *Link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
}

// Stream returns a stream of the device.
func (l *Link) Stream(name string, media ledger.Media) (*device.Stream, error) {
	s, err := l.device.Stream(name, media)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[name] = s
	return s, nil
}

// Send signs readings, makes them durable and publishes them. It waits while
// too much is unacknowledged.
func (l *Link) Send(ctx context.Context, s *device.Stream, readings ...ledger.Reading) error {
	if err := l.until(ctx, func() bool { return l.device.Stats().Pending < window }); err != nil {
		return err
	}
	begin := time.Now()
	st, err := s.Append(readings...)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.sent[place{st.Stream, st.First}] = sending{signed: begin}
	l.stats.Sent += uint64(len(readings))
	l.mu.Unlock()
	l.order.Lock()
	defer l.order.Unlock()
	l.publish(st, begin)
	return nil
}

// Drain waits until everything is acknowledged or refused. When ctx ends before, the
// error names what keeps acknowledgements from coming, e.g. [ErrDenied].
func (l *Link) Drain(ctx context.Context) error {
	return l.until(ctx, func() bool { return l.device.Stats().Pending == 0 })
}

func (l *Link) until(ctx context.Context, condition func() bool) error {
	var tick *time.Ticker
	for !condition() {
		if tick == nil {
			tick = time.NewTicker(pollEvery)
			defer tick.Stop()
		}
		l.mu.Lock()
		broken, trouble := l.broken, l.trouble
		l.mu.Unlock()
		if broken != nil {
			return broken
		}
		select {
		case <-ctx.Done():
			if trouble != nil {
				return fmt.Errorf("%w: %w", ctx.Err(), trouble)
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
	return ctx.Err()
}

// Stats returns the counts of this moment.
func (l *Link) Stats() Stats {
	pending := uint64(0)
	for s := range l.device.Pending() {
		pending += uint64(len(s.Readings))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Pending = pending
	if l.trouble != nil {
		s.Trouble = l.trouble.Error()
	}
	s.Latency = append([]time.Duration(nil), l.stats.Latency...)
	s.LastContent = make(map[crypto.ID]Last, len(l.stats.LastContent))
	for id, last := range l.stats.LastContent {
		s.LastContent[id] = last
	}
	s.Next = map[string]uint64{}
	for name, stream := range l.streams {
		s.Next[name] = stream.Next()
	}
	return s
}

// Refused returns what the ledger refused for good.
func (l *Link) Refused() []device.Refusal { return l.device.Refused() }

// Close disconnects and closes the device. What is not acknowledged is kept.
func (l *Link) Close() error {
	l.stop()
	l.client.Disconnect(partingTime)
	l.done.Wait()
	l.client.Disconnect(partingTime) // if one of them was just connecting again
	return l.device.Close()
}
