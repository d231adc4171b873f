package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"mtmledger/mqttbridge/internal/trim"
)

// listener accepts connections for mochi. Unlike mochi's own it outlives a failing
// accept, bounds open connections, gives a connection a short time to introduce
// itself, and keeps a panic on one connection from ending the process.
type listener struct {
	net.Listener
	log    *slog.Logger
	slots  chan struct{} // one for each open connection
	closed atomic.Bool
	failed atomic.Uint64 // connections refused, or broken by a panic or a bad packet
}

var _ listeners.Listener = (*listener)(nil)

func newListener(l net.Listener, max int, log *slog.Logger) *listener {
	return &listener{Listener: l, log: log, slots: make(chan struct{}, max)}
}

func (l *listener) ID() string                { return "mqtt" }
func (l *listener) Address() string           { return l.Addr().String() }
func (l *listener) Protocol() string          { return l.Addr().Network() }
func (l *listener) Init(_ *slog.Logger) error { return nil }

// Serve accepts until Close.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for pause := time.Millisecond; ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			l.serve(c, establish)
		case l.closed.Load() || errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, an aborted handshake: try again
			l.log.Warn("mqtt accept", "err", err)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		}
	}
}

// serve serves one connection in a goroutine of its own, or refuses it.
func (l *listener) serve(c net.Conn, establish listeners.EstablishFn) {
	select {
	case l.slots <- struct{}{}:
	default:
		l.failed.Add(1)
		c.Close()
		return
	}
	cn := newConn(c, func() { <-l.slots })
	go func() {
		defer cn.Close()
		defer func() {
			if p := recover(); p != nil {
				l.failed.Add(1)
				l.log.Error("mqtt connection", "remote", c.RemoteAddr().String(), "panic", fmt.Sprint(p))
			}
		}()
		if err := cn.setReadDeadline(time.Now().Add(connectTime)); err != nil {
			return
		}
		if err := establish(l.ID(), cn); err != nil {
			if badPacket(err) {
				l.failed.Add(1)
			}
			l.log.Debug("mqtt connection ended", "remote", c.RemoteAddr().String(), "err", err)
		}
	}()
}

// badPacket reports whether a connection ended because of what the client sent: not
// MQTT, or too large where nothing can be cut off.
func badPacket(err error) bool {
	var code packets.Code
	return errors.Is(err, trim.ErrPacket) || errors.As(err, &code) && code.Code == packets.ErrMalformedPacket.Code
}

// Close stops accepting and asks the server to disconnect its clients.
func (l *listener) Close(closeClients listeners.CloseFn) {
	if l.closed.Swap(true) {
		return
	}
	l.Listener.Close()
	closeClients(l.ID())
}
