package state_test

import (
	"fmt"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
)

// by signs an operation of organisation n.
func by(c *simtest.Chain, n int, body ledger.Body) []byte {
	o := c.Organisations[n]
	return c.Operation(o.Key, o.ID, body)
}

// byDevice signs an operation of device n.
func byDevice(c *simtest.Chain, n int, body ledger.Body) []byte {
	d := c.Devices[n]
	return c.Operation(d.Key, d.ID, body)
}

// apply makes a block of operations that are all accepted, and returns the ids of what
// they make.
func apply(t *testing.T, c *simtest.Chain, txs ...[]byte) (ids []crypto.ID) {
	t.Helper()
	for i, r := range c.Block(txs...).Results {
		if r.Code != ledger.CodeOK {
			t.Fatalf("transaction %d refused: %v", i, r.Code)
		}
		tx, err := ledger.ParseTransaction(txs[i])
		if err != nil || len(r.Indexes) == 0 {
			t.Fatalf("transaction %d: %v %v", i, r.Codes, err)
		}
		id := crypto.ID{}
		if tx.Operation != nil {
			id = ledger.MadeID(tx.Operation.Digest())
		}
		ids = append(ids, id)
	}
	return ids
}

// readGrant lets organisation 1 use readings 1 to 10 of stream 0, of organisation 0.
func readGrant(c *simtest.Chain) ledger.Grant {
	return ledger.Grant{Stream: c.Streams[0].ID, Grantee: c.Organisations[1].ID, Rights: ledger.RightReadDerive, First: 1, Last: 10}
}

// granted makes a chain's stream 0 have readings 1 to 20 and readGrant, changed.
func granted(t *testing.T, c *simtest.Chain, change func(*ledger.Grant)) crypto.ID {
	t.Helper()
	g := readGrant(c)
	if change != nil {
		change(&g)
	}
	return apply(t, c, c.Batch(c.Streams[0].At(1, 20)), by(c, 0, g))[1]
}

func currentKey(c *simtest.Chain, n int) crypto.KeyID { return c.Devices[n].Key.Public().KeyID() }

// compromised declares the first key of device 0 doubtful from a height on.
func compromised(c *simtest.Chain, from uint64) ledger.Compromise {
	return ledger.Compromise{Principal: c.Devices[0].ID, Key: currentKey(c, 0), From: from}
}

// contradiction is two statements for number 1 of stream 0.
func contradiction(t *testing.T, c *simtest.Chain) ledger.Equivocation {
	t.Helper()
	return evidence(t, c.Streams[0].At(1, 2), c.Streams[0].At(1, 1))
}

func evidence(t *testing.T, a, b []byte) (e ledger.Equivocation) {
	t.Helper()
	var err error
	if e.A, err = ledger.ParseStatement(a); err != nil {
		t.Fatal(err)
	}
	if e.B, err = ledger.ParseStatement(b); err != nil {
		t.Fatal(err)
	}
	return e
}

func broken(raw []byte) []byte {
	raw[len(raw)-1] ^= 1
	return raw
}

