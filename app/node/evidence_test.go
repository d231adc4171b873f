package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/signer"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"

	"github.com/cometbft/cometbft/consensus"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// twice is a signer that votes for a second block in the same round and tells every peer
// of its node so.
type twice struct {
	*privval.FilePV
	mu   sync.Mutex
	node *Node // set once it runs
	lies bool
	sent int
}

func (s *twice) behave(change func(*twice)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// SignVote implements types.PrivValidator.
func (s *twice) SignVote(chain string, v *cmtproto.Vote) error {
	if err := s.FilePV.SignVote(chain, v); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lies || s.node == nil {
		return nil
	}
	other := *v
	hash := make([]byte, 32)
	rand.Read(hash)
	other.BlockID = cmtproto.BlockID{Hash: hash, PartSetHeader: cmtproto.PartSetHeader{Total: 1, Hash: hash}}
	var err error
	if other.Signature, err = s.Key.PrivKey.Sign(types.VoteSignBytes(chain, &other)); err != nil {
		return err
	}
	for _, peer := range s.node.comet.Switch().Peers().Copy() {
		for _, vote := range []*cmtproto.Vote{v, &other} {
			sent := *vote
			sent.ExtensionSignature = nil // there are no vote extensions
			if peer.Send(p2p.Envelope{ChannelID: consensus.VoteChannel, Message: &cmtcons.Vote{Vote: &sent}}) {
				s.sent++
			}
		}
	}
	return nil
}

// TestDoubleSigning: a validator that votes for two blocks in one round is found out by
// CometBFT; the ledger records it once for a height, with its organisation, and anybody can
// prove that, and that the others did nothing of the kind.
func TestDoubleSigning(t *testing.T) {
	dir, err := os.MkdirTemp("", "mtm") // short, for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bad := &twice{FilePV: privval.GenFilePV(filepath.Join(dir, "key"), filepath.Join(dir, "state"))}
	remote := &Config{SignerListen: "unix://" + filepath.Join(dir, "s"), SignerKey: crypto.PublicKey(bad.Key.PubKey.Bytes()), SignerWait: testTime}
	m := newMembers(t, 4, remote)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- signer.Serve(ctx, ledgertest.Chain, remote.SignerListen, bad, cmted25519.GenPrivKey(), nil)
	}()
	t.Cleanup(func() { cancel(); <-done })
	for i := range m.node {
		m.start(i)
	}
	bad.behave(func(s *twice) { s.node = m.node[3] })
	until(t, "the nodes have found one another", func() bool { return m.node[3].comet.Switch().Peers().Size() == 3 })
	m.operation(3, ledger.Describe{Subject: m.org[3]})
	before := m.node[0].height()
	bad.behave(func(s *twice) { s.lies = true })

	evidence := func() uint64 { // height of the first block with evidence
		for h := before; h <= m.node[0].height(); h++ {
			if b := m.node[0].comet.BlockStore().LoadBlock(int64(h)); b != nil && len(b.Evidence.Evidence) > 0 {
				return h
			}
		}
		return 0
	}
	until(t, "a block has the evidence", func() bool { return evidence() > 0 })
	bad.behave(func(s *twice) { s.lies = false })
	at := evidence()
	_, res := m.operation(0, ledger.Describe{Subject: m.org[0]})

	var queries []proof.Query
	for _, key := range m.key {
		queries = append(queries, proof.ListQuery(record.Range(record.FamilyMisbehaviour, ledger.ValidatorID(key))))
	}
	out := m.ask(1, res.Height, queries...)
	for i := range 3 {
		if rows := out.Results[i].Rows; len(rows) != 0 {
			t.Errorf("validator %d did nothing, yet has %d rows", i, len(rows))
		}
	}
	checkOffences(t, out.Results[3], m.org[3], before, at)
	m.agreed(res.Height)
}

func checkOffences(t *testing.T, got proof.Result, organisation crypto.ID, from, at uint64) {
	t.Helper()
	if len(got.Rows) == 0 {
		t.Fatal("the offence is not recorded")
	}
	for i, row := range got.Rows {
		v, err := record.ParseMisbehaviour(row.Value)
		if err != nil {
			t.Fatal(err)
		}
		height := record.NumberOf(row.Key)
		if v.Organisation != organisation || v.Offence != record.OffenceDuplicateVote || height < from || v.Height <= height {
			t.Errorf("row at height %d: %+v", height, v)
		}
		if i == 0 && v.Height < at {
			t.Errorf("recorded at %d, the first block with evidence is %d", v.Height, at)
		}
		if i > 0 && bytes.Equal(row.Key[:], got.Rows[i-1].Key[:]) {
			t.Error("recorded twice for a height")
		}
	}
}
