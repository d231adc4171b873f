package mqttbridge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"mtmledger/crypto"
	"mtmledger/mqttbridge/broker"
	"mtmledger/mqttbridge/spool"
)

// Counts are the messages that the bridge has taken, and what became of them, since
// its Dir was made. At every moment, also after a crash,
//
//	Received = Committed + Duplicate + DeadLettered + Spooled
//
// A message is counted as often as it comes. Committed is what the results of this
// bridge's transactions said, so never more than the statements in the ledger's log.
// A statement that was found there counts as a duplicate: also of itself, when a crash
// lost its mark, or its first transaction was given up before the result came.
type Counts struct {
	Received     uint64 `json:"received"`      // stored durably, and so PUBACKed
	Committed    uint64 `json:"committed"`     // by a transaction whose result this bridge saw
	Duplicate    uint64 `json:"duplicate"`     // the same statement was in the ledger, or on its way, already
	DeadLettered uint64 `json:"dead_lettered"` // refused for good, kept in the dead letters
	Spooled      uint64 `json:"spooled"`       // not decided yet
}

// Balanced reports whether every message is accounted for. Spooled is counted in the
// spool's segments, so a message that is lost there shows.
func (c Counts) Balanced() bool { return spool.Counts(c).Balanced() }

// Bridge moves messages from MQTT to the ledger. Its methods may be called from
// several goroutines.
type Bridge struct {
	cfg         Config
	spool       *spool.Spool
	letters     *letters
	keys        *keys
	queue       *queue
	answers     *answers
	verifier    Verifier
	external    *external // nil without External
	stats       *stats
	troubles    troubles
	started     atomic.Bool
	underway    atomic.Int64
	waiters     sync.WaitGroup
	ownVerifier *crypto.Verifier
}

// Errors of the bridge.
var (
	// ErrNotReady is what Ready wraps.
	ErrNotReady = errors.New("mqttbridge: not ready")
	// ErrStarted: Run was called twice.
	ErrStarted = errors.New("mqttbridge: Run was called before")
)

// New opens the spool and the dead letters in cfg.Dir. Call Run, or Close.
func New(cfg Config) (*Bridge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s, err := spool.Open(spool.Config{FS: cfg.FS, Dir: filepath.Join(cfg.Dir, "spool"), MaxBytes: cfg.SpoolBytes, SegmentBytes: min(8<<20, cfg.SpoolBytes/8)})
	if err != nil {
		return nil, fmt.Errorf("mqttbridge: %w", err)
	}
	l, err := openLetters(cfg.FS, cfg.Dir, cfg.DeadLetterBytes)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	b := &Bridge{
		cfg: cfg, spool: s, letters: l, keys: newKeys(cfg.KeyCache), verifier: cfg.Verifier,
		stats: newStats(),
	}
	b.queue = newQueue(&b.cfg)
	b.troubles.set("start", errors.New("not started"))
	if b.verifier == nil {
		b.ownVerifier = crypto.NewVerifier(crypto.VerifierConfig{})
		b.verifier = b.ownVerifier
	}
	b.answers = newAnswers(&b.cfg, b.connect())
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(collector{b}); err != nil {
			return nil, errors.Join(fmt.Errorf("mqttbridge: metrics: %w", err), b.Close())
		}
	}
	return b, nil
}

// connect returns where answers go.
func (b *Bridge) connect() sink {
	switch {
	case b.cfg.Broker != nil:
		return b.cfg.Broker
	case b.cfg.External != nil:
		b.external = newExternal(b)
		return b.external
	}
	return nil
}

// Run works until ctx ends, then stops taking messages, stores what it has taken,
// frees everything, and returns nil. What is not decided by then stays in the spool
// for the next start. It returns an error when it can't go on.
func (b *Bridge) Run(ctx context.Context) error {
	if b.started.Swap(true) {
		return ErrStarted
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.feed(ctx) })
	g.Go(func() error { b.retry(ctx); return nil })
	for range lookups {
		g.Go(func() error { b.lookUp(ctx); return nil })
	}
	g.Go(func() error { b.submit(ctx); return nil })
	g.Go(func() error { b.answers.run(ctx); return nil })
	g.Go(func() error { return b.receive(ctx) })
	err := g.Wait()
	b.waiters.Wait()
	return errors.Join(err, b.close())
}

// receive takes messages from MQTT until ctx ends.
func (b *Bridge) receive(ctx context.Context) error {
	if b.cfg.Broker != nil {
		if err := b.cfg.Broker.Start(handler{b, ctx}); err != nil {
			return fmt.Errorf("mqttbridge: %w", err)
		}
	}
	if b.external != nil {
		b.troubles.set("mqtt", errOffline)
	}
	b.troubles.clear("start")
	if b.external != nil {
		b.external.run(ctx)
	}
	<-ctx.Done()
	b.troubles.set("start", errors.New("stopped"))
	return nil
}

