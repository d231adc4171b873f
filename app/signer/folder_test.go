package signer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
)

// TestPossession: the proof is for the key, the ledger and the organisation.
func TestPossession(t *testing.T) {
	_, f := newFolder(t)
	p, err := f.Possession(chain, crypto.ID{7})
	if err != nil || p.Key != f.Key || p.Chain != chain || p.Organisation != (crypto.ID{7}) || !p.Verify() {
		t.Fatalf("%+v, %v", p, err)
	}
}

// TestFolder: which folders are refused.
func TestFolder(t *testing.T) {
	dir, f := newFolder(t)
	if g, err := Init(dir); err != nil || g.Key != f.Key || g.PeerID != f.PeerID {
		t.Fatalf("init again: %v, %v", g, err)
	} else {
		if _, err := Open(dir); !errors.Is(err, disk.ErrLocked) || !errors.Is(err, ErrFolder) {
			t.Errorf("two at once: %v", err)
		}
		g.Close()
	}
	for _, file := range []string{keyFile, stateFile, identityFile} {
		path := filepath.Join(dir, file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); !errors.Is(err, crypto.ErrKeyReadable) || !errors.Is(err, ErrFolder) {
				t.Errorf("%s with mode %o: %v", file, mode, err)
			}
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		bad := [][]byte{nil, []byte("garbage"), []byte(`"x"`), []byte(`[]`), []byte("{}"), bytes.ReplaceAll(before, []byte("KeyEd25519"), []byte("KeySecp256k1"))}
		if file == stateFile {
			bad = append(bad[:4], []byte(`{"height":"1","round":0,"step":1,"signbytes":"00"}`))
		}
		for _, b := range bad {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); !errors.Is(err, ErrFolder) {
				t.Errorf("%s of %q: %v", file, b, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, ErrFolder) {
			t.Errorf("without %s: %v", file, err)
		}
		if file == stateFile {
			if _, err := Init(dir); !errors.Is(err, ErrFolder) {
				t.Errorf("a key got a fresh state: %v", err)
			}
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(filepath.Join(dir, "nothing")); !errors.Is(err, ErrFolder) {
		t.Errorf("no folder: %v", err)
	}
}
