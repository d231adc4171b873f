package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mtmledger/internal/disk"
)

// makeDir makes dir and makes its name durable.
func makeDir(fsys disk.FS, dir string) error {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		_, err := fsys.List(d)
		if err == nil || filepath.Dir(d) == d {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("spool: %w", err)
		}
		missing = append(missing, d)
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if len(missing) == 0 {
		missing = append(missing, filepath.Clean(dir)) // made, but perhaps not synced
	}
	for _, d := range missing {
		if err := fsys.SyncDir(filepath.Dir(d)); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}

// found is a segment file as recovery finds it.
type found struct {
	header header
	size   int64 // valid part only
}

// recover reads the chain of segments and rebuilds what Spool knows of it.
func (s *Spool) recover() error {
	ids, err := s.list()
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		s.lastID = ids[len(ids)-1]
	}
	tip, err := s.findTip(ids)
	if err != nil || tip == nil {
		return errors.Join(err, s.removeOthers(ids))
	}
	chain, err := s.chain(*tip)
	if err != nil {
		return err
	}
	return errors.Join(s.rebuild(chain), s.removeOthers(ids))
}

// list returns the numbers of the segment files, ascending.
func (s *Spool) list() ([]uint64, error) {
	names, err := s.cfg.FS.List(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var ids []uint64
	for _, name := range names {
		hex, ok := strings.CutSuffix(name, ".seg")
		id, err := strconv.ParseUint(hex, 16, 64)
		if ok && err == nil && len(hex) == 16 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// findTip returns the newest segment whose header is whole. Newer files were being
// begun when the power went.
func (s *Spool) findTip(ids []uint64) (*found, error) {
	for _, id := range slices.Backward(ids) {
		f, err := s.load(id)
		if err == nil {
			f.size, err = s.validLength(id, f.size)
			return f, err
		}
		if !errors.Is(err, errFrame) {
			return nil, err
		}
	}
	return nil, nil
}

// load reads a segment file's header and size.
func (s *Spool) load(id uint64) (*found, error) {
	file, err := s.cfg.FS.Open(s.path(id))
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	f := frames{file: file, end: size, buf: make([]byte, frameHead+headerBody)}
	kind, body, err := f.next()
	if err == io.EOF || (err == nil && kind != kindHeader) {
		err = errFrame
	}
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(body)
	if err != nil || h.segment != id {
		return nil, errFrame
	}
	return &found{h, size}, nil
}

// validLength is the length of the whole frames at the begin of a segment.
func (s *Spool) validLength(id uint64, size int64) (int64, error) {
	n, err := s.scan(id, 0, size, func(byte, []byte) error { return nil })
	if errors.Is(err, errFrame) {
		return n, nil
	}
	return n, err
}

// chain follows the headers back from the tip, and returns the segments oldest
// first. A predecessor that is gone was deleted because nothing in it was needed;
// rebuild checks that by the counts.
func (s *Spool) chain(tip found) ([]found, error) {
	chain := []found{tip}
	for h := tip.header; h.prev != 0; {
		f, err := s.load(h.prev)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: segment %x: %w", ErrCorrupt, h.prev, err)
		}
		if f.header.prev >= h.prev || uint64(f.size) < h.prevLen {
			return nil, fmt.Errorf("%w: segment %x is shorter than its successor says", ErrCorrupt, h.prev)
		}
		f.size = int64(h.prevLen)
		chain = append(chain, *f)
		h = f.header
	}
	slices.Reverse(chain)
	return chain, nil
}

// rebuild replays the chain, one segment after another.
func (s *Spool) rebuild(chain []found) error {
	s.durable = chain[0].header.counts
	s.next = max(chain[0].header.next, 1)
	for _, f := range chain {
		s.next = max(s.next, f.header.next)
		g := &segment{id: f.header.segment, size: f.size, first: s.next}
		s.segs = append(s.segs, g)
		s.bytes += f.size
		if err := s.replay(g); err != nil {
			return corrupt(g.id, err)
		}
	}
	if n, _ := s.held(); n != s.durable.undecided() {
		return fmt.Errorf("%w: %d entries, but the counts say %d", ErrCorrupt, n, s.durable.undecided())
	}
	s.now = s.durable
	return nil
}

// replay applies a segment's frames to what is known.
func (s *Spool) replay(g *segment) error {
	_, err := s.scan(g.id, 0, g.size, func(kind byte, body []byte) error {
		switch kind {
		case kindHeader:
			return nil
		case kindEntry:
			return s.replayEntry(g, body)
		case kindCopy:
			return s.replayCopy(g, body)
		case kindMarks:
			return parseMarks(body, s.replayMarks)
		}
		return fmt.Errorf("%w: kind %d", errFrame, kind)
	})
	return err
}

func (s *Spool) replayEntry(g *segment, body []byte) error {
	e, err := parseEntry(body)
	if err != nil {
		return err
	}
	if e.Seq != s.next || e.Seq > maxSeq {
		return fmt.Errorf("%w: sequence %d, want %d", errFrame, e.Seq, s.next)
	}
	g.extend(e.Seq, e.frameSize())
	s.next = e.Seq + 1
	s.durable.received++
	return nil
}

func (s *Spool) replayCopy(g *segment, body []byte) error {
	e, err := parseEntry(body)
	if err != nil {
		return err
	}
	if e.Seq >= s.next {
		return fmt.Errorf("%w: copy of unknown entry %d", errFrame, e.Seq)
	}
	if _, ok := s.place(e.Seq); ok {
		s.move(e.Seq, g)
	} else {
		s.take(e.Seq, place{in: g, size: e.frameSize(), owed: true})
	}
	return nil
}

// replayMarks applies one run of marks. Entries whose segment was deleted are gone;
// their marks still count.
func (s *Spool) replayMarks(o Outcome, first, count uint64) error {
	if first >= s.next || count > s.next-first {
		return fmt.Errorf("%w: mark of an unknown entry", errFrame)
	}
	for seq := first; seq < first+count; seq++ {
		if _, ok := s.place(seq); ok {
			if !s.mark(seq) {
				return fmt.Errorf("%w: entry %d is marked twice", errFrame, seq)
			}
			s.settle(seq)
		}
	}
	s.durable.done[o] += count
	return nil
}

// removeOthers deletes the files that are not part of the chain: begun and never
// acknowledged, or deleted before and brought back by a power cut. It also deletes
// segments of which nothing is needed.
func (s *Spool) removeOthers(ids []uint64) error {
	for len(s.segs) > 1 && s.segs[0].live == 0 {
		s.bytes -= s.segs[0].size
		s.segs = s.segs[1:]
	}
	for _, id := range ids {
		if slices.ContainsFunc(s.segs, func(g *segment) bool { return g.id == id }) {
			continue
		}
		if err := s.cfg.FS.Remove(s.path(id)); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}
