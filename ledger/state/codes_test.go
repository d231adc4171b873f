package state_test

import (
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

func newChain(t simtest.TB) *simtest.Chain {
	t.Helper()
	return simtest.New(t, simtest.Config{Organisations: 2, Devices: 1, Streams: 2})
}

// set changes rows behind the rules' back.
func set(t *testing.T, c *simtest.Chain, k merkle.Key, value []byte) {
	t.Helper()
	if err := c.Store.Commit([]merkle.Change{{Key: k, Value: value}}, nil); err != nil {
		t.Fatal(err)
	}
}

// statementCases give for each code a statement that is refused with it.
var statementCases = []codeCase{
	{"garbage", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return []byte("garbage")
	}},
	{"empty", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return nil
	}},
	{"an operation", ledger.CodeMalformed, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].Enrol()
	}},
	{"beyond the size", ledger.CodeTooLarge, func(t *testing.T, c *simtest.Chain) []byte {
		return make([]byte, ledger.MaxStatement+1)
	}},
	{"by another key", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		raw := c.Streams[0].At(1, 1)
		raw[len(raw)-1] ^= 1
		return raw
	}},
	{"changed after signing", ledger.CodeBadSignature, func(t *testing.T, c *simtest.Chain) []byte {
		raw := c.Streams[0].At(1, 1)
		raw[len(raw)-67] ^= 1 // the last byte of the last content
		return raw
	}},
	{"device not enrolled", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Organisations[0].NewDevice(c, "stranger").NewStream("s").At(1, 1)
	}},
	{"organisation as device", ledger.CodeUnknownDevice, func(t *testing.T, c *simtest.Chain) []byte {
		o := c.Organisations[0]
		return c.SignStatement(o.Key, ledger.Statement{Device: o.ID, Stream: c.Streams[0].ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key of nobody", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		return c.SignStatement(simtest.Key("nobody"), ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key of another device", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		return c.SignStatement(c.Devices[1].Key, ledger.Statement{Device: s.Device.ID, Stream: s.ID, First: 1, Readings: make([]ledger.Reading, 1)})
	}},
	{"key opens next block", ledger.CodeUnknownKey, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Devices[0].Key.Public()
		set(t, c, record.KeyRow(c.Devices[0].ID, key.KeyID()), record.Key{Public: key, Opens: c.Height + 2}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"key closed", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		key := c.Devices[0].Key.Public()
		set(t, c, record.KeyRow(c.Devices[0].ID, key.KeyID()), record.Key{Public: key, Opens: 1, Closes: c.Height + 1}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"device suspended", ledger.CodeSuspended, func(t *testing.T, c *simtest.Chain) []byte {
		d := c.Devices[0]
		set(t, c, record.DeviceRow(d.ID, c.Height+1), record.Device{Organisation: d.Organisation.ID, Status: record.StatusSuspended}.Encode())
		return c.Streams[0].At(1, 1)
	}},
	{"device retired", ledger.CodeRetired, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, ledger.Retire{Device: c.Devices[0].ID}))
		return c.Streams[0].At(1, 1)
	}},
	{"key replaced at once", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", 0)))
		return c.Streams[0].At(1, 1)
	}},
	{"key replaced, drained", ledger.CodeKeyClosed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(byOwner(c, rotation(c, "new", c.Height+3)))
		c.Block()
		return c.Streams[0].At(1, 1)
	}},
	{"stream not opened", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Devices[0].NewStream("closed").At(1, 1)
	}},
	{"stream of another chain", ledger.CodeUnknownStream, func(t *testing.T, c *simtest.Chain) []byte {
		s := *c.Streams[0]
		s.ID = ledger.StreamID("other", s.Device.ID, s.Name)
		return s.At(1, 1)
	}},
	{"stream of another device", ledger.CodeWrongDevice, func(t *testing.T, c *simtest.Chain) []byte {
		s := *c.Streams[0]
		s.Device = c.Devices[1]
		return s.At(1, 1)
	}},
	{"stream closed", ledger.CodeClosed, func(t *testing.T, c *simtest.Chain) []byte {
		s := c.Streams[0]
		set(t, c, record.StreamRow(s.ID), record.StreamHead{Device: s.Device.ID, Status: record.StatusRetired}.Encode())
		return s.At(1, 1)
	}},
	{"clock ahead", ledger.CodeClockAhead, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].Sign(1, ledger.Reading{Time: c.Time + simtest.BlockTime + ledger.MaxClockAhead*1e6 + 1})
	}},
	{"clock ahead in the middle", ledger.CodeClockAhead, func(t *testing.T, c *simtest.Chain) []byte {
		return c.Streams[0].Sign(1, ledger.Reading{Time: c.Time}, ledger.Reading{Time: 1 << 62}, ledger.Reading{Time: c.Time})
	}},
	{"committed form", ledger.CodeCommittedDisabled, func(t *testing.T, c *simtest.Chain) []byte {
		return committedForm(c.Streams[0])
	}},
	{"used", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 3)))
		return c.Streams[0].At(3, 2)
	}},
	{"used: the same again", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 3)))
		return c.Streams[0].At(1, 3)
	}},
	{"used: over both ends of a gap", ledger.CodeUsed, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(1, 1), c.Streams[0].At(4, 1)))
		return c.Streams[0].At(2, 3)
	}},
	{"too many gaps ahead", ledger.CodeTooManyGaps, func(t *testing.T, c *simtest.Chain) []byte {
		c.Streams[0].Number = gaps(t, c, ledger.MaxOpenGaps)
		return c.Streams[0].At(c.Streams[0].Number+1, 1)
	}},
	{"too many gaps inside", ledger.CodeTooManyGaps, func(t *testing.T, c *simtest.Chain) []byte {
		c.Block(c.Batch(c.Streams[0].At(4, 1)))
		gaps(t, c, ledger.MaxOpenGaps)
		return c.Streams[0].At(2, 1)
	}},
}

