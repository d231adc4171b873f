// Package ledgertest makes a small ledger's keys, genesis and transactions for
// the tests below app. Everything follows from a seed.
package ledgertest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Chain is the chain id of the test ledger.
const Chain = "test-ledger"

// Time is the genesis time, µs since the Unix epoch, and what devices declare.
const Time = 1_700_000_000_000_000

// Ledger has one organisation with one bridge.
type Ledger struct {
	T            testing.TB
	Admin        crypto.PrivateKey
	Bridge       crypto.PrivateKey
	Organisation crypto.ID
	BridgeID     crypto.ID
	attempt      uint64
}

// Key returns a private key that follows from its name.
func Key(name string) crypto.PrivateKey { return crypto.KeyFromSeed(sha256.Sum256([]byte(name))) }

// New returns the test ledger.
func New(t testing.TB) *Ledger {
	l := &Ledger{T: t, Admin: Key("admin"), Bridge: Key("bridge")}
	l.Organisation = ledger.OrganisationID(l.Admin.Public())
	l.BridgeID = ledger.BridgeID(l.Bridge.Public())
	return l
}

// Genesis returns the app_state.
func (l *Ledger) Genesis() []byte {
	l.T.Helper()
	b, err := json.Marshal(ledger.Genesis{Organisations: []ledger.GenesisOrganisation{{
		Name:      "Test Works",
		AdminKeys: []crypto.PublicKey{l.Admin.Public()},
		Threshold: 1,
		Bridges:   []ledger.GenesisBridge{{Key: l.Bridge.Public()}},
	}}})
	l.must(err)
	return b
}

func (l *Ledger) must(err error) {
	l.T.Helper()
	if err != nil {
		l.T.Fatal(err)
	}
}

// Device is a device with one stream.
type Device struct {
	L      *Ledger
	Key    crypto.PrivateKey
	ID     crypto.ID
	Name   string
	Stream crypto.ID
	Next   uint64 // number of the next reading
}

// Device returns the device with a name; Enrol and Open make it known.
func (l *Ledger) Device(name string) *Device {
	k := Key("device " + name)
	id := ledger.DeviceID(k.Public())
	return &Device{L: l, Key: k, ID: id, Name: name, Stream: ledger.StreamID(Chain, id, name), Next: 1}
}

// Operation returns an operation transaction of the organisation. now is in
// seconds.
func (l *Ledger) Operation(now int64, body ledger.Body) []byte {
	l.T.Helper()
	op, err := ledger.SignOperation(l.Admin, ledger.Operation{
		Chain: Chain, Actor: l.Organisation, NotAfter: now + 3600, Body: body,
	})
	l.must(err)
	return op.Bytes()
}

// Enrol returns the transaction that enrols the device.
func (d *Device) Enrol(now int64) []byte {
	d.L.T.Helper()
	p, err := ledger.SignPossession(d.Key, Chain, d.L.Organisation)
	d.L.must(err)
	return d.L.Operation(now, ledger.EnrolDevice{Possession: p})
}

// Open returns the transaction that opens the device's stream.
func (d *Device) Open(now int64) []byte {
	return d.L.Operation(now, ledger.OpenStream{Device: d.ID, Name: d.Name})
}

// Statement returns the device's next statement, of n readings.
func (d *Device) Statement(n int) []byte {
	d.L.T.Helper()
	b := d.StatementAt(d.Next, n)
	d.Next += uint64(n)
	return b
}

// StatementAt returns a statement of n readings from number first.
func (d *Device) StatementAt(first uint64, n int) []byte {
	d.L.T.Helper()
	s := ledger.Statement{Device: d.ID, Stream: d.Stream, First: first}
	for i := range n {
		s.Readings = append(s.Readings, ledger.Reading{
			Time:    Time + int64(first)*1000 + int64(i),
			Content: fmt.Appendf(nil, "%-40s", fmt.Sprintf("reading %d of %s", first+uint64(i), d.Name)),
		})
	}
	signed, err := ledger.SignStatement(d.Key, s)
	d.L.must(err)
	return signed.Bytes()
}

// Batch returns a transaction of the bridge with the statements.
func (l *Ledger) Batch(statements ...[]byte) []byte {
	l.T.Helper()
	l.attempt++
	b, err := ledger.SignBatch(l.Bridge, Chain, l.BridgeID, l.attempt, Time, statements)
	l.must(err)
	return b.Bytes()
}
