package node

import (
	"bytes"
	"crypto/sha256"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestValidatorChange: a validator that is voted out, and in again, on a running ledger
// stops and starts to decide two blocks after the decision, no block sooner or later, for
// CometBFT, in the records, and by its signatures.
func TestValidatorChange(t *testing.T) {
	m := newMembers(t, 4, nil)
	for i := range m.node {
		m.start(i)
	}
	out := m.agree(ledger.SetValidator{Organisation: m.org[3], Key: m.key[3]}, 0, 1, 2)
	m.advance(out + 3)
	m.checkSet(out+1, 4)
	m.checkSet(out+2, 3)

	in := m.agree(ledger.SetValidator{Organisation: m.org[3], Key: m.key[3], Power: 7}, 0, 1, 2)
	m.advance(in + 3)
	m.checkSet(in+1, 3)
	m.checkSet(in+2, 4)
	for h := out + 2; h < in+2; h++ {
		if m.signed(h) {
			t.Errorf("validator 3 signed block %d, which it had no part in", h)
		}
	}
	until(t, "validator 3 signs again", func() bool {
		h := m.node[0].height()
		m.advance(h + 1)
		return m.signed(h)
	})
	m.agreed(in + 3)
	m.checkPinned(in + 2)
}

// checkPinned asks as somebody who pinned the set that decides a block.
func (m *members) checkPinned(height uint64) {
	m.t.Helper()
	c, err := newChain(m.node[0].comet.GenesisDoc().ChainID, m.node[0].comet.BlockStore(), sm.NewStore(m.node[0].engine.DB("state"), sm.StoreOptions{}), m.node[0].state)
	if err != nil {
		m.t.Fatal(err)
	}
	set, err := c.validators(int64(height))
	if err != nil {
		m.t.Fatal(err)
	}
	root := proof.TrustRoot{Chain: c.id, Validators: set}
	for from, accepted := range map[merkle.Hash]bool{{}: false, proof.ValidatorsHash(set): true} {
		file, err := m.node[0].Client().Answer(m.t.Context(), client.AnswerRequest{From: from})
		if err != nil {
			m.t.Fatal(err)
		}
		if _, err := proof.VerifyAnswer(file, root); (err == nil) != accepted {
			m.t.Errorf("from %s: %v", from, err)
		}
	}
}

// advance lets the ledger come to a height.
func (m *members) advance(height uint64) {
	m.t.Helper()
	for m.node[0].height() < height {
		m.operation(0, ledger.Describe{Subject: m.org[0]})
	}
}

// checkSet checks who decides a block: in the commit of CometBFT, in its header, and by
// proof from the records.
func (m *members) checkSet(height uint64, want int) {
	m.t.Helper()
	blocks := m.node[0].comet.BlockStore()
	if got := blocks.LoadBlockCommit(int64(height)).Size(); got != want {
		m.t.Errorf("block %d is decided by %d validators, want %d", height, got, want)
	}
	row := m.ask(1, height, proof.AtQuery(record.FamilyValidatorSet, crypto.ID{}, height)).Results[0].Rows
	if len(row) != 1 {
		m.t.Fatalf("%d rows of the set at %d", len(row), height)
	}
	set, err := record.ParseValidatorSet(row[0].Value)
	if err != nil || len(set.Validators) != want {
		m.t.Errorf("records: block %d is decided by %d validators, %v; want %d", height, len(set.Validators), err, want)
	}
	var comet []*types.Validator
	for _, v := range set.Validators {
		comet = append(comet, types.NewValidator(cmted25519.PubKey(v.Key[:]), int64(v.Power)))
	}
	if header := blocks.LoadBlockMeta(int64(height)).Header; !bytes.Equal(types.NewValidatorSet(comet).Hash(), header.ValidatorsHash) {
		m.t.Errorf("the header of block %d names other validators than the records", height)
	}
}

// signed tells whether validator 3 signed a block.
func (m *members) signed(height uint64) bool {
	address := sha256.Sum256(m.key[3][:])
	for _, s := range m.node[0].comet.BlockStore().LoadBlockCommit(int64(height)).Signatures {
		if bytes.Equal(s.ValidatorAddress, address[:20]) {
			return true
		}
	}
	return false
}
