package device

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// TestEveryByte damages and cuts a journal at every byte. Cut off at the end, it
// opens with a prefix of what was appended; damaged where later frames prove it
// was durable, it does not open.
func TestEveryByte(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	s := stream(t, d, "s")
	want := []string{"one", "two", "three"}
	for _, c := range want {
		appendOne(t, s, c)
	}
	const name = "home/device/journal"
	data, err := fsys.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	reopen := func(b []byte) (*Device, error) {
		if err := disk.WriteFile(fsys, name, b); err != nil {
			t.Fatal(err)
		}
		d, err := Open(config(fsys))
		if err == nil {
			defer d.Close()
		}
		return d, err
	}
	var last int // where the last frame begins
	for good := 0; good < len(data); {
		record, _, ok := readFrame(data[good:])
		if !ok {
			t.Fatal("journal")
		}
		last, good = good, good+frameHead+len(record)
	}
	for n := range len(data) {
		d, err := reopen(data[:n])
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || n > 100 {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		} else if got := contents(d); len(got) >= len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("cut to %d bytes: %v", n, got)
		}
		damaged := bytes.Clone(data)
		damaged[n] ^= 0x20
		d, err = reopen(damaged)
		switch {
		case err == nil && n < last:
			t.Fatalf("damage at byte %d of %d goes unseen", n, len(data))
		case err == nil && !slices.Equal(contents(d), want[:2]):
			t.Fatalf("damage at byte %d: %v", n, contents(d))
		case err != nil && !errors.Is(err, ErrCorrupt):
			t.Fatalf("damage at byte %d: %v", n, err)
		}
	}
	if d, err := reopen(append(bytes.Clone(data), make([]byte, 5000)...)); err != nil || !slices.Equal(contents(d), want) {
		t.Errorf("zeros at the end: %v", err)
	}
}

func TestCompaction(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	s := stream(t, d, "s")
	kept := appendOne(t, s, "kept")
	refused := appendOne(t, s, "refused")
	if _, err := d.Acknowledge(answer(t, refused, ledger.CodeUsed, nil)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		st := appendOne(t, s, strings.Repeat("x", 100)+fmt.Sprint(i))
		if _, err := d.Acknowledge(answer(t, st, ledger.CodeOK, nil)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := fsys.ReadFile("home/device/journal")
	if err != nil || len(data) > 4096 {
		t.Errorf("journal of %d bytes, %v", len(data), err)
	}
	d = open(t, fsys.Kill())
	if got := contents(d); !slices.Equal(got, []string{string(kept.Readings[0].Content)}) || len(d.Refused()) != 1 {
		t.Errorf("pending %v, refused %v", got, d.Refused())
	}
	if n := stream(t, d, "s").Next(); n != 203 {
		t.Errorf("next %d", n)
	}
}

// TestCompactionKeepsNumbers: numbers outlive all their statements.
func TestCompactionKeepsNumbers(t *testing.T) {
	fsys := disk.NewCrash()
	c := config(fsys)
	c.Slack = 1
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		st := appendOne(t, stream(t, d, "s"), "x")
		if _, err := d.Acknowledge(answer(t, st, ledger.CodeOK, nil)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := fsys.ReadFile("home/device/journal")
	if err != nil || len(data) > 150 {
		t.Fatalf("journal of %d bytes, %v", len(data), err)
	}
	d = open(t, fsys.Restart())
	if st := appendOne(t, stream(t, d, "s"), "y"); st.First != 4 || len(contents(d)) != 1 {
		t.Errorf("number %d, pending %v", st.First, contents(d))
	}
}

// TestBroken: after a failed write or sync nothing is promised until the store is
// opened again.
func TestBroken(t *testing.T) {
	for step := range 2 {
		fsys := disk.NewCrash()
		d := open(t, fsys)
		s := stream(t, d, "s")
		appendOne(t, s, "one")
		fsys.FailAt(fsys.Steps() + 1 + step)
		for range 2 {
			if _, err := s.Append(ledger.Reading{Content: []byte("lost")}); !errors.Is(err, ErrBroken) || !errors.Is(err, disk.ErrInjected) {
				t.Errorf("step %d: %v", step, err)
			}
		}
		if err := s.SkipTo(99); !errors.Is(err, ErrBroken) {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open(t, fsys)
		if got := contents(d); got[0] != "one" || len(got) != 1+step { // a failed sync leaves the bytes
			t.Errorf("step %d: %v", step, got)
		}
	}
}
