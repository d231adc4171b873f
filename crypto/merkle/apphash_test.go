package merkle

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// TestAppHash computes an app hash by hand. app/crosscheck compares many with
// CometBFT's own: this package and its tests do not import it.
func TestAppHash(t *testing.T) {
	logRoot, recordsRoot := LeafHash([]byte("log")), LeafHash([]byte("records"))
	value := append([]byte{0, 0, 0, 0, 0, 0, 1, 2}, logRoot[:]...)
	left := append([]byte("\x03log\x20"), sum(value)...)
	right := append([]byte("\x07records\x20"), sum(recordsRoot[:])...)
	want := NodeHash(LeafHash(left), LeafHash(right))
	if got := AppHash(0x0102, logRoot, recordsRoot); got != want {
		t.Errorf("app hash %s, want %s", got, want)
	}
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// TestAppHashBindsEverything checks that each argument changes the app hash.
func TestAppHashBindsEverything(t *testing.T) {
	a, b := LeafHash([]byte("a")), LeafHash([]byte("b"))
	seen := map[Hash]bool{}
	for _, h := range []Hash{
		AppHash(1, a, b), AppHash(2, a, b), AppHash(1, b, b), AppHash(1, a, a), AppHash(1, b, a),
	} {
		seen[h] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d distinct app hashes of 5", len(seen))
	}
}

func TestHashText(t *testing.T) {
	h := LeafHash([]byte("a"))
	text, err := h.MarshalText()
	if err != nil || string(text) != hex.EncodeToString(h[:]) {
		t.Fatalf("%s, %v", text, err)
	}
	var back Hash
	if err := back.UnmarshalText(text); err != nil || back != h || back.IsZero() {
		t.Fatalf("%s, %v", back, err)
	}
	for _, bad := range []string{"", string(text[:63]), string(text) + "0", "A" + string(text[1:]), "g" + string(text[1:])} {
		kept := back
		if err := kept.UnmarshalText([]byte(bad)); err == nil || kept != back {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