// Close frees what New took, if Run is not called.
func (b *Bridge) Close() error {
	if b.started.Swap(true) {
		return nil
	}
	return b.close()
}

func (b *Bridge) close() error {
	if b.cfg.Registerer != nil {
		b.cfg.Registerer.Unregister(collector{b})
	}
	if b.ownVerifier != nil {
		b.ownVerifier.Close()
	}
	var err error
	if b.cfg.Broker != nil {
		err = b.cfg.Broker.Close()
	}
	return errors.Join(err, b.spool.Close(), b.letters.close())
}

// Counts returns the accounts of this moment.
func (b *Bridge) Counts() Counts { return Counts(b.spool.Counts()) }

// Ready returns nil when the bridge receives, the ledger takes its transactions and
// the accounts balance, and otherwise an error that wraps ErrNotReady and says what
// is missing.
func (b *Bridge) Ready() error {
	if s := b.spool.Stats(); s.Pause > 0 {
		return fmt.Errorf("%w: %w (tried again after %v)", ErrNotReady, s.Failure, s.Pause)
	} else if s.Failure != nil {
		return fmt.Errorf("%w: %w", ErrNotReady, s.Failure)
	}
	if c := b.Counts(); !c.Balanced() {
		return fmt.Errorf("%w: the accounts do not balance: %+v", ErrNotReady, c)
	}
	return b.troubles.err()
}

func (b *Bridge) micros() int64 { return b.cfg.Now().UnixMicro() }

// handler receives from the embedded broker.
type handler struct {
	b   *Bridge
	ctx context.Context // of Run
}

// Receive implements broker.Handler.
func (h handler) Receive(topic string, payload []byte, receipt broker.Receipt, id uint32) error {
	b := h.b
	err := b.put(topic, payload, receipt, id)
	if !errors.Is(err, spool.ErrFull) {
		return err
	}
	// Hold the client back for a while; then it is disconnected and sends again.
	ctx, cancel := context.WithTimeout(h.ctx, holdBack)
	defer cancel()
	return b.putWaiting(ctx, topic, payload, receipt, id)
}

// holdBack is how long a client is held back while the spool is full. It is less
// than the shortest keepalive that clients use.
const holdBack = 5 * time.Second

// put queues a message for storing. What is larger than any statement could be is
// cut: it will be a dead letter.
func (b *Bridge) put(topic string, payload []byte, receipt spool.Receipt, id uint32) error {
	if len(topic) > spool.MaxTopic {
		topic = topic[:spool.MaxTopic]
	}
	if len(payload) > spool.MaxPayload {
		payload = payload[:spool.MaxPayload]
	}
	return b.spool.Append(spool.Entry{Time: b.micros(), Topic: topic, Payload: payload}, receipt, id)
}

// putWaiting is put, but waits for room while the spool is full.
func (b *Bridge) putWaiting(ctx context.Context, topic string, payload []byte, receipt spool.Receipt, id uint32) error {
	for {
		room := b.spool.Room()
		err := b.put(topic, payload, receipt, id)
		if !errors.Is(err, spool.ErrFull) {
			return err
		}
		b.troubles.set("spool", err)
		select {
		case <-room:
			b.troubles.clear("spool")
		case <-ctx.Done():
			return err
		}
	}
}

// Ingest takes a message as if it had come by MQTT, and returns when it is durable.
// While the spool is full it waits.
func (b *Bridge) Ingest(ctx context.Context, topic string, payload []byte) error {
	r := make(receiptChan, 1)
	if err := b.putWaiting(ctx, topic, slices.Clone(payload), r, 0); err != nil {
		return err
	}
	select {
	case err := <-r:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

type receiptChan chan error

// Stored implements spool.Receipt.
func (r receiptChan) Stored(_ uint32, err error) { r <- err }

// troubles are what keeps the bridge from being ready, by part.
type troubles struct {
	mu sync.Mutex
	m  map[string]error
	n  atomic.Int32
}

func (t *troubles) set(part string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[string]error{}
	}
	t.m[part] = err
	t.n.Store(int32(len(t.m)))
}

func (t *troubles) clear(part string) {
	if t.n.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, part)
	t.n.Store(int32(len(t.m)))
}

func (t *troubles) has(part string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[part] != nil
}

// err returns what is wrong, in a stable order.
func (t *troubles) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.m) == 0 {
		return nil
	}
	parts := make([]string, 0, len(t.m))
	for part := range t.m {
		parts = append(parts, part)
	}
	slices.Sort(parts)
	err := fmt.Errorf("%w: %s: %w", ErrNotReady, parts[0], t.m[parts[0]])
	for _, part := range parts[1:] {
		err = fmt.Errorf("%w; %s: %w", err, part, t.m[part])
	}
	return err
}
