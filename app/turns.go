package app

import (
	"container/heap"

	"mtmledger/crypto"
)

// turns are transactions whose senders take turns: the organisation that was served the
// fewest bytes is next, of it the bridge (of operations: the actor) that was, of that its
// oldest transaction. So nobody waits for more than one transaction of each of the others.
type turns struct {
	organisations line
	length        int
	arrivals      uint64
}

// line is a heap of those who wait for their turn, without those who don't.
type line struct {
	by    map[crypto.ID]*waiter
	heap  []*waiter
	floor int64 // what the last one had been served before its turn
}

// waiter is an organisation, or a sender of one.
type waiter struct {
	id      crypto.ID
	served  int64  // bytes
	since   uint64 // arrival of the transaction that is next
	senders line   // of an organisation
	queue   []queued
}

type queued struct {
	*entry
	arrival uint64
}

// push adds a transaction. Its organisation and its sender have been served so many bytes
// before, if they don't wait already; but never less than the one whose turn was last, so
// that nobody saves turns up.
func (t *turns) push(e *entry, organisation, sender int64) {
	t.arrivals++
	t.length++
	o := t.organisations.waiter(e.payer, organisation, t.arrivals)
	s := o.senders.waiter(e.sender, sender, t.arrivals)
	s.queue = append(s.queue, queued{e, t.arrivals})
}

// next takes the transaction whose turn it is; nil if none waits.
func (t *turns) next() *entry {
	o, s := t.first()
	if s == nil {
		return nil
	}
	e := s.queue[0].entry
	t.length--
	s.queue = s.queue[1:]
	t.advance(o, s, e.size)
	return e
}

// peek is the transaction whose turn it is.
func (t *turns) peek() *entry {
	if _, s := t.first(); s != nil {
		return s.queue[0].entry
	}
	return nil
}

// skip ends the turns of the sender who is next.
func (t *turns) skip() {
	if o, s := t.first(); s != nil {
		t.length -= len(s.queue)
		s.queue = nil
		t.advance(o, s, 0)
	}
}

func (t *turns) first() (organisation, sender *waiter) {
	if len(t.organisations.heap) == 0 {
		return nil, nil
	}
	o := t.organisations.heap[0]
	return o, o.senders.heap[0]
}

// advance counts the turn of the first sender of the first organisation.
func (t *turns) advance(o, s *waiter, size int64) {
	if len(s.queue) > 0 {
		s.since = s.queue[0].arrival
	}
	o.senders.advance(size, len(s.queue) > 0)
	waits := len(o.senders.heap) > 0
	if waits {
		o.since = o.senders.heap[0].since
	}
	t.organisations.advance(size, waits)
}

// waiter returns the one with an id, who waits from now on if not already.
func (l *line) waiter(id crypto.ID, served int64, since uint64) *waiter {
	if w := l.by[id]; w != nil {
		return w
	}
	if l.by == nil {
		l.by = make(map[crypto.ID]*waiter)
	}
	w := &waiter{id: id, served: max(served, l.floor), since: since}
	l.by[id] = w
	heap.Push(l, w)
	return w
}

func (l *line) advance(size int64, waits bool) {
	w := l.heap[0]
	l.floor = w.served
	w.served += size
	if waits {
		heap.Fix(l, 0)
		return
	}
	heap.Pop(l)
	delete(l.by, w.id)
}

func (l *line) Len() int { return len(l.heap) }

func (l *line) Less(i, j int) bool {
	a, b := l.heap[i], l.heap[j]
	if a.served != b.served {
		return a.served < b.served
	}
	return a.since < b.since
}

func (l *line) Swap(i, j int) { l.heap[i], l.heap[j] = l.heap[j], l.heap[i] }
func (l *line) Push(x any)    { l.heap = append(l.heap, x.(*waiter)) }
func (l *line) Pop() any {
	last := len(l.heap) - 1
	w := l.heap[last]
	l.heap[last] = nil
	l.heap = l.heap[:last]
	return w
}
