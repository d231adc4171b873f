package testnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"mtmledger/app/node"
	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/internal/port"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// MaxValidators bounds a testnet on one machine.
const MaxValidators = 16

// power is the voting power of each validator.
const power = 10

// Options says what Generate makes. Zero fields take the defaults.
type Options struct {
	Chain        string // default: mtm- and 8 random characters
	Organisation string // default: "demo"
	Validators   int    // default 1, at most MaxValidators
	MQTT         string // host:port of the embedded broker; default a free port on loopback
	// Node is the template of every node's configuration; Home, Name, addresses
	// and peers are set by Generate.
	Node node.Config
}

func (o *Options) fill() error {
	if o.Validators == 0 {
		o.Validators = 1
	}
	if o.Validators < 1 || o.Validators > MaxValidators {
		return fmt.Errorf("testnet: %d validators, want 1 to %d", o.Validators, MaxValidators)
	}
	if o.Validators > 1 && o.Node.SignerListen != "" {
		return fmt.Errorf("testnet: one signer for %d validators; it can have the key of one", o.Validators)
	}
	if o.Organisation == "" {
		o.Organisation = "demo"
	}
	if o.Chain == "" {
		k, err := crypto.GenerateKey()
		if err != nil {
			return err
		}
		o.Chain = "mtm-" + k.Public().KeyID().String()[:8]
	}
	return errors.Join(ledger.CheckChain(o.Chain), ledger.CheckName(o.Organisation))
}

// Generate makes a new ledger in dir, which must not hold one.
func Generate(dir string, o Options) (*Manifest, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExists, dir)
	}
	m := &Manifest{Dir: dir, Version: ManifestVersion, Chain: o.Chain}
	admin, bridge, err := m.makeKeys(o)
	if err != nil {
		return nil, err
	}
	if err := m.makeAddresses(o); err != nil {
		return nil, err
	}
	if err := m.makeNodes(o.Node); err != nil {
		return nil, err
	}
	state, err := m.appState(admin, bridge)
	if err != nil {
		return nil, err
	}
	if err := m.writeGenesis(o, state); err != nil {
		return nil, err
	}
	if err := m.writeTrust(); err != nil {
		return nil, err
	}
	return m, m.Save()
}

// makeKeys makes the keys of the organisation and of the bridge.
func (m *Manifest) makeKeys(o Options) (admin, bridge crypto.PublicKey, err error) {
	if admin, err = makeKey(m.Path("organisation", "key.pem")); err != nil {
		return
	}
	if bridge, err = makeKey(m.Path("bridge", "key.pem")); err != nil {
		return
	}
	m.Organisation = Organisation{Name: o.Organisation, ID: ledger.OrganisationID(admin), Key: "organisation/key.pem"}
	m.Bridge = Bridge{ID: ledger.BridgeID(bridge), Key: bridge, Home: "bridge", MQTT: o.MQTT}
	return
}

// makeKey makes a key file; an existing one is kept and used.
func makeKey(path string) (crypto.PublicKey, error) {
	if _, err := os.Stat(path); err == nil {
		k, err := crypto.LoadKey(path)
		if err != nil {
			return crypto.PublicKey{}, err
		}
		return k.Public(), nil
	}
	if err := disk.EnsureDir(disk.OS{}, filepath.Dir(path)); err != nil {
		return crypto.PublicKey{}, fmt.Errorf("testnet: %w", err)
	}
	k, err := crypto.GenerateKey()
	if err != nil {
		return crypto.PublicKey{}, err
	}
	return k.Public(), crypto.SaveKey(path, k)
}

// makeAddresses takes free ports on loopback. They stay fixed, so that
// processes find one another after a restart.
func (m *Manifest) makeAddresses(o Options) error {
	free, err := port.Free("127.0.0.1", 2*o.Validators+2)
	if err != nil {
		return err
	}
	if m.Bridge.MQTT == "" {
		m.Bridge.MQTT = free[2*o.Validators]
	}
	m.Bridge.HTTP = free[2*o.Validators+1]
	for i := range o.Validators {
		name := strconv.Itoa(i)
		m.Validators = append(m.Validators, Validator{
			Name: name, Home: "validators/" + name, RPC: free[2*i], P2P: free[2*i+1],
		})
	}
	return nil
}

