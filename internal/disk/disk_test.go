package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// write appends data to a file and syncs as told.
func write(t *testing.T, f FS, name, data string, sync bool) {
	t.Helper()
	file, err := f.OpenAppend(name)
	if err == nil {
		_, err = file.Write([]byte(data))
	}
	if err == nil && sync {
		err = file.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f FS, name string) string {
	t.Helper()
	b, err := f.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestConformance runs the same calls on both implementations.
func TestConformance(t *testing.T) {
	for name, f := range map[string]FS{"os": OS{}, "crash": NewCrash()} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			file := filepath.Join(dir, "x")
			if _, err := f.Create(file); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Create without a directory: %v", err)
			}
			if _, err := f.List(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("List of a missing directory: %v", err)
			}
			if err := EnsureDir(f, dir); err != nil {
				t.Fatal(err)
			}
			write(t, f, file, "hello ", true)
			write(t, f, file, "world", false)
			if got := read(t, f, file); got != "hello world" {
				t.Fatalf("content %q", got)
			}
			checkReader(t, f, file)
			checkTruncate(t, f, file)
			checkNames(t, f, dir)
			checkLock(t, f, filepath.Join(dir, "lock"))
		})
	}
}

func checkReader(t *testing.T, f FS, file string) {
	r, err := f.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Size(); n != 11 || err != nil {
		t.Fatalf("size %d, %v", n, err)
	}
	b := make([]byte, 5)
	if n, err := r.ReadAt(b, 6); n != 5 || string(b) != "world" || err != nil {
		t.Fatalf("ReadAt: %d %q %v", n, b, err)
	}
	if n, err := r.ReadAt(b, 9); n != 2 || err != io.EOF {
		t.Fatalf("ReadAt over the end: %d %v", n, err)
	}
	if n, err := r.ReadAt(b, 99); n != 0 || err != io.EOF {
		t.Fatalf("ReadAt behind the end: %d %v", n, err)
	}
	if _, err := f.Open(file + "no"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of a missing file: %v", err)
	}
}

func checkTruncate(t *testing.T, f FS, file string) {
	w, err := f.OpenAppend(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Truncate(5); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f, file); got != "hello!" {
		t.Fatalf("after truncation %q", got)
	}
}

func checkNames(t *testing.T, f FS, dir string) {
	x, y := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	if err := WriteFile(f, y, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if names, err := f.List(dir); fmt.Sprint(names) != "[x y]" || err != nil {
		t.Fatalf("names %v, %v", names, err)
	}
	if err := f.Rename(x, y); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f, y); got != "hello!" {
		t.Fatalf("after rename %q", got)
	}
	if err := f.Rename(x, y); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Rename of a missing file: %v", err)
	}
	if err := f.Remove(y); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(y); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Remove of a missing file: %v", err)
	}
}

func checkLock(t *testing.T, f FS, name string) {
	l, err := f.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock(name); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Lock: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = f.Lock(name); err != nil {
		t.Fatalf("Lock after release: %v", err)
	}
	l.Close()
}

