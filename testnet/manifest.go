package testnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
)

// ManifestVersion is the form of the manifest written by this code.
const ManifestVersion = 1

// Errors about a folder's manifest.
var (
	ErrNoManifest = errors.New("testnet: no ledger here")
	ErrManifest   = errors.New("testnet: bad manifest")
	ErrExists     = errors.New("testnet: a ledger is here already")
	ErrUnknown    = errors.New("testnet: not in the manifest")
)

// Manifest says what a folder's ledger consists of. Paths are relative to the
// folder.
type Manifest struct {
	Dir          string       `json:"-"`
	Version      int          `json:"version"`
	Chain        string       `json:"chain"`
	Organisation Organisation `json:"organisation"`
	Validators   []Validator  `json:"validators"`
	Bridge       Bridge       `json:"bridge"`
	Devices      []Device     `json:"devices,omitempty"`
}

// Organisation is the consortium member whose admin key is in the folder.
type Organisation struct {
	Name string    `json:"name"`
	ID   crypto.ID `json:"id"`
	Key  string    `json:"key"`
}

// Validator is one node.
type Validator struct {
	Name   string           `json:"name"`
	Home   string           `json:"home"`
	NodeID string           `json:"node_id"`
	Key    crypto.PublicKey `json:"key"`
	RPC    string           `json:"rpc"` // host:port
	P2P    string           `json:"p2p"` // host:port
}

// Bridge is the one bridge with its embedded broker.
type Bridge struct {
	ID   crypto.ID        `json:"id"`
	Key  crypto.PublicKey `json:"key"` // which devices check its acknowledgements with
	Home string           `json:"home"`
	MQTT string           `json:"mqtt"` // host:port of the embedded broker
	HTTP string           `json:"http"` // host:port of its status page and metrics
}

// Device is one device with its streams.
type Device struct {
	Name    string    `json:"name"`
	ID      crypto.ID `json:"id"`
	Home    string    `json:"home"`
	Streams []Stream  `json:"streams,omitempty"`
}

// Stream is a stream that a device opened.
type Stream struct {
	Name string    `json:"name"`
	ID   crypto.ID `json:"id"`
}

const manifestName = "mtm.json"

// Load reads the manifest of a folder.
func Load(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrNoManifest, dir, manifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	m := &Manifest{Dir: dir}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrManifest, dir, err)
	}
	return m, m.check()
}

func (m *Manifest) check() error {
	if m.Version != ManifestVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrManifest, m.Version, ManifestVersion)
	}
	if m.Chain == "" || len(m.Validators) == 0 {
		return fmt.Errorf("%w: no chain or no validator", ErrManifest)
	}
	return nil
}

// Save writes the manifest in one step, so that a reader sees the old or the
// new one.
func (m *Manifest) Save() error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("testnet: save manifest: %w", err)
	}
	return writeFile(m.Path(manifestName), append(b, '\n'))
}

// writeFile replaces a file in one step and for good; several processes may.
func writeFile(path string, b []byte) error {
	if err := disk.WriteShared(disk.OS{}, path, b); err != nil {
		return fmt.Errorf("testnet: write %s: %w", path, err)
	}
	return nil
}

// Path joins the folder with a path of the manifest.
func (m *Manifest) Path(elem ...string) string {
	return filepath.Join(append([]string{m.Dir}, elem...)...)
}

// TrustPath is the file with the trust root.
func (m *Manifest) TrustPath() string { return m.Path("trust.json") }

// RPC lists the addresses of all validators as http URLs.
func (m *Manifest) RPC() []string {
	urls := make([]string, len(m.Validators))
	for i, v := range m.Validators {
		urls[i] = "http://" + v.RPC
	}
	return urls
}

// Device finds a device by name or id.
func (m *Manifest) Device(name string) (*Device, error) {
	for i := range m.Devices {
		if d := &m.Devices[i]; d.Name == name || d.ID.String() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: device %q", ErrUnknown, name)
}

// Stream finds a stream by id, by name where only one device has it, or by
// DEVICE/NAME.
func (m *Manifest) Stream(name string) (Device, Stream, error) {
	var (
		device Device
		stream Stream
		hits   int
	)
	for _, d := range m.Devices {
		for _, s := range d.Streams {
			if s.ID.String() == name || d.Name+"/"+s.Name == name {
				return d, s, nil
			}
			if s.Name == name {
				device, stream, hits = d, s, hits+1
			}
		}
	}
	switch hits {
	case 0:
		return device, stream, fmt.Errorf("%w: stream %q", ErrUnknown, name)
	case 1:
		return device, stream, nil
	}
	return device, stream, fmt.Errorf("%w: %d devices have a stream %q: say DEVICE/%s or the stream's id", ErrUnknown, hits, name, name)
}

// Validator finds a validator by name.
func (m *Manifest) Validator(name string) (*Validator, error) {
	for i := range m.Validators {
		if m.Validators[i].Name == name {
			return &m.Validators[i], nil
		}
	}
	return nil, fmt.Errorf("%w: validator %q, there are 0 to %d", ErrUnknown, name, len(m.Validators)-1)
}
