package testnet_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"mtmledger/app/node"
	"mtmledger/ledger/proof"
	"mtmledger/testnet"
)

// TestJoin: the folder of one who joins has keys of its own, the ledger's genesis and
// the trust root made of it.
func TestJoin(t *testing.T) {
	first, err := testnet.Generate(t.TempDir(), testnet.Options{Chain: "joined", Validators: 2})
	if err != nil {
		t.Fatal(err)
	}
	o := testnet.JoinOptions{Genesis: first.Path(first.Validators[0].Home, "config", "genesis.json"), Peers: []string{"id@127.0.0.1:1"}}
	o.Organisation = "Works D"
	m, err := testnet.Join(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	if m.Chain != "joined" || m.Organisation.Name != "Works D" || m.Organisation.ID == first.Organisation.ID || len(m.Validators) != 1 {
		t.Errorf("manifest %+v", m)
	}
	mine, err := os.ReadFile(m.TrustPath())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(first.TrustPath())
	if err != nil {
		t.Fatal(err)
	}
	root, err := proof.ParseTrustRoot(mine)
	if err != nil || len(root.Validators) != 2 {
		t.Fatalf("trust root %+v, %v", root, err)
	}
	other, err := proof.ParseTrustRoot(theirs)
	if err != nil || !bytes.Equal(root.Encode(), other.Encode()) {
		t.Errorf("trust roots %s and %s, %v", mine, theirs, err)
	}
	c, err := node.LoadConfig(m.Path(m.Validators[0].Home))
	if err != nil || len(c.Peers) != 1 || c.P2PListen != m.Validators[0].P2P {
		t.Errorf("config %+v, %v", c, err)
	}
	if _, err := testnet.Join(m.Dir, o); !errors.Is(err, testnet.ErrExists) {
		t.Errorf("joined twice: %v", err)
	}
	o.Genesis = first.TrustPath()
	if _, err := testnet.Join(t.TempDir(), o); err == nil {
		t.Error("a trust root is no genesis, and was taken")
	}
	loaded, err := testnet.Load(m.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.NextKey(m.Path(m.Validators[0].Home)); err != nil {
		t.Fatal(err)
	}
	id, err := node.SwitchKey(m.Path(m.Validators[0].Home))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := loaded.Rekeyed("0"); err != nil || v.Key != id.Key || v.Key == m.Validators[0].Key {
		t.Errorf("rekeyed %+v, %v", v, err)
	}
}
