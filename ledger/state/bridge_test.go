package state_test

import (
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// TestRemoveBridgeRefused: who may end which bridge, and how often.
func TestRemoveBridgeRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		code ledger.Code
		make func(t *testing.T, c *simtest.Chain) []byte
	}{
		{"unknown", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
			return by(c, 0, ledger.RemoveBridge{Bridge: crypto.ID{7}})
		}},
		{"a device", ledger.CodeUnknownBridge, func(t *testing.T, c *simtest.Chain) []byte {
			return by(c, 0, ledger.RemoveBridge{Bridge: c.Devices[0].ID})
		}},
		{"another's", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
			return by(c, 1, ledger.RemoveBridge{Bridge: c.Bridges[0].ID})
		}},
		{"by a device of its organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
			return byDevice(c, 0, ledger.RemoveBridge{Bridge: c.Bridges[0].ID})
		}},
		{"twice", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
			apply(t, c, by(c, 0, ledger.RemoveBridge{Bridge: c.Bridges[0].ID}))
			return laterBy(c, 0, ledger.RemoveBridge{Bridge: c.Bridges[0].ID})
		}},
		{"enrolled again", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
			apply(t, c, by(c, 0, ledger.RemoveBridge{Bridge: c.Bridges[0].ID}))
			return c.Bridges[0].Enrol()
		}},
		{"several keys", ledger.CodeNeedsProposal, func(t *testing.T, c *simtest.Chain) []byte {
			o := c.Organisations[0]
			set(t, c, record.OrganisationRow(o.ID, 1), record.Organisation{Name: o.Name, Threshold: 2}.Encode())
			return by(c, 0, ledger.RemoveBridge{Bridge: c.Bridges[0].ID})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t)
			b := c.Block(tt.make(t, c))
			if b.Results[0].Code != tt.code || len(b.Changes) != 0 {
				t.Errorf("%v, %d rows changed, want %v", b.Results[0].Code, len(b.Changes), tt.code)
			}
		})
	}
}

// laterBy signs what by signs with another not_after.
func laterBy(c *simtest.Chain, n int, body ledger.Body) []byte {
	o := c.Organisations[n]
	return c.SignOperation(o.Key, ledger.Operation{Chain: c.ID, Actor: o.ID, NotAfter: c.Time/1e6 + 1_000, Body: body})
}

// TestRemoveBridge: batches of the same block count, later ones and those signed before are
// refused by name; the rows say since when; twice in one block is once; another bridge and
// the key row are left alone.
func TestRemoveBridge(t *testing.T) {
	c := newChain(t)
	bridge, owner := c.Bridges[0], c.Organisations[0]
	key := record.KeyRow(bridge.ID, bridge.Key.Public().KeyID())
	before, err := c.Store.Get(key)
	if err != nil || before == nil {
		t.Fatal(err)
	}
	waits := bridge.Batch(c.Streams[0].At(3, 1))
	b := c.Block(by(c, 0, ledger.RemoveBridge{Bridge: bridge.ID}), laterBy(c, 0, ledger.RemoveBridge{Bridge: bridge.ID}), bridge.Batch(c.Streams[0].At(1, 1)))
	if b.Results[0].Code != ledger.CodeOK || b.Results[1].Code != ledger.CodeRetired || b.Results[2].Code != ledger.CodeOK || b.Results[2].Codes[0] != ledger.CodeOK {
		t.Fatal(b.Results)
	}
	since := c.Height + 1
	b = c.Block(waits, bridge.Batch(c.Streams[0].At(2, 1)), c.Bridges[1].Batch(c.Streams[0].At(2, 1)))
	if b.Results[0].Code != ledger.CodeRetired || b.Results[1].Code != ledger.CodeRetired || b.Results[2].Codes[0] != ledger.CodeOK {
		t.Fatal(b.Results)
	}
	mustRow(t, c, record.BridgeRow(bridge.ID, since), record.Bridge{Organisation: owner.ID, Status: record.StatusRetired}.Encode())
	mustRow(t, c, record.OrganisationBridgeRow(owner.ID, bridge.ID), record.Spans{{From: 0, To: since}}.Encode())
	mustRow(t, c, key, before)
}

// TestRemoveBridgeAtOnce: a bridge that is enrolled and removed in one block never carries
// anything.
func TestRemoveBridgeAtOnce(t *testing.T) {
	c := newChain(t)
	bridge := c.Organisations[0].NewBridge(c, "short")
	apply(t, c, bridge.Enrol(), by(c, 0, ledger.RemoveBridge{Bridge: bridge.ID}))
	h := c.Height
	mustRow(t, c, record.OrganisationBridgeRow(c.Organisations[0].ID, bridge.ID), record.Spans{{From: h, To: h + 1}}.Encode())
	if code := c.Block(bridge.Batch(c.Streams[0].At(1, 1))).Results[0].Code; code != ledger.CodeRetired {
		t.Error(code)
	}
}
