package mqttbridge

import (
	"context"
	"errors"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/spool"
)

// checkSize is how many messages are checked together.
const checkSize = 512

// feed takes messages from the spool, checks them, and queues them for submission.
func (b *Bridge) feed(ctx context.Context) error {
	for {
		if err := b.queue.waitForRoom(ctx); err != nil {
			return nil
		}
		entries, err := b.spool.Next(ctx, checkSize)
		if ctx.Err() != nil || errors.Is(err, spool.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		items := make([]*item, len(entries))
		for i := range entries {
			items[i] = newItem(entries[i])
		}
		b.queue.take(items)
		b.check(ctx, items)
	}
}

// retry takes refused items whose time has come and tries them again.
func (b *Bridge) retry(ctx context.Context) {
	for {
		items, err := b.queue.due(ctx, checkSize)
		if err != nil {
			return
		}
		var known, unknown []*item
		for _, it := range items {
			if it.verified {
				known = append(known, it)
			} else {
				unknown = append(unknown, it)
			}
		}
		b.queue.push(known)
		b.check(ctx, unknown)
	}
}

// check parses items, verifies the signatures of those whose keys are known, and queues
// the good ones in order. Those whose keys are not are passed on to be looked up; the
// others are dead-lettered or kept for later.
func (b *Bridge) check(ctx context.Context, items []*item) {
	items, bad := parseAll(items)
	known, refused, ask := b.keys.sort(items, time.Now())
	bad = append(bad, b.admit(known)...)
	bad = append(bad, b.postpone(refused)...)
	b.bury(ctx, bad)
	for _, n := range ask {
		select {
		case b.keys.ask <- n:
		case <-ctx.Done():
			return // the spool still has them
		}
	}
}

// admit verifies items that have their keys, and queues the good ones.
func (b *Bridge) admit(items []*item) (forged []letter) {
	if len(items) == 0 {
		return nil
	}
	items, forged = b.verify(items)
	b.queue.push(items)
	return forged
}

// parseAll parses the items that are not parsed yet.
func parseAll(items []*item) (good []*item, bad []letter) {
	good = items[:0]
	for _, it := range items {
		if it.statement == nil {
			if err := it.parse(); err != nil {
				bad = append(bad, letter{item: it, code: ledger.CodeOf(err), text: textOf(err)})
				continue
			}
		}
		good = append(good, it)
	}
	return good, bad
}

func textOf(err error) string {
	if _, text, ok := refusal(err); ok && text != "" {
		return text
	}
	return err.Error()
}

// verify verifies the items' signatures together.
func (b *Bridge) verify(items []*item) (good []*item, forged []letter) {
	batch := make([]crypto.Item, 0, len(items))
	for _, it := range items {
		batch = append(batch, it.statement.Sign1.Item(it.key))
	}
	verdicts := b.verifier.Verify(batch)
	good = items[:0]
	for i, it := range items {
		if !verdicts[i] {
			forged = append(forged, letter{item: it, code: ledger.CodeBadSignature, text: ledger.CodeBadSignature.Advice()})
			continue
		}
		it.verified = true
		good = append(good, it)
	}
	return good, forged
}

// postpone keeps refused items for later and returns those to be given up.
func (b *Bridge) postpone(items []*item) (bad []letter) {
	for _, it := range items {
		for _, lost := range b.queue.retryLater(it, time.Now()) {
			// Not answered: this is not the ledger's last word, and a device that
			// keeps the statement and sends it again may yet succeed.
			bad = append(bad, letter{item: lost, code: lost.retry.code, text: lost.retry.text})
		}
	}
	return bad
}
