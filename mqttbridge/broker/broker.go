package broker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Broker is an embedded MQTT broker. Make it with [New], start it with Start, end
// it with Close; it can't be started again. Its methods may be called from several
// goroutines.
type Broker struct {
	cfg      Config
	server   *mqtt.Server
	hook     *hook
	listener *listener

	mu      sync.Mutex
	started bool
	closed  bool
}

// New opens the listener and makes a broker that does not serve yet. Without
// credentials the address must be on loopback ([ErrOpen]).
func New(cfg Config) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); cfg.Credentials == nil && (!ok || !a.IP.IsLoopback()) {
		l.Close()
		return nil, fmt.Errorf("%w: %v", ErrOpen, l.Addr())
	}
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	b := &Broker{cfg: cfg, listener: newListener(l, cfg.MaxConnections, cfg.Logger)}
	b.server = mqtt.New(options(cfg))
	b.hook = &hook{b: b}
	if err := b.server.AddHook(b.hook, nil); err != nil {
		l.Close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := b.server.AddListener(b.listener); err != nil {
		l.Close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

// options are mochi's, with everything off or bounded that the ledger does not use.
func options(cfg Config) *mqtt.Options {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = int64(cfg.MaxConnections)
	c.MaximumMessageExpiryInterval = int64(messageExpiry.Seconds())
	c.MaximumClientWritesPending = maxPending
	c.MaximumSessionExpiryInterval = uint32(cfg.SessionExpiry.Seconds())
	c.MaximumPacketSize = maxPacket + 1 // mochi counts the first byte; conn cuts what is larger
	c.MaximumInflight = maxInflight
	c.ReceiveMaximum = 1024
	c.TopicAliasMaximum = 0
	c.MaximumQos = 1
	c.RetainAvailable = 0
	c.Compatibilities.NoInheritedPropertiesOnAck = true
	return &mqtt.Options{
		Capabilities:             c,
		ClientNetReadBufferSize:  512, // conn has a larger one before it
		ClientNetWriteBufferSize: 4096,
		// mochi logs a line a client and packet; what matters is counted and logged
		// by the hook and the listener.
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: 24 * 60 * 60, // nobody may read $SYS
		InlineClient:           true,         // what Publish publishes as
	}
}

// Addr returns the address that the broker listens on.
func (b *Broker) Addr() net.Addr { return b.listener.Addr() }

// Start begins to serve clients; h receives what they publish.
func (b *Broker) Start(h Handler) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.closed {
		return ErrStarted
	}
	b.started = true
	b.hook.handler = h
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// Close stops accepting, disconnects all clients, and returns when no more messages
// will be received. Receipts of messages received before are still honoured if the
// connection is open long enough; the client sends the others again.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if !b.started {
		return b.listener.Listener.Close()
	}
	return b.server.Close()
}

// Subscribed reports whether anyone, connected or not, has subscribed to topic.
func (b *Broker) Subscribed(topic string) bool {
	s := b.server.Topics.Subscribers(topic)
	return len(s.Subscriptions)+len(s.Shared) > 0
}

// Publish gives payload to the subscribers of topic with at most QoS 1. It does not
// wait for them, and a subscriber that does not keep up misses messages.
func (b *Broker) Publish(topic string, payload []byte) error {
	if err := b.server.Publish(topic, payload, false, 1); err != nil {
		return fmt.Errorf("broker: publish: %w", err)
	}
	return nil
}

// Stats are counters since New.
type Stats struct {
	Connections int64  // open now, past CONNECT
	Sessions    int    // connected or not
	Received    uint64 // publications given to the handler
	Denied      uint64 // connections, publications and subscriptions refused
	Refused     uint64 // connections beyond MaxConnections, or broken by a panic or a bad packet
	Dropped     int64  // publications that a subscriber missed
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	i := b.server.Info.Clone()
	return Stats{
		Connections: i.ClientsConnected,
		Sessions:    b.server.Clients.Len() - 1, // less the inline client
		Received:    b.hook.received.Load(),
		Denied:      b.hook.denied.Load(),
		Refused:     b.listener.failed.Load(),
		Dropped:     i.MessagesDropped + i.InflightDropped,
	}
}
