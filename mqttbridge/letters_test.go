package mqttbridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

func lettersFS(t testing.TB) *disk.Crash {
	fsys := disk.NewCrash()
	if err := errors.Join(fsys.MkdirAll("b"), fsys.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func sampleLetter(id uint64) DeadLetter {
	return DeadLetter{ID: id, Received: 1, Decided: 2, Reason: ledger.CodeMalformed, Text: "why", Topic: "mtm/1/up/a/b", Size: 3, Payload: []byte{0, 0xff, '\n'}}
}

// TestLettersCrash: at every operation, in every way: what add said is kept, is.
func TestLettersCrash(t *testing.T) {
	work := func(fsys *disk.Crash) (kept []uint64) {
		l, err := openLetters(fsys, "b", 1<<20)
		if err != nil {
			return nil
		}
		defer l.close()
		for id := uint64(1); id <= 5; id++ {
			if l.add([]DeadLetter{sampleLetter(id), sampleLetter(id + 100)}) == nil {
				kept = append(kept, id, id+100)
			}
		}
		return kept
	}
	whole := lettersFS(t)
	base := whole.Steps()
	if len(work(whole)) != 10 {
		t.Fatal("could not write")
	}
	for at := base + 1; at <= whole.Steps(); at++ {
		for _, fault := range disk.Faults {
			t.Run(fmt.Sprintf("%d/%v", at, fault), func(t *testing.T) {
				fsys := lettersFS(t)
				fsys.CrashAt(at, fault)
				kept := work(fsys)
				fsys = fsys.Restart()
				l, err := openLetters(fsys, "b", 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.add([]DeadLetter{sampleLetter(1000)}); err != nil {
					t.Fatal(err)
				}
				list, err := readLetters(fsys, "b", 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range append(kept, 1000) {
					if !slices.ContainsFunc(list, func(d DeadLetter) bool { return d.ID == id && string(d.Payload) == "\x00\xff\n" }) {
						t.Fatalf("letter %d is lost", id)
					}
				}
				data, err := fsys.ReadFile("b/" + lettersNew)
				if err != nil || strings.Count(string(data), "\n") != len(list) {
					t.Fatalf("%d lines for %d letters, %v", strings.Count(string(data), "\n"), len(list), err)
				}
			})
		}
	}
}

// TestLettersBound: the files stay within their size and keep the newest.
func TestLettersBound(t *testing.T) {
	fsys := lettersFS(t)
	const limit = 10_000
	l, err := openLetters(fsys, "b", limit)
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); id <= 500; id++ {
		if err := l.add([]DeadLetter{sampleLetter(id)}); err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for _, name := range []string{lettersNew, lettersOld} {
		data, err := fsys.ReadFile("b/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size += len(data)
	}
	if size > limit+500 {
		t.Fatalf("%d bytes, limit %d", size, limit)
	}
	list, err := readLetters(fsys, "b", 1000)
	if err != nil || list[len(list)-1].ID != 500 || len(list) < 20 {
		t.Fatalf("%d letters, %v", len(list), err)
	}
	for i := range list[1:] {
		if list[i+1].ID != list[i].ID+1 {
			t.Fatal("out of order")
		}
	}
}
