package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"mtmledger/internal/disk"
)

// Errors.
var (
	// ErrFull: the spool has no room. Wait for Room, then append again.
	ErrFull = errors.New("spool: full")
	// ErrClosed: the spool was closed.
	ErrClosed = errors.New("spool: closed")
	// ErrTooLarge: the topic or payload of an entry exceeds its limit.
	ErrTooLarge = errors.New("spool: entry too large")
	// ErrCorrupt: a file of the spool was changed or lost by something else.
	ErrCorrupt = errors.New("spool: corrupt")
	// ErrConfig: the configuration can't be used.
	ErrConfig = errors.New("spool: bad configuration")
)

// maxSeq bounds sequence numbers.
const maxSeq = 1<<63 - 1

// Outcome says what became of an entry.
type Outcome uint8

// The outcomes.
const (
	Committed Outcome = iota
	Duplicate
	DeadLettered
	outcomes
)

// Entry is a message in the spool.
type Entry struct {
	Seq     uint64 // assigned by Append: from 1, ascending, unique for ever
	Time    int64  // microseconds since the Unix epoch
	Topic   string
	Payload []byte
}

func (e *Entry) frameSize() uint32 {
	return uint32(frameHead + entryHead + len(e.Topic) + len(e.Payload))
}

// Counts are the entries ever taken and what became of them. Spooled is counted in
// the segments, not computed from the others.
type Counts struct {
	Received, Committed, Duplicate, DeadLettered, Spooled uint64
}

// Balanced reports whether every entry is accounted for.
func (c Counts) Balanced() bool {
	return c.Received == c.Committed+c.Duplicate+c.DeadLettered+c.Spooled
}

// Receipt is told that an entry is durable, or that it could not be stored. It must
// not block; it is called in the order of Append.
type Receipt interface {
	Stored(id uint32, err error)
}

// Config configures a spool.
type Config struct {
	FS  disk.FS
	Dir string // made if absent
	// MaxBytes bounds the files; default 1 GiB, at least 4 segments. Marks, and
	// copies until the segment they come from is deleted, may exceed it a little.
	// Undecided entries can fill at least three quarters of it.
	MaxBytes int64
	// SegmentBytes is the size at which a segment ends; default 8 MiB.
	SegmentBytes int64
	// MaxGroup bounds the bytes that wait for a sync; default 8 MiB.
	MaxGroup int
	// Memory bounds the payload bytes of entries that are kept in memory for Next
	// instead of being read back; default 16 MiB.
	Memory int
	// MarkDelay is how long a mark may wait to be written, and how long the writer
	// pauses after a failure, up to 16 times that while it goes on; default 100 ms.
	MarkDelay time.Duration
}

func (c Config) withDefaults() Config {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 8 << 20
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = max(1<<30, 4*c.SegmentBytes)
	}
	if c.MaxGroup == 0 {
		c.MaxGroup = 8 << 20
	}
	if c.Memory == 0 {
		c.Memory = 16 << 20
	}
	if c.MarkDelay == 0 {
		c.MarkDelay = 100 * time.Millisecond
	}
	return c
}

// Validate reports whether a spool can be opened with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.FS == nil || c.Dir == "":
		return fmt.Errorf("%w: FS and Dir are needed", ErrConfig)
	case c.SegmentBytes < 1024:
		return fmt.Errorf("%w: SegmentBytes %d, want at least 1024", ErrConfig, c.SegmentBytes)
	case c.MaxBytes < 4*c.SegmentBytes:
		return fmt.Errorf("%w: MaxBytes %d is less than 4 segments", ErrConfig, c.MaxBytes)
	case c.MaxGroup < 1024 || c.Memory < 0 || c.MarkDelay < 0:
		return fmt.Errorf("%w: MaxGroup, Memory or MarkDelay", ErrConfig)
	}
	return nil
}

// tally is what was taken and decided, without what is left.
type tally struct {
	received uint64
	done     [outcomes]uint64
}

// undecided is how many entries must be left.
func (t tally) undecided() uint64 {
	return t.received - t.done[Committed] - t.done[Duplicate] - t.done[DeadLettered]
}

