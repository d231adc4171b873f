package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"mtmledger/app/client"
	"mtmledger/crypto"
)

// errFull stands for a full disk.
var errFull = errors.New("no space left on device")

func half(w io.Writer) error {
	_, err := w.Write([]byte("half of it"))
	return errors.Join(err, errFull)
}

func folder(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestWriteResult: a file that was not written to its end leaves no trace, neither under
// its name nor beside it.
func TestWriteResult(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if err := writeResult(out, half); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	if names := folder(t, dir); len(names) != 0 {
		t.Fatalf("a failure leaves %v", names)
	}
	if err := writeFile(out, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if err := writeResult(out, half); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if names := folder(t, dir); err != nil || string(b) != "whole" || len(names) != 1 {
		t.Fatalf("a failure leaves %q, %v, %v", b, err, names)
	}
	if err := writeFile(filepath.Join(dir, "missing", "out"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that isn't there: %v", err)
	}
}

// TestWriteResultTargets: a link leads to its file, and a pipe or a device stays one.
func TestWriteResultTargets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no links and devices")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(writeFile(file, []byte("old")), os.Symlink(file, link), writeFile(link, []byte("new"))); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if b, _ := os.ReadFile(file); err != nil || info.Mode().Type() != os.ModeSymlink || string(b) != "new" {
		t.Errorf("through a link: %q, %v, %v", b, info, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pipe := fmt.Sprintf("/dev/fd/%d", w.Fd())
	if _, err := os.Stat(pipe); err != nil {
		t.Skip("no /dev/fd")
	}
	if err := errors.Join(writeFile(pipe, []byte("through")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "through" {
		t.Errorf("through a pipe: %q, %v", b, err)
	}
}

// TestExportLeavesTheOldFile: an export that breaks off in the middle doesn't replace the
// last one that was whole.
func TestExportLeavesTheOldFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	one := fakeStatement(t, 1, "a", "b")
	export := func(mark uint64) error {
		c := fakeLedger{info: client.StreamInfo{Mark: mark}, statements: []client.Statement{one}}
		return writeResult(out, func(w io.Writer) error { return export(t.Context(), c, crypto.ID{2}, w) })
	}
	if err := export(2); err != nil {
		t.Fatal(err)
	}
	if err := export(3); err == nil { // the node lacks number 3
		t.Fatal("an export without its end")
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "ab" {
		t.Errorf("%q, %v", b, err)
	}
}
