package state_test

import (
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// codeCase makes something that is refused with the code.
type codeCase struct {
	name string
	code ledger.Code
	make func(t *testing.T, c *simtest.Chain) []byte
}

// txCases give for each code a transaction that is refused whole with it.
var txCases = []codeCase{
	{"garbage", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return []byte{0xd2, 0x84}
	}},
	{"beyond the size", ledger.CodeTooLarge, func(t *testing.T, c *simtest.Chain) []byte {
		return make([]byte, ledger.MaxTransaction+1)
	}},
	{"batch for another chain", ledger.CodeWrongChain, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Bridges[0].Key, "other", c.Bridges[0].ID, c.Streams[0].At(1, 1))
	}},
	{"batch with a bad signature", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Batch(c.Streams[0].At(1, 1))
		tx[len(tx)-1] ^= 1
		return tx
	}},
	{"bridge not enrolled", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[0].NewBridge(c, "stranger").Batch(c.Streams[0].At(1, 1))
	}},
	{"device as bridge", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Devices[0].Key, c.ID, c.Devices[0].ID, c.Streams[0].At(1, 1))
	}},
	{"key of another bridge", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		return signBatch(t, c.Bridges[1].Key, c.ID, c.Bridges[0].ID, c.Streams[0].At(1, 1))
	}},
	{"bridge's key closed", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Bridges[0].Key.Public()
		set(t, c, record.KeyRow(c.Bridges[0].ID, key.KeyID()), record.Key{Public: key, Opens: 1, Closes: 2}.Encode())
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"bridge suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		set(t, c, record.BridgeRow(c.Bridges[0].ID, 2),
			record.Bridge{Organisation: c.Organisations[0].ID, Status: record.StatusSuspended}.Encode())
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"bridge of a suspended organisation", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		suspend(t, c, c.Organisations[0])
		return c.Batch(c.Streams[0].At(1, 1))
	}},
	{"operation for another chain", ledger.CodeWrongChain, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.SignOperation(o.Key, ledger.Operation{Chain: "other", Actor: o.ID, NotAfter: c.Time / 1e6, Body: openNew(c)})
	}},
	{"operation with a bad signature", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Devices[0].NewStream("new").Open()
		tx[len(tx)-1] ^= 1
		return tx
	}},
	{"actor unknown", ledger.CodeUnknownActor, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(simtest.Key("nobody"), crypto.ID{1}, openNew(c))
	}},
	{"bridge as actor", ledger.CodeUnknownActor, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(c.Bridges[0].Key, c.Bridges[0].ID, openNew(c))
	}},
	{"actor's key unknown", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Operation(c.Organisations[1].Key, c.Organisations[0].ID, openNew(c))
	}},
	{"actor suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		suspend(t, c, c.Organisations[0])
		return c.Operation(c.Organisations[0].Key, c.Organisations[0].ID, openNew(c))
	}},
	{"replayed", ledger.CodeReplayed, func(t *testing.T, c *simtest.Chain) []byte {
		tx := c.Devices[0].NewStream("new").Open()
		c.Block(tx)
		return tx
	}},
	{"expired", ledger.CodeExpired, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, (c.Time+simtest.BlockTime)/1e6-1)
	}},
	{"not after too far", ledger.CodeNotAfterTooFar, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, (c.Time+simtest.BlockTime)/1e6+ledger.MaxNotAfter+1)
	}},
	{"not after at the end of time", ledger.CodeNotAfterTooFar, func(t *testing.T, c *simtest.Chain) []byte {
		return notAfter(c, 1<<63-1)
	}},
	{"device enrolled by a device", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.EnrolDevice{Possession: c.Possession(simtest.Key("new"), d.ID)})
	}},
	{"bridge enrolled by a device", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.EnrolBridge{Possession: c.Possession(simtest.Key("new"), d.ID)})
	}},
	{"device enrolled twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].Enrol()
	}},
	{"device enrolled by another too", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[1].NewDevice(c, c.Devices[0].Name).Enrol()
	}},
	{"bridge enrolled twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Bridges[0].Enrol()
	}},
	{"possession by another key", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		p := forgedPossession(t, c, o.ID)
		return c.Operation(o.Key, o.ID, ledger.EnrolDevice{Possession: p})
	}},
	{"stream of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.Operation(o.Key, o.ID, ledger.OpenStream{Device: crypto.ID{7}, Name: "s"})
	}},
	{"stream opened by another organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[1]
		return c.Operation(o.Key, o.ID, openNew(c))
	}},
	{"stream opened by another device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[1]
		return c.Operation(d.Key, d.ID, openNew(c))
	}},
	{"stream of a suspended device", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		d, o := c.Devices[0], c.Organisations[0]
		set(t, c, record.DeviceRow(d.ID, 2), record.Device{Organisation: o.ID, Status: record.StatusSuspended}.Encode())
		return c.Operation(o.Key, o.ID, openNew(c))
	}},
	{"rotation of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Device = crypto.ID{7}
		return byOwner(c, r)
	}},
	{"rotation by another organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[1]
		return c.Operation(o.Key, o.ID, rotation(c, "new", 0))
	}},
	{"rotation by another device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[1]
		return c.Operation(d.Key, d.ID, rotation(c, "new", 0))
	}},
	{"rotation with another organisation's proof", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Possession = c.Possession(simtest.Key("new"), c.Organisations[1].ID)
		return byOwner(c, r)
	}},
	{"rotation with a forged proof", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Possession = forgedPossession(t, c, c.Organisations[0].ID)
		return byOwner(c, r)
	}},
	{"rotation of a suspended device", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Suspend{Device: c.Devices[0].ID}))
		return byOwner(c, rotation(c, "new", 0))
	}},
	{"rotation of an unknown key", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		r := rotation(c, "new", 0)
		r.Old = crypto.KeyID{1}
		return byOwner(c, r)
	}},
	{"rotation of a closing key", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", 1000)))
		return byOwner(c, rotation(c, "newer", 0))
	}},
	{"rotation to the same key", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, rotation(c, c.Devices[0].Name, 0))
	}},
	{"suspension by the device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return c.Operation(d.Key, d.ID, ledger.Suspend{Device: d.ID})
	}},
	{"suspension of an unknown device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, ledger.Suspend{Device: crypto.ID{7}})
	}},
	{"suspended twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Suspend{Device: c.Devices[0].ID}))
		return byOwner(c, ledger.Suspend{Device: c.Devices[0].ID})
	}},
	{"resumed while active", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return byOwner(c, ledger.Resume{Device: c.Devices[0].ID})
	}},
	{"resumed after it was retired", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return byOwner(c, ledger.Resume{Device: c.Devices[0].ID})
	}},
	{"stream of a retired device", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return byOwner(c, openNew(c))
	}},
	{"retired device as actor", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return c.Devices[0].NewStream("new").Open()
	}},
	{"stream opened twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].OpenByOwner()
	}},
}

