package crypto

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func testKey(n int) PrivateKey {
	return KeyFromSeed(Sum("mtm/test/key/1", fmt.Append(nil, n)))
}

func TestPublicKeyText(t *testing.T) {
	p := testKey(1).Public()
	got, err := ParsePublicKey(p.String())
	if err != nil || got != p || len(p.String()) != 44 {
		t.Fatalf("ParsePublicKey(%q) = %v, %v", p, got, err)
	}
	s := p.String()
	for _, bad := range []string{"", s[1:], s + "A", s[:43], s[:43] + "A", "-" + s[1:], s[:40] + "\n\n\n\n", base64.RawStdEncoding.EncodeToString(p[:])} {
		if _, err := ParsePublicKey(bad); !errors.Is(err, ErrBadKey) {
			t.Errorf("ParsePublicKey(%q) = %v", bad, err)
		}
	}
	sig := testKey(1).Sign(nil)
	text, err := sig.MarshalText()
	var back Signature
	if err != nil || back.UnmarshalText(text) != nil || back != sig || string(text) != sig.String() {
		t.Errorf("signature text %s does not come back", text)
	}
	if err := back.UnmarshalText(text[1:]); !errors.Is(err, ErrBadKey) {
		t.Errorf("short signature text: %v", err)
	}
}

func TestPrivateKeyIsNeverPrinted(t *testing.T) {
	k := testKey(1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		want := "private key " + k.Public().KeyID().String()
		if got := fmt.Sprintf(verb, k); got != want {
			t.Errorf("%s prints %q", verb, got)
		}
		secret := strings.Trim(fmt.Sprintf(verb, k.key[:4]), "[]byte{}\"")
		for _, v := range []any{struct{ K *PrivateKey }{&k}, struct{ k PrivateKey }{k}, []PrivateKey{k}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) {
				t.Errorf("%s prints the secret inside %T: %q", verb, v, got)
			}
		}
	}
}

func TestGenerateKey(t *testing.T) {
	a, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if a.Public() == b.Public() || a.IsZero() || !(PrivateKey{}).IsZero() {
		t.Error("generated keys are not distinct keys")
	}
	if err := CheckEnrolment(a.Public()); err != nil {
		t.Error(err)
	}
	msg := []byte("m")
	sig := a.Sign(msg)
	pub := a.Public()
	if !ed25519.Verify(pub[:], msg, sig[:]) {
		t.Error("crypto/ed25519 refuses our signature")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	k := testKey(1)
	if err := SaveKey(path, k); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	got, err := LoadKey(path)
	if err != nil || got.Public() != k.Public() || got.Sign(nil) != k.Sign(nil) {
		t.Fatalf("LoadKey = %v, %v", got, err)
	}
	if err := SaveKey(path, testKey(2)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second SaveKey = %v, want ErrExist", err)
	}
	if got, err := LoadKey(path); err != nil || got.Public() != k.Public() {
		t.Errorf("a refused SaveKey changed the file: %v, %v", got, err)
	}
	if err := SaveKey(filepath.Join(t.TempDir(), "zero"), PrivateKey{}); !errors.Is(err, ErrBadKey) {
		t.Errorf("SaveKey of no key = %v", err)
	}
}

func TestKeyFileOpenToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := SaveKey(path, testKey(1)); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]error{
		0o600: nil, 0o400: nil, 0o700: nil,
		0o640: ErrKeyReadable, 0o604: ErrKeyReadable, 0o620: ErrKeyReadable,
		0o602: ErrKeyReadable, 0o610: ErrKeyReadable, 0o644: ErrKeyReadable,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); !errors.Is(err, want) {
			t.Errorf("mode %#o: LoadKey = %v, want %v", mode, err, want)
		}
	}
}

func TestKeyFileSymlink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	if err := SaveKey(link, testKey(1)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("SaveKey through a dangling link = %v, want ErrExist", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SaveKey wrote through the link: %v", err)
	}
	if err := SaveKey(target, testKey(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(link); err != nil {
		t.Errorf("LoadKey through a link = %v", err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(link); !errors.Is(err, ErrKeyReadable) {
		t.Errorf("LoadKey through a link to an open file = %v", err)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	good, err := encodeKey(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	full := string(good) + strings.Repeat("\n", maxKeyFile-len(good))
	const ec = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
`
	for name, content := range map[string]string{
		"empty":         "",
		"garbage":       "not a key",
		"wrong type":    strings.ReplaceAll(string(good), "PRIVATE", "PUBLIC"),
		"truncated":     string(good[:len(good)/2]),
		"not DER":       "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"trailing data": string(good) + "x",
		"two keys":      string(good) + string(good),
		"another kind":  ec,
		"at the limit":  full,
		"too large":     full + "\n",
	} {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKey(path)
		if name == "at the limit" {
			// Only the size was refused one byte further on.
			if err == nil || strings.Contains(err.Error(), "larger") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: LoadKey = %v, want ErrBadKey", name, err)
		}
	}
	if _, err := LoadKey(t.TempDir()); !errors.Is(err, ErrBadKey) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
