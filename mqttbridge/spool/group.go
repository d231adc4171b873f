package spool

import (
	"fmt"
	"time"
)

// waiting is a receipt that waits for a group.
type waiting struct {
	receipt Receipt
	id      uint32
}

// group is what one write and one sync make durable.
type group struct {
	buf      []byte // frames of the entries
	entries  []Entry
	receipts []waiting
	marks    [outcomes][]uint64
}

func (g *group) idle() bool {
	return len(g.entries) == 0 && g.markCount() == 0
}

func (g *group) markCount() (n int) {
	for _, m := range g.marks {
		n += len(m)
	}
	return n
}

// manyMarks is when marks stop waiting for entries to be written with.
const manyMarks = 4096

// maxRest bounds the pause after a group that failed, in units of Config.MarkDelay.
const maxRest = 16

// write is the writer: it stores group after group until Close.
func (s *Spool) write() {
	defer close(s.ended)
	var spare group
	for {
		open := s.await()
		err := s.store(&spare)
		if !open {
			break
		}
		if err != nil {
			s.rest()
		}
	}
	if s.active != nil {
		s.active.Close()
	}
}

// rest pauses after a failure: a disk that is full or broken is not helped by trying
// in a loop, and marks that failed are back in the next group.
func (s *Spool) rest() {
	s.mu.Lock()
	pause := s.pause
	s.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-s.closed:
	}
}

// await waits until a group should be written: at once when it has entries or a
// segment is to be emptied; after a while when it has marks alone, or a segment could
// not be read. It returns false after Close.
func (s *Spool) await() bool {
	for {
		s.mu.Lock()
		marks, clean := s.group.markCount(), s.victim() != nil
		now := len(s.group.entries) > 0 || marks >= manyMarks || (clean && s.unreadable == nil)
		s.mu.Unlock()
		if now {
			return true
		}
		if marks == 0 && !clean {
			select {
			case <-s.wake:
				continue
			case <-s.closed:
				return false
			}
		}
		select {
		case <-s.wake: // entries came, or Done after a moment of idleness
		case <-time.After(s.cfg.MarkDelay):
			return true
		case <-s.closed:
			return false
		}
	}
}

// store writes the collected group. spare lends it memory, and gets it back.
func (s *Spool) store(spare *group) error {
	s.mu.Lock()
	g := s.group
	s.group = *spare
	s.mu.Unlock()
	err := s.commit(&g)
	if err != nil {
		s.fail(&g, err)
	}
	for _, w := range g.receipts {
		if w.receipt != nil {
			w.receipt.Stored(w.id, err)
		}
	}
	*spare = g.reuse()
	return err
}

// reuse empties the group but keeps its memory, unless there is very much of it.
func (g *group) reuse() group {
	if cap(g.buf) > 4<<20 {
		return group{}
	}
	clear(g.entries)
	clear(g.receipts)
	r := group{buf: g.buf[:0], entries: g.entries[:0], receipts: g.receipts[:0]}
	for o := range g.marks {
		r.marks[o] = g.marks[o][:0]
	}
	return r
}

// commit makes the group durable and then known.
func (s *Spool) commit(g *group) error {
	if s.active != nil && s.tip().size >= s.cfg.SegmentBytes {
		s.active.Close() // synced
		s.active = nil
	}
	buf := g.buf
	for o, m := range g.marks {
		buf = appendMarks(buf, Outcome(o), m)
	}
	buf, moved := s.clean(buf)
	if len(buf) == 0 {
		return nil
	}
	fresh := s.active == nil
	if fresh {
		if err := s.begin(); err != nil {
			return err
		}
		buf = append(s.header(g), buf...)
	}
	if err := s.persist(buf, fresh); err != nil {
		return err
	}
	s.apply(g, moved, len(buf), fresh)
	return nil
}

// tip returns the newest segment, or nil. The writer alone changes it.
func (s *Spool) tip() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) == 0 {
		return nil
	}
	return s.segs[len(s.segs)-1]
}

// begin creates the next segment's file.
func (s *Spool) begin() error {
	f, err := s.cfg.FS.Create(s.path(s.lastID + 1))
	if err != nil {
		return fmt.Errorf("spool: new segment: %w", err)
	}
	s.lastID++
	s.active = f
	return nil
}

// header returns the frame that begins a segment with the group.
func (s *Spool) header(g *group) []byte {
	h := header{segment: s.lastID, counts: s.durable}
	if t := s.tip(); t != nil {
		h.prev, h.prevLen = t.id, uint64(t.size)
	}
	h.next = s.nextOf(g)
	return appendHeader(nil, h)
}

// nextOf returns the sequence of the group's first entry, or of the next one.
func (s *Spool) nextOf(g *group) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextOfLocked(g)
}

// persist writes and syncs; a fresh segment's name too.
func (s *Spool) persist(buf []byte, fresh bool) error {
	if _, err := s.active.Write(buf); err != nil {
		return fmt.Errorf("spool: write: %w", err)
	}
	if err := s.active.Sync(); err != nil {
		return fmt.Errorf("spool: sync: %w", err)
	}
	if fresh {
		if err := s.cfg.FS.SyncDir(s.cfg.Dir); err != nil {
			return fmt.Errorf("spool: sync directory: %w", err)
		}
	}
	return nil
}

// apply makes a stored group known: to Counts, to Next, and to those who wait.
func (s *Spool) apply(g *group, moved moves, size int, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh {
		s.segs = append(s.segs, &segment{id: s.lastID, first: s.nextOfLocked(g), fresh: true})
	}
	t := s.segs[len(s.segs)-1]
	t.size += int64(size)
	s.bytes += int64(size)
	s.syncs++
	s.failure, s.pause = nil, 0
	for i := range g.entries {
		t.extend(g.entries[i].Seq, g.entries[i].frameSize())
	}
	s.now.received += uint64(len(g.entries))
	s.durable.received += uint64(len(g.entries))
	s.moveAll(moved, t)
	for o, m := range g.marks {
		for _, seq := range m {
			s.settle(seq)
		}
		s.durable.done[o] += uint64(len(m))
	}
	s.reader.offer(g.entries)
	s.trim()
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	if len(g.entries) > 0 {
		signal(s.ready)
	}
}

func (s *Spool) nextOfLocked(g *group) uint64 {
	if len(g.entries) > 0 {
		return g.entries[0].Seq
	}
	if len(s.group.entries) > 0 {
		return s.group.entries[0].Seq
	}
	return s.next
}

// fail ends the segment whose write or sync failed: what of it is stored is unknown,
// so the next segment will name how much of it counts. The group's marks are kept
// for the next group, which is tried after a pause, twice as long as the last one; its
// entries are lost, and their receipts are told.
func (s *Spool) fail(g *group, err error) {
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segs); n == 0 || s.segs[n-1].id != s.lastID {
		s.cfg.FS.Remove(s.path(s.lastID)) // begun in vain; if it stays, recovery drops it
	}
	for o, m := range g.marks {
		s.group.marks[o] = append(s.group.marks[o], m...)
	}
	s.failure, s.pause = err, min(max(2*s.pause, s.cfg.MarkDelay), maxRest*s.cfg.MarkDelay)
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}
