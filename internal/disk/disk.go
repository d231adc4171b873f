// Package disk is the small part of a file system that durable stores need,
// with two implementations: [OS], the machine's own, and [Crash], one in memory
// that forgets on a crash whatever was not synced and can crash at any
// operation.
//
// What a caller may rely on after a crash:
//
//   - The content of a file up to the last successful File.Sync. What was
//     written later may be there in part: any prefix, cut at any byte.
//   - A name made or changed by Create, OpenAppend, Rename, Remove or MkdirAll
//     after the last SyncDir of its directory may be there or not. Rename is
//     atomic: the new name has the old or the new file.
//   - After a failed Write or Sync nothing is known of the bytes written since
//     the last successful Sync: the caller must not go on with this file, but
//     reopen the store.
package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// FS is a file system. Names are paths as in package path/filepath. Errors wrap
// [io/fs.ErrNotExist] and [io/fs.ErrExist] where these apply.
type FS interface {
	// Create opens a file for writing, empty, whether it existed or not.
	Create(name string) (File, error)
	// OpenAppend opens a file for writing at its end; it is made if missing.
	OpenAppend(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (Reader, error)
	// ReadFile returns a whole file.
	ReadFile(name string) ([]byte, error)
	// Rename gives a file a new name, in place of the file that had it.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// List returns the names, without the directory, of the files in a
	// directory, sorted.
	List(dir string) ([]string, error)
	// MkdirAll makes a directory and its parents, mode 0700.
	MkdirAll(dir string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of a file, which is made if missing, or
	// fails with ErrLocked. Closing releases it; so does the end of the process.
	Lock(name string) (io.Closer, error)
}

// File is a file open for writing.
type File interface {
	io.WriteCloser
	// Sync makes all bytes written so far durable.
	Sync() error
	// Truncate cuts the file to size bytes; later writes go to its new end.
	Truncate(size int64) error
}

// Reader is a file open for reading.
type Reader interface {
	io.ReaderAt
	io.Closer
	// Size is the file's present size in bytes.
	Size() (int64, error)
}

// EnsureDir makes a directory that survives a crash. Missing parents are made
// too, each only when the name of the one above it is durable. The name of the
// deepest directory that is there already is synced as well, because a process
// that was killed may have made it and not synced it.
func EnsureDir(f FS, dir string) error {
	levels := []string{filepath.Clean(dir)}
	for p := levels[0]; !isRoot(p); levels = append(levels, p) {
		if _, err := f.List(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		p = filepath.Dir(p)
	}
	for i := len(levels) - 1; i >= 0; i-- {
		level := levels[i]
		if isRoot(level) {
			continue
		}
		if err := f.MkdirAll(level); err != nil {
			return fmt.Errorf("disk: make directory: %w", err)
		}
		err := f.SyncDir(filepath.Dir(level))
		if there := i == len(levels)-1; there && errors.Is(err, fs.ErrPermission) {
			continue // we cannot have made it
		}
		if err != nil {
			return fmt.Errorf("disk: sync directory: %w", err)
		}
	}
	return nil
}

func isRoot(dir string) bool { return dir == "." || dir == filepath.Dir(dir) }

// WriteFile replaces a file with data, atomically and durably, by way of
// name + ".tmp". Two at once would spoil each other's: see WriteShared.
func WriteFile(f FS, name string, data []byte) error {
	return replace(f, name, name+".tmp", data)
}

// WriteShared is WriteFile for a file that several processes may write at the
// same time: the last one wins. What a crash leaves of a hidden file beside it
// is never used again.
func WriteShared(f FS, name string, data []byte) error {
	dir, base := filepath.Split(name)
	tmp := dir + "." + base + "-" + rand.Text()
	err := replace(f, name, tmp, data)
	if err != nil {
		_ = f.Remove(tmp) // it may not be there
	}
	return err
}

func replace(f FS, name, tmp string, data []byte) error {
	file, err := f.Create(tmp)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return Move(f, tmp, name)
}

// Move renames a file durably, within its directory.
func Move(f FS, from, to string) error {
	if err := f.Rename(from, to); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(to))
}