// TestPowerLoss shows what each omission costs.
func TestPowerLoss(t *testing.T) {
	prepare := func() *Crash {
		c := NewCrash()
		if err := EnsureDir(c, "d"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := prepare()
	write(t, c, "d/synced", "abc", true)
	write(t, c, "d/synced", "def", false)
	if err := c.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	write(t, c, "d/nameless", "abc", true)
	r := c.Restart()
	if got := read(t, r, "d/synced"); got != "abc" {
		t.Errorf("synced file: %q", got)
	}
	if got := read(t, r, "d/nameless"); got != "(none)" {
		t.Errorf("file whose name was not synced: %q", got)
	}
	if _, err := c.ReadFile("d/synced"); !errors.Is(err, ErrCrashed) {
		t.Errorf("the old file system goes on: %v", err)
	}

	c = NewCrash()
	if err := c.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	write(t, c, "d/x", "abc", true)
	if err := c.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c.Restart(), "d/x"); got != "(none)" {
		t.Errorf("file in a directory whose name was not synced: %q", got)
	}
}

// TestFaults crashes a replacement of a file at every step.
func TestFaults(t *testing.T) {
	want := map[Fault][]string{ // step 1..5: create, write, sync, rename, sync of the directory
		Failed:    {"old", "old", "old", "old", "old"},
		Persisted: {"old", "old", "old", "new", "new"},
		Torn:      {"old", "old", "old", "old", "new"},
		Renamed:   {"old", "old", "old", "new", "new"},
	}
	for name, replace := range map[string]func(FS, string, []byte) error{"WriteFile": WriteFile, "WriteShared": WriteShared} {
		for _, fault := range Faults {
			for step := 1; step <= 5; step++ {
				c := NewCrash()
				write(t, c, "x", "old", true)
				if err := c.SyncDir("."); err != nil {
					t.Fatal(err)
				}
				c.CrashAt(c.Steps()+step, fault)
				if err := replace(c, "x", []byte("new")); !errors.Is(err, ErrCrashed) || !c.Crashed() {
					t.Fatalf("%s: %v at %d: %v", name, fault, step, err)
				}
				if got := read(t, c.Restart(), "x"); got != want[fault][step-1] {
					t.Errorf("%s: %v at step %d leaves %q, want %q", name, fault, step, got, want[fault][step-1])
				}
			}
		}
	}
}

// TestWriteShared: a failure at any step leaves the old file and nothing beside it; no
// two writers have the same temporary file.
func TestWriteShared(t *testing.T) {
	for step := 1; step <= 4; step++ { // step 5 is the sync of the new name
		c := NewCrash()
		if err := WriteShared(c, "x", []byte("old")); err != nil {
			t.Fatal(err)
		}
		c.FailAt(c.Steps() + step)
		if err := WriteShared(c, "x", []byte("new")); !errors.Is(err, ErrInjected) {
			t.Fatalf("step %d: %v", step, err)
		}
		if names, err := c.List("."); fmt.Sprint(names) != "[x]" || read(t, c, "x") != "old" {
			t.Errorf("a failure at step %d leaves %v, %v", step, names, err)
		}
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "x")
	done := make(chan error)
	for i := range 8 {
		go func() { done <- WriteShared(OS{}, name, bytes.Repeat([]byte{byte('a' + i)}, 1<<16)) }()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil || len(b) != 1<<16 || len(bytes.Trim(b, string(b[:1]))) != 0 {
		t.Errorf("%d bytes of several writers, %v", len(b), err)
	}
}

func TestTornWrite(t *testing.T) {
	c := NewCrash()
	write(t, c, "x", "12", true)
	if err := c.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	c.CrashAt(c.Steps()+1, Torn)
	w, err := c.OpenAppend("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("34567")); !errors.Is(err, ErrCrashed) {
		t.Fatal(err)
	}
	if got := read(t, c.Restart(), "x"); got != "12345" {
		t.Errorf("torn write leaves %q", got)
	}
}

// TestRenamedWithoutSync shows the omission that the fault Renamed is for.
func TestRenamedWithoutSync(t *testing.T) {
	c := NewCrash()
	write(t, c, "x", "old", true)
	if err := c.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	write(t, c, "y", "new", false)
	c.CrashAt(c.Steps()+1, Renamed)
	if err := c.Rename("y", "x"); !errors.Is(err, ErrCrashed) {
		t.Fatal(err)
	}
	if got := read(t, c.Restart(), "x"); got != "" {
		t.Errorf("renamed without sync leaves %q, want an empty file", got)
	}
}

func TestKillAndFail(t *testing.T) {
	c := NewCrash()
	write(t, c, "x", "abc", false)
	killed := c.Kill()
	if got := read(t, killed, "x"); got != "abc" {
		t.Errorf("after a kill %q", got)
	}
	if got := read(t, killed.Restart(), "x"); got != "(none)" {
		t.Errorf("a kill synced: %q", got)
	}

	c = NewCrash()
	c.FailAt(1)
	if _, err := c.Create("x"); !errors.Is(err, ErrInjected) {
		t.Errorf("injected failure: %v", err)
	}
	if _, err := c.Create("x"); err != nil {
		t.Errorf("after the injected failure: %v", err)
	}
}
