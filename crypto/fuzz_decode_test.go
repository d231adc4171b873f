package crypto

import (
	"errors"
	"testing"
)

// FuzzText: every text of an id, key id, public key or signature that is read is the
// only one of what it stands for.
func FuzzText(f *testing.F) {
	k := testKey(1).Public()
	for _, text := range []string{DeriveID("mtm/test/1").String(), k.KeyID().String(), k.String(), testKey(1).Sign(nil).String()} {
		f.Add(text)
		f.Add(text[:len(text)-1] + "B")
		f.Add(text[1:] + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		checkText(t, text, id.String(), err, ErrBadID)
		kid, err := ParseKeyID(text)
		checkText(t, text, kid.String(), err, ErrBadID)
		key, err := ParsePublicKey(text)
		checkText(t, text, key.String(), err, ErrBadKey)
		var sig Signature
		err = sig.UnmarshalText([]byte(text))
		checkText(t, text, sig.String(), err, ErrBadKey)
	})
}

// checkText checks that a text was either refused by name or is written again.
func checkText(t *testing.T, text, again string, err, named error) {
	t.Helper()
	if err != nil && !errors.Is(err, named) {
		t.Errorf("%q: unnamed error %v", text, err)
	}
	if err == nil && again != text {
		t.Errorf("%q is written as %q", text, again)
	}
}

// FuzzKeyFile: a key that is read is written to a file from which it is read again.
// PEM has many texts for the same bytes, so the file itself may change.
func FuzzKeyFile(f *testing.F) {
	for i := range 2 {
		file, err := encodeKey(testKey(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		f.Add(append([]byte("before\n"), file...))
		f.Add(append(file, '\n'))
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := decodeKey(file)
		if err != nil {
			if !errors.Is(err, ErrBadKey) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		again, err := encodeKey(k)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeKey(again)
		if err != nil || *back.key != *k.key || back.Public() != k.Public() {
			t.Errorf("%q is written as another key: %v", file, err)
		}
		if CheckEnrolment(k.Public()) != nil {
			t.Errorf("%q has a public key that can't be enrolled", file)
		}
	})
}
