package mqttbridge

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// TestBadInput: each kind of bad message becomes a dead letter with its reason and
// raw bytes, the device is told if the statement is its own, and good messages
// around it are committed.
func TestBadInput(t *testing.T) {
	d, other, stranger := newDevice(1), newDevice(2), newDevice(3)
	good := d.statement(t, 1, 2)
	forged := slices.Clone(d.statement(t, 200, 1))
	forged[len(forged)-1] ^= 1
	conflict, err := ledger.SignStatement(d.key, ledger.Statement{
		Device: d.id, Stream: d.stream, First: 2, Readings: []ledger.Reading{{Content: []byte("other")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	clock := d.statement(t, 300, 1)
	for _, c := range []struct {
		name, topic string
		payload     []byte
		reason      ledger.Code
		told        bool
	}{
		{"empty", d.topic(), nil, ledger.CodeMalformed, false},
		{"garbage", d.topic(), []byte("23.5 degrees"), ledger.CodeMalformed, false},
		{"truncated", d.topic(), d.statement(t, 100, 1)[:100], ledger.CodeMalformed, false},
		{"trailing byte", d.topic(), append(d.statement(t, 100, 1), 0), ledger.CodeMalformed, false},
		{"oversized", d.topic(), make([]byte, ledger.MaxStatement+1), ledger.CodeTooLarge, false},
		{"another device's topic", other.topic(), d.statement(t, 100, 1), ledger.CodeWrongDevice, false},
		{"another stream's topic", ledger.UpTopic(d.id, other.stream), d.statement(t, 100, 1), ledger.CodeWrongDevice, false},
		{"no ids in the topic", "mtm/1/up/x/y", d.statement(t, 100, 1), ledger.CodeMalformed, false},
		{"wrong signature", d.topic(), forged, ledger.CodeBadSignature, false},
		{"unknown device", stranger.topic(), stranger.statement(t, 1, 1), ledger.CodeUnknownDevice, false},
		{"number used by another statement", d.topic(), conflict.Bytes(), ledger.CodeUsed, true},
		{"refused by the ledger", d.topic(), clock, ledger.CodeClockAhead, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(bridgeKey.Public(), d, other)
			f.judge = func(s *ledger.Statement) ledger.Code {
				if s.First == 300 {
					return ledger.CodeClockAhead
				}
				return ledger.CodeOK
			}
			cfg := testConfig(t, f)
			cfg.RetryFor = 3 * time.Millisecond
			rec := &recorder{}
			r := startWith(t, cfg, rec)
			r.ingest(d.topic(), good)
			r.settled()
			r.ingest(c.topic, c.payload)
			r.ingest(d.topic(), d.statement(t, 5, 1))
			if n := r.settled(); n != (Counts{Received: 3, Committed: 2, DeadLettered: 1}) {
				t.Fatalf("%+v", n)
			}
			checkLetter(t, r, c.topic, c.payload, c.reason)
			outcomes := 2 // of the good ones
			if c.told {
				outcomes++
			}
			eventually(t, "acknowledgements", func() bool { return len(rec.list()) >= outcomes })
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(rec.list(), func(o ledger.Outcome) bool { return o.Code == c.reason })
			if told != c.told {
				t.Fatalf("device was told: %v, want %v", told, c.told)
			}
		})
	}
}

func checkLetter(t *testing.T, r *running, topic string, payload []byte, reason ledger.Code) {
	t.Helper()
	list, err := r.DeadLetters(10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d dead letters, %v", len(list), err)
	}
	l := list[0]
	if l.Topic != topic || !bytes.Equal(l.Payload, payload) || l.Reason != reason || l.Text == "" || l.Size != len(payload) {
		t.Fatalf("dead letter %v %q on %s, %d bytes; want %v on %s", l.Reason, l.Text, l.Topic, l.Size, reason, topic)
	}
}

// TestUnknownDevice: statements of a device that is enrolled later are committed
// then, without being sent again.
func TestUnknownDevice(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public())
	r := start(t, testConfig(t, f))
	r.ingest(d.topic(), d.statement(t, 1, 1))
	eventually(t, "kept for later", func() bool { _, n := r.queue.size(); return n == 1 })
	f.enrol(d)
	if c := r.settled(); c.Committed != 1 {
		t.Fatalf("%+v", c)
	}
}

// TestRetryTime: a statement for an unknown stream is tried again with growing
// pauses for RetryFor, then given up.
func TestRetryTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(1)
		f := newFake(bridgeKey.Public(), d)
		f.streams[d.stream] = false
		cfg := testConfig(t, f)
		cfg.RetryFor, cfg.RetryMin, cfg.RetryMax = 10*time.Minute, time.Second, 30*time.Second
		rec := &recorder{}
		r := startWith(t, cfg, rec)
		r.ingest(d.topic(), d.statement(t, 1, 1))
		time.Sleep(9 * time.Minute)
		if c := r.Counts(); c.Spooled != 1 {
			t.Fatalf("given up too early: %+v", c)
		}
		time.Sleep(2 * time.Minute)
		if c := r.Counts(); c.DeadLettered != 1 {
			t.Fatalf("not given up: %+v", c)
		}
		// 1+2+4+8+16 s, then every 30 s.
		if n := len(f.batches); n < 20 || n > 26 {
			t.Fatalf("%d attempts", n)
		}
		checkLetter(t, r, d.topic(), d.statement(t, 1, 1), ledger.CodeUnknownStream)
		if acks := rec.list(); len(acks) != 0 {
			t.Fatalf("the device was told %v, though it may pass", acks[0].Code)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRetryBound: beyond MaxRetrying the oldest are given up.
func TestRetryBound(t *testing.T) {
	for _, n := range []int{10, 11} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d := newDevice(1)
			cfg := testConfig(t, newFake(bridgeKey.Public()))
			cfg.MaxRetrying, cfg.RetryMin, cfg.RetryMax = 10, time.Minute, time.Minute
			r := start(t, cfg)
			for i := range n {
				r.ingest(d.topic(), d.statement(t, uint64(i+1), 1))
			}
			eventually(t, "kept for later", func() bool { _, k := r.queue.size(); return k == 10 })
			eventually(t, "given up", func() bool { return r.Counts().DeadLettered == uint64(n-10) })
			if n == 11 {
				checkLetter(t, r, d.topic(), d.statement(t, 1, 1), ledger.CodeUnknownDevice)
			}
		})
	}
}

