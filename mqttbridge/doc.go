// Package mqttbridge carries statements from MQTT to the ledger and answers for
// them.
//
// A message that a device publishes to mtm/1/up/<device>/<stream> is stored in the
// spool and then acknowledged to the MQTT client (PUBACK: "durably queued here").
// From the spool the bridge checks it, puts it into a signed transaction with
// others, submits that, and waits for the result. A committed statement is answered
// by a signed acknowledgement on mtm/1/ack/<device> and published on
// mtm/1/data/<stream>; one that can't be committed goes to the dead letters with the
// reason. A transaction that is lost is submitted again with the next attempt
// number, until the ledger has said what became of each of its statements; after a
// restart that is everything in the spool.
//
// Every message is accounted for (see [Counts]):
//
//	received = committed + duplicate + dead-lettered + spooled
//
// How it is built and why: docs/design/bridge.md. Topics and payloads:
// docs/spec/mqtt.md.
package mqttbridge
