// Package node runs one ledger node in this process: CometBFT with its stores
// on the node's Pebble database, the application, and a supervisor that ends
// the node when consensus fails or stops moving.
//
// Configuration is code: Config has what an operator decides, everything else
// is fixed and explained in comet.go. A home holds
//
//	config/genesis.json             CometBFT genesis, the same on every node
//	config/priv_validator_key.json  the consensus key (mode 0600), unless a signer has it
//	config/node_key.json            the p2p identity (mode 0600)
//	config/node.json                Config, written by Config.Save
//	data/ledger.db/                 one Pebble database for everything
//	data/cs.wal/                    CometBFT's consensus log
//	data/priv_validator_state.json  the last vote signed, unless a signer has it
//
// Init makes a home, Start runs it. docs/design/app.md explains the choices.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
)

// Defaults of Config. A block interval of 100 ms keeps the median time from
// submission to commit far below a second while blocks stay full enough that
// the dozen fsyncs of a block don't dominate.
const (
	DefaultListen        = "127.0.0.1:0"
	DefaultBlockInterval = 100 * time.Millisecond
	DefaultHeartbeat     = 30 * time.Second
	DefaultStallAfter    = 5 * time.Minute
	DefaultRetainBlocks  = 10_000
	DefaultSignerWait    = time.Minute
	MinRetainBlocks      = 100
)

// Off as RPCListen turns the RPC server off.
const Off = "off"

// ErrConfig is wrapped by every error of Config.Validate.
var ErrConfig = errors.New("node: bad configuration")

// Config is what an operator decides about a node. The zero value of a field
// means its default.
type Config struct {
	// Home is the node's directory, made by Init. Required.
	Home string `json:"-"`
	// Name is shown to peers; default: the host name.
	Name string `json:"name,omitempty"`
	// RPCListen is host:port of CometBFT's RPC, which has no authentication:
	// loopback only, or Off. Default 127.0.0.1:0, a free port.
	RPCListen string `json:"rpc_listen,omitempty"`
	// P2PListen is host:port for other nodes. Default 127.0.0.1:0, a free port.
	P2PListen string `json:"p2p_listen,omitempty"`
	// Peers are id@host:port of nodes to stay connected to.
	Peers []string `json:"peers,omitempty"`
	// BlockInterval is the least time between a block and the next.
	// Default 100 ms.
	BlockInterval time.Duration `json:"block_interval,omitempty"`
	// Heartbeat is the time after which an idle ledger makes an empty block.
	// Default 30 s.
	Heartbeat time.Duration `json:"heartbeat,omitempty"`
	// StallAfter ends the node when no block was committed for so long;
	// negative never. Default 5 min, always above twice the heartbeat.
	StallAfter time.Duration `json:"stall_after,omitempty"`
	// RetainBlocks is how many blocks CometBFT keeps; older ones are pruned.
	// Entries, records and the headers that certificates need stay for ever.
	// Default 10,000, at least 100.
	RetainBlocks uint64 `json:"retain_blocks,omitempty"`
	// SignerListen is where the signer that has the validator's key dials in (package
	// app/signer): unix:///PATH, or noise://PEER-ID@IP:PORT with the signer's peer id.
	// Default none: the key is in the home.
	SignerListen string `json:"signer_listen,omitempty"`
	// SignerKey is the key that the signer has. Required with SignerListen.
	SignerKey crypto.PublicKey `json:"signer_key,omitzero"`
	// SignerWait is how long the node waits for a signer that is away: at its start, and
	// then with a vote, before it goes on without voting. Default 1 min, at most 1 h.
	SignerWait time.Duration `json:"signer_wait,omitempty"`
	// Workers verify signatures; default: the number of CPUs.
	Workers int `json:"workers,omitempty"`
	// CacheBytes bounds the database's block cache; default 64 MiB.
	CacheBytes int64 `json:"cache_bytes,omitempty"`

	version   uint64        // of the rules, app.Config.Version; tests of an upgrade set it
	closeTime time.Duration // tests of a node that hangs set it
}

// withDefaults returns c with every zero field set.
func (c Config) withDefaults() Config {
	setDefault(&c.RPCListen, DefaultListen)
	setDefault(&c.P2PListen, DefaultListen)
	setDefault(&c.BlockInterval, DefaultBlockInterval)
	setDefault(&c.Heartbeat, DefaultHeartbeat)
	setDefault(&c.StallAfter, max(DefaultStallAfter, 3*c.Heartbeat))
	setDefault(&c.RetainBlocks, DefaultRetainBlocks)
	setDefault(&c.SignerWait, DefaultSignerWait)
	setDefault(&c.closeTime, closeTime)
	if c.Name == "" {
		c.Name, _ = os.Hostname() // a node without a host name has no name
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate checks c with its defaults. Errors wrap ErrConfig.
func (c Config) Validate() error {
	if c.Home == "" {
		return fmt.Errorf("%w: no home", ErrConfig)
	}
	c = c.withDefaults()
	if err := errors.Join(c.validateAddresses(), c.validateSigner()); err != nil {
		return err
	}
	switch {
	case c.BlockInterval < 0 || c.BlockInterval > time.Minute:
		return fmt.Errorf("%w: block interval %v is not in 0..1m", ErrConfig, c.BlockInterval)
	case c.Heartbeat < time.Second:
		return fmt.Errorf("%w: heartbeat %v is below 1s", ErrConfig, c.Heartbeat)
	case c.StallAfter > 0 && c.StallAfter < 2*c.Heartbeat:
		return fmt.Errorf("%w: stall time %v is below twice the heartbeat %v", ErrConfig, c.StallAfter, c.Heartbeat)
	case c.RetainBlocks < MinRetainBlocks:
		return fmt.Errorf("%w: retaining %d blocks, the least is %d", ErrConfig, c.RetainBlocks, MinRetainBlocks)
	case c.Workers < 0 || c.CacheBytes < 0:
		return fmt.Errorf("%w: negative workers or cache", ErrConfig)
	}
	return nil
}

func (c Config) validateAddresses() error {
	if c.RPCListen != Off {
		host, _, err := net.SplitHostPort(c.RPCListen)
		if err != nil {
			return fmt.Errorf("%w: RPC address: %w", ErrConfig, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%w: RPC address %s is not loopback; it has no authentication, put a proxy before it", ErrConfig, c.RPCListen)
		}
	}
	if _, _, err := net.SplitHostPort(c.P2PListen); err != nil {
		return fmt.Errorf("%w: p2p address: %w", ErrConfig, err)
	}
	for _, p := range c.Peers {
		id, addr, ok := strings.Cut(p, "@")
		if _, _, err := net.SplitHostPort(addr); !ok || id == "" || err != nil {
			return fmt.Errorf("%w: peer %q is not id@host:port", ErrConfig, p)
		}
	}
	return nil
}

// configPath is where a home keeps its Config.
func configPath(home string) string { return filepath.Join(home, "config", "node.json") }

// Save writes c to its home, in one step and for good: a reader, or a start after a
// power loss, finds the old one or the new one.
func (c Config) Save() error { return c.save(disk.OS{}) }

func (c Config) save(f disk.FS) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = disk.WriteFile(f, configPath(c.Home), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("node: save configuration: %w", err)
	}
	return nil
}

// LoadConfig reads the Config of a home; without one it is all defaults.
func LoadConfig(home string) (Config, error) {
	c := Config{Home: home}
	b, err := os.ReadFile(configPath(home))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("node: load configuration: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrConfig, configPath(home), err)
	}
	c.Home = home
	return c, c.Validate()
}