func openNew(c *simtest.Chain) ledger.Body {
	return ledger.OpenStream{Device: c.Devices[0].ID, Name: "new"}
}

// byOwner signs an operation of organisation 0.
func byOwner(c *simtest.Chain, body ledger.Body) []byte {
	o := c.Organisations[0]
	return c.Operation(o.Key, o.ID, body)
}

// rotation replaces the first key of device 0.
func rotation(c *simtest.Chain, key string, closes uint64) ledger.Rotate {
	d := c.Devices[0]
	return ledger.Rotate{Device: d.ID, Old: d.Key.Public().KeyID(), Closes: closes,
		Possession: c.Possession(simtest.Key(key), c.Organisations[0].ID)}
}

func notAfter(c *simtest.Chain, seconds int64) []byte {
	o := c.Organisations[0]
	return c.SignOperation(o.Key, ledger.Operation{Chain: c.ID, Actor: o.ID, NotAfter: seconds, Body: openNew(c)})
}

func suspend(t *testing.T, c *simtest.Chain, o *simtest.Organisation) {
	t.Helper()
	row := record.Organisation{Name: o.Name, Threshold: 1, Status: record.StatusSuspended}
	set(t, c, record.OrganisationRow(o.ID, 1), row.Encode())
}

func signBatch(t *testing.T, k crypto.PrivateKey, chain string, bridge crypto.ID, raws ...[]byte) []byte {
	t.Helper()
	b, err := ledger.SignBatch(k, chain, bridge, 1, 0, raws)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forgedPossession is the proof of a key that its holder did not sign.
func forgedPossession(t *testing.T, c *simtest.Chain, organisation crypto.ID) *ledger.Possession {
	t.Helper()
	raw := append([]byte(nil), c.Possession(simtest.Key("victim"), organisation).Bytes()...)
	raw[len(raw)-1] ^= 1
	p, err := ledger.ParsePossession(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTransactionCodes: each bad transaction has its code and changes nothing.
func TestTransactionCodes(t *testing.T) {
	for _, tc := range slices.Concat(txCases, ownershipCases) {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t)
			tx := tc.make(t, c)
			before := c.Store.AppHash()
			b := c.Block(tx)
			r := b.Results[0]
			if r.Code != tc.code || len(r.Codes) != 0 || len(r.Indexes) != 0 {
				t.Errorf("result %v %v %v, want %v", r.Code, r.Codes, r.Indexes, tc.code)
			}
			if len(b.Changes) != 0 || b.AppHash != before {
				t.Errorf("%d rows changed", len(b.Changes))
			}
		})
	}
}
