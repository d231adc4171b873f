// Package device is what a device needs to report to MTM Ledger: it signs
// readings, numbers them, keeps every statement until a bridge's signed
// acknowledgement says that the ledger has it, and goes on after a power loss at
// any moment. It sends nothing itself: the caller publishes what [Stream.Append]
// returns, publishes what [Device.Pending] returns again whenever it connects
// (and from time to time), and hands what arrives on its acknowledgement topic
// to [Device.Acknowledge].
//
// What it promises, whatever happens to power and process:
//
//   - A statement that Append returned is on disk before anyone can send it.
//   - No number of a stream is ever used for two different contents.
//   - Nothing is forgotten before an acknowledgement with a trusted bridge's
//     signature over exactly this statement. Nothing is dropped when the store is
//     full: Append returns [ErrFull] instead.
//
// The one thing it cannot survive is the loss of its directory: a device that
// begins again must not use its old streams (docs/spec/device.md).
package device

import (
	"container/list"
	"errors"
	"fmt"
	"iter"
	"sync"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// DefaultLimit is how many bytes of statements a device keeps unless told
// otherwise.
const DefaultLimit = 64 << 20

// Errors of this package.
var (
	// ErrFull: the store holds as many bytes as it may. The readings were not
	// taken; deliver what is pending, or drop what was refused, and try again.
	ErrFull = errors.New("device: store is full")
	// ErrBroken: an earlier write failed, so what is on disk is not known. Close
	// the device and open it again.
	ErrBroken = errors.New("device: store failed; open it again")
	// ErrClosed: the device was closed.
	ErrClosed = errors.New("device: closed")
	// ErrCorrupt: the journal is damaged where it was durable before. Going on
	// could use numbers again; see docs/spec/device.md.
	ErrCorrupt = errors.New("device: journal is damaged")
	// ErrOtherDevice: the directory belongs to another device or chain.
	ErrOtherDevice = errors.New("device: directory belongs to another device or chain")
	// ErrNotPending: the acknowledgement is for nothing that waits for one. A
	// repeated acknowledgement is the usual reason; it is harmless.
	ErrNotPending = errors.New("device: nothing waits for this acknowledgement")
	// ErrMismatch: the acknowledgement is for another statement with the same
	// numbers.
	ErrMismatch = errors.New("device: acknowledgement is for another statement")
	// ErrUntrusted: no trusted bridge key has signed the acknowledgement.
	ErrUntrusted = errors.New("device: acknowledgement is not signed by a trusted bridge key")
)

// Config says which device this is and where it keeps its statements.
type Config struct {
	Dir     string             // the device's own directory; made if missing
	Key     crypto.PrivateKey  // the device's current key
	Chain   string             // chain id of the ledger
	Device  crypto.ID          // zero = the id of Key, right until the key is rotated
	Bridges []crypto.PublicKey // keys whose acknowledgements count
	Limit   int64              // bytes of statements to keep; 0 = DefaultLimit

	// Volatile keeps everything in memory and nothing on disk: for simulations.
	Volatile bool
	// FS is the file system; nil is the machine's own.
	FS disk.FS
	// Slack is how many bytes of finished records the journal may have before it
	// is rewritten; 0 = 1 MiB.
	Slack int64
}

func (c *Config) check() error {
	if err := ledger.CheckChain(c.Chain); err != nil {
		return err
	}
	if c.Key.IsZero() {
		return errors.New("device: no key")
	}
	if c.Limit < 0 || c.Slack < 0 || c.Dir == "" && !c.Volatile {
		return errors.New("device: negative limit, or no directory")
	}
	if c.Device.IsZero() {
		c.Device = ledger.DeviceID(c.Key.Public())
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.Slack == 0 {
		c.Slack = 1 << 20
	}
	if c.FS == nil {
		c.FS = disk.OS{}
	}
	return nil
}

// place names a statement: no two have the same stream and first number.
type place struct {
	stream crypto.ID
	first  uint64
}

// entry is a statement that is kept.
type entry struct {
	statement *ledger.Statement
	code      ledger.Code // CodeOK while pending; why it was refused
}

// Device signs and keeps statements. Its methods may be called from several
// goroutines.
type Device struct {
	cfg Config

	mu      sync.Mutex
	next    map[crypto.ID]uint64    // next number of each stream
	entries map[place]*list.Element // of order
	order   *list.List              // of *entry, oldest first
	bytes   int64                   // of all entries' statements
	refused int                     // how many entries were refused
	bridges map[crypto.KeyID]crypto.PublicKey
	journal *journal // nil when volatile
	broken  error
}

// Open opens a device's directory, or begins it. Only one process can have it
// open.
func Open(cfg Config) (*Device, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	d := &Device{cfg: cfg, next: map[crypto.ID]uint64{}, entries: map[place]*list.Element{}, order: list.New()}
	d.SetBridges(cfg.Bridges)
	if cfg.Volatile {
		return d, nil
	}
	if err := d.openJournal(); err != nil {
		return nil, fmt.Errorf("device: open %s: %w", cfg.Dir, err)
	}
	return d, nil
}

// ID is the device's id.
func (d *Device) ID() crypto.ID { return d.cfg.Device }

// Chain is the chain id.
func (d *Device) Chain() string { return d.cfg.Chain }

// SetBridges replaces the keys whose acknowledgements count.
func (d *Device) SetBridges(keys []crypto.PublicKey) {
	bridges := make(map[crypto.KeyID]crypto.PublicKey, len(keys))
	for _, k := range keys {
		bridges[k.KeyID()] = k
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bridges = bridges
}

// Close releases the directory. It does not lose anything.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(d.broken, ErrClosed) {
		return nil
	}
	d.broken = ErrClosed
	if d.journal == nil {
		return nil
	}
	return d.journal.close()
}

// Stream is one of the device's streams.
type Stream struct {
	device *Device
	id     crypto.ID
	name   string
	media  ledger.Media
}

// Stream returns the stream with a name. Its statements will have the given
// media type. The ledger must know the stream before it accepts them (operation
// open_stream), but they can be appended before that.
func (d *Device) Stream(name string, media ledger.Media) (*Stream, error) {
	if err := ledger.CheckName(name); err != nil {
		return nil, err
	}
	if err := media.Check(); err != nil {
		return nil, err
	}
	return &Stream{d, ledger.StreamID(d.cfg.Chain, d.cfg.Device, name), name, media}, nil
}

// ID is the stream's id.
func (s *Stream) ID() crypto.ID { return s.id }

// Name is the stream's name.
func (s *Stream) Name() string { return s.name }

// Topic is the MQTT topic to publish the stream's statements to.
func (s *Stream) Topic() string { return ledger.UpTopic(s.device.cfg.Device, s.id) }

// Next is the number that the next reading gets.
func (s *Stream) Next() uint64 {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	return s.device.nextOf(s.id)
}

func (d *Device) nextOf(stream crypto.ID) uint64 { return max(d.next[stream], 1) }

// Append numbers and signs readings and returns their statement once it is
// durable. It is one statement and one sync, however many readings there are, up
// to the limits of package ledger. On ErrFull and on errors of the readings
// nothing has changed; on any other error the store is broken.
func (s *Stream) Append(readings ...ledger.Reading) (*ledger.Statement, error) {
	d := s.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return nil, d.broken
	}
	st, err := ledger.SignStatement(d.cfg.Key, ledger.Statement{
		Device: d.cfg.Device, Stream: s.id, First: d.nextOf(s.id), Media: s.media, Readings: readings,
	})
	if err != nil {
		return nil, err
	}
	if d.bytes+int64(len(st.Bytes())) > d.cfg.Limit {
		return nil, ErrFull
	}
	if err := d.write(true, statementRecord(st)); err != nil {
		return nil, err
	}
	return st, d.add(st)
}

