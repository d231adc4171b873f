// Package broker is the MQTT broker that a bridge carries inside itself, so that
// one command is enough to receive from devices.
//
// It is github.com/mochi-mqtt/server/v2 held to the few things the ledger needs:
//
//   - Clients publish only to mtm/1/up/<device>/<stream>, and such a message is
//     given to the bridge and to nobody else. Its PUBACK is written when the bridge
//     says that the message is stored, so PUBACK means "durably queued here". A
//     client is not held up while it waits: up to [Config.MaxUnacked] of its
//     messages wait at once, and one disk write answers the waiting of all clients.
//   - Clients subscribe only to mtm/1/ack/<device> and mtm/1/data/<stream>, which
//     the bridge alone publishes to.
//   - With [Config.Credentials], a device publishes and listens only as itself, and
//     its client identifier begins with its device id. Without them anyone who can
//     connect may do all of the above, so the listener must be on loopback.
//   - A publication that is too large is cut while it is read, and given to the bridge
//     like any other.
//   - Wills, retained messages and QoS 2 are off. Packets, connections, sessions,
//     the time before CONNECT, and the bytes that wait for a slow client are
//     bounded.
//
// MQTT 3.1, 3.1.1 and 5 clients are served (docs/spec/mqtt.md).
package broker
