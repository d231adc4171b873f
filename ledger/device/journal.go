package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// The journal is one file of frames:
//
//	u32be length of the record | u32be CRC-32C of all that follows |
//	u64be synced | record
//
// synced is how many bytes of the file were durable when the frame was written.
// A record is deterministic CBOR:
//
//	[1, chain, device bstr16]        the first frame, and only there
//	[2, stream bstr16, next]         the next number of a stream is at least this
//	[3, statement bstr]              appended
//	[4, stream bstr16, first]        forgotten: acknowledged, or dropped
//	[5, stream bstr16, first, code]  refused
//
// The file appears under its name only when it is durable (written under another
// name, synced, renamed), and its first frame's synced is its size at that time.
// After a crash a frame at the end can be torn: the file is cut there. But if
// any whole frame says that the bad place was durable once, then it is damage,
// not a crash, and the journal is not opened: cutting it would free numbers that
// were used.
const (
	recordHeader    = 1
	recordStream    = 2
	recordStatement = 3
	recordSettled   = 4
	recordRefused   = 5

	journalName = "journal"
	lockName    = "lock"

	frameHead = 4 + 4 + 8
	// maxRecord is the size of a record with the largest statement.
	maxRecord = ledger.MaxStatement + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal is the open file.
type journal struct {
	file   disk.File
	lock   io.Closer
	size   int64 // of the file
	synced int64 // how much of it is durable
}

func (j *journal) close() error {
	var err error
	if j.file != nil {
		err = j.file.Close()
	}
	return errors.Join(err, j.lock.Close())
}

func appendFrame(b []byte, synced int64, record []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(record)))
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(synced))
	b = append(b, record...)
	binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

