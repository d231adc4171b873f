package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"mtmledger/internal/disk"
)

const (
	keyFile  = "config/key.json"
	nextFile = keyFile + ".next"
	keptFile = keyFile + ".old"
)

// keyFolder is a disk with a home's config folder and some files in it.
func keyFolder(t *testing.T, files map[string]string) *disk.Crash {
	t.Helper()
	c := disk.NewCrash()
	if err := disk.EnsureDir(c, "config"); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := disk.WriteFile(c, name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// crashes calls do on a disk that crashes at every step in turn, with every fault, and
// check with what is left. done: do had returned without an error.
func crashes(t *testing.T, files map[string]string, do func(disk.FS) error, check func(name string, left *disk.Crash, done bool)) {
	t.Helper()
	for _, fault := range disk.Faults {
		for step := 1; ; step++ {
			c := keyFolder(t, files)
			c.CrashAt(c.Steps()+step, fault)
			err := do(c)
			if err != nil && !errors.Is(err, disk.ErrCrashed) {
				t.Fatal(err)
			}
			check(fmt.Sprintf("%v at step %d", fault, step), c.Restart(), err == nil)
			if err == nil {
				break
			}
		}
	}
}

// content is that of a file, empty if it isn't there.
func content(f disk.FS, name string) string {
	b, _ := f.ReadFile(name)
	return string(b)
}

// TestNextKeySurvives: the next key that a home names, for others to vote it in, is there
// after a power loss, also when the process that made it was killed before it synced.
func TestNextKeySurvives(t *testing.T) {
	var named []byte
	name := func(f disk.FS) (err error) {
		named, err = nextKeyBytes(f, nextFile)
		return err
	}
	crashes(t, nil, name, func(at string, left *disk.Crash, done bool) {
		if b := content(left, nextFile); done && b != string(named) || b != "" && !json.Valid([]byte(b)) {
			t.Errorf("%s: %q is left, %q was named", at, b, named)
		}
	})

	c := keyFolder(t, nil)
	c.FailAt(c.Steps() + 5) // the sync of the new name
	if _, err := nextKeyBytes(c, nextFile); !errors.Is(err, disk.ErrInjected) {
		t.Fatal(err)
	}
	c = c.Kill()
	if err := name(c); err != nil {
		t.Fatal(err)
	}
	if b := content(c.Restart(), nextFile); b != string(named) {
		t.Errorf("made by one process and named by another: %q is left, %q was named", b, named)
	}
}

// TestReplaceKeySurvives: whenever the power fails, a home has its old or its new key, and
// the other one beside it.
func TestReplaceKeySurvives(t *testing.T) {
	files := map[string]string{keyFile: "old", nextFile: "new"}
	replace := func(f disk.FS) error { return replaceKey(f, keyFile, nextFile, keptFile) }
	crashes(t, files, replace, func(at string, left *disk.Crash, done bool) {
		switch key, next, kept := content(left, keyFile), content(left, nextFile), content(left, keptFile); {
		case key == "new" && kept == "old":
		case key == "old" && next == "new" && !done:
		default:
			t.Errorf("%s: key %q, next %q, kept %q", at, key, next, kept)
		}
	})
}

// TestMovedKeySurvives: a key that makes room for a signer's is never lost.
func TestMovedKeySurvives(t *testing.T) {
	move := func(f disk.FS) error { return disk.Move(f, keyFile, keptFile) }
	crashes(t, map[string]string{keyFile: "old"}, move, func(at string, left *disk.Crash, done bool) {
		switch key, kept := content(left, keyFile), content(left, keptFile); {
		case kept == "old":
		case key == "old" && !done:
		default:
			t.Errorf("%s: key %q, kept %q", at, key, kept)
		}
	})
}

// TestKeyFilesSurvive: a new key is never without the state of what it signed.
func TestKeyFilesSurvive(t *testing.T) {
	const stateFile = "config/state.json"
	make := func(f disk.FS) error { return makeKeyFiles(f, keyFile, stateFile) }
	crashes(t, nil, make, func(at string, left *disk.Crash, done bool) {
		key, state := content(left, keyFile), content(left, stateFile)
		if done && key == "" || key != "" && state == "" {
			t.Errorf("%s: key %q, state %q", at, key, state)
		}
	})
}

// TestConfigSurvives: a start after a power loss finds the old configuration or the new.
func TestConfigSurvives(t *testing.T) {
	old := `{"name":"old"}`
	save := func(f disk.FS) error { return Config{Name: "new"}.save(f) }
	crashes(t, map[string]string{configPath(""): old}, save, func(at string, left *disk.Crash, done bool) {
		b := content(left, configPath(""))
		if b != old && !bytes.Contains([]byte(b), []byte(`"new"`)) || done && b == old {
			t.Errorf("%s: %q", at, b)
		}
	})
}
