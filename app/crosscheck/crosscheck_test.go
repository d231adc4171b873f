package crosscheck

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	"github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/proof"
)

// hashOf draws a hash. Most are arbitrary; the zero hash is one like any other.
func hashOf(t *rapid.T, name string) merkle.Hash {
	return merkle.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
}

func nanos(t *rapid.T, name string) int64 {
	return rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Just(int64(0)), rapid.Just(int64(1_000_000_000)),
		rapid.Int64Range(0, 2_000_000_000)).Draw(t, name)
}

func blockID(t *rapid.T, name string) proof.BlockID {
	return proof.BlockID{
		Hash:       hashOf(t, name+" hash"),
		PartsTotal: rapid.Uint32Range(1, math.MaxUint32).Draw(t, name+" parts"),
		PartsHash:  hashOf(t, name+" parts hash"),
	}
}

func toBlockID(id proof.BlockID) types.BlockID {
	if id == (proof.BlockID{}) {
		return types.BlockID{}
	}
	return types.BlockID{
		Hash:          id.Hash[:],
		PartSetHeader: types.PartSetHeader{Total: id.PartsTotal, Hash: id.PartsHash[:]},
	}
}

func drawHeader(t *rapid.T) proof.Header {
	h := proof.Header{
		BlockVersion:       rapid.Uint64().Draw(t, "block version"),
		AppVersion:         rapid.Uint64().Draw(t, "app version"),
		Chain:              rapid.StringMatching(`[!-~]{1,50}`).Draw(t, "chain"),
		Height:             rapid.Uint64Range(1, math.MaxInt64).Draw(t, "height"),
		Time:               nanos(t, "time"),
		LastCommitHash:     hashOf(t, "last commit"),
		DataHash:           hashOf(t, "data"),
		ValidatorsHash:     hashOf(t, "validators"),
		NextValidatorsHash: hashOf(t, "next validators"),
		ConsensusHash:      hashOf(t, "consensus"),
		AppHash:            hashOf(t, "app"),
		LastResultsHash:    hashOf(t, "last results"),
		EvidenceHash:       hashOf(t, "evidence"),
		Proposer:           proof.Address(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "proposer")),
	}
	if rapid.Bool().Draw(t, "has last block") {
		h.LastBlockID = blockID(t, "last block")
	}
	return h
}

func toHeader(h *proof.Header) *types.Header {
	return &types.Header{
		Version: cmtversion.Consensus{Block: h.BlockVersion, App: h.AppVersion},
		ChainID: h.Chain, Height: int64(h.Height), Time: time.Unix(0, h.Time).UTC(), LastBlockID: toBlockID(h.LastBlockID),
		LastCommitHash: h.LastCommitHash[:], DataHash: h.DataHash[:], ValidatorsHash: h.ValidatorsHash[:],
		NextValidatorsHash: h.NextValidatorsHash[:], ConsensusHash: h.ConsensusHash[:], AppHash: h.AppHash[:],
		LastResultsHash: h.LastResultsHash[:], EvidenceHash: h.EvidenceHash[:], ProposerAddress: h.Proposer[:],
	}
}

func TestHeaderHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHeader(t)
		got, want := h.Hash(), toHeader(&h).Hash()
		if !bytes.Equal(got[:], want) {
			t.Fatalf("header hash %x, CometBFT has %x", got, want)
		}
	})
}

func TestSignBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := blockID(t, "block")
		c := proof.Commit{
			Round:      rapid.Uint32Range(0, math.MaxInt32).Draw(t, "round"),
			PartsTotal: id.PartsTotal, PartsHash: id.PartsHash,
		}
		height := rapid.Uint64Range(1, math.MaxInt64).Draw(t, "height")
		at := nanos(t, "time")
		chain := rapid.StringMatching(`[!-~]{1,50}`).Draw(t, "chain")
		theirID := toBlockID(id)
		want := types.VoteSignBytes(chain, &cmtproto.Vote{
			Type: cmtproto.PrecommitType, Height: int64(height), Round: int32(c.Round),
			BlockID: theirID.ToProto(), Timestamp: time.Unix(0, at).UTC(),
		})
		if got := c.SignBytes(chain, height, id.Hash, at); !bytes.Equal(got, want) {
			t.Fatalf("sign bytes\n%x, CometBFT has\n%x", got, want)
		}
	})
}

