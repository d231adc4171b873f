package spool

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// reader is where Next stands. First it gives what Open found, segment by segment.
// Then it follows Append: from memory, or, when it fell behind by more than
// Config.Memory, from the files until it has caught up.
type reader struct {
	recovered []*segment // that have entries to be given, in order
	given     uint64     // all entries appended since Open below this were given out
	durable   uint64     // all entries appended since Open below this are durable
	buf       []Entry    // read from a file, to be given
	caughtUp  bool       // recent continues at given
	recent    []Entry    // durable, to be given
	size      int        // bytes of recent
	limit     int
}

// entryCost is what an entry costs in memory beyond its bytes.
const entryCost = 64

func (r *reader) begin(s *Spool) {
	r.given, r.durable = s.next, s.next
	r.recovered = append(r.recovered, s.segs...)
	r.limit = s.cfg.Memory
	r.caughtUp = len(r.recovered) == 0
}

// offer takes entries that have just become durable. Call with mu held.
func (r *reader) offer(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	r.durable = entries[len(entries)-1].Seq + 1
	if !r.caughtUp {
		return
	}
	for i := range entries {
		r.size += entryCost + len(entries[i].Topic) + len(entries[i].Payload)
	}
	if r.size > r.limit {
		r.caughtUp, r.recent, r.size = false, nil, 0
		return
	}
	r.recent = append(r.recent, entries...)
}

// passed reports whether Next does not need g's own entries any more: they were given
// out, or it finds them by their place. Call with mu held.
func (r *reader) passed(g *segment) bool {
	return !g.fresh || g.count == 0 || g.first+g.count <= r.given
}

// follow notes that entries of from are now in to. What of them is still to be given
// keeps its turn. Call with mu held.
func (r *reader) follow(from, to *segment) {
	i := slices.Index(r.recovered, from)
	if i >= 0 && to.owed > 0 && !slices.Contains(r.recovered, to) {
		r.recovered = slices.Insert(r.recovered, i, to)
	}
}

// forget notes that nothing in g is needed. Call with mu held.
func (r *reader) forget(g *segment) {
	r.recovered = slices.DeleteFunc(r.recovered, func(o *segment) bool { return o == g })
}

// Next returns entries in the order of Append, at least one and at most max, each
// once in a run (what Open found first, those that were left over from long before
// perhaps later). It waits until there are some, ctx ends, or the spool is closed
// ([ErrClosed]). An error that wraps [ErrCorrupt] means that a file was changed.
func (s *Spool) Next(ctx context.Context, max int) ([]Entry, error) {
	for {
		entries, from, old, err := s.give(max)
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		if from != nil {
			if err := s.fill(from, old); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ended:
			return nil, ErrClosed
		}
	}
}

// give returns entries that are at hand, or the segment to read for more (old: for what
// Open found), or neither.
func (s *Spool) give(max int) (entries []Entry, from *segment, old bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.reader
	switch {
	case len(r.buf) > 0:
		return r.cut(&r.buf, max), nil, false, nil
	case len(r.recovered) > 0:
		return nil, r.recovered[0], true, nil
	case r.given >= r.durable:
		r.caughtUp = true
		return nil, nil, false, nil
	case r.caughtUp:
		entries = r.cut(&r.recent, max)
		for i := range entries {
			r.size -= entryCost + len(entries[i].Topic) + len(entries[i].Payload)
		}
		return entries, nil, false, nil
	}
	for _, g := range s.segs {
		if g.count > 0 && g.first+g.count > r.given && g.fresh {
			return nil, g, false, nil
		}
	}
	return nil, nil, false, fmt.Errorf("%w: entry %d is in no segment", ErrCorrupt, r.given)
}

// cut takes up to max entries off list and notes that they are given.
func (r *reader) cut(list *[]Entry, max int) []Entry {
	n := min(len(*list), max)
	out := (*list)[:n:n]
	*list = (*list)[n:]
	if len(*list) == 0 {
		*list = nil
	}
	if last := out[n-1].Seq; last >= r.given {
		r.given = last + 1
	}
	return out
}

// fill reads a segment's entries into the reader's buffer.
func (s *Spool) fill(g *segment, old bool) error {
	s.mu.Lock()
	size := g.size
	s.mu.Unlock()
	var list []Entry
	_, err := s.scanEntries(g.id, 0, size, func(e Entry) error {
		if s.wanted(g, old, e.Seq) {
			e.Payload = bytes.Clone(e.Payload)
			list = append(list, e)
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.reader
	if old && (len(r.recovered) == 0 || r.recovered[0] != g) {
		return nil // emptied meanwhile: read what took its turn
	}
	if err != nil {
		return corrupt(g.id, err)
	}
	r.buf = list
	if old {
		s.paid(g, list)
	}
	return nil
}

// wanted reports whether an entry found in g is to be given out from there.
func (s *Spool) wanted(g *segment, old bool, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !old {
		return seq >= s.reader.given // copies were given before
	}
	p, ok := s.place(seq)
	return ok && p.in == g && !p.marked && p.owed
}

// paid notes that list is all that g owed when it was read. If it got more since, it
// stays in turn. Call with mu held.
func (s *Spool) paid(g *segment, list []Entry) {
	for i := range list {
		if p, ok := s.moved[list[i].Seq]; ok && p.owed {
			p.owed = false
			p.in.owed--
			s.moved[list[i].Seq] = p
		}
	}
	g.read = !g.fresh
	if g.owed == 0 {
		s.reader.forget(g)
	}
}
