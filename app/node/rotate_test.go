package node

import (
	"errors"
	"os"
	"testing"
)

// TestSwitchKey: the next key is made once, is read again, and takes the place of the
// old one, which is kept.
func TestSwitchKey(t *testing.T) {
	home := t.TempDir()
	before, err := InitKeys(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SwitchKey(home); !errors.Is(err, ErrNoNextKey) {
		t.Fatalf("without a next key: %v", err)
	}
	next, err := NextKey(home)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := NextKey(home); err != nil || again.Public() != next.Public() {
		t.Fatalf("read again: %v, %v", again.Public(), err)
	}
	if now, err := LoadIdentity(home); err != nil || now != before {
		t.Fatalf("before the switch: %v, %v", now, err)
	}
	now, err := SwitchKey(home)
	if err != nil || now.Key != next.Public() || now.NodeID != before.NodeID {
		t.Fatalf("after the switch: %v, %v", now, err)
	}
	file := cometConfig(Config{Home: home}.withDefaults()).PrivValidatorKeyFile()
	for _, f := range []string{file, file + "." + before.Key.KeyID().String()} {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	if err := os.WriteFile(nextKeyFile(home), []byte(`{"priv_key":{"value":""}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NextKey(home); !errors.Is(err, ErrHome) {
		t.Errorf("a broken key: %v", err)
	}
}
