package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
)

// ErrNoNextKey says that a home has no consensus key to switch to.
var ErrNoNextKey = errors.New("node: no next consensus key was made")

// nextKeyFile is where a home keeps the consensus key that will replace its own.
func nextKeyFile(home string) string {
	return cometConfig(Config{Home: home}.withDefaults()).PrivValidatorKeyFile() + ".next"
}

// NextKey returns the consensus key that will replace that of a home, and makes it
// where there is none; from then on the home keeps it. The validator that signs with it is the ledger's to decide
// (ledger.RotateValidator); the home goes on with its own until SwitchKey.
func NextKey(home string) (crypto.PrivateKey, error) {
	c, err := LoadConfig(home)
	if err != nil {
		return crypto.PrivateKey{}, err
	}
	if c.SignerListen != "" {
		return crypto.PrivateKey{}, ErrRemoteKey
	}
	file := nextKeyFile(home)
	b, err := nextKeyBytes(disk.OS{}, file)
	if err != nil {
		return crypto.PrivateKey{}, fmt.Errorf("node: next consensus key: %w", err)
	}
	var key struct {
		PrivKey struct {
			Value []byte `json:"value"`
		} `json:"priv_key"`
		PubKey struct {
			Value []byte `json:"value"`
		} `json:"pub_key"`
	}
	if err := json.Unmarshal(b, &key); err != nil || len(key.PrivKey.Value) < 32 {
		return crypto.PrivateKey{}, fmt.Errorf("%w: %s is no ed25519 key", ErrHome, file)
	}
	out := crypto.KeyFromSeed([32]byte(key.PrivKey.Value[:32]))
	if pub := out.Public(); !bytes.Equal(pub[:], key.PubKey.Value) {
		return crypto.PrivateKey{}, fmt.Errorf("%w: the keys in %s are no pair", ErrHome, file)
	}
	return out, nil
}

// UseSigner makes a home one whose consensus key, a new one, is with a signer. A key that
// it has itself is kept under another name. The node must not run.
func UseSigner(home, listen string, key crypto.PublicKey) error {
	c, err := LoadConfig(home)
	if err != nil {
		return err
	}
	own := cometConfig(c.withDefaults()).PrivValidatorKeyFile()
	old, err := c.identity()
	if err != nil {
		return err
	}
	local := c.SignerListen == ""
	c.SignerListen, c.SignerKey = listen, key
	if err := c.Validate(); err != nil {
		return err
	}
	// The configuration first: cut off in between, a start refuses the home and says
	// which file to move away.
	if err := c.Save(); err != nil || !local {
		return err
	}
	if err := disk.Move(disk.OS{}, own, fmt.Sprintf("%s.%s", own, old.Key.KeyID())); err != nil {
		return fmt.Errorf("node: keep the old consensus key: %w", err)
	}
	return nil
}

// SwitchKey puts the next consensus key of a home in place of its own, which is kept
// beside it. The node must not run: it reads its key when it starts.
func SwitchKey(home string) (Identity, error) {
	file := cometConfig(Config{Home: home}.withDefaults()).PrivValidatorKeyFile()
	if _, err := os.Stat(nextKeyFile(home)); errors.Is(err, os.ErrNotExist) {
		return Identity{}, ErrNoNextKey
	}
	old, err := LoadIdentity(home)
	if err != nil {
		return old, err
	}
	kept := fmt.Sprintf("%s.%s", file, old.Key.KeyID())
	if err := replaceKey(disk.OS{}, file, nextKeyFile(home), kept); err != nil {
		return old, fmt.Errorf("node: switch the consensus key: %w", err)
	}
	return LoadIdentity(home)
}
