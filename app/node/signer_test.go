package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/signer"
	"mtmledger/ledger"
)

// signerHome makes a home whose consensus key is in a signer's folder.
func signerHome(t *testing.T, l *ledgertest.Ledger) (Config, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "signer")
	f, err := signer.Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	short, err := os.MkdirTemp("", "mtm") // for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	c := Config{
		Home: t.TempDir(), BlockInterval: 10 * time.Millisecond,
		SignerListen: "unix://" + filepath.Join(short, "s"), SignerKey: f.Key, SignerWait: testTime,
	}
	if _, err := InitRemote(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	doc, err := NewGenesis(InitOptions{
		Chain: ledgertest.Chain, AppState: l.Genesis(), Time: time.Now().Add(-time.Hour),
		Validators: []Validator{{Name: "v", Key: f.Key, Power: 10}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteGenesis(c.Home, doc); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// startSigner runs the signer of a folder for a home; what it returns ends it.
func startSigner(t *testing.T, dir, home string) (stop func()) {
	t.Helper()
	address, err := SignerAddress(home)
	if err != nil {
		t.Fatal(err)
	}
	f, err := signer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := errors.Join(f.Run(ctx, ledgertest.Chain, address, nil), f.Close()); err != nil {
			t.Errorf("the signer ended: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// shortWait is the patience of nodes that lose a vote: longer than a signer waits before
// it dials again.
const shortWait = 5 * time.Second

// startPatient starts a node, again while its signer doesn't come in time.
func startPatient(t *testing.T, c Config) *Node {
	t.Helper()
	var n *Node
	until(t, "the node has its signer", func() bool {
		var err error
		if n, err = Start(t.Context(), c, nil); err != nil && !errors.Is(err, signer.ErrNoSigner) {
			t.Fatal(err)
		}
		return err == nil
	})
	t.Cleanup(func() { n.Stop() })
	return n
}

// TestSigner: a node starts before its signer and waits, commits, waits again for a
// signer that is started anew, goes on, and ends while it is away.
func TestSigner(t *testing.T) {
	l := ledgertest.New(t)
	c, dir := signerHome(t, l)
	id, err := LoadIdentity(c.Home)
	if err != nil || id.Key != c.SignerKey {
		t.Fatalf("identity %v, %v", id, err)
	}
	if _, err := os.Stat(filepath.Join(c.Home, "config", "priv_validator_key.json")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a key in the home: %v", err)
	}
	started := make(chan *Node)
	go func() {
		n, err := Start(t.Context(), c, nil)
		if err != nil {
			t.Error(err)
		}
		started <- n
	}()
	stop := startSigner(t, dir, c.Home)
	n := <-started
	if n == nil {
		return
	}
	t.Cleanup(func() { n.Stop() })
	d := l.Device("press")
	setUp(t, n.Client(), d)
	commit(t, n.Client(), l.Batch(d.Statement(1)))

	stop()
	tx := l.Batch(d.Statement(1))
	if err := n.Client().Submit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	before := n.height()
	stop = startSigner(t, dir, c.Home)
	if res := commit(t, n.Client(), l.Batch(d.Statement(1))); res.Height <= before {
		t.Errorf("committed at %d, after %d", res.Height, before)
	}

	stop()
	if err := n.Client().Submit(t.Context(), l.Batch(d.Statement(1))); err != nil {
		t.Fatal(err)
	}
	until(t, "consensus waits for the signer", n.signer.Waiting)
	ended := make(chan error, 1)
	go func() { ended <- n.Stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testTime / 2): // of the patience with the signer
		t.Fatal("the node waits for its signer before it ends")
	}
	startSigner(t, dir, c.Home)
	restarted := startNode(t, c.Home, func(to *Config) { *to = c })
	commit(t, restarted.Client(), l.Batch(d.Statement(1)))
}

// TestSignerMissing: the wait for a signer is bounded, its error says what to start, and
// the end of the context ends it.
func TestSignerMissing(t *testing.T) {
	c, _ := signerHome(t, ledgertest.New(t))
	short := c
	short.SignerWait = 100 * time.Millisecond
	if _, err := Start(t.Context(), short, nil); !errors.Is(err, signer.ErrNoSigner) || !strings.Contains(err.Error(), "none dialled "+c.SignerListen) {
		t.Errorf("no signer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, c, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	c.SignerListen = "tcp://127.0.0.1:26659"
	if _, err := Start(t.Context(), c, nil); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "noise://") {
		t.Errorf("tcp: %v", err)
	}
}

// TestSignerLostVote: a node alone whose signer came back too late ends, because its
// consensus would wait for ever; started again it goes on.
func TestSignerLostVote(t *testing.T) {
	l := ledgertest.New(t)
	c, dir := signerHome(t, l)
	c.SignerWait = shortWait
	stop := startSigner(t, dir, c.Home)
	n := startPatient(t, c)
	d := l.Device("press")
	setUp(t, n.Client(), d)
	stop()
	if err := n.Client().Submit(t.Context(), l.Batch(d.Statement(1))); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(testTime); ; time.Sleep(5 * time.Millisecond) {
		if lost, _ := n.signer.Lost(); lost > n.height() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no vote was lost")
		}
	}
	startSigner(t, dir, c.Home)
	if err := wait(t, n); !errors.Is(err, ErrSigner) || !strings.Contains(err.Error(), "start the node again") {
		t.Fatalf("it ended with %v", err)
	}
	n = startPatient(t, c)
	commit(t, n.Client(), l.Batch(d.Statement(1)))
}

// TestUseSigner: a home gives up its own key for a signer's, and that for another's.
func TestUseSigner(t *testing.T) {
	home := newHome(t, ledgertest.New(t))
	before, err := LoadIdentity(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := UseSigner(home, "tcp://127.0.0.1:1", ledgertest.Key("one").Public()); !errors.Is(err, ErrConfig) {
		t.Errorf("tcp: %v", err)
	}
	if now, err := LoadIdentity(home); err != nil || now != before {
		t.Errorf("refused, yet the home changed: %v, %v", now, err)
	}
	for _, name := range []string{"one", "two"} {
		key := ledgertest.Key(name).Public()
		if err := UseSigner(home, "unix:///run/"+name, key); err != nil {
			t.Fatal(err)
		}
		if now, err := LoadIdentity(home); err != nil || now.Key != key || now.NodeID != before.NodeID {
			t.Errorf("%s: %v, %v", name, now, err)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "config", "priv_validator_key.json."+before.Key.KeyID().String())); err != nil {
		t.Errorf("the old key: %v", err)
	}
}

// TestSignerHome: a home holds no second consensus key, and makes none.
func TestSignerHome(t *testing.T) {
	c, _ := signerHome(t, ledgertest.New(t))
	if _, err := NextKey(c.Home); !errors.Is(err, ErrRemoteKey) {
		t.Errorf("a next key: %v", err)
	}
	if err := os.WriteFile(filepath.Join(c.Home, "config", "priv_validator_key.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(c.Home); !errors.Is(err, ErrHome) {
		t.Errorf("two keys: %v", err)
	}
	if _, err := Start(t.Context(), c, nil); !errors.Is(err, ErrHome) {
		t.Errorf("two keys: %v", err)
	}
	if _, err := InitRemote(Config{Home: t.TempDir(), SignerListen: c.SignerListen}); !errors.Is(err, ErrConfig) {
		t.Errorf("no key: %v", err)
	}
}

// TestSignerAway: among four, a node whose signer is away follows the others without
// voting, and votes again when the signer is back.
func TestSignerAway(t *testing.T) {
	remote, dir := signerHome(t, ledgertest.New(t))
	remote.SignerWait = shortWait
	m := newMembers(t, 4, &remote)
	stop := startSigner(t, dir, remote.Home)
	for i := range 3 {
		m.start(i)
	}
	m.node[3] = startPatient(t, m.cfg[3])
	m.advance(2)
	until(t, "it votes", func() bool { m.advance(m.node[0].height() + 1); return m.signed(m.node[0].height() - 1) })
	stop()
	until(t, "the others go on without it", func() bool {
		m.advance(m.node[0].height() + 1)
		return !m.signed(m.node[0].height() - 1)
	})
	_, res := m.operation(0, ledger.Describe{Subject: m.org[0]})
	m.advance(res.Height + 5)
	until(t, "it follows", func() bool { return m.node[3].height() >= res.Height+5 })
	startSigner(t, dir, remote.Home)
	until(t, "it votes again", func() bool { m.advance(m.node[0].height() + 1); return m.signed(m.node[0].height() - 1) })
	m.agreed(res.Height + 5)
	select {
	case <-m.node[3].Done():
		t.Errorf("the node ended: %v", m.node[3].Wait())
	default:
	}
}
