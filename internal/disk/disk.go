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

// EnsureDir makes a directory that survives a crash: it and its missing parents
// are made, and every name that was made is synced.
func EnsureDir(f FS, dir string) error {
	dir = filepath.Clean(dir)
	missing := []string{dir} // always, because a killed process may not have synced it
	for p := filepath.Dir(dir); p != filepath.Dir(p) && p != "."; p = filepath.Dir(p) {
		if _, err := f.List(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, p)
	}
	if err := f.MkdirAll(dir); err != nil {
		return fmt.Errorf("disk: make directory: %w", err)
	}
	for _, d := range missing {
		if d == filepath.Dir(d) {
			continue
		}
		if err := f.SyncDir(filepath.Dir(d)); err != nil {
			return fmt.Errorf("disk: sync directory: %w", err)
		}
	}
	return nil
}

// WriteFile replaces a file with data, atomically and durably, by way of
// name + ".tmp".
func WriteFile(f FS, name string, data []byte) error {
	tmp := name + ".tmp"
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
	if err := f.Rename(tmp, name); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}