// gaps opens gaps of one number until stream 0 has n of them, and returns the number above
// its mark.
func gaps(t *testing.T, c *simtest.Chain, n uint64) uint64 {
	t.Helper()
	head := streamHead(t, c, c.Streams[0].ID)
	var raws [][]byte
	number := head.Mark + 2
	for range n - head.Gaps {
		raws = append(raws, c.Streams[0].At(number, 1))
		number += 2
	}
	b := c.Block(c.Batch(raws...))
	if len(b.Results[0].Indexes) != len(raws) {
		t.Fatalf("%d of %d statements accepted", len(b.Results[0].Indexes), len(raws))
	}
	return number - 1
}

func streamHead(t *testing.T, c *simtest.Chain, id crypto.ID) record.StreamHead {
	t.Helper()
	value, err := c.Store.Get(record.StreamRow(id))
	if err != nil {
		t.Fatal(err)
	}
	head, err := record.ParseStreamHead(value)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func committedForm(s *simtest.Stream) []byte {
	b := dcbor.AppendArray(nil, 7)
	b = dcbor.AppendUint(b, 2)
	b = dcbor.AppendUint(b, 1)
	b = dcbor.AppendUint(b, 0)
	b = dcbor.AppendUint(b, 3)
	b = dcbor.AppendInt(b, 0)
	b = dcbor.AppendInt(b, 0)
	b = dcbor.AppendBytes(b, make([]byte, 32))
	h := crypto.Header{ContentFormat: ledger.FormatStatement, HasClaims: true, Issuer: s.Device.ID, Subject: s.ID}
	return crypto.NewSign1(s.Device.Key, h, b).Bytes()
}

// TestStatementCodes: each bad statement has its code, and between two good ones of
// another stream disturbs neither.
func TestStatementCodes(t *testing.T) {
	for _, tc := range slices.Concat(statementCases, derivedCases) {
		t.Run(tc.name, func(t *testing.T) {
			c := newChain(t)
			bad := tc.make(t, c)
			good := c.Streams[2] // of another device
			size := c.Store.LogSize()
			b := c.Block(c.Batch(good.Next(1), bad, good.Next(2)))
			r := b.Results[0]
			if r.Code != ledger.CodeOK || len(r.Codes) != 3 || r.Codes[1] != tc.code {
				t.Fatalf("result %v %v, want the second code to be %v", r.Code, r.Codes, tc.code)
			}
			if r.Codes[0] != ledger.CodeOK || r.Codes[2] != ledger.CodeOK {
				t.Errorf("good statements were disturbed: %v", r.Codes)
			}
			if len(r.Indexes) != 2 || r.Indexes[0] != size || r.Indexes[1] != size+1 || c.Store.LogSize() != size+2 {
				t.Errorf("indexes %v of a log of %d, was %d", r.Indexes, c.Store.LogSize(), size)
			}
			if len(b.Changes) != 2 { // the head of the good stream and the block's row
				t.Errorf("%d rows changed, want 2", len(b.Changes))
			}
		})
	}
}

// TestEveryCode: every code that the rules give out is in one of the tables.
func TestEveryCode(t *testing.T) {
	notHere := map[ledger.Code]string{
		ledger.CodeOK:         "not a refusal",
		ledger.CodeQuota:      "no quotas yet",
		ledger.CodePruned:     "queries only",
		ledger.CodeOverloaded: "pools only",
		ledger.CodeBadKey:     "parsing only",

		ledger.CodeInputsDisabled:   "not given out any more",
		ledger.CodeNotEquivocation:  "parsing only",
		ledger.CodeProposalClosed:   "proposals only",
		ledger.CodeAlreadyApproved:  "proposals only",
		ledger.CodeUnknownProposal:  "proposals only",
		ledger.CodeNotMember:        "votes only",
		ledger.CodeUnknownValidator: "votes only",
		ledger.CodeBadParameter:     "votes only",
	}
	seen := make(map[ledger.Code]bool)
	for _, c := range slices.Concat(statementCases, derivedCases, txCases, ownershipCases) {
		seen[c.code] = true
	}
	for code := ledger.CodeOK; code <= ledger.CodeBadParameter; code++ {
		if _, ok := notHere[code]; ok == seen[code] {
			t.Errorf("%v: tested %v", code, seen[code])
		}
	}
}

// TestLimits: what stands exactly at a limit is accepted.
func TestLimits(t *testing.T) {
	c := newChain(t)
	s := c.Streams[0]
	accept := func(name string, tx []byte) {
		t.Helper()
		r := c.Block(tx).Results[0]
		if r.Code != ledger.CodeOK || len(r.Indexes) == 0 || (len(r.Codes) > 0 && r.Codes[0] != ledger.CodeOK) {
			t.Errorf("%s: %v %v", name, r.Code, r.Codes)
		}
	}
	accept("clock", c.Batch(s.Sign(1, ledger.Reading{Time: c.Time + simtest.BlockTime + ledger.MaxClockAhead*1e6})))
	accept("no clock", c.Batch(s.Sign(2, ledger.Reading{Time: 0})))
	accept("clock before 1970", c.Batch(s.Sign(3, ledger.Reading{Time: -1 << 63})))
	accept("last gap", c.Batch(s.At(gaps(t, c, ledger.MaxOpenGaps-1)+1, 1)))
	if head := streamHead(t, c, s.ID); head.Gaps != ledger.MaxOpenGaps {
		t.Errorf("%d gaps, want %d", head.Gaps, ledger.MaxOpenGaps)
	}
	accept("no new gap", c.Batch(s.At(4, 1)))
	accept("last number", c.Batch(s.At(ledger.MaxNumber, 1)))
	now := (c.Time + simtest.BlockTime) / 1e6
	accept("last second", notAfter(c, now))
	c2 := newChain(t)
	accept2 := c2.Block(notAfter(c2, (c2.Time+simtest.BlockTime)/1e6+ledger.MaxNotAfter)).Results[0]
	if accept2.Code != ledger.CodeOK {
		t.Errorf("not_after at its limit: %v", accept2.Code)
	}
}

// TestWrongVerdicts: verdicts that do not fit the transaction accept nothing.
func TestWrongVerdicts(t *testing.T) {
	c := newChain(t)
	for _, raw := range [][]byte{c.Batch(c.Streams[0].At(1, 1)), c.Organisations[0].NewDevice(c, "new").Enrol()} {
		tx, err := ledger.ParseTransaction(raw)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			v := newView(c)
			r := applyTo(v, c, tx, make([]ledger.Code, n))
			if accepted := len(r.Indexes) > 0; accepted != (n == 2) || len(v.Entries()) != len(r.Indexes) {
				t.Errorf("%d verdicts: %v, %d entries", n, r.Code, len(v.Entries()))
			}
		}
	}
}
