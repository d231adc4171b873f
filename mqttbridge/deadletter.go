package mqttbridge

import (
	"context"

	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// DeadLetter is a message that can't be committed, with the reason.
type DeadLetter struct {
	ID       uint64      `json:"id"`       // the message's number in the spool
	Received int64       `json:"received"` // microseconds since the Unix epoch
	Decided  int64       `json:"decided"`  // likewise, when it was given up
	Reason   ledger.Code `json:"reason"`
	Text     string      `json:"text"` // what was wrong, for people
	Topic    string      `json:"topic"`
	Size     int         `json:"size"`               // of the payload, in bytes
	Payload  []byte      `json:"payload"`            // as received; cut when far too large
	Replayed bool        `json:"replayed,omitempty"` // given to the bridge again
}

// DeadLetters returns the newest dead letters, oldest first; at most max of them.
func (b *Bridge) DeadLetters(max int) ([]DeadLetter, error) {
	return ReadDeadLetters(b.cfg.FS, b.cfg.Dir, max)
}

// ReadDeadLetters returns the newest dead letters of the bridge whose Dir is dir,
// oldest first; at most max of them. The bridge need not run.
func ReadDeadLetters(fs disk.FS, dir string, max int) ([]DeadLetter, error) { return nil, nil }

// Replay gives dead letters to the bridge again, as messages newly received, and
// returns how many. Letters that were replayed before, or cut, are passed over.
func (b *Bridge) Replay(ctx context.Context, ids ...uint64) (int, error) { return 0, nil }
