package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"mtmledger/crypto"
)

// Limits that are not configured.
const (
	// maxPacket bounds what is read of one MQTT packet, in bytes after its fixed
	// header: a statement of the largest size with its topic, and more. A larger
	// publication is cut to that, which is still more than a dead letter keeps, so that
	// the bridge can tell it from a whole one; another packet ends the connection.
	maxPacket = 66 << 10
	// readBuffer is the size of a connection's read buffer.
	readBuffer = 4096
	// maxUnsent bounds the bytes that wait to be sent to one client. A client that
	// does not read that much is disconnected.
	maxUnsent = 1 << 20
	// maxPending bounds the messages queued inside mochi for one client.
	maxPending = 1024
	// maxInflight bounds the QoS 1 messages that one client has not acknowledged.
	// Further ones are dropped, so subscribers must be able to miss messages.
	maxInflight = 4096
	// messageExpiry bounds how long a message waits for a client that is away.
	messageExpiry = time.Hour
	// connectTime is how long a connection may take to send its CONNECT packet.
	connectTime = 10 * time.Second
	// writeTime is how long one write to a client may take.
	writeTime = 10 * time.Second
	// farewellTime is how long a closing connection may take to send what is left.
	farewellTime = time.Second
	// mochi computes keepalive * 1.5 in 16 bits, so a larger one would expire at
	// once.
	maxKeepaliveSeconds = 43690
)

// Errors of New and Start.
var (
	// ErrConfig: the configuration can't be used.
	ErrConfig = errors.New("broker: bad configuration")
	// ErrOpen: without credentials the listener must be on loopback.
	ErrOpen = errors.New("broker: a listener beyond loopback needs credentials")
	// ErrStarted: Start was called twice, or after Close.
	ErrStarted = errors.New("broker: already started")
)

// Principal says who a client is and what follows from it.
type Principal struct {
	// Device is the device that the client is, or zero.
	Device crypto.ID
	// Consumer permits to subscribe to committed data.
	Consumer bool
	// Any permits to publish and listen for every device: a gateway, a test.
	Any bool
}

// Credentials decides who may connect.
type Credentials interface {
	// Authenticate returns who the client is, or false to refuse it. TLS is nil on
	// a plain connection. It may be called from several goroutines.
	Authenticate(username string, password []byte, tls *tls.ConnectionState) (Principal, bool)
}

// Handler receives what clients publish to up topics.
type Handler interface {
	// Receive takes one message. When it returns nil, the message has been queued:
	// receipt.Stored(id, err) will be called exactly once, from any goroutine, in
	// the order of Receive for one client. When it returns an error the message was
	// not taken; the client is disconnected so that it sends the message again.
	// Receive may block for a short time to hold a client back. It keeps payload.
	Receive(topic string, payload []byte, receipt Receipt, id uint32) error
}

// Receipt is told what became of a received message.
type Receipt interface {
	// Stored reports that the message with this id is durable, or that storing it
	// failed. It does not block.
	Stored(id uint32, err error)
}

// Config configures a [Broker]. The zero value listens on 127.0.0.1:1883.
type Config struct {
	// Address to listen on; default 127.0.0.1:1883. Port 0 picks a free one.
	Address string
	// TLS makes the listener a TLS listener.
	TLS *tls.Config
	// Credentials decides who may connect; nil lets everyone in, on loopback only.
	Credentials Credentials
	// MaxConnections bounds open connections; default 10,000.
	MaxConnections int
	// MaxSessions bounds sessions, connected or not; default 2 * MaxConnections.
	MaxSessions int
	// SessionExpiry is how long a session lives without a connection; default 24 h.
	SessionExpiry time.Duration
	// MaxKeepalive bounds a client's keepalive; 0 (never) becomes this too. Default
	// 1,200 s, at most 43,690 s.
	MaxKeepalive time.Duration
	// MaxUnacked bounds the messages of one client that wait for their PUBACK;
	// default 1,000, at most 1,024 (the receive maximum announced to MQTT 5 clients).
	// A client that sends more is held back, not refused.
	MaxUnacked int
	// Logger; nil discards.
	Logger *slog.Logger
}

// withDefaults returns c with its zero fields set.
func (c Config) withDefaults() Config {
	if c.Address == "" {
		c.Address = "127.0.0.1:1883"
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 10_000
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = 2 * c.MaxConnections
	}
	if c.SessionExpiry == 0 {
		c.SessionExpiry = 24 * time.Hour
	}
	if c.MaxKeepalive == 0 {
		c.MaxKeepalive = 1200 * time.Second
	}
	if c.MaxUnacked == 0 {
		c.MaxUnacked = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports whether a broker can be made of the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.MaxConnections < 1 || c.MaxConnections > 1_000_000:
		return fmt.Errorf("%w: MaxConnections %d, want 1..1000000", ErrConfig, c.MaxConnections)
	case c.MaxSessions < c.MaxConnections:
		return fmt.Errorf("%w: MaxSessions %d is less than MaxConnections", ErrConfig, c.MaxSessions)
	case c.SessionExpiry < time.Second || c.SessionExpiry > 365*24*time.Hour:
		return fmt.Errorf("%w: SessionExpiry %v, want 1s..365d", ErrConfig, c.SessionExpiry)
	case c.MaxKeepalive < time.Second || c.MaxKeepalive > maxKeepaliveSeconds*time.Second:
		return fmt.Errorf("%w: MaxKeepalive %v, want 1s..%ds", ErrConfig, c.MaxKeepalive, maxKeepaliveSeconds)
	case c.MaxUnacked < 1 || c.MaxUnacked > 1024:
		return fmt.Errorf("%w: MaxUnacked %d, want 1..1024", ErrConfig, c.MaxUnacked)
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("%w: address: %w", ErrConfig, err)
	}
	return nil
}
