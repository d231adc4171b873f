package mqttbridge

import (
	"context"
	"fmt"
	"math"

	"mtmledger/internal/disk"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/spool"
)

// DeadLetter is a message that can't be committed, with the reason.
type DeadLetter struct {
	ID       uint64      `json:"id"`                 // the message's number in the spool
	Received int64       `json:"received,omitempty"` // microseconds since the Unix epoch
	Decided  int64       `json:"decided"`            // likewise, when it was given up
	Reason   ledger.Code `json:"reason"`
	Text     string      `json:"text,omitempty"` // what was wrong, for people
	Topic    string      `json:"topic,omitempty"`
	Size     int         `json:"size,omitempty"`     // of the payload, in bytes
	Payload  []byte      `json:"payload,omitempty"`  // as received, base64; cut at 64 KiB
	Replayed bool        `json:"replayed,omitempty"` // given to the bridge again
}

// DeadLetters returns the newest dead letters, oldest first; at most max of them.
func (b *Bridge) DeadLetters(max int) ([]DeadLetter, error) {
	return ReadDeadLetters(b.cfg.FS, b.cfg.Dir, max)
}

// ReadDeadLetters returns the newest dead letters of the bridge whose Dir is dir,
// oldest first; at most max of them. The bridge need not run.
func ReadDeadLetters(fs disk.FS, dir string, max int) ([]DeadLetter, error) {
	return readLetters(fs, dir, max)
}

// Replay gives dead letters to the bridge again, as messages newly received, and
// returns how many. Letters that were replayed before, or cut, are passed over.
func (b *Bridge) Replay(ctx context.Context, ids ...uint64) (int, error) {
	list, err := readLetters(b.cfg.FS, b.cfg.Dir, math.MaxInt)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, d := range replayable(list, ids) {
		if err := b.Ingest(ctx, d.Topic, d.Payload); err != nil {
			return n, fmt.Errorf("mqttbridge: replay %d: %w", d.ID, err)
		}
		n++
		if err := b.letters.add([]DeadLetter{{ID: d.ID, Decided: b.micros(), Replayed: true}}); err != nil {
			return n, err
		}
	}
	return n, nil
}

// letter is an item that is given up, and why.
type letter struct {
	item   *item
	code   ledger.Code
	text   string
	answer bool // tell the device: the statement is its own, and was refused for good
}

// bury keeps letters durably, then marks them in the spool and answers the devices.
// It insists until that is done or ctx ends.
func (b *Bridge) bury(ctx context.Context, list []letter) {
	if len(list) == 0 {
		return
	}
	for _, l := range list { // list grows by those that carried the same statement
		for _, it := range b.queue.finish([]*item{l.item}) {
			list = append(list, letter{item: it, code: l.code, text: l.text})
		}
	}
	now := b.micros()
	dead := make([]DeadLetter, len(list))
	ids := make([]uint64, len(list))
	for i, l := range list {
		it := l.item
		ids[i] = it.seq
		dead[i] = DeadLetter{
			ID: it.seq, Received: it.received, Decided: now, Reason: l.code, Text: l.text,
			Topic: it.topic, Size: len(it.raw), Payload: it.raw[:min(len(it.raw), maxLetterPayload)],
		}
	}
	if b.insist(ctx, "dead letters", func() error { return b.letters.add(dead) }) != nil {
		return // ctx has ended; the spool still has them
	}
	for _, l := range list { // whoever sees the account sees the reasons too
		b.stats.deadLetter(l.code)
	}
	b.spool.Done(spool.DeadLettered, ids...)
	for _, l := range list {
		if l.answer {
			b.answers.refused(l.item, l.code)
		}
	}
	b.cfg.Logger.Warn("dead-lettered", "messages", len(list), "reason", list[0].code.String(), "text", list[0].text, "topic", list[0].item.topic)
}
