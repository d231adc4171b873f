package node

import (
	"bytes"
	"reflect"
	"testing"

	"mtmledger/ledger/proof"
)

// FuzzDecodeStep: what is read as a change of the validator set is framed in one way
// only, and says the same each time.
func FuzzDecodeStep(f *testing.F) {
	fake := newFakeChain(f, 8)
	if _, err := newChain(fakeID, fake, fake, fake); err != nil {
		f.Fatal(err)
	}
	for _, b := range fake.lights {
		f.Add(b)
	}
	f.Add(keptStep{}.encode())
	odd := keptStep{next: make([]proof.Validator, 1)}.encode()
	odd[4]++ // three halves of validators, of which two are there
	f.Add(odd)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readStep(b)
		if err != nil {
			if _, err := decodeStep(b); err == nil {
				t.Fatal("decoded without a frame")
			}
			return
		}
		if again := s.encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x is framed as %x", b, again)
		}
		one, errOne := decodeStep(b)
		two, errTwo := decodeStep(b)
		if (errOne == nil) != (errTwo == nil) || !reflect.DeepEqual(one, two) {
			t.Fatalf("%x is decoded in two ways: %v, %v", b, errOne, errTwo)
		}
	})
}
