package testnet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mtmledger/app/node"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/testnet"
)

func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	m, err := testnet.Generate(dir, testnet.Options{Chain: "generate-1", Validators: 3})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := testnet.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Chain != "generate-1" || len(loaded.Validators) != 3 || loaded.Bridge.ID != m.Bridge.ID {
		t.Errorf("loaded %+v", loaded)
	}
	file, err := os.ReadFile(m.TrustPath())
	if err != nil {
		t.Fatal(err)
	}
	root, err := proof.ParseTrustRoot(file)
	if err != nil || root.Chain != m.Chain || len(root.Validators) != 3 {
		t.Errorf("trust root %+v, %v", root, err)
	}
	ports := map[string]bool{m.Bridge.MQTT: true, m.Bridge.HTTP: true}
	for _, v := range m.Validators {
		ports[v.RPC], ports[v.P2P] = true, true
		doc, err := node.ReadGenesis(m.Path(v.Home))
		if err != nil {
			t.Fatal(err)
		}
		g, err := ledger.ParseGenesis(doc.AppState)
		if err != nil || g.Organisations[0].ID() != m.Organisation.ID {
			t.Errorf("genesis of %s: %v", v.Name, err)
		}
		cfg, err := node.LoadConfig(m.Path(v.Home))
		if err != nil || len(cfg.Peers) != 2 {
			t.Errorf("configuration of %s: %+v, %v", v.Name, cfg, err)
		}
	}
	if len(ports) != 8 {
		t.Errorf("addresses are not all different: %v", ports)
	}
	if _, err := testnet.Generate(dir, testnet.Options{}); !errors.Is(err, testnet.ErrExists) {
		t.Errorf("generated over a ledger: %v", err)
	}
}

func TestGenerateRefused(t *testing.T) {
	for name, o := range map[string]testnet.Options{
		"too many": {Validators: testnet.MaxValidators + 1}, "negative": {Validators: -1},
		"chain": {Chain: "with space"}, "organisation": {Organisation: " x"},
	} {
		if _, err := testnet.Generate(filepath.Join(t.TempDir(), "L"), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoadRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := testnet.Load(dir); !errors.Is(err, testnet.ErrNoManifest) {
		t.Errorf("empty folder: %v", err)
	}
	for _, text := range []string{"", "{}", `{"version":2,"chain":"x","validators":[{}]}`, `{"version":1,"chain":"x"}`, `{"version":1,"nonsense":1}`} {
		if err := os.WriteFile(filepath.Join(dir, "mtm.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := testnet.Load(dir); !errors.Is(err, testnet.ErrManifest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDevicesAndStreams(t *testing.T) {
	m, err := testnet.Generate(t.TempDir(), testnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := m.AddDevice(name); err != nil {
			t.Fatal(err)
		}
		if _, err := m.AddStream(name, "same"); err != nil {
			t.Fatal(err)
		}
	}
	first, err := m.AddStream("a", "own")
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.AddStream("a", "own")
	if err != nil || again != first {
		t.Errorf("a stream added twice: %v, %v, %v", first, again, err)
	}
	for _, name := range []string{"own", "a/own", first.ID.String()} {
		if _, s, err := m.Stream(name); err != nil || s != first {
			t.Errorf("stream %q: %v, %v", name, s, err)
		}
	}
	for _, name := range []string{"same", "none", "c/own"} {
		if _, _, err := m.Stream(name); !errors.Is(err, testnet.ErrUnknown) {
			t.Errorf("stream %q: %v", name, err)
		}
	}
	for _, name := range []string{"..", "a/b", "", " x", "."} {
		if _, err := m.AddDevice(name); err == nil {
			t.Errorf("device %q was added", name)
		}
	}
	if _, err := m.AddStream("none", "x"); !errors.Is(err, testnet.ErrUnknown) {
		t.Errorf("stream of an unknown device: %v", err)
	}
	d, err := m.Device("a")
	if err != nil {
		t.Fatal(err)
	}
	if key, err := m.DeviceKey(d); err != nil || ledger.DeviceID(key.Public()) != d.ID {
		t.Errorf("key of device a: %v", err)
	}
	if err := os.Chmod(m.Path(d.Home, "key.pem"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := m.DeviceKey(d); !errors.Is(err, crypto.ErrKeyReadable) {
		t.Errorf("a key that others can read: %v", err)
	}
}

// TestProcesses checks that a failed process is reported with its log, and that
// Down finds what another process started.
func TestProcesses(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := testnet.Generate(t.TempDir(), testnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &testnet.Net{Manifest: m, Binary: binary}
	if _, err := n.Start("device-x", "device", "run", "--home", m.Dir, "--device", "x", "--sensors"); err != nil {
		t.Fatal(err)
	}
	err = n.Until(ctx, "never", func(context.Context) (bool, error) { return false, nil })
	if !errors.Is(err, testnet.ErrEnded) {
		t.Errorf("a failed process: %v", err)
	}
	other := &testnet.Net{Manifest: m, Binary: binary}
	if err := other.StartValidators(ctx); err != nil {
		t.Fatal(err)
	}
	if running := m.Running(); len(running) != 1 || running[0] != "validator-0" {
		t.Errorf("running: %v", running)
	}
	if _, err := other.StartValidator(0); err == nil {
		t.Error("a validator was started twice")
	}
	stopped, err := m.Down()
	if err != nil || len(stopped) != 1 {
		t.Errorf("Down: %v, %v", stopped, err)
	}
	if running := m.Running(); len(running) != 0 {
		t.Errorf("still running: %v", running)
	}
}
