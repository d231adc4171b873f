package simtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Organisation is a member of the consortium in a test.
type Organisation struct {
	Name    string
	ID      crypto.ID
	Key     crypto.PrivateKey
	Bridges []*Bridge

	Admins     []crypto.PrivateKey // its admin keys; Key is the first
	Threshold  int                 // how many of them must sign
	Validators []Validator
}

// Validator is a validator of an organisation.
type Validator struct {
	Key   crypto.PrivateKey
	Power uint64
}

// Bridge is a bridge of an organisation.
type Bridge struct {
	ID           crypto.ID
	Key          crypto.PrivateKey
	Organisation *Organisation
	chain        *Chain
	attempt      uint64
}

// Device is a device of an organisation.
type Device struct {
	Name         string
	ID           crypto.ID
	Key          crypto.PrivateKey
	Organisation *Organisation
	chain        *Chain
}

// Stream is a stream of a device.
type Stream struct {
	Name   string
	ID     crypto.ID
	Device *Device
	Number uint64 // of the next reading that Next signs
}

// Key returns the private key that follows from a name.
func Key(name string) crypto.PrivateKey {
	return crypto.KeyFromSeed(crypto.Sum("mtm/simtest/1", []byte(name)))
}

func newOrganisation(name string) *Organisation {
	key := Key(name)
	return &Organisation{
		Name: name, Key: key, ID: ledger.OrganisationID(key.Public()), Admins: []crypto.PrivateKey{key}, Threshold: 1,
	}
}

// NewBridge returns a bridge of the organisation, not enrolled.
func (o *Organisation) NewBridge(c *Chain, name string) *Bridge {
	key := Key(name)
	return &Bridge{ID: ledger.BridgeID(key.Public()), Key: key, Organisation: o, chain: c}
}

// NewDevice returns a device of the organisation, not enrolled.
func (o *Organisation) NewDevice(c *Chain, name string) *Device {
	key := Key(name)
	return &Device{Name: name, ID: ledger.DeviceID(key.Public()), Key: key, Organisation: o, chain: c}
}

// NewStream returns a stream of the device, not opened.
func (d *Device) NewStream(name string) *Stream {
	return &Stream{Name: name, ID: ledger.StreamID(d.chain.ID, d.ID, name), Device: d, Number: 1}
}

// Operation signs an operation of an actor that expires in an hour of block time.
func (c *Chain) Operation(k crypto.PrivateKey, actor crypto.ID, body ledger.Body) []byte {
	c.t.Helper()
	return c.SignOperation(k, ledger.Operation{Chain: c.ID, Actor: actor, NotAfter: c.Time/1e6 + 3600, Body: body})
}

// SignOperation signs any operation.
func (c *Chain) SignOperation(k crypto.PrivateKey, op ledger.Operation) []byte {
	c.t.Helper()
	signed, err := ledger.SignOperation(k, op)
	c.must(err)
	return signed.Bytes()
}

// Possession signs a proof that k is held, for an organisation on this chain.
func (c *Chain) Possession(k crypto.PrivateKey, organisation crypto.ID) *ledger.Possession {
	c.t.Helper()
	p, err := ledger.SignPossession(k, c.ID, organisation)
	c.must(err)
	return p
}

// Enrol returns the operation by which its organisation enrols the device.
func (d *Device) Enrol() []byte {
	d.chain.t.Helper()
	o := d.Organisation
	return d.chain.Operation(o.Key, o.ID, ledger.EnrolDevice{Possession: d.chain.Possession(d.Key, o.ID)})
}

// Enrol returns the operation by which its organisation enrols the bridge.
func (b *Bridge) Enrol() []byte {
	b.chain.t.Helper()
	o := b.Organisation
	return b.chain.Operation(o.Key, o.ID, ledger.EnrolBridge{Possession: b.chain.Possession(b.Key, o.ID)})
}

// Open returns the operation by which the device opens the stream.
func (s *Stream) Open() []byte {
	d := s.Device
	d.chain.t.Helper()
	return d.chain.Operation(d.Key, d.ID, ledger.OpenStream{Device: d.ID, Name: s.Name})
}

// OpenByOwner returns the operation by which the device's organisation opens the stream.
func (s *Stream) OpenByOwner() []byte {
	d := s.Device
	d.chain.t.Helper()
	return d.chain.Operation(d.Organisation.Key, d.Organisation.ID, ledger.OpenStream{Device: d.ID, Name: s.Name})
}

// Next signs the next n readings of the stream as one statement.
func (s *Stream) Next(n int) []byte {
	s.Device.chain.t.Helper()
	first := s.Number
	s.Number += uint64(n)
	return s.At(first, n)
}

// At signs n readings from number first on. Their content and time follow from their number.
func (s *Stream) At(first uint64, n int) []byte {
	c := s.Device.chain
	c.t.Helper()
	readings := make([]ledger.Reading, n)
	for i := range readings {
		number := first + uint64(i)
		readings[i].Time = GenesisTime + int64(number%(1<<32))
		readings[i].Content = fmt.Appendf(nil, "%s/%s #%d", s.Device.Name, s.Name, number)
	}
	return s.Sign(first, readings...)
}

// Sign signs any readings of the stream.
func (s *Stream) Sign(first uint64, readings ...ledger.Reading) []byte {
	c := s.Device.chain
	c.t.Helper()
	return c.SignStatement(s.Device.Key, ledger.Statement{
		Device: s.Device.ID, Stream: s.ID, First: first, Readings: readings,
	})
}

// SignStatement signs any statement.
func (c *Chain) SignStatement(k crypto.PrivateKey, s ledger.Statement) []byte {
	c.t.Helper()
	signed, err := ledger.SignStatement(k, s)
	c.must(err)
	return signed.Bytes()
}

// Batch signs statements as a transaction of the bridge. Each call differs by its attempt.
func (b *Bridge) Batch(statements ...[]byte) []byte {
	c := b.chain
	c.t.Helper()
	b.attempt++
	batch, err := ledger.SignBatch(b.Key, c.ID, b.ID, b.attempt, c.Time, statements)
	c.must(err)
	return batch.Bytes()
}

// Batch signs statements as a transaction of the chain's first bridge.
func (c *Chain) Batch(statements ...[]byte) []byte {
	c.t.Helper()
	return c.Bridges[0].Batch(statements...)
}

// AppState returns the genesis app_state of organisations and their bridges.
func AppState(organisations []*Organisation, parameters ledger.GenesisParameters) []byte {
	type bridge map[string]string
	type organisation struct {
		Name      string   `json:"name"`
		AdminKeys []string `json:"admin_keys"`
		Threshold int      `json:"threshold"`
		Bridges   []bridge `json:"bridges,omitempty"`

		Validators []ledger.GenesisValidator `json:"validators,omitempty"`
	}
	text := func(k crypto.PublicKey) string { return base64.StdEncoding.EncodeToString(k[:]) }
	var all []organisation
	for _, o := range organisations {
		row := organisation{Name: o.Name, Threshold: o.Threshold}
		for _, key := range o.Admins {
			row.AdminKeys = append(row.AdminKeys, text(key.Public()))
		}
		for _, v := range o.Validators {
			row.Validators = append(row.Validators, ledger.GenesisValidator{Key: v.Key.Public(), Power: v.Power})
		}
		for _, b := range o.Bridges {
			row.Bridges = append(row.Bridges, bridge{"key": text(b.Key.Public())})
		}
		all = append(all, row)
	}
	out, err := json.Marshal(map[string]any{"organisations": all, "parameters": parameters})
	if err != nil {
		panic(err) // maps, slices and strings always encode
	}
	return out
}
