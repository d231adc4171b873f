package spool

import (
	"fmt"
	"path/filepath"
	"sort"
)

// segment is one file and what is known of it. Fields are guarded by Spool.mu.
type segment struct {
	id     uint64
	size   int64 // valid bytes
	first  uint64
	count  uint64          // its own entries are first .. first+count-1
	marked []uint64        // one bit for each of its own entries: Done was called, or it moved
	copies map[uint64]bool // entries moved here: true once marked
	live   int             // entries and copies here whose mark is not yet durable
	held   int             // those among them that are not marked
	read   bool            // Open found it, and Next has given out everything in it
	fresh  bool            // begun since Open
}

func (g *segment) holds(seq uint64) bool { return seq >= g.first && seq-g.first < g.count }

// extend adds one of its own entries.
func (g *segment) extend(seq uint64) {
	if g.count == 0 {
		g.first = seq
	}
	if g.count%64 == 0 {
		g.marked = append(g.marked, 0)
	}
	g.count++
	g.live++
	g.held++
}

// mark notes that Done was called for seq; false if it had been, or seq is not here.
func (g *segment) mark(seq uint64) bool {
	if g.isMarked(seq) {
		return false
	}
	g.held--
	if _, ok := g.copies[seq]; ok {
		g.copies[seq] = true
	} else {
		g.marked[(seq-g.first)/64] |= 1 << ((seq - g.first) % 64)
	}
	return true
}

// isMarked reports whether Done was called for seq, or seq is not here.
func (g *segment) isMarked(seq uint64) bool {
	if marked, ok := g.copies[seq]; ok {
		return marked
	}
	return !g.holds(seq) || g.marked[(seq-g.first)/64]>>((seq-g.first)%64)&1 == 1
}

// take adds an entry that was in another segment.
func (g *segment) take(seq uint64, marked bool) {
	if g.copies == nil {
		g.copies = make(map[uint64]bool)
	}
	g.copies[seq] = marked
	g.live++
	if !marked {
		g.held++
	}
}

// find returns the segment that has the newest copy of an entry, or nil. Call with
// mu held.
func (s *Spool) find(seq uint64) *segment {
	if len(s.moved) > 0 {
		if g, ok := s.moved[seq]; ok {
			return g
		}
	}
	// Segments without own entries are few; skip back over them.
	i := sort.Search(len(s.segs), func(i int) bool { return s.segs[i].first > seq })
	for i--; i >= 0; i-- {
		if s.segs[i].count > 0 {
			if s.segs[i].holds(seq) {
				return s.segs[i]
			}
			return nil
		}
	}
	return nil
}

// move notes that the newest copy of seq, until now in from, is in to. Call with mu
// held.
func (s *Spool) move(seq uint64, from, to *segment) {
	marked := !from.mark(seq)
	delete(from.copies, seq)
	from.live--
	to.take(seq, marked)
	s.moved[seq] = to
}

// settle notes that the mark of seq is durable. Call with mu held.
func (s *Spool) settle(seq uint64) {
	g := s.find(seq)
	if g == nil {
		return
	}
	g.live--
	if _, ok := g.copies[seq]; ok {
		delete(g.copies, seq)
		delete(s.moved, seq)
	}
}

// held counts the entries in the segments that Done was not called for. Call with mu
// held.
func (s *Spool) held() (n uint64) {
	for _, g := range s.segs {
		n += uint64(g.held)
	}
	return n
}

func (s *Spool) path(id uint64) string {
	return filepath.Join(s.cfg.Dir, fmt.Sprintf("%016x.seg", id))
}