// ownershipCases are txCases for what belongs to whom, and who may use it.
var ownershipCases = []codeCase{
	{"description of nothing", ledger.CodeNotFound, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.Describe{Subject: crypto.ID{7}})
	}},
	{"description of another's device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Describe{Subject: c.Devices[0].ID})
	}},
	{"description of another's stream", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Describe{Subject: c.Streams[0].ID})
	}},
	{"description of another organisation", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Describe{Subject: c.Organisations[0].ID})
	}},
	{"description by the device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, ledger.Describe{Subject: c.Devices[0].ID})
	}},
	{"closing an unknown stream", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.CloseStream{Stream: crypto.ID{7}})
	}},
	{"closing another's stream", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.CloseStream{Stream: c.Streams[0].ID})
	}},
	{"closed twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, ledger.CloseStream{Stream: c.Streams[0].ID}))
		return by(c, 0, ledger.CloseStream{Stream: c.Streams[0].ID})
	}},
	{"opened again after it was closed", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, ledger.CloseStream{Stream: c.Streams[0].ID}))
		return c.Streams[0].OpenByOwner()
	}},
	{"compromise of nobody's key", ledger.CodeNotFound, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.Compromise{Principal: crypto.ID{7}, From: 1})
	}},
	{"compromise by another", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, compromised(c, 1))
	}},
	{"compromise by the device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, compromised(c, 1))
	}},
	{"compromise of an unknown key", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		body := compromised(c, 1)
		body.Key[0]++
		return by(c, 0, body)
	}},
	{"compromise from tomorrow", ledger.CodeFutureHeight, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, compromised(c, c.Height+2))
	}},
	{"compromise twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, compromised(c, 2)))
		return c.SignOperation(c.Organisations[0].Key, ledger.Operation{Chain: c.ID, Actor: c.Organisations[0].ID,
			NotAfter: c.Time/1e6 + 100, Body: compromised(c, 2)})
	}},
	{"compromise of an organisation's open key", ledger.CodeNotLive, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return by(c, 0, ledger.Compromise{Principal: o.ID, Key: o.Key.Public().KeyID(), From: 1})
	}},
	{"statement key after a compromise rotated by the device", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, compromised(c, 2)))
		return byDevice(c, 0, rotation(c, "new", 0))
	}},
	{"rotated twice after a compromise", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, compromised(c, 2)))
		apply(t, c, by(c, 0, rotation(c, "new", 0)))
		return by(c, 0, rotation(c, "newer", 0))
	}},
	{"rotation of an older key after a compromise", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, rotation(c, "second", 0)))
		apply(t, c, by(c, 0, ledger.Compromise{Principal: c.Devices[0].ID, Key: simtest.Key("second").Public().KeyID(), From: 3}))
		return by(c, 0, rotation(c, "third", 0))
	}},
	{"several with a known device", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return by(c, 0, ledger.EnrolDevices{Possessions: []*ledger.Possession{
			c.Possession(simtest.Key("new"), o.ID), c.Possession(c.Devices[0].Key, o.ID)}})
	}},
	{"several by a device", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		return byDevice(c, 0, ledger.EnrolDevices{Possessions: []*ledger.Possession{c.Possession(simtest.Key("new"), d.ID)}})
	}},
	{"several with one forged proof", ledger.CodeBadPossession, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return by(c, 0, ledger.EnrolDevices{Possessions: []*ledger.Possession{
			c.Possession(simtest.Key("new"), o.ID), forgedPossession(t, c, o.ID), c.Possession(simtest.Key("newer"), o.ID)}})
	}},
	{"grant on an unknown stream", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		g := readGrant(c)
		g.Stream = crypto.ID{7}
		return by(c, 0, g)
	}},
	{"grant by another", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, readGrant(c))
	}},
	{"grant by the device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, readGrant(c))
	}},
	{"grant to nobody", ledger.CodeNotFound, func(t *testing.T, c *simtest.Chain) []byte {
		g := readGrant(c)
		g.Grantee = c.Bridges[0].ID
		return by(c, 0, g)
	}},
	{"grant to a retired device", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 1, ledger.Retire{Device: c.Devices[1].ID}))
		g := readGrant(c)
		g.Grantee = c.Devices[1].ID
		return by(c, 0, g)
	}},
	{"grant that is past", ledger.CodeGrantExpired, func(t *testing.T, c *simtest.Chain) []byte {
		g := readGrant(c)
		g.Until = c.Time + simtest.BlockTime
		return by(c, 0, g)
	}},
	{"one grant too many", ledger.CodeTooMany, func(t *testing.T, c *simtest.Chain) []byte {
		g := readGrant(c)
		for i := range ledger.MaxGrants {
			g.Purpose = fmt.Sprint(i)
			apply(t, c, by(c, 0, g))
		}
		g.Purpose = "one more"
		return by(c, 0, g)
	}},
	{"revocation of nothing", ledger.CodeUnknownGrant, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.Revoke{Grant: crypto.ID{7}})
	}},
	{"revocation by the grantee", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Revoke{Grant: granted(t, c, nil)})
	}},
	{"revoked twice", ledger.CodeGrantRevoked, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, nil)
		apply(t, c, by(c, 0, ledger.Revoke{Grant: id}))
		return by(c, 0, ledger.Revoke{Grant: id})
	}},
	{"delivery under no grant", ledger.CodeUnknownGrant, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Deliver{Grant: crypto.ID{7}, First: 1, Last: 1})
	}},
	{"delivery to another", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.Deliver{Grant: granted(t, c, nil), First: 1, Last: 1})
	}},
	{"delivery to another device", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, ledger.Deliver{Grant: granted(t, c, nil), First: 1, Last: 1})
	}},
	{"delivery after revocation", ledger.CodeGrantRevoked, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, nil)
		apply(t, c, by(c, 0, ledger.Revoke{Grant: id}))
		return by(c, 1, ledger.Deliver{Grant: id, First: 1, Last: 1})
	}},
	{"delivery after expiry", ledger.CodeGrantExpired, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, func(g *ledger.Grant) { g.Until = c.Time + 2*simtest.BlockTime })
		return by(c, 1, ledger.Deliver{Grant: id, First: 1, Last: 1})
	}},
	{"delivery before the grant begins", ledger.CodeGrantExpired, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, func(g *ledger.Grant) { g.From = c.Time + 2*simtest.BlockTime + 1 })
		return by(c, 1, ledger.Deliver{Grant: id, First: 1, Last: 1})
	}},
	{"delivery beyond the grant", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.Deliver{Grant: granted(t, c, nil), First: 10, Last: 11})
	}},
	{"delivery from before the grant", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, func(g *ledger.Grant) { g.First = 2 })
		return by(c, 1, ledger.Deliver{Grant: id, First: 1, Last: 3})
	}},
	{"delivery beyond the mark", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		return by(c, 1, ledger.Deliver{Grant: id, First: 20, Last: 21})
	}},
	{"delivery of what has a gap", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		apply(t, c, c.Batch(c.Streams[0].At(22, 1)))
		return by(c, 1, ledger.Deliver{Grant: id, First: 20, Last: 22})
	}},
	{"device given away by one alone", ledger.CodeNeedsProposal, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID})
	}},
	{"device taken by one alone", ledger.CodeNeedsProposal, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID})
	}},
	{"device given away by itself", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID})
	}},
	{"unknown device given away", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferDevice{Device: crypto.ID{7}, To: c.Organisations[1].ID})
	}},
	{"device given to nobody", ledger.CodeUnknownOrganisation, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Devices[1].ID})
	}},
	{"device given to its owner", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[0].ID})
	}},
	{"device given to a suspended organisation", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		suspend(t, c, c.Organisations[1])
		return by(c, 0, ledger.TransferDevice{Device: c.Devices[0].ID, To: c.Organisations[1].ID})
	}},
	{"stream sold by one alone", ledger.CodeNeedsProposal, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferStream{Stream: c.Streams[0].ID, To: c.Organisations[1].ID})
	}},
	{"stream sold by its device", ledger.CodeNotOwner, func(t *testing.T, c *simtest.Chain) []byte {
		return byDevice(c, 0, ledger.TransferStream{Stream: c.Streams[0].ID, To: c.Organisations[1].ID})
	}},
	{"unknown stream sold", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferStream{Stream: crypto.ID{7}, To: c.Organisations[1].ID})
	}},
	{"stream sold to its owner", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 0, ledger.TransferStream{Stream: c.Streams[0].ID, To: c.Organisations[0].ID})
	}},
	{"evidence of an unknown key", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Organisations[0].NewDevice(c, "stranger").NewStream("s")
		return by(c, 1, evidence(t, s.At(1, 2), s.At(1, 1)))
	}},
	{"evidence that the key did not sign", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, evidence(t, c.Streams[0].At(1, 2), broken(c.Streams[0].At(1, 1))))
	}},
	{"evidence whose first statement the key did not sign", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		return by(c, 1, evidence(t, broken(c.Streams[0].At(1, 2)), c.Streams[0].At(1, 1)))
	}},
	{"evidence of an unknown stream", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Devices[0].NewStream("not opened")
		return by(c, 1, evidence(t, s.At(1, 2), s.At(1, 1)))
	}},
	{"evidence of another's stream", ledger.CodeWrongDevice, func(t *testing.T, c *simtest.Chain) []byte {
		s := *c.Streams[0]
		s.Device = c.Devices[1]
		return by(c, 1, evidence(t, s.At(1, 2), s.At(1, 1)))
	}},
	{"evidence twice", ledger.CodeExists, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 1, contradiction(t, c)))
		return by(c, 0, evidence(t, c.Streams[1].At(7, 2), c.Streams[1].At(8, 2)))
	}},
}

