package mqttbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/broker"
)

// mostBatchBytes is what fits into a transaction with what stands around it.
const mostBatchBytes = ledger.MaxTransaction - ledger.BatchOverhead

// ErrConfig is returned for a configuration that can't be used.
var ErrConfig = errors.New("mqttbridge: bad configuration")

// Ledger is what the bridge needs of a ledger. Errors carry ledger codes
// ([ledger.CodeOf]); one without a code, or with overloaded or future_height, means that
// the ledger could not be reached, or not the state that was asked about.
// All methods may be called from several goroutines.
type Ledger interface {
	// Submit hands a transaction to the ledger. It returns when the transaction is
	// on its way, or with the reason why not. Submitting one that is known already
	// is no error.
	Submit(ctx context.Context, tx []byte) error
	// Wait returns what became of a submitted transaction, when it is committed.
	Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error)
	// Key returns a device's key; the codes unknown_device and unknown_key say that
	// there is none yet.
	Key(ctx context.Context, device crypto.ID, kid crypto.KeyID) (crypto.PublicKey, error)
	// Find returns the committed statement that holds this number of a stream, as of
	// this height or later; not_found when there is none, future_height when the
	// ledger's node has not got so far and can't tell.
	Find(ctx context.Context, stream crypto.ID, number, height uint64) (ledger.Found, error)
}

// Verifier verifies signatures, many at once. [crypto.Verifier] is one; sharing the
// one of a node in the same process spares it verifying again.
type Verifier interface {
	Verify(items []crypto.Item) []bool
}

// External names an MQTT broker that the bridge connects to.
type External struct {
	// URL of the broker: tcp://host:1883, or ssl://host:8883 for TLS.
	URL string
	// ClientID must be the same after a restart, because the broker keeps messages
	// for it, and different from that of every other client. Default
	// "mtm-bridge-<bridge id>".
	ClientID string
	Username string
	Password string
	TLS      *tls.Config
	// Share, if set, subscribes as a member of this group: several bridges of one
	// organisation then share the messages.
	Share string
	// Keepalive; default 30 s.
	Keepalive time.Duration
	// MaxReconnect bounds the pause between attempts to connect; default 30 s.
	MaxReconnect time.Duration
}

// Config configures a [Bridge]. Fields without a remark are needed; for the others
// zero means the default.
type Config struct {
	Chain  string            // the chain id
	Bridge crypto.ID         // the bridge's id in the ledger
	Key    crypto.PrivateKey // signs transactions and acknowledgements
	Dir    string            // for spool and dead letters; made if absent
	FS     disk.FS           // where Dir is
	Ledger Ledger

	// Broker is an embedded broker, or External names another; at most one of them.
	// The bridge starts and closes an embedded broker. Without any, messages come by
	// Ingest alone.
	Broker   *broker.Broker
	External *External

	// Window bounds the transactions under way; default 64.
	Window int
	// Lanes is how many transactions are submitted at once; the statements of a
	// stream always take the same lane and so stay in order. Default 4.
	Lanes int
	// BatchBytes is the size in bytes at which a transaction is submitted without
	// waiting for more; default 16 KiB. When the window is full, transactions grow
	// to MaxBatchBytes; default 128 KiB, at most what fits into
	// ledger.MaxTransaction.
	BatchBytes, MaxBatchBytes int
	// MaxBatch bounds the statements of a transaction; default 1,000, at most
	// ledger.MaxStatements.
	MaxBatch int
	// FlushInterval is how long a statement waits for others; default 3 ms. It is up to
	// 8 times as long while many transactions are under way.
	FlushInterval time.Duration
	// ResubmitAfter is how long to wait for a transaction before submitting its
	// statements again; default 20 s.
	ResubmitAfter time.Duration

	// RetryFor is how long a statement that is refused for a reason that may pass
	// (unknown_device ...) is tried again, counted from its first refusal in this
	// run; default 10 min. RetryMin and RetryMax bound the pause between the
	// attempts; default 1 s and 30 s. MaxRetrying bounds the statements that wait
	// so; beyond it the one that has waited longest is dead-lettered; default 10,000, and
	// at most 256 of one device.
	RetryFor, RetryMin, RetryMax time.Duration
	MaxRetrying                  int

	// SpoolBytes bounds the spool's files; default 1 GiB. When it is full, clients
	// are held back and then disconnected, without PUBACK.
	SpoolBytes int64
	// DeadLetterBytes bounds the dead-letter files; default 64 MiB. The oldest half
	// is deleted beyond it.
	DeadLetterBytes int64
	// KeyCache bounds the device keys that are remembered; default 100,000.
	KeyCache int
	// AckQueue bounds the acknowledgements and data that wait to be published;
	// default 65,536. Beyond it they are dropped: devices ask again by sending again.
	AckQueue int

	Verifier   Verifier              // default: a crypto.Verifier of its own
	Logger     *slog.Logger          // default: none
	Registerer prometheus.Registerer // where to register metrics; default: nowhere
	Now        func() time.Time      // the clock of received times; default time.Now
}

