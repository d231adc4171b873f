package mqttbridge

import (
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// kept waits until n messages are kept for later.
func (r *running) kept(n int) {
	r.t.Helper()
	eventually(r.t, "kept for later", func() bool { _, k := r.queue.size(); return k == n })
}

// TestLookupBeside: while the ledger is asked for a key, messages whose keys are known
// go on; those that wait for it stay in order.
func TestLookupBeside(t *testing.T) {
	d, late := newDevice(1), newDevice(2)
	f := newFake(bridgeKey.Public(), d, late)
	answer := make(chan struct{})
	f.onKey = func(id crypto.ID) error {
		if id == late.id {
			<-answer
		}
		return nil
	}
	r := start(t, testConfig(t, f))
	const n = 200
	for i := range n {
		r.ingest(late.topic(), late.statement(t, uint64(i+1), 1))
		r.ingest(d.topic(), d.statement(t, uint64(i+1), 1))
	}
	eventually(t, "those that are known", func() bool { return r.Counts().Committed == n })
	if c := r.Counts(); c != (Counts{Received: 2 * n, Committed: n, Spooled: n}) {
		t.Fatalf("%+v", c)
	}
	close(answer)
	for i := n; i < 2*n; i++ {
		r.ingest(late.topic(), late.statement(t, uint64(i+1), 1))
	}
	if c := r.settled(); c.Committed != 3*n {
		t.Fatalf("%+v", c)
	}
	inOrder(t, f, []device{late}, 2*n)
}

// TestRefusalRemembered: many messages of an unknown device cost one question.
func TestRefusalRemembered(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public())
	cfg := testConfig(t, f)
	cfg.RetryMin, cfg.RetryMax = time.Minute, time.Minute
	r := start(t, cfg)
	const n = 100
	for i := range n {
		r.ingest(d.topic(), d.statement(t, uint64(i+1), 1))
	}
	r.kept(n)
	f.set(func(f *fakeLedger) {
		if f.asked != 1 {
			t.Errorf("%d questions", f.asked)
		}
	})
}

// TestRefusalForgotten: refusals are remembered for a time, and not too many.
func TestRefusalForgotten(t *testing.T) {
	k, now := newKeys(10), time.Now()
	d := newDevice(1)
	it := &item{raw: d.statement(t, 1, 1), topic: d.topic()}
	if err := it.parse(); err != nil {
		t.Fatal(err)
	}
	n := keyName{d.id, it.statement.KeyID()}
	k.refuse(n, ledger.CodeUnknownKey.Err(), now.Add(time.Second))
	for i := range maxRefusals {
		k.refuse(keyName{device: crypto.ID{byte(i), byte(i >> 8)}}, ledger.CodeUnknownKey.Err(), now)
		if len(k.refused) > maxRefusals {
			t.Fatalf("%d refusals", len(k.refused))
		}
	}
	k.refuse(n, ledger.CodeUnknownKey.Err(), now.Add(time.Second))
	if _, refused, _ := k.sort([]*item{it}, now.Add(time.Second-1)); len(refused) != 1 || it.retry.code != ledger.CodeUnknownKey {
		t.Fatal("the refusal is forgotten")
	}
	if _, _, ask := k.sort([]*item{it}, now.Add(time.Second)); len(ask) != 1 || ask[0] != n {
		t.Fatal("the refusal is not forgotten")
	}
}

// TestKeyOverloaded: a node that has no time has not refused a key.
func TestKeyOverloaded(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	f.onKey = func(crypto.ID) error { return ledger.CodeOverloaded.Err() }
	r := start(t, testConfig(t, f))
	r.ingest(d.topic(), d.statement(t, 1, 1))
	eventually(t, "trouble", func() bool { return ledger.CodeOf(r.Ready()) == ledger.CodeOverloaded })
	f.set(func(f *fakeLedger) { f.onKey = nil })
	if c := r.settled(); c != (Counts{Received: 1, Committed: 1}) {
		t.Fatalf("%+v", c)
	}
}

// TestRetryDevice: one device has at most maxRetryDevice messages kept for later. It
// is its own oldest that give way, not another device's.
func TestRetryDevice(t *testing.T) {
	quiet, loud := newDevice(1), newDevice(2)
	cfg := testConfig(t, newFake(bridgeKey.Public()))
	cfg.MaxRetrying, cfg.RetryMin, cfg.RetryMax = maxRetryDevice+1, time.Hour, time.Hour
	r := start(t, cfg)
	r.ingest(quiet.topic(), quiet.statement(t, 1, 1))
	r.kept(1)
	for i := range maxRetryDevice {
		r.ingest(loud.topic(), loud.statement(t, uint64(i+1), 1))
	}
	r.kept(maxRetryDevice + 1)
	const more = maxRetryDevice / 16
	for i := range 2 * more {
		r.ingest(loud.topic(), loud.statement(t, uint64(maxRetryDevice+i+1), 1))
	}
	eventually(t, "the rest", func() bool {
		items, retrying := r.queue.size()
		return items == retrying && r.Counts().DeadLettered >= more
	})
	list, err := r.DeadLetters(1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range list {
		if l.Topic != loud.topic() || l.Reason != ledger.CodeUnknownDevice || string(l.Payload) != string(loud.statement(t, uint64(i+1), 1)) {
			t.Fatalf("dead letter %d of %d: %v on %s", i, len(list), l.Reason, l.Topic)
		}
	}
	if n := len(list); n > 2*more+more {
		t.Fatalf("%d gave way to %d", n, 2*more)
	}
}
