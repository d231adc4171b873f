package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mtmledger/app"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestUpgrade: members vote for rules that this program doesn't have. Every node stops
// before the first block with them, at the same height and in the same state, and says
// which version it needs; it doesn't start again. The program with those rules goes on from
// there, and nothing that was committed is lost.
func TestUpgrade(t *testing.T) {
	m := newMembers(t, 4, nil)
	for i := range m.node {
		m.cfg[i].Heartbeat = DefaultHeartbeat // only what is submitted makes blocks
		m.start(i)
	}
	const next = app.Version + 1
	active := m.node[0].height() + 30 // the vote takes a few
	decided := m.agree(ledger.SetParameters{Active: active, Values: []ledger.Parameter{{ID: ledger.ParameterAppVersion, Value: next}}}, 0, 1, 2)
	if decided >= active {
		t.Fatalf("decided at %d, after it was to count", decided)
	}
	committed := m.untilStopped(0)
	if len(committed) == 0 {
		t.Error("nothing was committed after the vote")
	}
	for _, n := range m.node {
		checkOutdated(t, wait(t, n), active, next)
	}
	for i := range m.cfg {
		_, err := Start(t.Context(), m.cfg[i], nil)
		checkOutdated(t, err, active, next)
	}

	for i := range m.node {
		m.cfg[i].version = next
		m.start(i)
	}
	_, res := m.operation(3, ledger.Describe{Subject: m.org[3]})
	if res.Height < active {
		t.Errorf("the new program's first block is %d, before %d", res.Height, active)
	}
	m.agreed(res.Height)
	out := m.ask(2, res.Height, proof.RowQuery(record.ParametersRow(active)))
	p, err := record.ParseParameters(out.Results[0].Rows[0].Value)
	if err != nil || p.AppVersion != next {
		t.Errorf("parameters %+v, %v", p, err)
	}
	for hash, before := range committed {
		after, err := m.node[1].Client().Wait(t.Context(), hash)
		if err != nil || after.Height != before.Height || before.Height >= active {
			t.Errorf("a transaction committed at %d is at %d after the upgrade, %v", before.Height, after.Height, err)
		}
	}
}

// TestUpgradeLateJoiner: a home begun with the new program after the upgrade follows the
// ledger from its first block on, as one begun with the old program does that the upgrade
// has not stopped yet.
func TestUpgradeLateJoiner(t *testing.T) {
	const next = app.Version + 1
	for _, upgraded := range []bool{false, true} {
		t.Run(fmt.Sprint("upgraded=", upgraded), func(t *testing.T) {
			m := newMembers(t, 4, nil)
			early := []int{0, 1, 2}
			for _, i := range early {
				m.start(i)
			}
			_, res := m.operation(0, ledger.Describe{Subject: m.org[0]})
			if upgraded {
				active := m.node[0].height() + 20
				m.agree(ledger.SetParameters{Active: active, Values: []ledger.Parameter{{ID: ledger.ParameterAppVersion, Value: next}}}, early...)
				m.untilStopped(0)
				for _, i := range early {
					checkOutdated(t, wait(t, m.node[i]), active, next)
				}
				for i := range m.cfg {
					m.cfg[i].version = next
				}
				for _, i := range early {
					m.start(i)
				}
				if _, res = m.operation(1, ledger.Describe{Subject: m.org[1]}); res.Height < active {
					t.Fatalf("the new program's first block is %d, before %d", res.Height, active)
				}
			}
			m.start(3)
			m.agreed(res.Height)
			_, res = m.operation(3, ledger.Describe{Subject: m.org[3]})
			m.agreed(res.Height)
		})
	}
}

// untilStopped submits operations at a node until it has ended, and returns those that were
// committed.
func (m *members) untilStopped(i int) map[[32]byte]ledger.TxResult {
	m.t.Helper()
	committed := map[[32]byte]ledger.TxResult{}
	ctx, cancel := context.WithTimeout(m.t.Context(), testTime)
	defer cancel()
	for {
		tx := m.sign(i, ledger.Describe{Subject: m.org[i], Attributes: []ledger.Attribute{{Name: "n", Text: fmt.Sprint(m.tries)}}}).Bytes()
		err := m.node[i].Client().Submit(ctx, tx)
		if err == nil {
			var res ledger.TxResult
			if res, err = m.node[i].Client().Wait(ctx, ledger.TxHash(tx)); err == nil && res.Code == ledger.CodeOK {
				committed[ledger.TxHash(tx)] = res
			}
		}
		if errors.Is(err, ErrStopped) {
			return committed
		}
		if ctx.Err() != nil {
			m.t.Fatal("the node goes on")
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // between tries
		}
	}
}

func checkOutdated(t *testing.T, err error, active, version uint64) {
	t.Helper()
	want := fmt.Sprintf("from height %d on they have version %d, this program has %d; upgrade it", active, version, app.Version)
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}