// derive signs the next reading of a stream of device 1 with one input.
func derive(c *simtest.Chain, first uint64, in ledger.Input) []byte {
	s := c.Streams[3]
	return c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: first,
		Readings: make([]ledger.Reading, 1), Inputs: []ledger.Input{in}})
}

func inputOf(s *simtest.Stream, first, last uint64) ledger.Input {
	return ledger.Input{Stream: s.ID, First: first, Last: last, Digest: [32]byte{1}}
}

// derivedCases are statementCases for derived statements.
var derivedCases = []codeCase{
	{"derived from nothing", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		return derive(c, 1, ledger.Input{Stream: crypto.ID{7}, First: 1, Last: 1})
	}},
	{"derived without a grant", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, c.Batch(c.Streams[0].At(1, 20)))
		return derive(c, 1, inputOf(c.Streams[0], 1, 1))
	}},
	{"derived with the right to read", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Rights = ledger.RightRead })
		return derive(c, 1, inputOf(c.Streams[0], 1, 1))
	}},
	{"derived beyond the grant", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, nil)
		return derive(c, 1, inputOf(c.Streams[0], 10, 11))
	}},
	{"derived after revocation", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		id := granted(t, c, nil)
		apply(t, c, by(c, 0, ledger.Revoke{Grant: id}))
		return derive(c, 1, inputOf(c.Streams[0], 1, 1))
	}},
	{"derived after expiry", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Until = c.Time + 2*simtest.BlockTime })
		return derive(c, 1, inputOf(c.Streams[0], 1, 1))
	}},
	{"derived from what is not there yet", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		return derive(c, 1, inputOf(c.Streams[0], 20, 21))
	}},
	{"derived from a gap", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		apply(t, c, c.Batch(c.Streams[0].At(30, 1)))
		return derive(c, 1, inputOf(c.Streams[0], 23, 27))
	}},
	{"derived from what begins in a gap", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		apply(t, c, c.Batch(c.Streams[0].At(30, 2)))
		return derive(c, 1, inputOf(c.Streams[0], 29, 31))
	}},
	{"derived from what ends in a gap", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		apply(t, c, c.Batch(c.Streams[0].At(30, 1)))
		return derive(c, 1, inputOf(c.Streams[0], 19, 21))
	}},
	{"derived across gaps", ledger.CodeOutOfRange, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, func(g *ledger.Grant) { g.Last = 0 })
		apply(t, c, c.Batch(c.Streams[0].At(22, 1), c.Streams[0].At(24, 1)))
		return derive(c, 1, inputOf(c.Streams[0], 20, 24))
	}},
	{"derived from the right and the wrong", ledger.CodeNoGrant, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, nil)
		apply(t, c, c.Batch(c.Streams[1].At(1, 1)))
		s := c.Streams[3]
		return c.SignStatement(s.Device.Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1, Readings: make([]ledger.Reading, 1),
			Inputs: []ledger.Input{inputOf(c.Streams[0], 1, 1), inputOf(c.Streams[1], 1, 1)}})
	}},
	{"derived, a used number", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		granted(t, c, nil)
		apply(t, c, c.Batch(derive(c, 1, inputOf(c.Streams[0], 1, 1))))
		return derive(c, 1, inputOf(c.Streams[0], 1, 2))
	}},
	{"stream closed by its owner", ledger.CodeClosed, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, ledger.CloseStream{Stream: c.Streams[0].ID}))
		return c.Streams[0].At(1, 1)
	}},
	{"key compromised", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		apply(t, c, by(c, 0, compromised(c, 2)))
		return c.Streams[0].At(1, 1)
	}},
}
