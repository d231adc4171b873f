package mqttbridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// TestLedgerFaults: whatever the ledger does, everything is decided rightly in the
// end, in the order of each stream unless it was lost on the way.
func TestLedgerFaults(t *testing.T) {
	rng := newRand(t)
	chance := func(percent int) bool { return rng.IntN(100) < percent } // with f.mu held
	for name, fault := range map[string]func(f *fakeLedger){
		"none":  func(f *fakeLedger) {},
		"slow":  func(f *fakeLedger) { f.delay = 30 * time.Millisecond },
		"late":  func(f *fakeLedger) { f.delay = 250 * time.Millisecond }, // after ResubmitAfter
		"loses": func(f *fakeLedger) { f.lose = func() bool { return chance(20) } },
		"overloaded": func(f *fakeLedger) {
			f.onTx = func(*ledger.Batch) error { return codeIf(chance(50), ledger.CodeOverloaded) }
		},
		"unreachable": func(f *fakeLedger) { f.fail = func() error { return errIf(chance(20)) } },
		"gaps": func(f *fakeLedger) {
			f.judge = func(*ledger.Statement) ledger.Code {
				if chance(20) {
					return ledger.CodeTooManyGaps
				}
				return ledger.CodeOK
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			devices := []device{newDevice(1), newDevice(2), newDevice(3)}
			f := newFake(bridgeKey.Public(), devices...)
			fault(f)
			cfg := testConfig(t, f)
			cfg.Window = 8
			r := start(t, cfg)
			const each = 100
			var wg sync.WaitGroup
			for _, d := range devices {
				wg.Go(func() {
					for i := range each {
						r.ingest(d.topic(), d.statement(t, uint64(i+1), 1))
						balanced(t, r.Counts())
					}
				})
			}
			wg.Wait()
			c := r.settled()
			if c.Committed+c.Duplicate != 3*each || f.accepted() != 3*each {
				t.Fatalf("%+v, ledger has %d", c, f.accepted())
			}
			if name == "none" {
				inOrder(t, f, devices, each) // nothing was lost
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func inOrder(t *testing.T, f *fakeLedger, devices []device, n int) {
	t.Helper()
	for _, d := range devices {
		last := uint64(0)
		for i := range n {
			found := f.used[d.stream][uint64(i+1)]
			if found.Index < last {
				t.Fatalf("stream %v: number %d has index %d, after %d", d.stream, i+1, found.Index, last)
			}
			last = found.Index
		}
	}
}

func codeIf(yes bool, c ledger.Code) error {
	if yes {
		return c.Err()
	}
	return nil
}

func errIf(yes bool) error {
	if yes {
		return errUnreachable
	}
	return nil
}

// witness records what devices are told over several lives of a bridge.
type witness struct {
	mu   sync.Mutex
	told map[[32]byte]ledger.Outcome
	bad  error
}

func (w *witness) Subscribed(string) bool { return true }

func (w *witness) Publish(topic string, payload []byte) error {
	a, err := ledger.ParseAcknowledgement(payload)
	if err != nil {
		return nil // data
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range a.Outcomes {
		if before, again := w.told[o.Digest]; again && before != o {
			w.bad = fmt.Errorf("told %+v, then %+v", before, o)
		}
		w.told[o.Digest] = o
	}
	return nil
}

// TestCrashes cuts the power of the bridge at random moments and operations, over
// and over, while devices send. What was PUBACKed is in the ledger in the end,
// once; no device is told two things; the accounts balance at every start.
func TestCrashes(t *testing.T) {
	rng := newRand(t)
	devices := []device{newDevice(1), newDevice(2)}
	f := newFake(bridgeKey.Public(), devices...)
	f.delay = 3 * time.Millisecond
	w := &witness{told: map[[32]byte]ledger.Outcome{}}
	var acked []ack
	fsys := disk.NewCrash()
	next := []uint64{1, 1}
	for range 25 {
		fsys.CrashAt(fsys.Steps()+1+rng.IntN(40), disk.Faults[rng.IntN(len(disk.Faults))])
		acked = append(acked, life(t, rng, f, fsys, w, devices, next)...)
		fsys = fsys.Restart()
	}
	cfg := testConfig(t, f)
	cfg.FS = fsys
	r := startWith(t, cfg, w)
	c := r.settled()
	if c.Received < uint64(len(acked)) {
		t.Fatalf("received %d, PUBACKed %d", c.Received, len(acked))
	}
	for _, a := range acked {
		if found := f.used[a.stream][a.number]; found == nil || string(found.Statement) != string(a.raw) {
			t.Fatalf("lost: number %d of stream %v", a.number, a.stream)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if w.bad != nil {
		t.Fatal(w.bad)
	}
	if len(acked) < 25 {
		t.Fatalf("only %d messages were PUBACKed: the test tests too little", len(acked))
	}
}

// ack is a message that was PUBACKed.
type ack struct {
	stream crypto.ID
	number uint64
	raw    []byte
}

// life runs a bridge until its disk crashes, and returns what it PUBACKed.
func life(t *testing.T, rng *rand.Rand, f *fakeLedger, fsys *disk.Crash, w *witness, devices []device, next []uint64) (acked []ack) {
	cfg := testConfig(t, f)
	cfg.FS = fsys
	b, err := New(cfg)
	if err != nil {
		return nil // crashed while opening
	}
	balanced(t, b.Counts())
	b.answers.sink = w
	r := run(t, b)
	for !fsys.Crashed() {
		i := rng.IntN(len(devices))
		d := devices[i]
		raw := d.statement(t, next[i], 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := b.Ingest(ctx, d.topic(), raw)
		cancel()
		if err != nil {
			break // not PUBACKed: the device sends it again, to the next life
		}
		acked = append(acked, ack{d.stream, next[i], raw})
		next[i]++
		balanced(t, b.Counts())
	}
	r.stop() // its error is the crash's
	return acked
}