// TestDuplicates: a statement that comes again, before or after its commit, is
// answered again and submitted at most once more.
func TestDuplicates(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	f.delay = 20 * time.Millisecond
	rec := &recorder{}
	r := startWith(t, testConfig(t, f), rec)
	s := d.statement(t, 1, 1)
	for range 5 {
		r.ingest(d.topic(), s) // attached to the first while that is on its way
	}
	if c := r.settled(); c.Committed != 1 || c.Duplicate != 4 {
		t.Fatalf("%+v", c)
	}
	r.ingest(d.topic(), s)
	if c := r.settled(); c != (Counts{Received: 6, Committed: 1, Duplicate: 5}) {
		t.Fatalf("%+v", c)
	}
	eventually(t, "answered again", func() bool { return len(rec.list()) >= 2 })
	for _, a := range rec.list() {
		if a.Code != 0 || a.Height != rec.list()[0].Height || a.Index != 1 {
			t.Fatalf("acknowledgement %+v", a)
		}
	}
}

// TestFindLater: a statement whose numbers are used is not decided on until a node
// says by what that has seen the block which said so. Before, one that was killed, or
// behind, made a committed statement a dead letter.
func TestFindLater(t *testing.T) {
	for name, c := range map[string]struct {
		node func(f *fakeLedger)
		code ledger.Code
	}{
		"killed": {func(f *fakeLedger) { f.onFind = ledger.CodeOverloaded.Err }, ledger.CodeOverloaded},
		"new":    {func(f *fakeLedger) { f.onFind = ledger.CodeFutureHeight.Err }, ledger.CodeFutureHeight},
		"behind": {func(f *fakeLedger) { f.behind = 2 }, ledger.CodeFutureHeight},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(1)
			f := newFake(bridgeKey.Public(), d)
			rec := &recorder{}
			r := startWith(t, testConfig(t, f), rec)
			r.ingest(d.topic(), d.statement(t, 1, 1))
			r.settled()
			f.set(c.node)
			r.ingest(d.topic(), d.statement(t, 1, 1))
			eventually(t, "trouble", func() bool { return ledger.CodeOf(r.Ready()) == c.code })
			if n := r.Counts(); n.Spooled != 1 {
				t.Fatalf("decided too early: %+v", n)
			}
			f.set(func(f *fakeLedger) { f.onFind, f.behind = nil, 0 })
			if n := r.settled(); n != (Counts{Received: 2, Committed: 1, Duplicate: 1}) {
				t.Fatalf("%+v", n)
			}
			eventually(t, "two answers", func() bool { return len(rec.list()) == 2 })
			for _, a := range rec.list() {
				if a.Code != ledger.CodeOK {
					t.Fatalf("the device was told %v", a.Code)
				}
			}
		})
	}
}

