package mqttbridge

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"mtmledger/crypto"
)

// Bounds of what is in memory between spool and ledger; the rest stays in the
// spool's files.
const (
	maxItems      = 1 << 16
	maxItemBytes  = 64 << 20
	maxRetryBytes = maxItemBytes / 2 // so that retries never fill it
	// maxRetryDevice bounds the retries of one device, so that it can't push out those
	// of others: as many statements as an ordinary device has on its way.
	maxRetryDevice = 256
)

// queue is where items wait: for a transaction (in a lane), or to be tried again
// (retries). It also knows all verified items by digest, so that one statement that
// came twice is submitted once.
type queue struct {
	cfg *Config

	wakeRetry chan struct{} // capacity 1: the next due time may have changed
	wakeFeed  chan struct{} // capacity 1: there is room for more items

	mu         sync.Mutex
	items      int // taken from the spool and not finished
	bytes      int
	lanes      []*lane
	retries    retryHeap
	retryBytes int
	retryCount map[crypto.ID]int // by device
	live       map[[32]byte]*item
}

// lane is the way of some streams to the ledger: its transactions are submitted one
// after another, so that the statements of a stream stay in order, while those of
// other lanes are submitted at the same time. Fields are guarded by queue.mu.
type lane struct {
	wake  chan struct{} // capacity 1: ready grew
	ready []*item
	bytes int       // of ready
	since time.Time // when ready stopped being empty, or was last cut
}

func newQueue(cfg *Config) *queue {
	q := &queue{
		cfg:       cfg,
		wakeRetry: make(chan struct{}, 1),
		wakeFeed:  make(chan struct{}, 1),
		live:      make(map[[32]byte]*item),

		retryCount: make(map[crypto.ID]int),
	}
	for range cfg.Lanes {
		q.lanes = append(q.lanes, &lane{wake: make(chan struct{}, 1)})
	}
	return q
}

// lane returns the lane of a parsed item's stream.
func (q *queue) lane(it *item) *lane {
	return q.lanes[int(it.statement.Stream[0])%len(q.lanes)]
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// waitForRoom waits until more items may be taken from the spool.
func (q *queue) waitForRoom(ctx context.Context) error {
	for {
		q.mu.Lock()
		room := q.items < maxItems && q.bytes < maxItemBytes
		q.mu.Unlock()
		if room {
			return nil
		}
		select {
		case <-q.wakeFeed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take counts items that were taken from the spool.
func (q *queue) take(items []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items += len(items)
	for _, it := range items {
		q.bytes += it.cost()
	}
}

// finish forgets items that are decided, and returns them together with those that
// carried the same statements.
func (q *queue) finish(items []*item) (same []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if it.verified && q.live[it.digest] == it {
			delete(q.live, it.digest)
		}
		same = append(same, it.same...)
		it.same = nil
		q.leave(it)
	}
	for _, it := range same {
		q.leave(it)
	}
	signal(q.wakeFeed)
	return same
}

func (q *queue) leave(it *item) {
	q.items--
	q.bytes -= it.cost()
	q.unretry(it)
}

// push adds verified items at the end, in order. One whose statement is on its way
// already is attached to that.
func (q *queue) push(items []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if first := q.live[it.digest]; first != nil && first != it {
			first.same = append(first.same, it)
			continue
		}
		q.live[it.digest] = it
		l := q.lane(it)
		l.add(it)
		signal(l.wake)
	}
}

func (l *lane) add(it *item) {
	if len(l.ready) == 0 {
		l.since = time.Now()
	}
	l.ready = append(l.ready, it)
	l.bytes += len(it.raw)
}

// pushFront puts items of one lane back at its front, in order.
func (q *queue) pushFront(items []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(items[0])
	rest := l.ready
	l.ready = make([]*item, 0, len(items)+len(rest))
	for _, it := range items {
		l.add(it)
	}
	l.ready = append(l.ready, rest...)
	signal(l.wake)
}

// await waits until the lane's items fill a transaction or have waited long enough,
// and returns nil, or ctx's error. underway says how many transactions are awaited.
func (q *queue) await(ctx context.Context, l *lane, underway func() int) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := q.waitFor(l, time.Now(), q.flushAfter(underway()))
		if wait <= 0 {
			return nil
		}
		timer.Reset(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// slowFlush is how many times FlushInterval a statement waits at most.
const slowFlush = 8

// flushAfter is how long a statement waits for others: the longer, the more
// transactions are awaited, because then waiting costs it little and saves much.
func (q *queue) flushAfter(underway int) time.Duration {
	return q.cfg.FlushInterval * time.Duration(min(1+slowFlush*2*underway/q.cfg.Window, slowFlush))
}

// waitFor returns how long the lane's items should still wait for others; 0 or less if
// they should go.
func (q *queue) waitFor(l *lane, now time.Time, flush time.Duration) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(l.ready) == 0:
		return time.Hour
	case l.bytes >= q.cfg.BatchBytes, len(l.ready) >= q.cfg.MaxBatch, l.ready[0].alone:
		return 0
	}
	return flush - now.Sub(l.since)
}

// cut takes the items of one transaction off the lane: as many as fit into it.
func (q *queue) cut(l *lane) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for ; n < len(l.ready) && n < q.cfg.MaxBatch; n++ {
		it := l.ready[n]
		size += len(it.raw) + 3
		if n > 0 && (size > q.cfg.MaxBatchBytes || it.alone || l.ready[0].alone) {
			break
		}
	}
	items := l.ready[:n:n]
	for _, it := range items {
		l.bytes -= len(it.raw)
	}
	l.ready = l.ready[n:]
	l.since = time.Now()
	return items
}

