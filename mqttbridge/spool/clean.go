package spool

import (
	"errors"
	"fmt"
	"slices"
)

// Only the oldest segment can be deleted: later ones have marks of entries in those
// before, and the chain of headers. So what is undecided in the oldest is copied to
// the newest, step by step, until the space behind it is free. That is done when it
// is cheap, and when space is needed and there is some to be gained: what a whole
// turn through the segments copies is then at most three times what it frees.

// victim returns the segment that is to be emptied into the newest one, or nil. Call
// with mu held.
func (s *Spool) victim() *segment {
	if len(s.segs) == 0 {
		return nil
	}
	old := s.segs[0]
	growing := len(s.segs) == 1 && old.size < s.cfg.SegmentBytes
	if growing || old.held == 0 || !s.reader.passed(old) {
		return nil
	}
	_, held := s.held()
	cheap := s.bytes >= s.cfg.MaxBytes/2 && old.heldBytes <= old.size/4
	needed := s.bytes >= s.cfg.MaxBytes/4*3 && held <= s.bytes/4*3
	if cheap || needed {
		return old
	}
	return nil
}

// moves are entries whose copies are part of a group.
type moves struct {
	from *segment
	seqs []uint64
	end  int64 // up to where from is searched
}

// errEnough ends a step of cleaning.
var errEnough = errors.New("spool: enough copied")

// clean appends copies of some entries of the oldest segment, if that is to be
// emptied. When it can't be read, the group goes without.
func (s *Spool) clean(buf []byte) ([]byte, moves) {
	s.mu.Lock()
	old := s.victim()
	s.unreadable = nil
	s.mu.Unlock()
	if old == nil {
		return buf, moves{}
	}
	copied, m, err := s.copyFrom(old, buf)
	if err != nil {
		s.mu.Lock()
		s.unreadable = corrupt(old.id, err)
		s.mu.Unlock()
		return buf, moves{}
	}
	return copied, m
}

// copyFrom appends copies of the undecided entries of g, from where the last step
// ended; at most a quarter of a segment, so that nobody waits for long.
func (s *Spool) copyFrom(g *segment, buf []byte) ([]byte, moves, error) {
	m := moves{from: g}
	limit := len(buf) + int(s.cfg.SegmentBytes/4)
	var err error
	m.end, err = s.scanEntries(g.id, g.cleaned, g.size, func(e Entry) error {
		if len(buf) >= limit {
			return errEnough
		}
		if s.isHeld(g, e.Seq) {
			buf = appendEntry(buf, kindCopy, e)
			m.seqs = append(m.seqs, e.Seq)
		}
		return nil
	})
	if err == errEnough {
		return buf, m, nil
	}
	if err == nil && len(m.seqs) == 0 {
		err = s.missing(g)
	}
	return buf, m, err
}

// isHeld reports whether the newest copy of an entry is in g, and not marked.
func (s *Spool) isHeld(g *segment, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.place(seq)
	return ok && p.in == g && !p.marked
}

// missing returns an error if g should have had entries to copy.
func (s *Spool) missing(g *segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.held == 0 {
		return nil // marked meanwhile
	}
	return fmt.Errorf("%w: %d entries are missing", errFrame, g.held)
}

// moveAll makes the copies of a stored group the entries' places. Call with mu held.
func (s *Spool) moveAll(m moves, to *segment) {
	for _, seq := range m.seqs {
		s.move(seq, to)
	}
	if m.from != nil {
		m.from.cleaned = m.end
		s.reader.follow(m.from, to)
	}
}

// trim deletes the oldest segments while nothing in them is needed. The newest one
// stays: it has the counts. Call with mu held.
func (s *Spool) trim() {
	for len(s.segs) > 1 && s.segs[0].live == 0 && s.reader.passed(s.segs[0]) {
		if err := s.cfg.FS.Remove(s.path(s.segs[0].id)); err != nil {
			return // tried again after the next group; harmless if it stays
		}
		s.reader.forget(s.segs[0])
		s.bytes -= s.segs[0].size
		s.segs = slices.Delete(s.segs, 0, 1)
	}
}
