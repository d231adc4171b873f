package device

import (
	"bytes"
	"fmt"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// witness remembers all that the world outside ever saw, over all restarts.
type witness struct {
	t       *testing.T
	content map[place][32]byte // number -> digest of its content, once seen
	pending map[place][]byte   // statements that must still be there
	settled map[place]bool     // acknowledged: may come back, since that is not synced
}

func newWitness(t *testing.T) *witness {
	return &witness{t, map[place][32]byte{}, map[place][]byte{}, map[place]bool{}}
}

// sees checks that no number is ever used for two contents.
func (w *witness) sees(when string, st *ledger.Statement) {
	w.t.Helper()
	for i := range st.Readings {
		at := place{st.Stream, st.First + uint64(i)}
		if was, ok := w.content[at]; ok && was != st.Digest() {
			w.t.Fatalf("%s: number %d is used for two contents", when, at.first)
		}
		w.content[at] = st.Digest()
	}
}

// look compares a device with what must be there.
func (w *witness) look(when string, d *Device) {
	w.t.Helper()
	found := map[place][]byte{}
	for st := range d.Pending() {
		w.sees(when, st)
		found[place{st.Stream, st.First}] = st.Bytes()
	}
	for _, r := range d.Refused() {
		w.sees(when, r.Statement)
		found[place{r.Statement.Stream, r.Statement.First}] = r.Statement.Bytes()
	}
	for at, b := range w.pending {
		if !bytes.Equal(found[at], b) {
			w.t.Fatalf("%s: statement %d of %v is lost", when, at.first, at.stream)
		}
	}
}

// run lives the life of a device until something fails: it opens, appends to two
// streams, gets answers, and compacts. What it appends differs in every life.
func (w *witness) run(life string, fsys disk.FS) error {
	c := config(fsys)
	c.Slack = 300
	d, err := Open(c)
	if err != nil {
		return err
	}
	defer d.Close()
	w.look(life, d)
	for i := range 8 {
		for _, name := range []string{"a", "b"} {
			s := stream(w.t, d, name)
			st, err := s.Append(ledger.Reading{Time: 1, Content: []byte(fmt.Sprint(life, i))}, ledger.Reading{Time: 2})
			if err != nil {
				return err
			}
			w.sees(life, st)
			w.pending[place{st.Stream, st.First}] = st.Bytes()
		}
		if err := w.answerOldest(d, i); err != nil {
			return err
		}
	}
	w.look(life, d)
	return stream(w.t, d, "a").SkipTo(stream(w.t, d, "a").Next() + 5)
}

// answerOldest answers the oldest pending statement and drops one that was
// refused.
func (w *witness) answerOldest(d *Device, i int) error {
	codes := []ledger.Code{ledger.CodeOK, ledger.CodeOK, ledger.CodeUsed}
	for st := range d.Pending() {
		code := codes[i%len(codes)]
		at := place{st.Stream, st.First}
		if code == ledger.CodeOK {
			delete(w.pending, at) // from here on it may be gone
		}
		if _, err := d.Acknowledge(answer(w.t, st, code, nil)); err != nil {
			return err
		}
		break
	}
	if r := d.Refused(); i == 4 && len(r) > 0 {
		delete(w.pending, place{r[0].Statement.Stream, r[0].Statement.First})
		return d.DropRefused(r[0].Statement.Stream, r[0].Statement.First)
	}
	return nil
}

// TestCrashEverywhere crashes a life at every step with every fault, then the
// second life at every one of its first steps, and lets a third one end well.
func TestCrashEverywhere(t *testing.T) {
	whole := disk.NewCrash()
	if err := newWitness(t).run("dry", whole); err != nil {
		t.Fatal(err)
	}
	steps := whole.Steps()
	if steps < 50 {
		t.Fatalf("only %d steps", steps)
	}
	second := 8 // steps of the second life in which it crashes too; it opens in fewer
	if testing.Short() {
		second = 2
	}
	for step := 1; step <= steps; step++ {
		for _, fault := range disk.Faults {
			crashTwice(t, step, 0, fault)
			for again := 1 + step%3; again <= second; again += 3 { // a third of all pairs
				crashTwice(t, step, again, fault)
			}
		}
	}
}

func crashTwice(t *testing.T, step, again int, fault disk.Fault) {
	t.Helper()
	when := fmt.Sprintf("%v at step %d, then at %d: ", fault, step, again)
	w := newWitness(t)
	fsys := disk.NewCrash()
	fsys.CrashAt(step, fault)
	if err := w.run(when+"first", fsys); err == nil {
		t.Fatalf("%s: no crash", when)
	}
	fsys = fsys.Restart()
	fsys.CrashAt(again, fault)
	if err := w.run(when+"second", fsys); (err != nil) != (again != 0) {
		t.Fatalf("%ssecond life: %v", when, err)
	}
	fsys = fsys.Restart()
	if err := w.run(when+"third", fsys); err != nil {
		t.Fatalf("%sthird life: %v", when, err)
	}
	d, err := Open(config(fsys.Restart()))
	if err != nil {
		t.Fatal(err)
	}
	w.look(when+"end", d)
}

// TestKilledThenPowerLoss: what a killed process left unsynced is seen by the
// next one, so it must be durable before that one shows it to anybody.
func TestKilledThenPowerLoss(t *testing.T) {
	for step := 1; ; step++ {
		w := newWitness(t)
		fsys := disk.NewCrash()
		fsys.FailAt(step) // the process dies of it
		err := w.run("first", fsys)
		fsys = fsys.Kill()
		d, err2 := Open(config(fsys))
		if err2 != nil {
			t.Fatalf("step %d: %v", step, err2)
		}
		w.look("killed", d)
		after := appendOne(t, stream(t, d, "a"), "after the kill")
		w.sees("killed", after)
		w.pending[place{after.Stream, after.First}] = after.Bytes()
		seen := map[place]bool{}
		for st := range d.Pending() {
			seen[place{st.Stream, st.First}] = true
		}
		d, err2 = Open(config(fsys.Restart())) // the power goes at once
		if err2 != nil {
			t.Fatalf("step %d: %v", step, err2)
		}
		w.look("power lost", d)
		for at := range seen {
			if d.entries[at] == nil {
				t.Fatalf("step %d: statement %d was shown and is lost", step, at.first)
			}
		}
		if err == nil {
			return
		}
	}
}

// FuzzJournal: no file makes Open panic, and what it opens it opens again with
// the same content.
func FuzzJournal(f *testing.F) {
	fsys := disk.NewCrash()
	d, err := Open(config(fsys))
	if err != nil {
		f.Fatal(err)
	}
	s := stream(f, d, "s")
	st := appendOne(f, s, "one")
	appendOne(f, s, "two")
	if _, err := d.Acknowledge(answer(f, st, ledger.CodeUsed, nil)); err != nil {
		f.Fatal(err)
	}
	data, err := fsys.ReadFile("home/device/journal")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Add(appendFrame(nil, 0, headerRecord(testChain, crypto.ID{})))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := disk.NewCrash()
		if err := disk.EnsureDir(fsys, "home/device"); err != nil {
			t.Fatal(err)
		}
		if err := disk.WriteFile(fsys, "home/device/journal", b); err != nil {
			t.Fatal(err)
		}
		d, err := Open(config(fsys))
		if err != nil {
			return
		}
		stats, next := d.Stats(), fmt.Sprint(d.next)
		d, err = Open(config(fsys.Restart()))
		if err != nil || d.Stats() != stats || fmt.Sprint(d.next) != next {
			t.Fatalf("opened again: %v, %+v, was %+v", err, d.Stats(), stats)
		}
	})
}
