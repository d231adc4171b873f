package mqttbridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

const testChain = "test-1"

// device is a device of a test.
type device struct {
	key    crypto.PrivateKey
	id     crypto.ID
	stream crypto.ID
}

func newDevice(seed byte) device {
	k := crypto.KeyFromSeed([32]byte{seed, 1})
	id := ledger.DeviceID(k.Public())
	return device{k, id, ledger.StreamID(testChain, id, "a")}
}

func (d device) topic() string { return ledger.UpTopic(d.id, d.stream) }

// statement makes a statement of count readings.
func (d device) statement(t testing.TB, first uint64, count int) []byte {
	t.Helper()
	s := ledger.Statement{Device: d.id, Stream: d.stream, First: first}
	for i := range count {
		s.Readings = append(s.Readings, ledger.Reading{Time: 1e15 + int64(i), Content: fmt.Appendf(nil, "reading %d of the usual forty bytes length", i)})
	}
	signed, err := ledger.SignStatement(d.key, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bytes()
}

// fakeLedger is a ledger in memory with the rules that matter to a bridge. Its
// fields other than those set by newFake may be changed with mu held.
type fakeLedger struct {
	mu      sync.Mutex
	changed chan struct{} // closed at every commit

	bridge  crypto.PublicKey
	keys    map[keyName]crypto.PublicKey
	streams map[crypto.ID]bool
	used    map[crypto.ID]map[uint64]*ledger.Found
	results map[[32]byte]ledger.TxResult
	height  uint64
	index   uint64
	entries int // statements accepted

	behind  uint64                              // heights that Find's node lacks
	short   bool                                // results lack log indexes
	trust   bool                                // verify no signatures
	delay   time.Duration                       // from Submit to the commit
	onTx    func(b *ledger.Batch) error         // refuse or fail a submission
	onKey   func(device crypto.ID) error        // refuse, fail or hold up a question for a key; without mu
	asked   int                                 // questions for a key
	onFind  func() error                        // refuse or fail a question for a statement
	lose    func() bool                         // accept a submission and forget it
	fail    func() error                        // fail any call
	judge   func(*ledger.Statement) ledger.Code // refuse a statement
	batches []int                               // statements of each transaction
}

func newFake(bridge crypto.PublicKey, devices ...device) *fakeLedger {
	f := &fakeLedger{
		changed: make(chan struct{}), bridge: bridge,
		keys: map[keyName]crypto.PublicKey{}, streams: map[crypto.ID]bool{},
		used: map[crypto.ID]map[uint64]*ledger.Found{}, results: map[[32]byte]ledger.TxResult{},
	}
	for _, d := range devices {
		f.enrol(d)
	}
	return f
}

func (f *fakeLedger) enrol(d device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[keyName{d.id, d.key.Public().KeyID()}] = d.key.Public()
	f.streams[d.stream] = true
}

// set changes the fake's behaviour.
func (f *fakeLedger) set(change func(f *fakeLedger)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeLedger) fault() error {
	if f.fail != nil {
		return f.fail()
	}
	return nil
}

func (f *fakeLedger) Submit(ctx context.Context, tx []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(); err != nil {
		return err
	}
	t, err := ledger.ParseTransaction(tx)
	if err != nil {
		return err
	}
	if !t.Batch.Sign1.Verify(f.bridge) {
		return ledger.Errorf(ledger.CodeBadSignature, "not by the bridge")
	}
	if f.onTx != nil {
		if err := f.onTx(t.Batch); err != nil {
			return err
		}
	}
	if f.lose != nil && f.lose() {
		return nil
	}
	if f.delay == 0 {
		f.commit(t.Batch)
		return nil
	}
	time.AfterFunc(f.delay, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.commit(t.Batch)
	})
	return nil
}

// commit applies a transaction once. Call with mu held.
func (f *fakeLedger) commit(b *ledger.Batch) {
	hash := ledger.TxHash(b.Bytes())
	if _, again := f.results[hash]; again {
		return
	}
	f.height++
	f.batches = append(f.batches, b.Len())
	r := ledger.TxResult{Height: f.height, Time: int64(f.height) * 1e6}
	for i := range b.Len() {
		code := f.apply(b, i, r.Time)
		r.Codes = append(r.Codes, code)
		if code == ledger.CodeOK && !f.short {
			r.Indexes = append(r.Indexes, f.index)
		}
	}
	f.results[hash] = r
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeLedger) apply(b *ledger.Batch, i int, now int64) ledger.Code {
	s, err := b.Parse(i)
	if err != nil {
		return ledger.CodeOf(err)
	}
	key, ok := f.keys[keyName{s.Device, s.KeyID()}]
	switch {
	case !ok:
		return ledger.CodeUnknownDevice
	case !f.trust && !s.Sign1.Verify(key):
		return ledger.CodeBadSignature
	case !f.streams[s.Stream]:
		return ledger.CodeUnknownStream
	}
	if f.judge != nil {
		if code := f.judge(s); code != ledger.CodeOK {
			return code
		}
	}
	used := f.used[s.Stream]
	if used == nil {
		used = map[uint64]*ledger.Found{}
		f.used[s.Stream] = used
	}
	for n := s.First; n <= s.Last(); n++ {
		if used[n] != nil {
			return ledger.CodeUsed
		}
	}
	f.index++
	f.entries++
	found := &ledger.Found{Statement: s.Bytes(), Height: f.height, Index: f.index, Time: now}
	for n := s.First; n <= s.Last(); n++ {
		used[n] = found
	}
	return ledger.CodeOK
}