// appState is the application's part of the genesis: one organisation, its
// admin key, its bridge and its validators.
func (m *Manifest) appState(admin, bridge crypto.PublicKey) ([]byte, error) {
	organisation := ledger.GenesisOrganisation{
		Name: m.Organisation.Name, AdminKeys: []crypto.PublicKey{admin}, Threshold: 1,
		Bridges: []ledger.GenesisBridge{{Key: bridge}},
	}
	for _, v := range m.Validators {
		organisation.Validators = append(organisation.Validators, ledger.GenesisValidator{Key: v.Key, Power: power})
	}
	state, err := json.Marshal(ledger.Genesis{Organisations: []ledger.GenesisOrganisation{organisation}})
	if err != nil {
		return nil, fmt.Errorf("testnet: genesis: %w", err)
	}
	if _, err := ledger.ParseGenesis(state); err != nil {
		return nil, fmt.Errorf("testnet: genesis: %w", err)
	}
	return state, nil
}

// makeNodes makes the node homes with their keys, except one that a signer has.
func (m *Manifest) makeNodes(template node.Config) error {
	for i := range m.Validators {
		v := &m.Validators[i]
		id, err := makeNode(template, m.Path(v.Home))
		if err != nil {
			return err
		}
		v.NodeID, v.Key = id.NodeID, id.Key
	}
	return nil
}

func makeNode(c node.Config, home string) (node.Identity, error) {
	if c.SignerListen == "" {
		return node.InitKeys(home)
	}
	c.Home = home
	return node.InitRemote(c)
}

// writeGenesis writes one genesis and each node's configuration.
func (m *Manifest) writeGenesis(o Options, state []byte) error {
	var (
		set   []node.Validator
		peers []string
	)
	for _, v := range m.Validators {
		set = append(set, node.Validator{Name: v.Name, Key: v.Key, Power: power})
		peers = append(peers, v.NodeID+"@"+v.P2P)
	}
	doc, err := node.NewGenesis(node.InitOptions{Chain: m.Chain, AppState: state, Validators: set, Time: time.Now()})
	if err != nil {
		return err
	}
	for i, v := range m.Validators {
		if err := node.WriteGenesis(m.Path(v.Home), doc); err != nil {
			return err
		}
		c := o.Node
		c.Home, c.Name, c.RPCListen, c.P2PListen = m.Path(v.Home), v.Name, v.RPC, v.P2P
		c.Peers = append(append([]string{}, peers[:i]...), peers[i+1:]...)
		if err := c.Save(); err != nil {
			return err
		}
	}
	return nil
}

// writeTrust writes the trust root: the validators of the genesis.
func (m *Manifest) writeTrust() error {
	root := proof.TrustRoot{Chain: m.Chain}
	for _, v := range m.Validators {
		root.Validators = append(root.Validators, proof.Validator{Key: v.Key, Power: power})
	}
	return writeFile(m.TrustPath(), root.Encode())
}

// AddDevice makes the key of a new device and puts the device into the
// manifest. A device that is there already is returned as it is.
func (m *Manifest) AddDevice(name string) (*Device, error) {
	if d, err := m.Device(name); err == nil {
		return d, nil
	}
	if err := ledger.CheckName(name); err != nil {
		return nil, err
	}
	home := filepath.Join("devices", name)
	if filepath.Base(name) != name || name == ".." || name == "." {
		return nil, fmt.Errorf("testnet: %q can't be the name of a folder", name)
	}
	key, err := makeKey(m.Path(home, "key.pem"))
	if err != nil {
		return nil, err
	}
	m.Devices = append(m.Devices, Device{Name: name, ID: ledger.DeviceID(key), Home: home})
	return &m.Devices[len(m.Devices)-1], m.Save()
}

// AddStream puts a stream of a device into the manifest.
func (m *Manifest) AddStream(device, name string) (Stream, error) {
	d, err := m.Device(device)
	if err != nil {
		return Stream{}, err
	}
	for _, s := range d.Streams {
		if s.Name == name {
			return s, nil
		}
	}
	if err := ledger.CheckName(name); err != nil {
		return Stream{}, err
	}
	s := Stream{Name: name, ID: ledger.StreamID(m.Chain, d.ID, name)}
	d.Streams = append(d.Streams, s)
	return s, m.Save()
}
