package node

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
)

func TestConfigValidate(t *testing.T) {
	signerKey := ledgertest.Key("signer").Public()
	tests := []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"defaults", func(*Config) {}, true},
		{"no home", func(c *Config) { c.Home = "" }, false},
		{"RPC off", func(c *Config) { c.RPCListen = Off }, true},
		{"RPC on localhost", func(c *Config) { c.RPCListen = "localhost:26657" }, true},
		{"RPC on IPv6 loopback", func(c *Config) { c.RPCListen = "[::1]:26657" }, true},
		{"RPC for everybody", func(c *Config) { c.RPCListen = "0.0.0.0:26657" }, false},
		{"RPC on a name", func(c *Config) { c.RPCListen = "example.org:26657" }, false},
		{"RPC without a port", func(c *Config) { c.RPCListen = "127.0.0.1" }, false},
		{"p2p for everybody", func(c *Config) { c.P2PListen = "0.0.0.0:26656" }, true},
		{"p2p without a port", func(c *Config) { c.P2PListen = "0.0.0.0" }, false},
		{"peer", func(c *Config) { c.Peers = []string{"id@host:1"} }, true},
		{"peer without id", func(c *Config) { c.Peers = []string{"@host:1"} }, false},
		{"peer without port", func(c *Config) { c.Peers = []string{"id@host"} }, false},
		{"peer without @", func(c *Config) { c.Peers = []string{"host:1"} }, false},
		{"longest interval", func(c *Config) { c.BlockInterval = time.Minute }, true},
		{"interval too long", func(c *Config) { c.BlockInterval = time.Minute + 1 }, false},
		{"negative interval", func(c *Config) { c.BlockInterval = -1 }, false},
		{"shortest heartbeat", func(c *Config) { c.Heartbeat = time.Second }, true},
		{"heartbeat too short", func(c *Config) { c.Heartbeat = time.Second - 1 }, false},
		{"shortest stall", func(c *Config) { c.Heartbeat, c.StallAfter = time.Second, 2*time.Second }, true},
		{"stall too short", func(c *Config) { c.Heartbeat, c.StallAfter = time.Second, 2*time.Second-1 }, false},
		{"never stalls", func(c *Config) { c.StallAfter = -1 }, true},
		{"fewest blocks", func(c *Config) { c.RetainBlocks = MinRetainBlocks }, true},
		{"too few blocks", func(c *Config) { c.RetainBlocks = MinRetainBlocks - 1 }, false},
		{"signer", func(c *Config) { c.SignerListen, c.SignerKey = "unix:///run/s", signerKey }, true},
		{"signer by tcp", func(c *Config) { c.SignerListen, c.SignerKey = "tcp://127.0.0.1:1", signerKey }, false},
		{"signer without key", func(c *Config) { c.SignerListen = "unix:///run/s" }, false},
		{"key without signer", func(c *Config) { c.SignerKey = signerKey }, false},
		{"longest wait", func(c *Config) { c.SignerListen, c.SignerKey, c.SignerWait = "unix:///run/s", signerKey, time.Hour }, true},
		{"wait too long", func(c *Config) { c.SignerListen, c.SignerKey, c.SignerWait = "unix:///run/s", signerKey, time.Hour+1 }, false},
		{"negative wait", func(c *Config) { c.SignerListen, c.SignerKey, c.SignerWait = "unix:///run/s", signerKey, -1 }, false},
		{"negative workers", func(c *Config) { c.Workers = -1 }, false},
		{"negative cache", func(c *Config) { c.CacheBytes = -1 }, false},
	}
	for _, tt := range tests {
		c := Config{Home: "home"}
		tt.change(&c)
		err := c.Validate()
		if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrConfig)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestConfigFile(t *testing.T) {
	home := newHome(t, ledgertest.New(t))
	got, err := LoadConfig(home)
	if err != nil || !reflect.DeepEqual(got, Config{Home: home}) {
		t.Fatalf("no file: %+v, %v", got, err)
	}
	want := Config{Home: home, Name: "n", RPCListen: Off, Peers: []string{"id@host:1"}, BlockInterval: time.Second, RetainBlocks: 200,
		SignerListen: "unix:///run/s", SignerKey: ledgertest.Key("signer").Public(), SignerWait: time.Second}
	if err := want.Save(); err != nil {
		t.Fatal(err)
	}
	if got, err = LoadConfig(home); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "{", `{"retain_blocks":1}`, `{"peers":5}`} {
		if err := os.WriteFile(configPath(home), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(home); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestBadHomes: a home that is not fit is a named error, never a panic or the
// end of the process.
func TestBadHomes(t *testing.T) {
	config := func(file string) string { return filepath.Join("config", file) }
	tests := []struct {
		name  string
		file  string
		bytes []byte // nil: remove
		mode  os.FileMode
	}{
		{"no genesis", config("genesis.json"), nil, 0},
		{"garbage genesis", config("genesis.json"), []byte("{"), 0o600},
		{"empty genesis", config("genesis.json"), []byte("{}"), 0o600},
		{"no node key", config("node_key.json"), nil, 0},
		{"garbage node key", config("node_key.json"), []byte("garbage"), 0o600},
		{"no consensus key", config("priv_validator_key.json"), nil, 0},
		{"garbage consensus key", config("priv_validator_key.json"), []byte("garbage"), 0o600},
		{"no vote state", filepath.Join("data", "priv_validator_state.json"), nil, 0},
		{"garbage vote state", filepath.Join("data", "priv_validator_state.json"), []byte("garbage"), 0o600},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := newHome(t, ledgertest.New(t))
			path := filepath.Join(home, tt.file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if tt.bytes != nil {
				if err := os.WriteFile(path, tt.bytes, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Start(t.Context(), Config{Home: home}, nil); !errors.Is(err, ErrHome) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("readable key", func(t *testing.T) {
		home := newHome(t, ledgertest.New(t))
		if err := os.Chmod(filepath.Join(home, config("priv_validator_key.json")), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{Home: home}, nil); !errors.Is(err, ErrHome) {
			t.Errorf("%v", err)
		}
	})
}

func TestInitReplacesNothing(t *testing.T) {
	l := ledgertest.New(t)
	home := newHome(t, l)
	before, err := LoadIdentity(home)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := InitKeys(home); err != nil || after != before {
		t.Errorf("keys again: %+v, %v; want %+v", after, err, before)
	}
	if _, err := Init(home, InitOptions{Chain: ledgertest.Chain, AppState: l.Genesis()}); !errors.Is(err, ErrHome) {
		t.Errorf("init again: %v", err)
	}
	if _, err := Init(t.TempDir(), InitOptions{Chain: "", AppState: l.Genesis()}); err == nil {
		t.Error("a chain without a name")
	}
	if _, err := Init(t.TempDir(), InitOptions{Chain: "c", AppState: []byte("no JSON")}); err == nil {
		t.Error("a genesis that is no JSON")
	}
}