func (f *fakeLedger) Wait(ctx context.Context, hash [32]byte) (ledger.TxResult, error) {
	for {
		f.mu.Lock()
		r, ok := f.results[hash]
		changed, err := f.changed, f.fault()
		f.mu.Unlock()
		if ok || err != nil {
			return r, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ledger.TxResult{}, ctx.Err()
		}
	}
}

func (f *fakeLedger) Key(_ context.Context, d crypto.ID, kid crypto.KeyID) (crypto.PublicKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if onKey := f.onKey; onKey != nil {
		f.mu.Unlock()
		err := onKey(d)
		f.mu.Lock()
		if err != nil {
			return crypto.PublicKey{}, err
		}
	}
	if err := f.fault(); err != nil {
		return crypto.PublicKey{}, err
	}
	k, ok := f.keys[keyName{d, kid}]
	if !ok {
		return k, ledger.CodeUnknownDevice.Err()
	}
	return k, nil
}

func (f *fakeLedger) Find(_ context.Context, stream crypto.ID, n, height uint64) (ledger.Found, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(); err != nil {
		return ledger.Found{}, err
	}
	if f.onFind != nil {
		if err := f.onFind(); err != nil {
			return ledger.Found{}, err
		}
	}
	reached := f.height - f.behind
	if reached < height {
		return ledger.Found{}, ledger.CodeFutureHeight.Err()
	}
	if found := f.used[stream][n]; found != nil && found.Height <= reached {
		return *found, nil
	}
	return ledger.Found{}, ledger.CodeNotFound.Err()
}

// accepted returns how many statements the ledger has.
func (f *fakeLedger) accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries
}

var errUnreachable = errors.New("fake: unreachable")

var bridgeKey = crypto.KeyFromSeed([32]byte{'b', 'r'})

func testConfig(t testing.TB, l Ledger) Config {
	return Config{
		Chain: testChain, Bridge: ledger.BridgeID(bridgeKey.Public()), Key: bridgeKey,
		Dir: "bridge", FS: disk.NewCrash(), Ledger: l, Logger: testLogger(t),
		RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond,
		ResubmitAfter: 200 * time.Millisecond, FlushInterval: time.Millisecond,
	}
}

// restarted is the configuration for the next start, after a power cut.
func (c Config) restarted() Config {
	c.FS = c.FS.(*disk.Crash).Restart()
	return c
}

// running is a bridge that runs.
type running struct {
	*Bridge
	t      testing.TB
	cancel context.CancelFunc
	done   chan error
}

func start(t testing.TB, cfg Config) *running {
	t.Helper()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, b)
}

func run(t testing.TB, b *Bridge) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{b, t, cancel, make(chan error, 1)}
	go func() { r.done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel() })
	return r
}

// stop ends the bridge and returns Run's error.
func (r *running) stop() error {
	r.cancel()
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatal("the bridge does not stop")
		return nil
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("timeout: %s", what)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func balanced(t testing.TB, c Counts) {
	t.Helper()
	if !c.Balanced() {
		t.Fatalf("unbalanced: %+v", c)
	}
}

// settled waits until nothing is spooled and returns the counts.
func (r *running) settled() Counts {
	r.t.Helper()
	eventually(r.t, "all decided", func() bool {
		c := r.Counts()
		balanced(r.t, c)
		return c.Spooled == 0
	})
	return r.Counts()
}

func (r *running) ingest(topic string, payload []byte) {
	r.t.Helper()
	if err := r.Ingest(r.t.Context(), topic, payload); err != nil {
		r.t.Fatal(err)
	}
}

// recorder is a sink that keeps what is published, of acknowledgements that the bridge's
// key signed the outcomes.
type recorder struct {
	mu   sync.Mutex
	acks []ledger.Outcome
	data []ledger.Committed
}

func (r *recorder) Subscribed(string) bool { return true }

func (r *recorder) Publish(topic string, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, err := ledger.ParseCommitted(payload); err == nil {
		r.data = append(r.data, c)
		return nil
	}
	a, err := ledger.ParseAcknowledgement(payload)
	if err != nil {
		return err
	}
	if a.Chain != testChain || !a.Sign1.Verify(bridgeKey.Public()) {
		return errors.New("not the bridge's acknowledgement")
	}
	r.acks = append(r.acks, a.Outcomes...)
	return nil
}

func (r *recorder) list() []ledger.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.acks)
}

// count returns how many answers and data were published.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.acks) + len(r.data)
}

func newRand(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
