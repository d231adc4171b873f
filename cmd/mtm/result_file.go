package main

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeResult writes the file that a command was asked for. It gets its name once it is
// whole and on disk: a full disk, or a node that goes away, leaves what was there before.
// What is no regular file, like a pipe or /dev/stdout, is written to directly.
func writeResult(name string, write func(io.Writer) error) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeBeside(name, write)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return writeDirectly(name, write)
	}
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	return writeBeside(target, write)
}

// writeFile is writeResult for bytes that are there already.
func writeFile(name string, b []byte) error {
	return writeResult(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func writeDirectly(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func writeBeside(name string, write func(io.Writer) error) error {
	dir, base := filepath.Split(name)
	tmp := dir + "." + base + "-" + rand.Text()
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // less the umask
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}