func (c Config) withDefaults() Config {
	setInt(&c.Window, 64)
	setInt(&c.Lanes, 4)
	setInt(&c.BatchBytes, 16<<10)
	setInt(&c.MaxBatchBytes, max(128<<10, c.BatchBytes))
	setInt(&c.MaxBatch, 1000)
	setTime(&c.FlushInterval, 3*time.Millisecond)
	setTime(&c.ResubmitAfter, 20*time.Second)
	setTime(&c.RetryFor, 10*time.Minute)
	setTime(&c.RetryMin, time.Second)
	setTime(&c.RetryMax, max(30*time.Second, c.RetryMin))
	setInt(&c.MaxRetrying, 10_000)
	setInt(&c.KeyCache, 100_000)
	setInt(&c.AckQueue, 1<<16)
	if c.SpoolBytes == 0 {
		c.SpoolBytes = 1 << 30
	}
	if c.DeadLetterBytes == 0 {
		c.DeadLetterBytes = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.External != nil {
		e := c.External.withDefaults(c.Bridge)
		c.External = &e
	}
	return c
}

func (e External) withDefaults(bridge crypto.ID) External {
	if e.ClientID == "" {
		e.ClientID = "mtm-bridge-" + bridge.String()
	}
	setTime(&e.Keepalive, 30*time.Second)
	setTime(&e.MaxReconnect, 30*time.Second)
	return e
}

func setInt(p *int, v int) {
	if *p == 0 {
		*p = v
	}
}

func setTime(p *time.Duration, v time.Duration) {
	if *p == 0 {
		*p = v
	}
}

// Validate reports what is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	if err := ledger.CheckChain(c.Chain); err != nil {
		return fmt.Errorf("%w: chain: %w", ErrConfig, err)
	}
	switch {
	case c.Bridge.IsZero() || c.Key.IsZero():
		return fmt.Errorf("%w: Bridge and Key are needed", ErrConfig)
	case c.Dir == "" || c.FS == nil || c.Ledger == nil:
		return fmt.Errorf("%w: Dir, FS and Ledger are needed", ErrConfig)
	case c.Broker != nil && c.External != nil:
		return fmt.Errorf("%w: Broker and External at once", ErrConfig)
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	return c.External.validate()
}

// checkLimits checks the numbers, defaults set.
func (c Config) checkLimits() error {
	for _, l := range []struct {
		name         string
		v, min, most int64
	}{
		{"Window", int64(c.Window), 1, 4096},
		{"Lanes", int64(c.Lanes), 1, 256},
		{"BatchBytes", int64(c.BatchBytes), 1, mostBatchBytes},
		{"MaxBatchBytes", int64(c.MaxBatchBytes), int64(c.BatchBytes), mostBatchBytes},
		{"MaxBatch", int64(c.MaxBatch), 1, ledger.MaxStatements},
		{"FlushInterval", int64(c.FlushInterval), 0, int64(time.Minute)},
		{"ResubmitAfter", int64(c.ResubmitAfter), int64(time.Millisecond), int64(time.Hour)},
		{"RetryFor", int64(c.RetryFor), 1, int64(365 * 24 * time.Hour)},
		{"RetryMin", int64(c.RetryMin), int64(time.Millisecond), int64(time.Hour)},
		{"RetryMax", int64(c.RetryMax), int64(c.RetryMin), int64(24 * time.Hour)},
		{"MaxRetrying", int64(c.MaxRetrying), 1, 10_000_000},
		{"SpoolBytes", c.SpoolBytes, 1 << 20, 1 << 50},
		{"DeadLetterBytes", c.DeadLetterBytes, 1 << 20, 1 << 50},
		{"KeyCache", int64(c.KeyCache), 1, 100_000_000},
		{"AckQueue", int64(c.AckQueue), 1, 10_000_000},
	} {
		if l.v < l.min || l.v > l.most {
			return fmt.Errorf("%w: %s is %d, want %d..%d", ErrConfig, l.name, l.v, l.min, l.most)
		}
	}
	return nil
}

func (e *External) validate() error {
	if e == nil {
		return nil
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%w: External.URL %q", ErrConfig, e.URL)
	}
	switch u.Scheme {
	case "tcp", "mqtt", "ssl", "tls", "mqtts":
	default:
		return fmt.Errorf("%w: External.URL has scheme %q", ErrConfig, u.Scheme)
	}
	if e.Keepalive < time.Second || e.Keepalive > 18*time.Hour || e.MaxReconnect < time.Millisecond {
		return fmt.Errorf("%w: External.Keepalive or MaxReconnect", ErrConfig)
	}
	return nil
}
