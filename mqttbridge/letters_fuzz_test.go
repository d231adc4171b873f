package mqttbridge

import (
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzLetters: whatever is in the file of dead letters, the letters that are read
// from it are written so that the same are read again.
func FuzzLetters(f *testing.F) {
	one, err := json.Marshal(sampleLetter(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(one, '\n'))
	f.Add(append(append([]byte("null\n{}\n"), one...), "\n{\"id\":1,\"replayed\":true}\n{\"id\":2"...))
	f.Fuzz(func(t *testing.T, file []byte) {
		list := lettersOf(t, file)
		l, err := openLetters(lettersFS(t), "b", math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Replayed = false // it is a mark on another letter
		}
		if err := errors.Join(l.add(list), l.close()); err != nil {
			t.Fatal(err)
		}
		again, err := readLetters(l.fs, "b", math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if len(list[i].Payload) == 0 {
				list[i].Payload = nil
			}
		}
		if len(again) != len(list) || len(list) > 0 && !reflect.DeepEqual(again, list) {
			t.Errorf("%+v are written as %+v", list, again)
		}
	})
}

// lettersOf reads a file of dead letters.
func lettersOf(t *testing.T, file []byte) []DeadLetter {
	t.Helper()
	fsys := lettersFS(t)
	f, err := fsys.OpenAppend(filepath.Join("b", lettersNew))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	list, err := readLetters(fsys, "b", math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