// readFrame returns the record of the frame at the beginning of b; ok is false
// if there is no whole one.
func readFrame(b []byte) (record []byte, synced int64, ok bool) {
	if len(b) < frameHead {
		return nil, 0, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n == 0 || n > maxRecord || n > int64(len(b)-frameHead) {
		return nil, 0, false
	}
	end := frameHead + int(n)
	if crc32.Checksum(b[8:end], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return nil, 0, false
	}
	return b[frameHead:end], int64(binary.BigEndian.Uint64(b[8:])), true
}

func headerRecord(chain string, device crypto.ID) []byte {
	b := dcbor.AppendUint(dcbor.AppendArray(nil, 3), recordHeader)
	return dcbor.AppendBytes(dcbor.AppendText(b, chain), device[:])
}

func streamRecord(stream crypto.ID, next uint64) []byte {
	b := dcbor.AppendUint(dcbor.AppendArray(nil, 3), recordStream)
	return dcbor.AppendUint(dcbor.AppendBytes(b, stream[:]), next)
}

func statementRecord(st *ledger.Statement) []byte {
	b := dcbor.AppendArray(make([]byte, 0, len(st.Bytes())+8), 2)
	return dcbor.AppendBytes(dcbor.AppendUint(b, recordStatement), st.Bytes())
}

func settledRecord(at place) []byte {
	b := dcbor.AppendUint(dcbor.AppendArray(nil, 3), recordSettled)
	return dcbor.AppendUint(dcbor.AppendBytes(b, at.stream[:]), at.first)
}

func refusedRecord(at place, code ledger.Code) []byte {
	b := dcbor.AppendUint(dcbor.AppendArray(nil, 4), recordRefused)
	b = dcbor.AppendUint(dcbor.AppendBytes(b, at.stream[:]), at.first)
	return dcbor.AppendUint(b, uint64(code))
}

// openJournal takes the lock and reads or begins the journal.
func (d *Device) openJournal() (err error) {
	fsys, dir := d.cfg.FS, d.cfg.Dir
	if err := disk.EnsureDir(fsys, dir); err != nil {
		return err
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	d.journal = &journal{lock: lock}
	data, err := fsys.ReadFile(filepath.Join(dir, journalName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = d.rewrite()
	case err == nil:
		err = d.resume(data)
	}
	if err != nil {
		return errors.Join(err, d.journal.close())
	}
	return nil
}

// resume replays a journal, cuts a torn end off, and makes durable what is left:
// the process before may have died without the machine, and what it left
// unsynced is about to be trusted.
func (d *Device) resume(data []byte) error {
	good, err := d.replay(data)
	if err != nil {
		return err
	}
	f, err := d.cfg.FS.OpenAppend(filepath.Join(d.cfg.Dir, journalName))
	if err != nil {
		return err
	}
	d.journal.file = f
	if good < len(data) {
		if err := f.Truncate(int64(good)); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	d.journal.size, d.journal.synced = int64(good), int64(good)
	return d.cfg.FS.SyncDir(d.cfg.Dir)
}

// replay takes all whole frames and returns where they end.
func (d *Device) replay(data []byte) (good int, err error) {
	durable := int64(0)
	for good < len(data) {
		record, synced, ok := readFrame(data[good:])
		if !ok {
			break
		}
		if err := d.take(record, good == 0); err != nil {
			return 0, fmt.Errorf("record at byte %d: %w", good, err)
		}
		durable = max(durable, synced)
		good += frameHead + len(record)
	}
	if good == 0 || durable > int64(good) || durableLater(data[good:]) > int64(good) {
		return 0, fmt.Errorf("%w at byte %d of %d", ErrCorrupt, good, len(data))
	}
	return good, nil
}

// durableLater returns the greatest synced of the whole frames anywhere in b.
func durableLater(b []byte) (most int64) {
	for i := range b {
		if _, synced, ok := readFrame(b[i:]); ok {
			most = max(most, synced)
		}
	}
	return most
}

// take applies one record.
func (d *Device) take(record []byte, first bool) error {
	r := dcbor.NewReader(record)
	n := r.Array(4)
	kind := r.Uint()
	if r.Err() == nil && first != (kind == recordHeader) {
		return ErrCorrupt
	}
	var err error
	switch {
	case kind == recordHeader && n == 3:
		chain := r.Text(ledger.MaxChain)
		id := readID(r)
		if r.Done() == nil && (chain != d.cfg.Chain || id != d.cfg.Device) {
			return fmt.Errorf("%w: device %v, chain %q", ErrOtherDevice, id, chain)
		}
	case kind == recordStream && n == 3:
		stream, next := readID(r), r.Uint()
		if r.Err() == nil {
			d.next[stream] = max(d.nextOf(stream), next)
		}
	case kind == recordStatement && n == 2:
		err = d.takeStatement(r.Bytes(ledger.MaxStatement))
	case kind == recordSettled && n == 3:
		d.remove(place{readID(r), r.Uint()})
	case kind == recordRefused && n == 4:
		d.refuse(place{readID(r), r.Uint()}, ledger.Code(r.Uint()))
	default:
		err = ErrCorrupt
	}
	if err = errors.Join(err, r.Done()); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func (d *Device) takeStatement(b []byte) error {
	st, err := ledger.ParseStatement(append([]byte(nil), b...))
	if err != nil {
		return err
	}
	return d.add(st)
}

func readID(r *dcbor.Reader) (id crypto.ID) {
	r.Fixed(id[:])
	return id
}

// write appends a record to the journal, durably if sync. After an error the
// device is broken: what the file holds is not known.
func (d *Device) write(sync bool, record []byte) error {
	j := d.journal
	if j == nil {
		return nil
	}
	frame := appendFrame(make([]byte, 0, frameHead+len(record)), j.synced, record)
	if _, err := j.file.Write(frame); err != nil {
		return d.fail(err)
	}
	j.size += int64(len(frame))
	if sync {
		if err := j.file.Sync(); err != nil {
			return d.fail(err)
		}
		j.synced = j.size
	}
	return nil
}

func (d *Device) fail(err error) error {
	d.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	return d.broken
}

// What a rewritten journal takes at most for a statement besides its bytes, and
// for a stream.
const (
	entryOverhead  = 80
	streamOverhead = 64
)

// compactIfDue rewrites the journal when most of it is finished records.
func (d *Device) compactIfDue() error {
	live := d.bytes + entryOverhead*int64(d.order.Len()) + streamOverhead*int64(len(d.next))
	if d.journal == nil || d.journal.size < 2*live+d.cfg.Slack {
		return nil
	}
	if err := d.rewrite(); err != nil {
		return d.fail(err)
	}
	return nil
}

// rewrite replaces the journal by one with only what is kept.
func (d *Device) rewrite() error {
	b := appendFrame(nil, 0, headerRecord(d.cfg.Chain, d.cfg.Device))
	headerSize := len(b)
	for stream, next := range d.next {
		b = appendFrame(b, 0, streamRecord(stream, next))
	}
	for e := d.order.Front(); e != nil; e = e.Next() {
		kept := e.Value.(*entry)
		b = appendFrame(b, 0, statementRecord(kept.statement))
		if kept.code != ledger.CodeOK {
			b = appendFrame(b, 0, refusedRecord(place{kept.statement.Stream, kept.statement.First}, kept.code))
		}
	}
	appendFrame(b[:0], int64(len(b)), b[frameHead:headerSize:headerSize])
	return d.replaceFile(b)
}

func (d *Device) replaceFile(b []byte) error {
	name := filepath.Join(d.cfg.Dir, journalName)
	if d.journal.file != nil {
		if err := d.journal.file.Close(); err != nil {
			return err
		}
		d.journal.file = nil
	}
	if err := disk.WriteFile(d.cfg.FS, name, b); err != nil {
		return err
	}
	f, err := d.cfg.FS.OpenAppend(name)
	if err != nil {
		return err
	}
	d.journal.file, d.journal.size, d.journal.synced = f, int64(len(b)), int64(len(b))
	return nil
}
