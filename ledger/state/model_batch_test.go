package state_test

import (
	"bytes"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// batch draws a batch of statements.
func (m *model) batch(t *rapid.T) []byte {
	likely := where(m.cast.bridges, func(id crypto.ID) bool {
		s, known := m.n.signers[id]
		return known && s.code == ledger.CodeOK
	})
	bridge := usually(t, "bridge", likely, m.cast.bridges)
	key, chain, forged := m.signer(t, bridge), m.c.ID, false
	if odd(t, 16, "fault of the batch") {
		switch rapid.IntRange(0, 3).Draw(t, "which fault") {
		case 0:
			key = one(t, "wrong key", m.allKeys())
		case 1:
			chain = "another"
		case 2:
			forged = true
		case 3:
			key = one(t, "any key", append(m.keysOf(bridge, false), key))
		}
	}
	var raws [][]byte
	for range rapid.IntRange(1, 5).Draw(t, "statements") {
		raws = append(raws, m.statement(t))
	}
	b, err := ledger.SignBatch(key, chain, bridge, 1, m.n.time, raws)
	if err != nil {
		t.Fatal(err)
	}
	raw := bytes.Clone(b.Bytes())
	if forged {
		raw[len(raw)-1] ^= 1
	}
	return raw
}

// statement draws a statement: mostly one that is accepted.
func (m *model) statement(t *rapid.T) []byte {
	id := usually(t, "stream", m.reporting(), m.cast.streams)
	s := ledger.Statement{Device: m.deviceOf(id), Stream: id, First: m.drawFirst(t, id)}
	size := one(t, "size", []int{8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 28_000})
	for i := range rapid.IntRange(1, 3).Draw(t, "readings") {
		content := fmt.Appendf(make([]byte, 0, size), "%d %d", m.n.height, i)
		s.Readings = append(s.Readings, ledger.Reading{Time: m.drawTime(t), Content: content[:size/(i+1)]})
	}
	if last := uint64(ledger.MaxNumber) - uint64(len(s.Readings)) + 1; s.First > last {
		s.First = last
	}
	if odd(t, 3, "derived") {
		for range rapid.IntRange(1, 2).Draw(t, "inputs") {
			s.Inputs = append(s.Inputs, m.input(t, s.Device))
		}
	}
	key, broken := m.signer(t, s.Device), false
	if odd(t, 10, "fault of the statement") {
		switch rapid.IntRange(0, 6).Draw(t, "which fault") {
		case 0:
			key = one(t, "wrong key", m.allKeys())
		case 1:
			key = one(t, "any key", append(m.keysOf(s.Device, false), key))
		case 2:
			broken = true
		case 3:
			s.Device = one(t, "another device", m.cast.devices)
		case 4:
			return []byte("garbage")
		case 5:
			return make([]byte, ledger.MaxStatement+1)
		case 6:
			return m.committedForm(key, s)
		}
	}
	raw := bytes.Clone(m.c.SignStatement(key, s))
	if broken {
		raw[len(raw)-1] ^= 1
	}
	return raw
}

// reporting are the streams that take statements in this block.
func (m *model) reporting() []crypto.ID {
	return where(m.openStreams(), func(id crypto.ID) bool {
		s, known := m.n.signers[m.n.streams[id].device]
		return known && s.code == ledger.CodeOK && len(m.keysOf(m.n.streams[id].device, true)) > 0
	})
}

func (m *model) deviceOf(stream crypto.ID) crypto.ID {
	return m.cast.devices[slices.Index(m.cast.streams, stream)/len(castStreams)]
}

// drawFirst draws a number that is next, ahead, within a gap or used.
func (m *model) drawFirst(t *rapid.T, id crypto.ID) uint64 {
	s := m.n.streams[id]
	if s == nil {
		return 1
	}
	mark, gaps := s.mark(), s.gaps()
	switch rapid.IntRange(0, 7).Draw(t, "number") {
	case 4, 5:
		return mark + rapid.Uint64Range(1, 6).Draw(t, "ahead")
	case 6:
		if len(gaps) > 0 {
			gap := one(t, "gap", gaps)
			return rapid.Uint64Range(gap[0], min(gap[1], gap[0]+4)).Draw(t, "within")
		}
	case 7:
		if odd(t, 30, "end") {
			return ledger.MaxNumber
		}
		return rapid.Uint64Range(1, mark+1).Draw(t, "any")
	}
	return mark + 1
}

// drawTime draws a declared time: none, now, or at the edge of what may be.
func (m *model) drawTime(t *rapid.T) int64 {
	if !odd(t, 24, "edge") {
		return one(t, "time", []int64{0, m.n.time, -1})
	}
	edge := m.n.time + int64(m.n.parameter(ledger.ParameterClockAhead))*1_000_000
	return edge + one(t, "beside", []int64{0, 1})
}

// input draws readings that a statement was computed from.
func (m *model) input(t *rapid.T, device crypto.ID) ledger.Input {
	likely := where(m.cast.streams, func(id crypto.ID) bool {
		s := m.n.streams[id]
		if s == nil || len(s.used) == 0 {
			return false
		}
		given := slices.ContainsFunc(m.n.grants, func(g *naiveGrant) bool {
			return g.Stream == id && (g.Grantee == device || m.n.owns(g.Grantee, device))
		})
		return given || m.n.owns(m.streamOwner(id), device) || odd(t, 20, "without a grant")
	})
	in := ledger.Input{Stream: usually(t, "input", likely, m.cast.streams), First: 1, Last: 1, Digest: [32]byte{7}}
	if s := m.n.streams[in.Stream]; s != nil && s.mark() > 0 {
		in.First = rapid.Uint64Range(1, min(s.mark(), 12)).Draw(t, "input first")
		in.Last = min(in.First+rapid.Uint64Range(0, 2).Draw(t, "more"), max(s.mark(), in.First))
	}
	if odd(t, 12, "beyond") {
		in.Last += 3
	}
	in.Last = min(in.Last, ledger.MaxNumber)
	return in
}

// committedForm is a statement in the reserved form.
func (m *model) committedForm(key crypto.PrivateKey, s ledger.Statement) []byte {
	b := dcbor.AppendUint(dcbor.AppendUint(dcbor.AppendArray(nil, 7), 2), s.First)
	b = dcbor.AppendUint(dcbor.AppendUint(b, 42), 1)
	b = dcbor.AppendBytes(dcbor.AppendInt(dcbor.AppendInt(b, 0), 0), make([]byte, 32))
	h := crypto.Header{ContentFormat: ledger.FormatStatement, HasClaims: true, Issuer: s.Device, Subject: s.Stream}
	return crypto.NewSign1(key, h, b).Bytes()
}
