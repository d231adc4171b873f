package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mtmledger/app/signer"
	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger/proof"

	cfg "github.com/cometbft/cometbft/config"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"
)

// Consensus parameters of a new ledger, the same on every node for ever.
const (
	// MaxBlockBytes bounds a block: about 20,000 statements of one reading.
	MaxBlockBytes = 4 << 20
	// evidenceAge is how long double signing can be shown, in time and blocks.
	evidenceAge    = 48 * time.Hour
	evidenceBlocks = 10_000
	evidenceBytes  = 256 << 10
)

// ErrHome is wrapped by errors about a home that is not fit for use.
var ErrHome = errors.New("node: bad home")

// Identity is what others need to know of a node.
type Identity struct {
	NodeID string           // p2p id, 40 hexadecimal digits
	Key    crypto.PublicKey // consensus key
}

// Validator is a member of the first validator set.
type Validator struct {
	Name  string
	Key   crypto.PublicKey
	Power int64
}

// InitOptions says what ledger a new home belongs to.
type InitOptions struct {
	// Chain is the chain id, 1..50 bytes.
	Chain string
	// AppState is the JSON of docs/spec/state.md: organisations, parameters.
	AppState []byte
	// Validators is the first validator set; empty means this node alone.
	Validators []Validator
	// Time is the genesis time; zero means now. Nodes of one ledger need the
	// same.
	Time time.Time
}

// Init makes a home: keys where there are none, and the genesis file. An
// existing genesis file is an error; nothing existing is replaced.
func Init(home string, o InitOptions) (Identity, error) {
	id, err := InitKeys(home)
	if err != nil {
		return id, err
	}
	if len(o.Validators) == 0 {
		o.Validators = []Validator{{Name: o.Chain, Key: id.Key, Power: 10}}
	}
	doc, err := NewGenesis(o)
	if err != nil {
		return id, err
	}
	return id, WriteGenesis(home, doc)
}

// InitKeys makes the directories and keys of a home where they are missing and
// returns its identity. Testnets call it for every home before they write the
// one genesis.
func InitKeys(home string) (Identity, error) {
	c := cometConfig(Config{Home: home}.withDefaults())
	if err := initNode(home, c); err != nil {
		return Identity{}, err
	}
	keyFile := c.PrivValidatorKeyFile()
	if _, err := os.Stat(keyFile); errors.Is(err, os.ErrNotExist) {
		if err := makeKeyFiles(disk.OS{}, keyFile, c.PrivValidatorStateFile()); err != nil {
			return Identity{}, fmt.Errorf("node: init: %w", err)
		}
	}
	return LoadIdentity(home)
}

// initNode makes the directories and the p2p identity of a home.
func initNode(home string, c *cfg.Config) error {
	for _, dir := range []string{"config", "data"} {
		if err := disk.EnsureDir(disk.OS{}, filepath.Join(home, dir)); err != nil {
			return fmt.Errorf("node: init: %w", err)
		}
	}
	if err := signer.MakeIdentity(disk.OS{}, c.NodeKeyFile()); err != nil {
		return fmt.Errorf("node: init: %w", err)
	}
	return nil
}

// LoadIdentity reads the identity of a home.
func LoadIdentity(home string) (Identity, error) {
	c, err := LoadConfig(home)
	if err != nil {
		return Identity{}, err
	}
	return c.identity()
}

// identity is that of the home of c.
func (c Config) identity() (Identity, error) {
	cc := cometConfig(c.withDefaults())
	nodeKey, err := p2p.LoadNodeKey(cc.NodeKeyFile())
	if err != nil {
		return Identity{}, fmt.Errorf("%w: node key: %w", ErrHome, err)
	}
	id := Identity{NodeID: string(nodeKey.ID()), Key: c.SignerKey}
	if c.SignerListen != "" {
		return id, c.checkNoKey()
	}
	pv, err := signer.LoadKey(cc.PrivValidatorKeyFile(), cc.PrivValidatorStateFile())
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrHome, err)
	}
	copy(id.Key[:], pv.Key.PubKey.Bytes())
	return id, nil
}

// NewGenesis returns the genesis document of a ledger.
func NewGenesis(o InitOptions) (*types.GenesisDoc, error) {
	state, err := compactJSON(o.AppState)
	if err != nil {
		return nil, fmt.Errorf("node: genesis state: %w", err)
	}
	params := types.DefaultConsensusParams()
	params.Block = types.BlockParams{MaxBytes: MaxBlockBytes, MaxGas: -1}
	params.Evidence = types.EvidenceParams{
		MaxAgeNumBlocks: evidenceBlocks, MaxAgeDuration: evidenceAge, MaxBytes: evidenceBytes,
	}
	params.Validator.PubKeyTypes = []string{types.ABCIPubKeyTypeEd25519}
	doc := &types.GenesisDoc{
		ChainID:         o.Chain,
		GenesisTime:     o.Time.UTC(),
		ConsensusParams: params,
		AppState:        state,
	}
	if o.Time.IsZero() {
		doc.GenesisTime = time.Now().UTC()
	}
	for _, v := range o.Validators {
		doc.Validators = append(doc.Validators, types.GenesisValidator{
			PubKey: cmted25519.PubKey(bytes.Clone(v.Key[:])), Power: v.Power, Name: v.Name,
		})
	}
	if err := doc.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("node: genesis: %w", err)
	}
	return doc, nil
}

// compactJSON returns JSON without insignificant space.
func compactJSON(b []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// genesisPath is where a home keeps its genesis.
func genesisPath(home string) string { return filepath.Join(home, "config", "genesis.json") }

// WriteGenesis writes the genesis file of a home that has none.
func WriteGenesis(home string, doc *types.GenesisDoc) error {
	path := genesisPath(home)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is already there", ErrHome, path)
	}
	if err := writeJSON(disk.OS{}, path, doc); err != nil {
		return fmt.Errorf("node: write genesis: %w", err)
	}
	return nil
}

// ReadGenesis reads the genesis of a home.
func ReadGenesis(home string) (*types.GenesisDoc, error) {
	doc, err := types.GenesisDocFromFile(genesisPath(home))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHome, err)
	}
	return doc, nil
}

// TrustRoot returns the trust root of a home's ledger: its chain id and first
// validator set, as docs/spec/certificate.md has it.
func TrustRoot(home string) (proof.TrustRoot, error) {
	doc, err := ReadGenesis(home)
	if err != nil {
		return proof.TrustRoot{}, err
	}
	root := proof.TrustRoot{Chain: doc.ChainID}
	for _, v := range doc.Validators {
		pub, ok := v.PubKey.(cmted25519.PubKey)
		if !ok {
			return proof.TrustRoot{}, fmt.Errorf("%w: validator %s has no ed25519 key", ErrHome, v.Name)
		}
		val := proof.Validator{Power: v.Power}
		copy(val.Key[:], pub)
		root.Validators = append(root.Validators, val)
	}
	proof.SortValidators(root.Validators)
	return root, nil
}
