package mqttbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"mtmledger/internal/disk"
)

// The dead-letter files in the bridge's Dir: NDJSON, one DeadLetter a line. When the
// new file has half the allowed size it takes the place of the old one.
const (
	lettersNew = "dead-letters.ndjson"
	lettersOld = "dead-letters.old.ndjson"
)

// maxLetterPayload bounds the payload that a dead letter keeps.
const maxLetterPayload = 64 << 10

// letters appends to the dead-letter files.
type letters struct {
	fs  disk.FS
	dir string
	max int64 // of both files

	mu   sync.Mutex
	file disk.File // nil: must be opened
	size int64     // synced bytes of the new file
}

// openLetters opens the new file, cutting off a line that a crash left incomplete.
func openLetters(fsys disk.FS, dir string, max int64) (*letters, error) {
	l := &letters{fs: fsys, dir: dir, max: max}
	data, err := fsys.ReadFile(filepath.Join(dir, lettersNew))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("mqttbridge: dead letters: %w", err)
	}
	l.size = int64(bytes.LastIndexByte(data, '\n') + 1)
	return l, l.reopen()
}

// reopen opens the new file at its synced size.
func (l *letters) reopen() error {
	f, err := l.fs.OpenAppend(filepath.Join(l.dir, lettersNew))
	if err != nil {
		return fmt.Errorf("mqttbridge: dead letters: %w", err)
	}
	err = errors.Join(f.Truncate(l.size), l.fs.SyncDir(l.dir))
	if err != nil {
		f.Close()
		return fmt.Errorf("mqttbridge: dead letters: %w", err)
	}
	l.file = f
	return nil
}

// add appends letters and makes them durable. After an error it may be called again.
func (l *letters) add(list []DeadLetter) error {
	var buf []byte
	for i := range list {
		line, err := json.Marshal(&list[i])
		if err != nil {
			return fmt.Errorf("mqttbridge: dead letter: %w", err)
		}
		buf = append(append(buf, line...), '\n')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.rotate(); err != nil {
		return err
	}
	_, err := l.file.Write(buf)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.file.Close()
		l.file = nil // what was written is cut off when it is opened again
		return fmt.Errorf("mqttbridge: dead letters: %w", err)
	}
	l.size += int64(len(buf))
	return nil
}

// rotate makes the file ready for appending, a new one if it is large enough.
func (l *letters) rotate() error {
	if l.size >= l.max/2 {
		if l.file != nil {
			l.file.Close()
			l.file = nil
		}
		if err := l.fs.Rename(filepath.Join(l.dir, lettersNew), filepath.Join(l.dir, lettersOld)); err != nil {
			return fmt.Errorf("mqttbridge: dead letters: %w", err)
		}
		l.size = 0
	}
	if l.file == nil {
		return l.reopen()
	}
	return nil
}

func (l *letters) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// readLetters returns the newest letters in dir, oldest first, at most max. A letter
// that a crash had written twice is returned once; lines that are not letters are
// passed over.
func readLetters(fsys disk.FS, dir string, max int) ([]DeadLetter, error) {
	byID := map[uint64]*DeadLetter{}
	var order []uint64
	for _, name := range [...]string{lettersOld, lettersNew} {
		data, err := fsys.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("mqttbridge: dead letters: %w", err)
		}
		for line := range bytes.Lines(data) {
			var d DeadLetter
			if json.Unmarshal(line, &d) != nil || d.ID == 0 {
				continue
			}
			known := byID[d.ID]
			switch {
			case d.Replayed:
				if known != nil {
					known.Replayed = true
				}
			case known == nil:
				byID[d.ID] = &d
				order = append(order, d.ID)
			}
		}
	}
	order = order[len(order)-min(len(order), max):]
	list := make([]DeadLetter, len(order))
	for i, id := range order {
		list[i] = *byID[id]
	}
	return list, nil
}

// replayable returns the letters with the given ids that can be replayed.
func replayable(list []DeadLetter, ids []uint64) []DeadLetter {
	return slices.DeleteFunc(list, func(d DeadLetter) bool {
		return d.Replayed || d.Size != len(d.Payload) || !slices.Contains(ids, d.ID)
	})
}
