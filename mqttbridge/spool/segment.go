package spool

import (
	"fmt"
	"path/filepath"
	"sort"
)

// segment is one file and what is known of it. Fields are guarded by Spool.mu.
type segment struct {
	id        uint64
	size      int64 // valid bytes
	first     uint64
	count     uint64   // its own entries are first .. first+count-1
	gone      []uint64 // one bit for each of its own entries: Done was called, or it moved
	sizes     []uint32 // of the frames of its own entries
	live      int      // entries and copies here whose mark is not yet durable
	held      int      // those among them that are not marked
	heldBytes int64    // their frames
	owed      int      // copies here that Open found and Next has not given out
	cleaned   int64    // before this offset nothing is left to be copied elsewhere
	read      bool     // Open found it, and Next has given out its own entries
	fresh     bool     // begun since Open
}

// place is where the newest copy of an entry is.
type place struct {
	in     *segment
	size   uint32 // of its frame
	marked bool   // Done was called
	owed   bool   // Open found it, and Next has not given it out
}

func (g *segment) holds(seq uint64) bool { return seq >= g.first && seq-g.first < g.count }

func (g *segment) isGone(seq uint64) bool {
	return g.gone[(seq-g.first)/64]>>((seq-g.first)%64)&1 == 1
}

func (g *segment) setGone(seq uint64) {
	g.gone[(seq-g.first)/64] |= 1 << ((seq - g.first) % 64)
}

// extend adds one of its own entries.
func (g *segment) extend(seq uint64, size uint32) {
	if g.count == 0 {
		g.first = seq
	}
	if g.count%64 == 0 {
		g.gone = append(g.gone, 0)
	}
	g.sizes = append(g.sizes, size)
	g.count++
	g.live++
	g.hold(1, size)
}

// hold adds n (1 or -1) entries of a size to what is held.
func (g *segment) hold(n int, size uint32) {
	g.held += n
	g.heldBytes += int64(n) * int64(size)
}

// place returns where an entry is, unless its segment is deleted. Call with mu held.
func (s *Spool) place(seq uint64) (p place, ok bool) {
	if len(s.moved) > 0 {
		if p, ok := s.moved[seq]; ok {
			return p, true
		}
	}
	g := s.origin(seq)
	if g == nil {
		return p, false
	}
	p = place{in: g, size: g.sizes[seq-g.first], marked: g.isGone(seq)}
	p.owed = !p.marked && !g.fresh && !g.read
	return p, true
}

// origin returns the segment that an entry was first written to, or nil. Call with
// mu held.
func (s *Spool) origin(seq uint64) *segment {
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

// mark notes that Done was called for an entry; false if it had been, or the entry
// is unknown. Call with mu held.
func (s *Spool) mark(seq uint64) bool {
	p, ok := s.place(seq)
	if !ok || p.marked {
		return false
	}
	p.in.hold(-1, p.size)
	if _, moved := s.moved[seq]; !moved {
		p.in.setGone(seq)
		return true
	}
	if p.owed {
		p.in.owed--
	}
	p.marked, p.owed = true, false
	s.moved[seq] = p
	return true
}

// move notes that the newest copy of an entry is in to. Call with mu held.
func (s *Spool) move(seq uint64, to *segment) {
	p, ok := s.place(seq)
	if !ok {
		return
	}
	p.in.live--
	if !p.marked {
		p.in.hold(-1, p.size)
	}
	if _, moved := s.moved[seq]; !moved {
		p.in.setGone(seq)
	} else if p.owed {
		p.in.owed--
	}
	p.in = to
	s.take(seq, p)
}

// take notes a copy that is new in p.in. Call with mu held.
func (s *Spool) take(seq uint64, p place) {
	p.in.live++
	if !p.marked {
		p.in.hold(1, p.size)
	}
	if p.owed {
		p.in.owed++
	}
	s.moved[seq] = p
}

// settle notes that the mark of an entry is durable. Call with mu held.
func (s *Spool) settle(seq uint64) {
	if p, ok := s.place(seq); ok {
		p.in.live--
		delete(s.moved, seq)
	}
}

// held counts the entries in the segments that Done was not called for, and the
// bytes of their frames. Call with mu held.
func (s *Spool) held() (n uint64, bytes int64) {
	for _, g := range s.segs {
		n += uint64(g.held)
		bytes += g.heldBytes
	}
	return n, bytes
}

func (s *Spool) path(id uint64) string {
	return filepath.Join(s.cfg.Dir, fmt.Sprintf("%016x.seg", id))
}
