package testnet

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cometbft/cometbft/types"

	"mtmledger/app/node"
)

// JoinOptions says which ledger Join makes a folder for.
type JoinOptions struct {
	Genesis string   // file with the ledger's genesis
	Peers   []string // id@host:port of nodes of the ledger
	// Options of the folder: Organisation, MQTT, Node. Chain is the genesis's.
	Options
}

// Join makes the folder of an organisation that wants to join a ledger: its keys, one
// node, and the trust root of the ledger's genesis. What the others decide of it is
// theirs: the node follows the ledger and does not vote before they admitted it.
func Join(dir string, o JoinOptions) (*Manifest, error) {
	doc, err := types.GenesisDocFromFile(o.Genesis)
	if err != nil {
		return nil, fmt.Errorf("testnet: genesis: %w", err)
	}
	o.Chain, o.Validators = doc.ChainID, 1
	if err := o.fill(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExists, dir)
	}
	m := &Manifest{Dir: dir, Version: ManifestVersion, Chain: o.Chain}
	if _, _, err := m.makeKeys(o.Options); err != nil {
		return nil, err
	}
	if err := m.makeAddresses(o.Options); err != nil {
		return nil, err
	}
	if err := m.makeNodes(o.Node); err != nil {
		return nil, err
	}
	v := m.Validators[0]
	if err := node.WriteGenesis(m.Path(v.Home), doc); err != nil {
		return nil, err
	}
	c := o.Node
	c.Home, c.Name, c.RPCListen, c.P2PListen, c.Peers = m.Path(v.Home), o.Organisation, v.RPC, v.P2P, o.Peers
	if err := c.Save(); err != nil {
		return nil, err
	}
	root, err := node.TrustRoot(m.Path(v.Home))
	if err != nil {
		return nil, err
	}
	if err := writeFile(m.TrustPath(), root.Encode()); err != nil {
		return nil, err
	}
	return m, m.Save()
}

// Rekeyed notes the consensus key that a validator of the folder has now.
func (m *Manifest) Rekeyed(name string) (*Validator, error) {
	v, err := m.Validator(name)
	if err != nil {
		return nil, err
	}
	id, err := node.LoadIdentity(m.Path(v.Home))
	if err != nil {
		return nil, err
	}
	v.Key = id.Key
	return v, m.Save()
}