// Spool is a durable queue. Append, Done, Counts and Room may be called from any
// goroutine, Next from one.
type Spool struct {
	cfg    Config
	lock   io.Closer
	wake   chan struct{} // capacity 1: the writer has work
	ready  chan struct{} // capacity 1: Next may have something
	closed chan struct{} // closed by Close
	ended  chan struct{} // closed when the writer has ended

	mu         sync.Mutex
	isShut     bool
	now        tally            // what Counts says
	next       uint64           // sequence of the next Append
	group      group            // being collected
	segs       []*segment       // oldest first; the last one may be active
	moved      map[uint64]place // entries whose newest copy is not in their own segment
	bytes      int64            // of all segments
	room       chan struct{}    // closed when there may be room again; nil if nobody waits
	reader     reader
	syncs      uint64
	failure    error         // why the last group failed; nil when it did not
	pause      time.Duration // after the last group, if it failed
	unreadable error         // why a segment can't be emptied

	// Used by the writer alone.
	durable tally // as the files say
	active  disk.File
	lastID  uint64 // highest segment number ever used
}

// Open opens or makes the spool in cfg.Dir. After a crash it keeps everything that
// was acknowledged, and may keep what was not.
func Open(cfg Config) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := makeDir(cfg.FS, cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := cfg.FS.Lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{
		lock:   lock,
		cfg:    cfg.withDefaults(),
		wake:   make(chan struct{}, 1),
		ready:  make(chan struct{}, 1),
		closed: make(chan struct{}),
		ended:  make(chan struct{}),
		moved:  make(map[uint64]place),
		next:   1,
	}
	if err := s.recover(); err != nil {
		s.lock.Close()
		return nil, err
	}
	s.reader.begin(s)
	go s.write()
	return s, nil
}

// Append queues an entry; e.Seq is ignored. If it returns nil, receipt (which may be
// nil) is told when the entry is durable or could not be stored, with id. The
// payload must not be changed any more.
func (s *Spool) Append(e Entry, receipt Receipt, id uint32) error {
	if len(e.Topic) > MaxTopic || len(e.Payload) > MaxPayload {
		return fmt.Errorf("%w: topic %d, payload %d bytes", ErrTooLarge, len(e.Topic), len(e.Payload))
	}
	size := int(e.frameSize())
	s.mu.Lock()
	if s.isShut {
		s.mu.Unlock()
		return ErrClosed
	}
	g := &s.group
	if s.bytes+int64(len(g.buf)+size) > s.cfg.MaxBytes || (len(g.buf) > 0 && len(g.buf)+size > s.cfg.MaxGroup) {
		s.mu.Unlock()
		return ErrFull
	}
	e.Seq = s.next
	s.next++
	g.buf = appendEntry(g.buf, kindEntry, e)
	g.entries = append(g.entries, e)
	g.receipts = append(g.receipts, waiting{receipt, id})
	first := len(g.entries) == 1
	s.mu.Unlock()
	if first {
		signal(s.wake)
	}
	return nil
}

// Room returns a channel that is closed when there may be room after ErrFull. Get it
// before the Append that may fail.
func (s *Spool) Room() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// Done says what became of entries that Next has given out. Entries that are unknown
// or already done are ignored, so each counts once.
func (s *Spool) Done(o Outcome, seqs ...uint64) {
	if o >= outcomes {
		return
	}
	s.mu.Lock()
	marks := s.group.marks[o]
	idle := s.group.idle()
	for _, seq := range seqs {
		if s.mark(seq) {
			marks = append(marks, seq)
			s.now.done[o]++
		}
	}
	s.group.marks[o] = marks
	idle = idle && len(marks) > 0
	s.mu.Unlock()
	if idle {
		signal(s.wake)
	}
}

// Counts returns the counts of this moment.
func (s *Spool) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.now.done
	held, _ := s.held()
	return Counts{s.now.received, d[Committed], d[Duplicate], d[DeadLettered], held}
}

// Stats describe the spool's work.
type Stats struct {
	Bytes    int64         // of all files
	Segments int           // files
	Syncs    uint64        // groups written since Open
	Failure  error         // why the last group could not be stored, or a segment not read, if so
	Pause    time.Duration // after that failure, until the next try
}

// Stats returns figures of this moment.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{s.bytes, len(s.segs), s.syncs, cmp.Or(s.failure, s.unreadable), s.pause}
}

// Close stores what was appended, and the marks, and closes the files.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.isShut {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.isShut = true
	s.mu.Unlock()
	close(s.closed)
	<-s.ended
	return errors.Join(s.failure, s.lock.Close())
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
