package signer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/privval"
	privvalproto "github.com/cometbft/cometbft/proto/tendermint/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

const (
	chain    = "signer-test"
	testTime = 2 * time.Minute
)

// newFolder makes a signer's folder, closed again.
func newFolder(t *testing.T) (string, *Folder) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "signer")
	f, err := Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

// start runs the signer of a folder; what it returns ends it and says why it ended.
func start(t *testing.T, dir, chain, node string) (stop func() error) {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := f.Run(ctx, chain, node, nil)
		done <- errors.Join(err, f.Close())
	}()
	var ended bool
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { stop() })
	return stop
}

// listenFor is a node's side for the signer of a folder.
func listenFor(t *testing.T, listen string, f *Folder, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Listen: listen, Chain: chain, Key: f.Key, Identity: cmted25519.GenPrivKey(), Patience: testTime}
	if change != nil {
		change(&cfg)
	}
	c, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mtm") // short, for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "unix://" + filepath.Join(dir, "s")
}

func noiseFor(f *Folder) string { return "noise://" + f.PeerID + "@127.0.0.1:0" }

func ready(t *testing.T, c *Client) {
	t.Helper()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func vote(height int64, block byte) *cmtproto.Vote {
	v := &cmtproto.Vote{Type: cmtproto.PrecommitType, Height: height, Timestamp: time.Unix(1_700_000_000, int64(block)).UTC(), ValidatorAddress: bytes.Repeat([]byte{1}, 20)}
	if block != 0 {
		hash := bytes.Repeat([]byte{block}, 32)
		v.BlockID = cmtproto.BlockID{Hash: hash, PartSetHeader: cmtproto.PartSetHeader{Total: 1, Hash: hash}}
	}
	return v
}

// signed asks for a vote and checks it.
func signed(t *testing.T, c *Client, v *cmtproto.Vote) {
	t.Helper()
	if err := c.SignVote(chain, v); err != nil {
		t.Fatal(err)
	}
	if !c.key.VerifySignature(types.VoteSignBytes(chain, v), v.Signature) {
		t.Fatal("the vote's signature is bad")
	}
}

func TestAddress(t *testing.T) {
	id, err := PeerID(cmted25519.GenPrivKey())
	if err != nil {
		t.Fatal(err)
	}
	long := "unix:///" + strings.Repeat("a", maxSocketPath-1)
	for _, tt := range []struct {
		address, why string
	}{
		{"unix:///run/s", ""},
		{long, ""},
		{long + "a", "103 bytes"},
		{"unix://s", "absolute"},
		{"unix://", "absolute"},
		{"noise://" + id + "@127.0.0.1:26659", ""},
		{"noise://" + id + "@[::1]:26659", ""},
		{"noise://127.0.0.1:26659", "peer id"},
		{"noise://x@127.0.0.1:26659", "peer id"},
		{"noise://" + id + "@example.org:26659", "IP literal"},
		{"noise://" + id + "@127.0.0.1", "port"},
		{"noise://" + id + "@127.0.0.1:65536", "port"},
		{"tcp://127.0.0.1:26659", "authenticates nobody; use noise://"},
		{"127.0.0.1:26659", "want unix://"},
		{"", "want unix://"},
	} {
		err := CheckAddress(tt.address)
		if tt.why == "" && err != nil || tt.why != "" && (!errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), tt.why)) {
			t.Errorf("%s: %v, want %q", tt.address, err, tt.why)
		}
	}
}

// TestSigns: votes and proposals over either kind of connection; only what a signer may
// set is changed.
func TestSigns(t *testing.T) {
	for _, kind := range []string{"unix", "noise"} {
		t.Run(kind, func(t *testing.T) {
			dir, f := newFolder(t)
			listen := socket(t)
			if kind == "noise" {
				listen = noiseFor(f)
			}
			c := listenFor(t, listen, f, nil)
			start(t, dir, chain, c.Address())
			ready(t, c)
			signed(t, c, vote(1, 7))
			p := &cmtproto.Proposal{Type: cmtproto.ProposalType, Height: 2, PolRound: -1, BlockID: vote(2, 7).BlockID, Timestamp: time.Unix(5, 0).UTC()}
			if err := c.SignProposal(chain, p); err != nil || !c.key.VerifySignature(types.ProposalSignBytes(chain, p), p.Signature) {
				t.Fatalf("proposal: %v", err)
			}
			if key, err := c.GetPubKey(); err != nil || !bytes.Equal(key.Bytes(), f.Key[:]) {
				t.Fatalf("key %v, %v", key, err)
			}
		})
	}
}