// TestGivenUpTooEarly: a transaction whose result was not waited for long enough makes
// duplicates: committed counts only what a result said, so it never exceeds the log.
func TestGivenUpTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(1)
		f := newFake(bridgeKey.Public(), d)
		f.delay = 300 * time.Millisecond
		cfg := testConfig(t, f)
		cfg.ResubmitAfter = 200 * time.Millisecond // 400 for the second attempt
		r := start(t, cfg)
		r.ingest(d.topic(), d.statement(t, 1, 1))
		if n := r.settled(); n != (Counts{Received: 1, Duplicate: 1}) {
			t.Fatalf("%+v", n)
		}
		if n := f.accepted(); n != 1 {
			t.Fatalf("the ledger has %d", n)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPoison: a transaction that the ledger calls malformed is taken apart until
// the statement at fault is alone.
func TestPoison(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	f.onTx = func(b *ledger.Batch) error {
		for i := range b.Len() {
			if s, err := b.Parse(i); err == nil && s.First == 13 {
				return ledger.Errorf(ledger.CodeMalformed, "I don't like 13")
			}
		}
		return nil
	}
	cfg := testConfig(t, f)
	cfg.FlushInterval = 50 * time.Millisecond
	r := start(t, cfg)
	for i := range 20 {
		r.ingest(d.topic(), d.statement(t, uint64(i+1), 1))
	}
	if c := r.settled(); c != (Counts{Received: 20, Committed: 19, DeadLettered: 1}) {
		t.Fatalf("%+v", c)
	}
	checkLetter(t, r, d.topic(), d.statement(t, 13, 1), ledger.CodeMalformed)
}

// TestBridgeRefused: what is wrong with the bridge itself never costs a statement.
func TestBridgeRefused(t *testing.T) {
	for _, code := range []ledger.Code{ledger.CodeUnknownBridge, ledger.CodeBadSignature, ledger.CodeQuota, ledger.CodeOverloaded, ledger.CodeWrongChain} {
		t.Run(code.String(), func(t *testing.T) {
			d := newDevice(1)
			f := newFake(bridgeKey.Public(), d)
			f.onTx = func(*ledger.Batch) error { return code.Err() }
			r := start(t, testConfig(t, f))
			r.ingest(d.topic(), d.statement(t, 1, 1))
			eventually(t, "not ready", func() bool { return ledger.CodeOf(r.Ready()) == code })
			f.set(func(f *fakeLedger) { f.onTx = nil })
			if c := r.settled(); c.Committed != 1 {
				t.Fatalf("%+v", c)
			}
			eventually(t, "ready", func() bool { return r.Ready() == nil })
		})
	}
}

// TestReplay: dead letters can be given to the bridge again, once.
func TestReplay(t *testing.T) {
	d := newDevice(1)
	f := newFake(bridgeKey.Public())
	cfg := testConfig(t, f)
	cfg.RetryFor = time.Millisecond
	r := start(t, cfg)
	r.ingest(d.topic(), d.statement(t, 1, 1))
	r.ingest(d.topic(), []byte("garbage"))
	r.settled()
	f.enrol(d)
	list, err := r.DeadLetters(10)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	i := slices.IndexFunc(list, func(l DeadLetter) bool { return l.Reason == ledger.CodeUnknownDevice })
	for _, want := range []int{1, 0} {
		n, err := r.Replay(t.Context(), list[i].ID, 999)
		if err != nil || n != want {
			t.Fatalf("replayed %d, %v; want %d", n, err, want)
		}
	}
	if c := r.settled(); c != (Counts{Received: 3, Committed: 1, DeadLettered: 2}) {
		t.Fatalf("%+v", c)
	}
	if list, _ = r.DeadLetters(1); len(list) != 1 {
		t.Fatalf("%d letters, want the newest", len(list))
	}
}

// TestLargest: the largest transaction that may be configured is not too large.
func TestLargest(t *testing.T) {
	d := newDevice(1)
	cfg := testConfig(t, newFake(bridgeKey.Public(), d))
	cfg.BatchBytes, cfg.MaxBatchBytes, cfg.MaxBatch = mostBatchBytes, mostBatchBytes, ledger.MaxStatements
	cfg = cfg.withDefaults()
	for _, readings := range []int{1, 5, 1000} {
		q := newQueue(&cfg)
		s := d.statement(t, 1, readings)
		parsed, err := ledger.ParseStatement(s)
		if err != nil {
			t.Fatal(err)
		}
		l := q.lane(&item{statement: parsed})
		for range 2 * ledger.MaxStatements {
			l.add(&item{raw: s})
		}
		var raws [][]byte
		for _, it := range q.cut(l) {
			raws = append(raws, it.raw)
		}
		batch, err := ledger.SignBatch(bridgeKey, testChain, cfg.Bridge, 1<<62, 1<<62, raws)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(batch.Bytes()); len(raws) < ledger.MaxStatements && n < ledger.MaxTransaction-len(s)-2*ledger.BatchOverhead {
			t.Errorf("%d statements, %d bytes: there was room for another", len(raws), n)
		}
	}
}

func TestConfig(t *testing.T) {
	good := testConfig(t, newFake(bridgeKey.Public()))
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *Config){
		"chain":         func(c *Config) { c.Chain = "" },
		"bridge":        func(c *Config) { c.Bridge = crypto.ID{} },
		"key":           func(c *Config) { c.Key = crypto.PrivateKey{} },
		"dir":           func(c *Config) { c.Dir = "" },
		"fs":            func(c *Config) { c.FS = nil },
		"ledger":        func(c *Config) { c.Ledger = nil },
		"window":        func(c *Config) { c.Window = 4097 },
		"batch":         func(c *Config) { c.MaxBatch = ledger.MaxStatements + 1 },
		"batch bytes":   func(c *Config) { c.MaxBatchBytes = mostBatchBytes + 1 },
		"retry":         func(c *Config) { c.RetryMin, c.RetryMax = 2*time.Second, time.Second },
		"spool":         func(c *Config) { c.SpoolBytes = 1 },
		"url":           func(c *Config) { c.External = &External{URL: "localhost:1883"} },
		"scheme":        func(c *Config) { c.External = &External{URL: "http://localhost:1883"} },
		"batch > limit": func(c *Config) { c.BatchBytes, c.MaxBatchBytes = 2000, 1000 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
