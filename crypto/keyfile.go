package crypto

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxKeyFile bounds a key file, in bytes. An ed25519 key takes 119.
const maxKeyFile = 4096

const pemType = "PRIVATE KEY"

// ErrKeyReadable is returned for a key file that users other than its owner can
// read or change.
var ErrKeyReadable = errors.New("crypto: key file is open to other users; run chmod 600 on it")

// SaveKey writes k to a new file as PKCS#8 (RFC 8410) in PEM, mode 0600, and
// syncs the file and its directory. It never replaces a file and never follows a
// symbolic link: the error wraps [fs.ErrExist] if something is there.
func SaveKey(path string, k PrivateKey) error {
	data, err := encodeKey(k)
	if err != nil {
		return fmt.Errorf("crypto: save key: %w", err)
	}
	if err := writeNew(path, data); err != nil {
		return fmt.Errorf("crypto: save key: %w", err)
	}
	return nil
}

func encodeKey(k PrivateKey) ([]byte, error) {
	if k.IsZero() {
		return nil, ErrBadKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.PrivateKey(k.key[:]))
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// writeNew creates path with data, or leaves nothing behind.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories can't be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// LoadKey reads a key file as [SaveKey] writes it. A symbolic link is followed,
// and the file it leads to is held to the same rules: a regular file of at most
// 4,096 bytes that neither group nor others can read or change, or the error is
// [ErrKeyReadable]. On Windows, where access isn't in the mode bits, the last
// rule isn't checked. A file that holds no ed25519 key gives [ErrBadKey].
func LoadKey(path string) (PrivateKey, error) {
	data, err := readPrivate(path)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("crypto: load key: %w", err)
	}
	k, err := decodeKey(data)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("crypto: load key: %s: %w", path, err)
	}
	return k, nil
}

// readPrivate checks before opening, so that a pipe can't block it, and again on
// the open file, so that the file checked is the file read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkKeyFile(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkKeyFile(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s: %w: larger than %d bytes", path, ErrBadKey, maxKeyFile)
	}
	return data, nil
}

func checkKeyFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", path, ErrBadKey)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: %w (mode %#o)", path, ErrKeyReadable, info.Mode().Perm())
	}
	return nil
}

func decodeKey(data []byte) (PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(rest) != 0 {
		return PrivateKey{}, fmt.Errorf("%w: not one PEM block %q", ErrBadKey, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	k, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return PrivateKey{}, fmt.Errorf("%w: another kind of key", ErrBadKey)
	}
	return KeyFromSeed([32]byte(k.Seed())), nil
}