// TestNeverTwice: the signer refuses another vote for a height, in this run and in the
// next; the node's next question is answered.
func TestNeverTwice(t *testing.T) {
	dir, f := newFolder(t)
	c := listenFor(t, socket(t), f, nil)
	stop := start(t, dir, chain, c.Address())
	ready(t, c)
	first := vote(5, 1)
	signed(t, c, first)
	for range 2 {
		var refused *privval.RemoteSignerError
		for what, v := range map[string]*cmtproto.Vote{"other block": vote(5, 2), "nil": vote(5, 0), "height before": vote(4, 1)} {
			if err := c.SignVote(chain, v); !errors.As(err, &refused) || v.Signature != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		again := vote(5, 1)
		again.Timestamp = again.Timestamp.Add(time.Hour)
		signed(t, c, again)
		if !bytes.Equal(again.Signature, first.Signature) || !again.Timestamp.Equal(first.Timestamp) {
			t.Error("the same vote was signed anew")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		stop = start(t, dir, chain, c.Address())
	}
}

// TestTurnedAway: who is not the one signer gets nothing to sign.
func TestTurnedAway(t *testing.T) {
	right, f := newFolder(t)
	other, g := newFolder(t)
	patience := func(c *Config) { c.Patience = 300 * time.Millisecond }
	t.Run("wrong peer id", func(t *testing.T) {
		c := listenFor(t, noiseFor(g), f, patience)
		start(t, right, chain, c.Address()) // it has the key, but is not who was named
		refused(t, c, "handshake")
	})
	t.Run("wrong key", func(t *testing.T) {
		c := listenFor(t, noiseFor(g), f, patience)
		start(t, other, chain, c.Address())
		refused(t, c, "another key")
	})
	t.Run("wrong chain", func(t *testing.T) {
		c := listenFor(t, socket(t), f, patience)
		start(t, right, "other", c.Address())
		refused(t, c, "unable to provide pubkey")
	})
	t.Run("wrong node", func(t *testing.T) {
		c := listenFor(t, noiseFor(f), f, patience)
		id, err := PeerID(cmted25519.GenPrivKey())
		if err != nil {
			t.Fatal(err)
		}
		_, where, _ := strings.Cut(c.Address(), "@")
		start(t, right, chain, "noise://"+id+"@"+where)
		refused(t, c, "handshake")
	})
	t.Run("second", func(t *testing.T) {
		c := listenFor(t, socket(t), f, nil)
		start(t, right, chain, c.Address())
		ready(t, c)
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(right)); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{keyFile, stateFile, identityFile} {
			if err := os.Chmod(filepath.Join(copied, file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		conn, err := net.Dial("unix", c.from.where)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := deadline(conn, testTime); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Fatalf("the second signer was asked something: %d bytes", n)
		}
		start(t, copied, chain, c.Address()) // dials for ever, and is never let in
		signed(t, c, vote(9, 1))
	})
}

// refused waits in vain for the signer.
func refused(t *testing.T, c *Client, why string) {
	t.Helper()
	deadline := time.Now().Add(testTime)
	for {
		err := c.Ready(t.Context())
		if !errors.Is(err, ErrNoSigner) {
			t.Fatalf("let in: %v", err)
		}
		if strings.Contains(err.Error(), why) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v; want %q", err, why)
		}
	}
	if err := c.SignVote(chain, vote(1, 1)); !errors.Is(err, ErrNoSigner) {
		t.Errorf("vote: %v", err)
	}
}

// TestStranger: one who connects and says nothing keeps the signer from nothing.
func TestStranger(t *testing.T) {
	dir, f := newFolder(t)
	c := listenFor(t, noiseFor(f), f, nil)
	_, where, _ := strings.Cut(c.Address(), "@")
	for range maxHandshakes - 1 {
		conn, err := net.Dial("tcp", where)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	start(t, dir, chain, c.Address())
	ready(t, c)
	signed(t, c, vote(1, 1))
}

// TestPatience: a missing signer is waited for once; when it is back, votes are signed
// again, and the node learns which one was lost.
func TestPatience(t *testing.T) {
	dir, f := newFolder(t)
	const patience = 200 * time.Millisecond
	c := listenFor(t, socket(t), f, func(c *Config) { c.Patience = patience })
	if err := c.SignVote(chain, vote(3, 1)); !errors.Is(err, ErrNoSigner) || !strings.Contains(err.Error(), c.Address()) {
		t.Fatalf("without a signer: %v", err)
	}
	if c.patience() != 0 {
		t.Error("it waits again")
	}
	if h, back := c.Lost(); h != 3 || back != 0 {
		t.Errorf("lost %d, back for %v; want 3, away", h, back)
	}
	start(t, dir, chain, c.Address())
	until(t, "the signer is back", func() bool { return c.Ready(t.Context()) == nil })
	if h, back := c.Lost(); h != 3 || back <= 0 {
		t.Errorf("lost %d, back for %v; want 3, back", h, back)
	}
	if c.patience() != patience {
		t.Error("it has no patience any more")
	}
	signed(t, c, vote(4, 1))
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTime); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestClose: closing ends a wait for a signer that is away.
func TestClose(t *testing.T) {
	_, f := newFolder(t)
	c := listenFor(t, socket(t), f, nil)
	got := make(chan error, 1)
	go func() { got <- c.SignVote(chain, vote(1, 1)) }()
	until(t, "the vote waits", c.Waiting)
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("vote: %v", err)
	}
	if err := c.Ready(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestSocket: whose socket it may be.
func TestSocket(t *testing.T) {
	_, f := newFolder(t)
	try := func(listen string) error {
		c, err := Listen(Config{Listen: listen, Key: f.Key})
		if err == nil {
			c.Close()
		}
		return err
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := try("unix://" + filepath.Join(open, "s")); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "chmod o-rwx") {
		t.Errorf("in a folder of everybody: %v", err)
	}
	path := strings.TrimPrefix(socket(t), "unix://")
	c := listenFor(t, "unix://"+path, f, nil)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode of the socket: %v, %v", info, err)
	}
	if err := try("unix://" + path); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "another node") {
		t.Errorf("where another listens: %v", err)
	}
	c.net.(*net.UnixListener).SetUnlinkOnClose(false) // as if it were killed
	c.Close()
	if err := try("unix://" + path); err != nil {
		t.Errorf("over a socket that was left: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := try("unix://" + path); !errors.Is(err, ErrAddress) {
		t.Errorf("over a file: %v", err)
	}
}

// TestUnsaved: what can't be saved is not given out, and the signer ends.
func TestUnsaved(t *testing.T) {
	dir, f := newFolder(t)
	c := listenFor(t, socket(t), f, func(c *Config) { c.Patience = time.Second })
	o, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	done := make(chan error, 1)
	go func() { done <- o.Run(t.Context(), chain, c.Address(), nil) }()
	ready(t, c)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	v := vote(1, 1)
	if err := c.SignVote(chain, v); !errors.Is(err, ErrNoSigner) || v.Signature != nil {
		t.Errorf("vote: %v", err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, ErrState) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(testTime):
		t.Fatal("the signer goes on")
	}
}

// TestBadQuestions: a node that asks nonsense is hung up on; the signer goes on.
func TestBadQuestions(t *testing.T) {
	_, f := newFolder(t)
	d := dialer{chain: chain, key: durable{f.pv, f.dir}}
	for what, req := range map[string]privvalproto.Message{
		"nothing":     {},
		"an answer":   {Sum: &privvalproto.Message_PingResponse{}},
		"no vote":     {Sum: &privvalproto.Message_SignVoteRequest{SignVoteRequest: &privvalproto.SignVoteRequest{ChainId: chain}}},
		"odd vote":    {Sum: &privvalproto.Message_SignVoteRequest{SignVoteRequest: &privvalproto.SignVoteRequest{ChainId: chain, Vote: &cmtproto.Vote{Type: 77}}}},
		"no proposal": {Sum: &privvalproto.Message_SignProposalRequest{SignProposalRequest: &privvalproto.SignProposalRequest{ChainId: chain}}},
	} {
		if _, err := d.handle(req); !errors.Is(err, errRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := (dialer{node: "tcp://127.0.0.1:1"}).run(t.Context()); !errors.Is(err, ErrAddress) {
		t.Errorf("tcp: %v", err)
	}
}

// liar signs something else than it is asked for.
type liar struct{ types.PrivValidator }

func (l liar) SignVote(chain string, v *cmtproto.Vote) error {
	v.Height++
	return l.PrivValidator.SignVote(chain, v)
}

func (l liar) SignProposal(_ string, p *cmtproto.Proposal) error {
	p.Signature = make([]byte, 64)
	return nil
}

// TestLiar: the node takes no signature that is not for what it asked.
func TestLiar(t *testing.T) {
	_, f := newFolder(t)
	c := listenFor(t, socket(t), f, nil)
	d := dialer{chain: chain, node: c.Address(), key: liar{f.pv}}
	go d.run(t.Context())
	ready(t, c)
	v, p := vote(1, 1), &cmtproto.Proposal{Type: cmtproto.ProposalType, Height: 2}
	if err := c.SignVote(chain, v); !errors.Is(err, ErrSignature) || v.Signature != nil || v.Height != 1 {
		t.Errorf("vote: %v", err)
	}
	if err := c.SignProposal(chain, p); !errors.Is(err, ErrSignature) || p.Signature != nil {
		t.Errorf("proposal: %v", err)
	}
}
