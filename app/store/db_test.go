package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	dbm "github.com/cometbft/cometbft-db"
	"pgregory.net/rapid"
)

func openMem(t testing.TB) *Engine {
	t.Helper()
	e, err := Open("db", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// dbs is a DB, the one of cometbft-db that it must behave as, and a neighbour
// that must not change.
type dbs struct {
	got, want dbm.DB
}

var keyGen = rapid.Custom(func(t *rapid.T) []byte {
	return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 1, 3).Draw(t, "key")
})

var boundGen = rapid.OneOf(rapid.Just([]byte(nil)), keyGen)

func (d *dbs) write(t *rapid.T) {
	k := keyGen.Draw(t, "key")
	v := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
	op := rapid.IntRange(0, 3).Draw(t, "op")
	for _, db := range []dbm.DB{d.got, d.want} {
		var err error
		switch op {
		case 0:
			err = db.Set(k, v)
		case 1:
			err = db.SetSync(k, v)
		case 2:
			err = db.Delete(k)
		case 3:
			err = db.DeleteSync(k)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (d *dbs) batch(t *rapid.T) {
	g, w := d.got.NewBatch(), d.want.NewBatch()
	defer g.Close()
	defer w.Close()
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		k := keyGen.Draw(t, "key")
		del := rapid.Bool().Draw(t, "delete")
		for _, b := range []dbm.Batch{g, w} {
			var err error
			if del {
				err = b.Delete(k)
			} else {
				err = b.Set(k, []byte("batch"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if rapid.Bool().Draw(t, "drop") {
		return
	}
	if err := errors.Join(g.Write(), w.Write()); err != nil {
		t.Fatal(err)
	}
	if g.Set([]byte("k"), []byte("v")) == nil || g.Delete([]byte("k")) == nil || g.Write() == nil || g.WriteSync() == nil {
		t.Fatal("a written batch can be used")
	}
}

func (d *dbs) get(t *rapid.T) {
	k := keyGen.Draw(t, "key")
	got, err := d.got.Get(k)
	want, _ := d.want.Get(k)
	if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("get %x: %x, %v; want %x", k, got, err, want)
	}
	has, err := d.got.Has(k)
	if err != nil || has != (want != nil) {
		t.Fatalf("has %x: %v, %v", k, has, err)
	}
}

func (d *dbs) iterate(t *rapid.T) {
	start, end := boundGen.Draw(t, "start"), boundGen.Draw(t, "end")
	reverse := rapid.Bool().Draw(t, "reverse")
	got, want := list(t, d.got, start, end, reverse), list(t, d.want, start, end, reverse)
	if len(got) != len(want) {
		t.Fatalf("%x..%x reverse=%v: %q, want %q", start, end, reverse, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%x..%x reverse=%v: %q, want %q", start, end, reverse, got, want)
		}
	}
}

func list(t *rapid.T, db dbm.DB, start, end []byte, reverse bool) (out []string) {
	open := db.Iterator
	if reverse {
		open = db.ReverseIterator
	}
	it, err := open(start, end)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	s, e := it.Domain()
	if !bytes.Equal(s, start) || !bytes.Equal(e, end) {
		t.Fatalf("domain %x..%x, want %x..%x", s, e, start, end)
	}
	for ; it.Valid(); it.Next() {
		out = append(out, string(it.Key())+"="+string(it.Value()))
	}
	if it.Error() != nil {
		t.Fatal(it.Error())
	}
	return out
}

func TestDBBehavesAsMemDB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, err := Open("db", Options{FS: vfs.NewMem(), MemTableBytes: 64 << 10, CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		// Neighbours on both sides of the key space.
		for _, name := range []string{"stat", "statf", "state0"} {
			if err := e.DB(name).Set([]byte{0xff}, []byte("neighbour")); err != nil {
				t.Fatal(err)
			}
		}
		d := &dbs{got: e.DB("state"), want: dbm.NewMemDB()}
		t.Repeat(map[string]func(*rapid.T){
			"write": d.write, "batch": d.batch, "get": d.get, "iterate": d.iterate,
		})
		if err := d.got.Compact(nil, nil); err != nil {
			t.Fatal(err)
		}
		d.iterate(t)
	})
}

func TestDBRefusals(t *testing.T) {
	db := openMem(t).DB("state")
	b := db.NewBatch()
	defer b.Close()
	errs := map[string]error{
		"set no key":     db.Set(nil, []byte("v")),
		"set no value":   db.Set([]byte("k"), nil),
		"delete no key":  db.Delete(nil),
		"batch no key":   b.Set(nil, []byte("v")),
		"batch no value": b.Set([]byte("k"), nil),
		"batch delete":   b.Delete(nil),
	}
	_, errs["get no key"] = db.Get([]byte{})
	_, errs["has no key"] = db.Has(nil)
	_, errs["iterate from empty"] = db.Iterator([]byte{}, nil)
	_, errs["iterate to empty"] = db.ReverseIterator(nil, []byte{})
	for name, err := range errs {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	it, err := db.Iterator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for name, f := range map[string]func(){
		"key": func() { it.Key() }, "value": func() { it.Value() }, "next": it.Next,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of an invalid iterator does not panic", name)
				}
			}()
			f()
		}()
	}
}

// TestIteratorIsASnapshot: writes after an iterator was made don't show.
func TestIteratorIsASnapshot(t *testing.T) {
	db := openMem(t).DB("state")
	if err := db.Set([]byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	it, err := db.Iterator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	if err := errors.Join(db.Set([]byte("a"), []byte("2")), db.Set([]byte("b"), []byte("2"))); err != nil {
		t.Fatal(err)
	}
	if string(it.Value()) != "1" {
		t.Fatalf("value %q", it.Value())
	}
	if it.Next(); it.Valid() {
		t.Fatalf("key %q", it.Key())
	}
}

func TestClosedEngine(t *testing.T) {
	e, err := Open("db", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	db := e.DB("state")
	b := db.NewBatch()
	if err := errors.Join(db.Set([]byte("k"), []byte("v")), b.Set([]byte("k"), []byte("v")), e.Close()); err != nil {
		t.Fatal(err)
	}
	errs := map[string]error{"set": db.Set([]byte("k"), []byte("v")), "delete": db.Delete([]byte("k")), "batch": b.Write(), "sync": e.Sync()}
	_, errs["get"] = db.Get([]byte("k"))
	_, errs["iterate"] = db.Iterator(nil, nil)
	for name, err := range errs {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