// network is one validator set in both worlds.
type network struct {
	keys []crypto.PrivateKey // by index in the set
	ours []proof.Validator
	vals *types.ValidatorSet
}

func drawNetwork(t *rapid.T) network {
	n := rapid.IntRange(1, 12).Draw(t, "validators")
	byKey := make(map[crypto.PublicKey]crypto.PrivateKey)
	var net network
	var theirs []*types.Validator
	for i := range n {
		k := crypto.KeyFromSeed([32]byte{byte(i), rapid.Byte().Draw(t, "seed")})
		byKey[k.Public()] = k
		power := rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, proof.MaxTotalPower/16)).Draw(t, "power")
		pub := k.Public()
		net.ours = append(net.ours, proof.Validator{Key: pub, Power: power})
		theirs = append(theirs, types.NewValidator(ed25519.PubKey(pub[:]), power))
	}
	proof.SortValidators(net.ours)
	net.vals = types.NewValidatorSet(theirs)
	for _, v := range net.ours {
		net.keys = append(net.keys, byKey[v.Key])
	}
	return net
}

func TestValidatorSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t)
		for i, v := range net.vals.Validators {
			if address := net.ours[i].Address(); !bytes.Equal(address[:], v.Address) {
				t.Fatalf("validator %d has address %x, CometBFT has %x", i, address, v.Address)
			}
		}
		if got := proof.ValidatorsHash(net.ours); !bytes.Equal(got[:], net.vals.Hash()) {
			t.Fatalf("validators hash %x, CometBFT has %x", got, net.vals.Hash())
		}
	})
}

// TestCommit compares the verdicts on commits that are signed by some of the
// validators, some of them wrongly.
func TestCommit(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t)
		h := drawHeader(t)
		h.BlockVersion = proof.BlockProtocol
		h.ValidatorsHash = proof.ValidatorsHash(net.ours)
		h.Proposer = net.ours[0].Address()
		ours, theirs := drawCommit(t, net, &h)
		err := net.vals.VerifyCommitLightAllSignatures(h.Chain, theirs.BlockID, int64(h.Height), theirs)
		got := proof.VerifyLightBlock(net.ours, &proof.LightBlock{Header: h, Commit: ours})
		if (got == nil) != (err == nil) {
			t.Fatalf("verdict %v, CometBFT says %v", got, err)
		}
		if got == nil {
			accepted++
			chosen, err := proof.SelectSignatures(net.ours, ours.Signatures)
			if err != nil {
				t.Fatal(err)
			}
			ours.Signatures = chosen
			if err := proof.VerifyLightBlock(net.ours, &proof.LightBlock{Header: h, Commit: ours}); err != nil {
				t.Fatalf("after selection: %v", err)
			}
		}
	})
	if accepted == 0 {
		t.Error("no commit was accepted: the test compares too little")
	}
}

func drawCommit(t *rapid.T, net network, h *proof.Header) (proof.Commit, *types.Commit) {
	id := blockID(t, "block")
	id.Hash = h.Hash()
	c := proof.Commit{
		Round:      rapid.Uint32Range(0, 3).Draw(t, "round"),
		PartsTotal: id.PartsTotal, PartsHash: id.PartsHash,
	}
	theirs := &types.Commit{Height: int64(h.Height), Round: int32(c.Round), BlockID: toBlockID(id)}
	for i, k := range net.keys {
		if rapid.IntRange(0, 9).Draw(t, "absent") == 0 {
			theirs.Signatures = append(theirs.Signatures, types.NewCommitSigAbsent())
			continue
		}
		at := nanos(t, "vote time")
		sig := k.Sign(c.SignBytes(h.Chain, h.Height, id.Hash, at))
		if rapid.IntRange(0, 49).Draw(t, "wrong") == 0 {
			sig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
		}
		c.Signatures = append(c.Signatures, proof.CommitSig{Index: uint32(i), Time: at, Signature: sig})
		theirs.Signatures = append(theirs.Signatures, types.CommitSig{
			BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: net.vals.Validators[i].Address,
			Timestamp: time.Unix(0, at).UTC(), Signature: sig[:],
		})
	}
	return c, theirs
}
