package spool

import (
	"errors"
	"fmt"
	"io"

	"mtmledger/internal/disk"
)

// frames reads the frames of a file one after another through one buffer, so that a
// segment of any size takes no more memory than that.
type frames struct {
	file disk.Reader
	at   int64  // where rest begins in the file
	end  int64  // what lies beyond is not read
	buf  []byte // holds the largest frame
	rest []byte // part of buf: read from the file, not returned yet
}

const frameBuffer = 256 << 10

// next returns the next frame, whose body is valid until the next call; io.EOF at
// the end; or errFrame if no whole frame follows.
func (f *frames) next() (kind byte, body []byte, err error) {
	for {
		kind, body, rest, err := nextFrame(f.rest)
		if err == nil {
			f.at += int64(len(f.rest) - len(rest))
			f.rest = rest
			return kind, body, nil
		}
		n, err := f.read()
		switch {
		case err != nil:
			return 0, nil, err
		case n == 0 && f.at == f.end:
			return 0, nil, io.EOF
		case n == 0:
			return 0, nil, errFrame
		}
	}
}

// read fills the buffer and returns how many bytes came; 0 when it was full or the
// file has no more.
func (f *frames) read() (int, error) {
	have := copy(f.buf, f.rest)
	n, err := f.file.ReadAt(f.buf[have:min(int64(len(f.buf)), f.end-f.at)], f.at+int64(have))
	f.rest = f.buf[:have+n]
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("spool: read: %w", err)
	}
	return n, nil
}

// scan calls do for the frames of a segment's file from one offset up to another,
// until do returns an error. It returns the offset behind the last frame for which
// do returned nil. Bodies are valid during the call only.
func (s *Spool) scan(id uint64, from, to int64, do func(kind byte, body []byte) error) (int64, error) {
	file, err := s.cfg.FS.Open(s.path(id))
	if err != nil {
		return from, fmt.Errorf("spool: %w", err)
	}
	defer file.Close()
	f := frames{file: file, at: from, end: to, buf: make([]byte, min(frameBuffer, to-from))}
	for {
		done := f.at
		kind, body, err := f.next()
		if err == io.EOF {
			return done, nil
		}
		if err == nil {
			err = do(kind, body)
		}
		if err != nil {
			return done, err
		}
	}
}

// scanEntries is scan for entries and copies; it hides the other frames.
func (s *Spool) scanEntries(id uint64, from, to int64, do func(e Entry) error) (int64, error) {
	return s.scan(id, from, to, func(kind byte, body []byte) error {
		if kind != kindEntry && kind != kindCopy {
			return nil
		}
		e, err := parseEntry(body)
		if err != nil {
			return err
		}
		return do(e)
	})
}

// corrupt says which segment has a broken frame.
func corrupt(id uint64, err error) error {
	if errors.Is(err, errFrame) {
		return fmt.Errorf("%w: segment %x: %w", ErrCorrupt, id, err)
	}
	return err
}
