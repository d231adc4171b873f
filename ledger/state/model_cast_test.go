package state_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// The cast that the model draws from: few, so that they meet.
var (
	castOrganisations = numbered("organisation", 7)
	castDevices       = numbered("device", 10)
	castBridges       = numbered("bridge", 8)
	castStreams       = numbered("stream", 2) // of each device
	castSpares        = numbered("spare", 12) // further keys of devices
	castValidators    = append(numbered("validator", 6), "organisation 0 validator 0", "organisation 0 validator 1",
		"organisation 1 validator 0", "organisation 1 validator 1", "organisation 2 validator 0", "organisation 2 validator 1")
)

func numbered(what string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s %d", what, i))
	}
	return list
}

// adminNames are the keys that an organisation may ever have.
func adminNames(organisation string) []string {
	list := []string{organisation}
	for i := 1; i < 7; i++ {
		list = append(list, fmt.Sprintf("%s admin %d", organisation, i))
	}
	return list
}

// castKeys are the private keys of the cast, made once.
var castKeys, castKeyOf = func() (map[string]crypto.PrivateKey, map[crypto.KeyID]crypto.PrivateKey) {
	byName, byID := make(map[string]crypto.PrivateKey), make(map[crypto.KeyID]crypto.PrivateKey)
	names := slices.Concat(castDevices, castBridges, castSpares, castValidators)
	for _, o := range castOrganisations {
		names = append(names, adminNames(o)...)
	}
	for _, name := range names {
		key := simtest.Key(name)
		byName[name], byID[key.Public().KeyID()] = key, key
	}
	return byName, byID
}()

// cast gives names to ids and ids to names.
type cast struct {
	organisations, devices, bridges, streams []crypto.ID // in the order of the names
	names                                    map[crypto.ID]string
}

func newCast(chain string) *cast {
	c := &cast{names: map[crypto.ID]string{{}: "nobody"}}
	add := func(id crypto.ID, name string) crypto.ID {
		c.names[id] = name
		return id
	}
	for _, name := range castOrganisations {
		c.organisations = append(c.organisations, add(ledger.OrganisationID(castKeys[name].Public()), name))
	}
	for _, name := range castDevices {
		c.devices = append(c.devices, add(ledger.DeviceID(castKeys[name].Public()), name))
	}
	for _, name := range castBridges {
		c.bridges = append(c.bridges, add(ledger.BridgeID(castKeys[name].Public()), name))
	}
	for i, device := range c.devices {
		for _, name := range castStreams {
			c.streams = append(c.streams, add(ledger.StreamID(chain, device, name), castDevices[i]+"/"+name))
		}
	}
	for _, name := range castValidators {
		add(ledger.ValidatorID(castKeys[name].Public()), name)
	}
	return c
}

// describe says what a transaction is.
func (c *cast) describe(raw []byte) string {
	tx, err := ledger.ParseTransaction(raw)
	switch {
	case err != nil:
		return err.Error()
	case tx.Operation != nil:
		o := tx.Operation
		return fmt.Sprintf("%v by %s: %+v", ledger.Proposed(o.Body).Kind(), c.name(o.Actor), o.Body)
	}
	text := fmt.Sprintf("batch by %s:", c.name(tx.Batch.Bridge))
	for i := range tx.Batch.Raw {
		if s, err := tx.Batch.Parse(i); err == nil {
			text += fmt.Sprintf(" %s %d-%d of %d bytes from %d inputs,", c.name(s.Stream), s.First, s.Last(), len(s.Bytes()), len(s.Inputs))
		}
	}
	return text
}

// odd is true about once in n times, or less often; rapid shrinks towards false.
func odd(t *rapid.T, n int, what string) bool {
	return rapid.IntRange(0, n-1).Draw(t, what) == n-1
}

// one draws an element.
func one[T any](t *rapid.T, what string, list []T) T {
	return rapid.SampledFrom(list).Draw(t, what)
}

// usually draws one of the likely, or at times, and when there is none, any.
func usually[T any](t *rapid.T, what string, likely, all []T) T {
	if len(likely) == 0 || odd(t, 16, "any "+what) {
		return one(t, what, all)
	}
	return one(t, what, likely)
}

func where[T any](list []T, good func(T) bool) (some []T) {
	for _, v := range list {
		if good(v) {
			some = append(some, v)
		}
	}
	return some
}

// key describes the key of a row.
func (c *cast) key(k merkle.Key) string {
	return fmt.Sprintf("%v of %s, %x", record.FamilyOf(k), c.name(record.IDOf(k)), k[17:])
}

func (c *cast) name(id crypto.ID) string {
	if name, known := c.names[id]; known {
		return name
	}
	return id.String()
}