// SkipTo makes n the number of the next reading, if it is greater than the
// present one; numbers in between stay unused. It is for a device that knows
// from elsewhere that numbers are taken.
func (s *Stream) SkipTo(n uint64) error {
	d := s.device
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	if n > ledger.MaxNumber {
		return ledger.Errorf(ledger.CodeMalformed, "number %d, at most %d", n, uint64(ledger.MaxNumber))
	}
	if n <= d.nextOf(s.id) {
		return nil
	}
	if err := d.write(true, streamRecord(s.id, n)); err != nil {
		return err
	}
	d.next[s.id] = n
	return nil
}

// add takes a durable statement into memory.
func (d *Device) add(st *ledger.Statement) error {
	at := place{st.Stream, st.First}
	if d.entries[at] != nil {
		return fmt.Errorf("%w: two statements begin with number %d of stream %v", ErrCorrupt, st.First, st.Stream)
	}
	d.next[st.Stream] = max(d.nextOf(st.Stream), st.Last()+1)
	d.entries[at] = d.order.PushBack(&entry{statement: st})
	d.bytes += int64(len(st.Bytes()))
	return nil
}

// remove forgets a statement.
func (d *Device) remove(at place) {
	e := d.entries[at]
	if e == nil {
		return
	}
	kept := e.Value.(*entry)
	if kept.code != ledger.CodeOK {
		d.refused--
	}
	d.bytes -= int64(len(kept.statement.Bytes()))
	d.order.Remove(e)
	delete(d.entries, at)
}

// refuse marks a statement as refused for good.
func (d *Device) refuse(at place, code ledger.Code) {
	if e := d.entries[at]; e != nil {
		kept := e.Value.(*entry)
		if kept.code == ledger.CodeOK {
			d.refused++
		}
		kept.code = code
	}
}

// Pending returns the statements that wait for an acknowledgement, oldest first,
// as they are at the moment of the call.
func (d *Device) Pending() iter.Seq[*ledger.Statement] {
	d.mu.Lock()
	defer d.mu.Unlock()
	pending := make([]*ledger.Statement, 0, d.order.Len()-d.refused)
	for e := d.order.Front(); e != nil; e = e.Next() {
		if kept := e.Value.(*entry); kept.code == ledger.CodeOK {
			pending = append(pending, kept.statement)
		}
	}
	return func(yield func(*ledger.Statement) bool) {
		for _, st := range pending {
			if !yield(st) {
				return
			}
		}
	}
}

// Stats counts what is kept.
type Stats struct {
	Pending int   // statements that wait for an acknowledgement
	Refused int   // statements that were refused and not dropped
	Bytes   int64 // of both
	Limit   int64 // how many bytes there may be
}

// Stats returns the present counts.
func (d *Device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Stats{Pending: d.order.Len() - d.refused, Refused: d.refused, Bytes: d.bytes, Limit: d.cfg.Limit}
}
