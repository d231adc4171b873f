package mqttbridge

import (
	"context"
	"sync"
	"time"

	"mtmledger/ledger"
)

// Pauses after the ledger could not be reached, doubling from the first to the last.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// insist calls f until it succeeds, pausing between attempts, and returns nil; or
// ctx's error when that ends first. While f fails the bridge is not ready.
func (b *Bridge) insist(ctx context.Context, what string, f func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f()
		if err == nil {
			b.troubles.clear(what)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.troubles.set(what, err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// submit makes transactions of the queued items and submits them: one after another
// in each lane, which keeps statements in order. At most Window are under way.
func (b *Bridge) submit(ctx context.Context) {
	slots := make(chan struct{}, b.cfg.Window)
	var lanes sync.WaitGroup
	for _, l := range b.queue.lanes {
		lanes.Go(func() { b.submitLane(ctx, l, slots) })
	}
	lanes.Wait()
}

func (b *Bridge) submitLane(ctx context.Context, l *lane, slots chan struct{}) {
	before := make(chan struct{})
	close(before)
	for {
		if b.queue.await(ctx, l, func() int { return len(slots) }) != nil {
			return
		}
		select { // meanwhile the transaction may grow
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		items := b.queue.cut(l)
		tx, err := b.send(ctx, items)
		if ctx.Err() != nil {
			return
		}
		u := underway{items: items, before: before, decided: make(chan struct{})}
		before = u.decided
		b.underway.Add(1)
		b.waiters.Go(func() {
			defer func() { <-slots }()
			defer b.underway.Add(-1)
			defer close(u.decided)
			if err != nil {
				b.refuseWhole(ctx, items, err)
			} else {
				b.await(ctx, u, ledger.TxHash(tx))
			}
		})
	}
}

// send signs and submits a transaction. An error is for good and about the
// transaction itself; on anything that may pass, send insists.
func (b *Bridge) send(ctx context.Context, items []*item) (tx []byte, err error) {
	raws := make([][]byte, len(items))
	attempt, received := 0, int64(0)
	for i, it := range items {
		raws[i] = it.raw
		attempt = max(attempt, it.sent)
		received = max(received, it.received)
		it.sent++
	}
	batch, err := ledger.SignBatch(b.cfg.Key, b.cfg.Chain, b.cfg.Bridge, uint64(attempt), received, raws)
	if err != nil {
		return nil, err
	}
	b.stats.transactions.Add(1)
	b.stats.transactionBytes.Add(uint64(len(batch.Bytes())))
	if attempt > 0 {
		b.stats.resubmitted.Add(1)
	}
	var final error
	b.insist(ctx, "submit", func() error {
		err := b.cfg.Ledger.Submit(ctx, batch.Bytes())
		if code, _, ok := refusal(err); ok && aboutTransaction(code) {
			final = err
			return nil
		}
		return err
	})
	return batch.Bytes(), final
}

// aboutTransaction reports whether the code says that these bytes will never be
// accepted. Other codes are about the bridge or the moment: its key is not enrolled,
// its quota is used up, the pool is full.
func aboutTransaction(c ledger.Code) bool {
	return c == ledger.CodeMalformed || c == ledger.CodeTooLarge
}

// refuseWhole handles a transaction that will never be accepted: each statement is
// tried in a transaction of its own, and dead-lettered if that was so already.
func (b *Bridge) refuseWhole(ctx context.Context, items []*item, err error) {
	if len(items) == 1 {
		code := ledger.CodeOf(err)
		b.bury(ctx, []letter{{item: items[0], code: code, text: textOf(err)}})
		return
	}
	for _, it := range items {
		it.alone = true
	}
	b.queue.pushFront(items)
}

// underway is a transaction that was submitted.
type underway struct {
	items   []*item
	before  <-chan struct{} // closed when the one submitted before it is decided
	decided chan struct{}
}

// turnTime bounds how long a result waits for those of transactions that were
// submitted before. Results of one block come at once but in any order; this puts
// the answers in the order of the statements. What a later block brings, or none,
// is not waited for.
const turnTime = 50 * time.Millisecond

// awaitTurn waits for the transaction before this one, for a short time.
func (u underway) awaitTurn(ctx context.Context) {
	select {
	case <-u.before:
		return
	default:
	}
	t := time.NewTimer(turnTime)
	defer t.Stop()
	select {
	case <-u.before:
	case <-t.C:
	case <-ctx.Done():
	}
}

// await waits for a transaction and handles its result. Items whose fate stays
// unknown are submitted again with the next attempt number.
func (b *Bridge) await(ctx context.Context, u underway, hash [32]byte) {
	items := u.items
	started := time.Now()
	wait, cancel := context.WithTimeout(ctx, b.patience(items))
	defer cancel()
	result, err := b.cfg.Ledger.Wait(wait, hash)
	if err == nil {
		err = checkResult(items, result)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		b.troubles.set("commit", err)
		b.cfg.Logger.Warn("transaction lost; submitting again", "statements", len(items), "waited", time.Since(started), "err", err)
		if wait.Err() == nil && sleep(ctx, firstPause) != nil {
			return
		}
		b.queue.pushFront(items)
		return
	case result.Code != ledger.CodeOK:
		b.refusedResult(ctx, items, result)
		return
	}
	u.awaitTurn(ctx)
	b.troubles.clear("commit")
	b.stats.observe(time.Now().UnixMicro(), items)
	b.decide(ctx, items, result)
}

// patience is how long to wait for a transaction: twice as long with each attempt, so
// that a ledger which is slower than ResubmitAfter catches up.
func (b *Bridge) patience(items []*item) time.Duration {
	attempt := 0
	for _, it := range items {
		attempt = max(attempt, it.sent-1)
	}
	return b.cfg.ResubmitAfter << min(attempt, 6)
}

// refusedResult handles a transaction that was committed but refused as a whole.
func (b *Bridge) refusedResult(ctx context.Context, items []*item, r ledger.TxResult) {
	if aboutTransaction(r.Code) {
		b.refuseWhole(ctx, items, r.Code.Err())
		return
	}
	b.troubles.set("commit", r.Code.Err())
	if sleep(ctx, b.cfg.RetryMin) == nil {
		b.queue.pushFront(items)
	}
}
