package mqttbridge

import (
	"context"
	"errors"
)

// Counts are the messages that the bridge has taken, and what became of them, since
// its Dir was made. At every moment, also after a crash,
//
//	Received = Committed + Duplicate + DeadLettered + Spooled
type Counts struct {
	Received     uint64 `json:"received"`      // stored durably, and so PUBACKed
	Committed    uint64 `json:"committed"`     // in the ledger by this bridge's transaction
	Duplicate    uint64 `json:"duplicate"`     // the same statement was in the ledger already
	DeadLettered uint64 `json:"dead_lettered"` // refused for good, kept in the dead letters
	Spooled      uint64 `json:"spooled"`       // not decided yet
}

// Bridge moves messages from MQTT to the ledger.
type Bridge struct {
	cfg Config
}

// New opens the spool and the dead letters in cfg.Dir.
func New(cfg Config) (*Bridge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Bridge{cfg: cfg.withDefaults()}, nil
}

// Run works until ctx ends, then stops taking messages, stores what it has taken,
// and returns nil. It returns an error when it can't go on.
func (b *Bridge) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Counts returns the accounts of this moment.
func (b *Bridge) Counts() Counts { return Counts{} }

// ErrNotReady is what Ready wraps.
var ErrNotReady = errors.New("mqttbridge: not ready")

// Ready returns nil when the bridge receives and the ledger takes its transactions,
// and otherwise an error that wraps ErrNotReady and says what is missing.
func (b *Bridge) Ready() error { return ErrNotReady }

// Ingest takes a message as if it had come by MQTT, and returns when it is durable.
func (b *Bridge) Ingest(ctx context.Context, topic string, payload []byte) error {
	return ErrNotReady
}

// Close frees what New took, if Run is not called.
func (b *Bridge) Close() error { return nil }
