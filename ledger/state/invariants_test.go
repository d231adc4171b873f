package state_test

import (
	"fmt"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// TestInvariants breaks the records or the log of a good ledger, each time in one place:
// the invariant that says so is the one that fails.
func TestInvariants(t *testing.T) {
	for _, tt := range []struct {
		want   string
		damage func(d *damaged)
	}{
		{"one owner at a time", func(d *damaged) {
			d.put(record.OrganisationStreamRow(d.c.Organisations[1].ID, d.stream), record.Spans{{From: 1}}.Encode())
		}},
		{"one owner at a time", func(d *damaged) {
			d.put(record.OrganisationDeviceRow(d.c.Organisations[0].ID, d.device), record.Spans{{From: 1, To: d.c.Height}}.Encode())
		}},
		{"one owner at a time", func(d *damaged) {
			d.put(record.BridgeRow(d.c.Bridges[0].ID, d.c.Height), record.Bridge{Organisation: d.c.Organisations[1].ID}.Encode())
		}},
		{"no entry without an enrolled key", func(d *damaged) { d.put(record.KeyRow(d.device, d.kid), nil) }},
		{"no entry without a key valid at its height", func(d *damaged) {
			d.put(record.KeyRow(d.device, d.kid), record.Key{Public: d.key.Public(), Opens: 2, Closes: d.c.Height}.Encode())
		}},
		{"no entry without a key valid at its height", func(d *damaged) {
			d.put(record.KeyRow(d.device, d.kid), record.Key{Public: d.key.Public(), Opens: d.c.Height + 1}.Encode())
		}},
		{"no entry without a valid signature", func(d *damaged) {
			d.put(record.KeyRow(d.device, d.kid), record.Key{Public: simtest.Key("another").Public(), Opens: 2}.Encode())
		}},
		{"no entry of a device that is not active", func(d *damaged) {
			d.put(record.DeviceRow(d.device, d.c.Height), record.Device{Organisation: d.c.Organisations[0].ID, Status: record.StatusSuspended}.Encode())
		}},
		{"no entry for an organisation that is not active", func(d *damaged) {
			d.put(record.OrganisationRow(d.c.Organisations[0].ID, d.c.Height), record.Organisation{Name: "x", Threshold: 1, Status: record.StatusRetired}.Encode())
		}},
		{"each number is admitted once", func(d *damaged) { d.entry(d.statement) }},
		{"gaps are what is missing", func(d *damaged) { d.put(record.GapRow(d.stream, 3), nil) }},
		{"gaps are what is missing", func(d *damaged) { d.put(record.GapRow(d.stream, 2), record.Gap{Last: 4}.Encode()) }},
		{"gaps are what is missing", func(d *damaged) {
			d.put(record.StreamRow(d.stream), record.StreamHead{Device: d.device, Mark: 6, Gaps: 1}.Encode())
		}},
		{"quotas: bridge", func(d *damaged) { d.limit(func(p *record.Parameters) { p.StatementsPerBridge = 1 }) }},
		{"quotas: organisation", func(d *damaged) { d.limit(func(p *record.Parameters) { p.StatementsPerOrganisation = 2 }) }}, // with the operation they are 3
		{"no operation applied twice", func(d *damaged) { d.entry(d.operation) }},
		{"no operation applied twice", func(d *damaged) { d.put(record.OperationRow([32]byte{1}), record.Operation{Index: 1}.Encode()) }},
		{"each entry belongs to one block", func(d *damaged) { d.put(record.BlockRow(d.c.Height), nil) }},
		{"one current key", func(d *damaged) {
			d.put(record.KeyRow(d.device, crypto.KeyID{1}), record.Key{Public: d.key.Public(), Opens: 2}.Encode())
		}},
		{"one current key", func(d *damaged) { d.put(record.KeylessRow(d.device), record.Keyless{Key: d.kid, Height: 1}.Encode()) }},
		{"the consortium acts", func(d *damaged) { d.put(record.MembersRow(d.c.Height+1), record.Members{}.Encode()) }},
		{"the consortium acts", func(d *damaged) {
			d.put(record.OrganisationRow(d.c.Organisations[0].ID, d.c.Height+1), record.Organisation{Name: "x", Threshold: 2}.Encode())
		}},
		{"the consortium acts", func(d *damaged) { d.put(record.ValidatorSetRow(d.c.Height+2), record.ValidatorSet{}.Encode()) }},
		{"the set runs", func(d *damaged) {
			set := record.ValidatorSet{}.With(record.Validator{Organisation: d.c.Organisations[0].ID, Key: simtest.Key("silent").Public(), Power: 10})
			for _, o := range d.c.Organisations {
				set = set.With(record.Validator{Organisation: o.ID, Key: o.Validators[0].Key.Public(), Power: 10})
			}
			d.put(record.ValidatorSetRow(d.c.Height+2), set.Encode())
		}},
		{"grants are given by owners", func(d *damaged) {
			d.put(record.GrantRow(crypto.ID{1}), record.Grant{Stream: d.stream, Grantor: d.c.Organisations[1].ID, Grantee: d.device, Rights: 1, First: 1, Granted: d.c.Height}.Encode())
		}},
		{"access names what counts", func(d *damaged) { // it is revoked from the next block on
			d.put(record.GrantRow(crypto.ID{1}), record.Grant{Stream: d.stream, Grantor: d.c.Organisations[0].ID, Grantee: d.device, Rights: 1, First: 1, Granted: d.c.Height, Revoked: d.c.Height + 1}.Encode())
		}},
		{"listed once", func(d *damaged) { d.list(1, 1, func(m *record.Manifest) { m.Organisation = d.c.Organisations[1].ID }) }},
		{"listed once", func(d *damaged) { d.list(1, 1, func(m *record.Manifest) { m.Signed = 2 }) }},
		{"listed once", func(d *damaged) { d.list(1, 1, func(m *record.Manifest) { m.Closed = 1 }) }},
		{"listed once", func(d *damaged) { d.list(1, 1, func(m *record.Manifest) { m.Until = 1 }) }},
		{"listed once", func(d *damaged) { d.list(1, d.c.Height, func(*record.Manifest) {}) }},
		{"listed once", func(d *damaged) { d.list(4, 1, func(*record.Manifest) {}) }},
		{"listed once", func(d *damaged) {
			d.list(0, 1, func(*record.Manifest) {})
			d.list(1, 1, func(*record.Manifest) {})
		}},
		{"", func(d *damaged) { d.list(1, 1, func(*record.Manifest) {}) }},
	} {
		d := newDamaged(t)
		if got := d.check(); got != "" {
			t.Fatalf("a good ledger: %s", got)
		}
		d = newDamaged(t)
		tt.damage(d)
		if got := d.check(); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// damaged is a small ledger: a stream with the numbers 1, 2 and 5 in its last block.
type damaged struct {
	t                    *testing.T
	c                    *simtest.Chain
	inv                  *invariants
	key                  crypto.PrivateKey
	kid                  crypto.KeyID
	device, stream       crypto.ID
	statement, operation []byte
}

func newDamaged(t *testing.T) *damaged {
	c := simtest.New(t, simtest.Config{Organisations: 2, Devices: 1, Streams: 1, Validators: 1})
	d := &damaged{t: t, c: c, inv: newInvariants(c), key: c.Devices[0].Key, device: c.Devices[0].ID, stream: c.Streams[0].ID}
	d.kid = d.key.Public().KeyID()
	d.statement = c.Streams[0].At(1, 2)
	d.operation = by(c, 0, ledger.Describe{Subject: d.device})
	c.Block(c.Batch(d.statement, c.Streams[0].At(5, 1)), d.operation)
	return d
}

func (d *damaged) put(k merkle.Key, value []byte) {
	if err := d.c.Store.Commit([]merkle.Change{{Key: k, Value: value}}, nil); err != nil {
		d.t.Fatal(err)
	}
}

func (d *damaged) entry(raw []byte) {
	if err := d.c.Store.Commit(nil, []state.Entry{{Bytes: raw}}); err != nil {
		d.t.Fatal(err)
	}
}

// list says that the device came in with a manifest of four, which its organisation signed
// in the first block.
func (d *damaged) list(place, height uint64, change func(*record.Manifest)) {
	m := record.Manifest{Organisation: d.c.Organisations[0].ID, Count: 4, Signed: 1}
	change(&m)
	d.put(record.ManifestRow(crypto.ID{5}), m.Encode())
	d.put(record.ListedRow(crypto.ID{5}, place), record.Listed{Device: d.device, Height: height}.Encode())
}

func (d *damaged) limit(change func(*record.Parameters)) {
	p, err := state.ParametersAt(d.c.Store, d.c.Height)
	if err != nil {
		d.t.Fatal(err)
	}
	change(&p)
	d.put(record.ParametersRow(d.c.Height), p.Encode())
}

// check returns what the invariants say, empty when all hold.
func (d *damaged) check() (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	d.inv.check(failure{}, d.c.Blocks[len(d.c.Blocks)-1])
	return ""
}

// failure is a test whose failures panic.
type failure struct{}

func (failure) Helper() {}

func (failure) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