// retryLater keeps a refused item to be tried again. It returns items to be given
// up: this one, because it was tried for long enough, or those that have waited
// longest, because there are too many, of its device or of all.
func (q *queue) retryLater(it *item, now time.Time) (giveUp []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &it.retry
	if r.since.IsZero() {
		r.since, r.pause = now, q.cfg.RetryMin
	} else {
		r.pause = min(2*r.pause, q.cfg.RetryMax)
	}
	if now.Sub(r.since) >= q.cfg.RetryFor {
		return []*item{it}
	}
	r.due = now.Add(r.pause)
	heap.Push(&q.retries, it)
	q.retryBytes += it.cost()
	q.retryCount[it.statement.Device]++
	giveUp = q.overflow(it.statement.Device)
	signal(q.wakeRetry)
	return giveUp
}

// overflow takes out the retries that have waited longest when there are too many, of
// a device or of all, and some more, so that it is not called for each.
func (q *queue) overflow(device crypto.ID) (giveUp []*item) {
	if q.retryCount[device] > maxRetryDevice {
		giveUp = q.unretryOldest(
			func(it *item) bool { return it.statement.Device == device },
			func() bool { return q.retryCount[device] <= maxRetryDevice/16*15 })
	}
	if len(q.retries) > q.cfg.MaxRetrying || q.retryBytes > maxRetryBytes {
		giveUp = append(giveUp, q.unretryOldest(
			func(*item) bool { return true },
			func() bool {
				return len(q.retries) <= q.cfg.MaxRetrying-q.cfg.MaxRetrying/16 && q.retryBytes <= maxRetryBytes/16*15
			})...)
	}
	return giveUp
}

// unretryOldest takes out those among the retries that have waited longest until there
// are few enough.
func (q *queue) unretryOldest(among func(*item) bool, enough func() bool) (out []*item) {
	byAge := slices.DeleteFunc(slices.Clone(q.retries), func(it *item) bool { return !among(it) })
	slices.SortFunc(byAge, func(a, b *item) int { return a.retry.since.Compare(b.retry.since) })
	for _, it := range byAge {
		if enough() {
			break
		}
		q.unretry(it)
		out = append(out, it)
	}
	return out
}

// unretry takes an item out of the retries if it is there.
func (q *queue) unretry(it *item) {
	if it.retry.index < 0 {
		return
	}
	heap.Remove(&q.retries, it.retry.index)
	q.retryBytes -= it.cost()
	if d := it.statement.Device; q.retryCount[d] > 1 {
		q.retryCount[d]--
	} else {
		delete(q.retryCount, d)
	}
}

// due returns at most max items whose time has come, waiting for the first.
func (q *queue) due(ctx context.Context, max int) ([]*item, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		items, wait := q.cutDue(time.Now(), max)
		if len(items) > 0 {
			return items, nil
		}
		timer.Reset(wait)
		select {
		case <-q.wakeRetry:
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) cutDue(now time.Time, max int) (items []*item, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.retries) > 0 && len(items) < max {
		it := q.retries[0]
		if wait = it.retry.due.Sub(now); wait > 0 {
			return items, wait
		}
		q.unretry(it)
		items = append(items, it)
	}
	return items, time.Hour
}

// size returns how many items are in memory, and how many of them are retried.
func (q *queue) size() (items, retrying int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items, len(q.retries)
}

// retryHeap orders items by when they are due.
type retryHeap []*item

func (h retryHeap) Len() int           { return len(h) }
func (h retryHeap) Less(i, j int) bool { return h[i].retry.due.Before(h[j].retry.due) }
func (h retryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].retry.index, h[j].retry.index = i, j
}

// Push implements heap.Interface.
func (h *retryHeap) Push(x any) {
	it := x.(*item)
	it.retry.index = len(*h)
	*h = append(*h, it)
}

// Pop implements heap.Interface.
func (h *retryHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.retry.index = -1
	return it
}
