package broker

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mtmledger/crypto"
)

// Topic prefixes (docs/spec/mqtt.md).
const (
	upPrefix   = "mtm/1/up/"
	ackPrefix  = "mtm/1/ack/"
	dataPrefix = "mtm/1/data/"
)

// hook is the only hook of the server. mochi joins the answers of several hooks
// with "or", so there must be no second one. Every method denies what it does not
// know and answers a panic with a denial.
type hook struct {
	mqtt.HookBase
	b        *Broker
	handler  Handler
	received atomic.Uint64 // publications given to the handler
	denied   atomic.Uint64 // connections, publications and subscriptions refused
}

var _ mqtt.Hook = (*hook)(nil)

func (h *hook) ID() string { return "mtm" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish:
		return true
	}
	return false
}

// rescue turns a panic of the calling hook method into a denial.
func (h *hook) rescue(deny func()) {
	if p := recover(); p != nil {
		h.b.cfg.Logger.Error("mqtt hook", "panic", fmt.Sprint(p))
		h.denied.Add(1)
		deny()
	}
}

// OnConnect runs before authentication: it drops the will, bounds the keepalive and
// refuses new sessions beyond the limit.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) (err error) {
	defer h.rescue(func() { err = packets.ErrServerUnavailable })
	cl.Properties.Will = mqtt.Will{}
	limit := uint16(h.b.cfg.MaxKeepalive.Seconds())
	if cl.State.Keepalive == 0 || cl.State.Keepalive > limit {
		cl.State.Keepalive, cl.State.ServerKeepalive = limit, true
	}
	if _, known := h.b.server.Clients.Get(cl.ID); !known && h.b.server.Clients.Len() > h.b.cfg.MaxSessions {
		h.denied.Add(1)
		return packets.ErrServerBusy
	}
	return nil
}

// OnConnectAuthenticate asks the credentials who the client is and binds its client
// identifier to that, so that nobody takes over another's session.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) (ok bool) {
	defer h.rescue(func() { ok = false })
	c, isConn := cl.Net.Conn.(*conn)
	if !isConn {
		return false
	}
	p, ok := h.authenticate(c, pk)
	if ok && !p.Any && !p.Device.IsZero() {
		ok = ownClientID(cl.ID, p.Device) || cl.Properties.Props.AssignedClientID != ""
	}
	if !ok {
		h.denied.Add(1)
		return false
	}
	c.principal = p
	return true
}

func (h *hook) authenticate(c *conn, pk packets.Packet) (Principal, bool) {
	if h.b.cfg.Credentials == nil {
		return Principal{Any: true, Consumer: true}, true
	}
	var state *tls.ConnectionState
	if t, ok := c.Conn.(*tls.Conn); ok {
		s := t.ConnectionState()
		state = &s
	}
	return h.b.cfg.Credentials.Authenticate(string(pk.Connect.Username), pk.Connect.Password, state)
}

// ownClientID reports whether the client identifier is the device's: its id, alone
// or followed by "-" and anything.
func ownClientID(id string, device crypto.ID) bool {
	rest, ok := strings.CutPrefix(id, device.String())
	return ok && (rest == "" || rest[0] == '-')
}

// OnACLCheck decides who may publish (write) to a topic or subscribe to a filter;
// it is asked again for every delivery.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) (ok bool) {
	defer h.rescue(func() { ok = false })
	c, isConn := cl.Net.Conn.(*conn)
	switch {
	case cl.Net.Inline:
		return !write
	case !isConn:
		return false
	case write:
		ok = mayPublish(c.principal, topic)
	default:
		ok = maySubscribe(c.principal, topic)
	}
	if !ok {
		h.denied.Add(1)
	}
	return ok
}

// mayPublish: to mtm/1/up/<device>/<stream>, a device as itself only. Whether the
// levels are identifiers is for the bridge to say: it keeps what is not.
func mayPublish(p Principal, topic string) bool {
	rest, ok := strings.CutPrefix(topic, upPrefix)
	if !ok {
		return false
	}
	device, stream, ok := strings.Cut(rest, "/")
	if !ok || strings.Contains(stream, "/") {
		return false
	}
	return p.Any || (!p.Device.IsZero() && device == p.Device.String())
}

// maySubscribe: to mtm/1/ack/<device>, a device to its own only, and to
// mtm/1/data/<stream>, for consumers; both also in a shared subscription.
func maySubscribe(p Principal, filter string) bool {
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, filter, ok = strings.Cut(rest, "/")
		if !ok {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(filter, ackPrefix); ok && !strings.Contains(rest, "/") {
		return p.Any || (!p.Device.IsZero() && rest == p.Device.String())
	}
	if rest, ok := strings.CutPrefix(filter, dataPrefix); ok && !strings.Contains(rest, "/") {
		return p.Consumer
	}
	return false
}

// OnPacketRead ends the connection of a client that publishes with QoS 2: the
// broker would answer it as if it were QoS 1.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (_ packets.Packet, err error) {
	if pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos > 1 && !cl.Net.Inline {
		h.denied.Add(1)
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

// OnPublish gives a client's publication to the handler. It always answers
// "rejected", on which mochi neither distributes the message nor sends a PUBACK:
// the connection sends it when the message is stored, while mochi reads on.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (_ packets.Packet, err error) {
	if cl.Net.Inline {
		return pk, nil
	}
	defer h.rescue(func() { err = packets.ErrRejectPacket })
	c, ok := cl.Net.Conn.(*conn)
	if !ok || !c.admit(h.b.cfg.MaxUnacked) {
		return pk, packets.ErrRejectPacket
	}
	id := uint32(pk.PacketID)
	if pk.FixedHeader.Qos == 0 {
		id = 0
	}
	h.received.Add(1)
	if err := h.handler.Receive(pk.TopicName, pk.Payload, c, id); err != nil {
		h.b.cfg.Logger.Debug("mqtt message not taken", "client", cl.ID, "err", err)
		c.Stored(id, err)
	}
	return pk, packets.ErrRejectPacket
}
