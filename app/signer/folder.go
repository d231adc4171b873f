package signer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"

	cmtcrypto "github.com/cometbft/cometbft/crypto"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
)

// Files of a signer's folder. Key and state are named as in a node's home, config/ and
// data/, so that they can be moved from there.
const (
	keyFile      = "priv_validator_key.json"   // the consensus key
	stateFile    = "priv_validator_state.json" // what it signed last
	identityFile = "signer_key.json"           // by which the node knows the signer
	lockFile     = "lock"
)

// Folder is a signer's folder, open and locked.
type Folder struct {
	// Key is the public part of the consensus key.
	Key crypto.PublicKey
	// PeerID is the signer's name in the node's noise address.
	PeerID string

	dir      string
	pv       *privval.FilePV
	identity cmtcrypto.PrivKey
	lock     io.Closer
}

// Init makes what is missing of a signer's folder and opens it. A key without the state
// of what it signed is refused: it may have signed anything.
func Init(dir string) (*Folder, error) {
	if err := disk.EnsureDir(disk.OS{}, dir); err != nil {
		return nil, fmt.Errorf("signer: init: %w", err)
	}
	key, state := filepath.Join(dir, keyFile), filepath.Join(dir, stateFile)
	if missing(key) && missing(state) {
		// The key last: a key without a state is of no use.
		pv := privval.GenFilePV(key, state)
		pv.LastSignState.Save()
		pv.Key.Save()
	}
	if err := MakeIdentity(disk.OS{}, filepath.Join(dir, identityFile)); err != nil {
		return nil, fmt.Errorf("signer: init: %w", err)
	}
	if err := (disk.OS{}).SyncDir(dir); err != nil {
		return nil, fmt.Errorf("signer: init: %w", err)
	}
	return Open(dir)
}

// MakeIdentity writes a new p2p key, as CometBFT's nodes have, to a file that is missing.
// Others know its peer id from then on, so it is written for good.
func MakeIdentity(f disk.FS, file string) error {
	if _, err := f.ReadFile(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := cmtjson.Marshal(&p2p.NodeKey{PrivKey: cmted25519.GenPrivKey()})
	if err != nil {
		return err
	}
	return disk.WriteFile(f, file, b)
}

func missing(file string) bool {
	_, err := os.Lstat(file)
	return errors.Is(err, fs.ErrNotExist)
}

// Open opens a signer's folder for this process alone.
func Open(dir string) (*Folder, error) {
	lock, err := disk.OS{}.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFolder, dir, err)
	}
	f := &Folder{dir: dir, lock: lock}
	if err := f.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrFolder, err), lock.Close())
	}
	return f, nil
}

func (f *Folder) load() (err error) {
	f.pv, err = LoadKey(filepath.Join(f.dir, keyFile), filepath.Join(f.dir, stateFile))
	if err != nil {
		return err
	}
	f.Key = crypto.PublicKey(f.pv.Key.PubKey.Bytes())
	file := filepath.Join(f.dir, identityFile)
	if _, err := readPrivate(file); err != nil {
		return err
	}
	id, err := p2p.LoadNodeKey(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if f.identity = id.PrivKey; f.identity == nil {
		return fmt.Errorf("%s: no key", file)
	}
	f.PeerID, err = PeerID(f.identity)
	return err
}

// Possession proves to an organisation that the signer has its key, for a validator that
// changes to it.
func (f *Folder) Possession(chain string, organisation crypto.ID) (*ledger.Possession, error) {
	seed := f.pv.Key.PrivKey.Bytes()[:32]
	return ledger.SignPossession(crypto.KeyFromSeed([32]byte(seed)), chain, organisation)
}

// Close lets another process use the folder.
func (f *Folder) Close() error { return f.lock.Close() }

// LoadKey reads a consensus key and what it signed last. CometBFT's own loader ends the
// process on a bad file, so both are looked at first; neither may be open to others.
func LoadKey(keyFile, stateFile string) (*privval.FilePV, error) {
	b, err := readPrivate(keyFile)
	if err != nil {
		return nil, fmt.Errorf("consensus key: %w", err)
	}
	var key privval.FilePVKey
	if err := cmtjson.Unmarshal(b, &key); err != nil {
		return nil, fmt.Errorf("consensus key: %s: %w", keyFile, err)
	}
	if k, ok := key.PrivKey.(cmted25519.PrivKey); !ok || len(k) != cmted25519.PrivateKeySize {
		return nil, fmt.Errorf("consensus key: %s: not ed25519", keyFile)
	}
	if b, err = readPrivate(stateFile); err != nil {
		return nil, fmt.Errorf("state of the consensus key: %w", err)
	}
	var state privval.FilePVLastSignState
	if err := cmtjson.Unmarshal(b, &state); err != nil {
		return nil, fmt.Errorf("state of the consensus key: %s: %w", stateFile, err)
	}
	if (len(state.SignBytes) == 0) != (len(state.Signature) == 0) {
		return nil, fmt.Errorf("state of the consensus key: %s: a signature and what it signs go together", stateFile)
	}
	return privval.LoadFilePV(keyFile, stateFile), nil
}

// readPrivate reads a JSON file that only its owner can read or change.
func readPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w", file, crypto.ErrKeyReadable)
	}
	b, err := os.ReadFile(file)
	if err == nil && !json.Valid(b) {
		err = fmt.Errorf("%s is not JSON", file)
	}
	return b, err
}
