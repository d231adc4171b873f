package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// fakeChain is CometBFT's stores for a chain whose validator set changes after
// headers 3 and 7.
type fakeChain struct {
	base, height int64
	keys         []cmted25519.PrivKey
	metas        map[int64]*types.BlockMeta
	commits      map[int64]*types.Commit
	lights       map[uint64][]byte
	order        []uint64
}

const fakeID = "fake-chain"

// members is who validates at a height.
func (f *fakeChain) members(h int64) []int {
	switch {
	case h <= 3:
		return []int{0, 1, 2, 3}
	case h <= 7:
		return []int{0, 1, 2, 4}
	}
	return []int{0, 2, 4, 5}
}

func (f *fakeChain) LoadValidators(h int64) (*types.ValidatorSet, error) {
	if h > f.height+2 {
		return nil, errors.New("no such height")
	}
	var vals []*types.Validator
	for _, i := range f.members(h) {
		vals = append(vals, types.NewValidator(f.keys[i].PubKey(), int64(10+i)))
	}
	return types.NewValidatorSet(vals), nil
}

func (f *fakeChain) Base() int64                            { return f.base }
func (f *fakeChain) Height() int64                          { return f.height }
func (f *fakeChain) LoadSeenCommit(h int64) *types.Commit   { return f.commits[h] }
func (f *fakeChain) LoadBlockCommit(h int64) *types.Commit  { return nil }
func (f *fakeChain) LoadBlockMeta(h int64) *types.BlockMeta { return f.metas[h] }
func (f *fakeChain) PutLight(height uint64, b []byte) error {
	f.lights[height] = bytes.Clone(b)
	f.order = append(f.order, height)
	return nil
}

func (f *fakeChain) Lights(each func(uint64, []byte) error) error {
	for _, h := range f.order {
		if err := each(h, f.lights[h]); err != nil {
			return err
		}
	}
	return nil
}

func newFakeChain(t testing.TB, heights int64) *fakeChain {
	t.Helper()
	f := &fakeChain{base: 1, metas: map[int64]*types.BlockMeta{}, commits: map[int64]*types.Commit{}, lights: map[uint64][]byte{}}
	for i := range 6 {
		f.keys = append(f.keys, cmted25519.GenPrivKeyFromSecret(fmt.Append(nil, "validator ", i)))
	}
	for h := int64(1); h <= heights; h++ {
		f.height = h
		f.add(t, h)
	}
	return f
}

func hashOf(h int64, name string) []byte {
	sum := sha256.Sum256(fmt.Append(nil, h, name))
	return sum[:]
}

// add makes a header and votes for it; the first validator is absent.
func (f *fakeChain) add(t testing.TB, h int64) {
	t.Helper()
	set, _ := f.LoadValidators(h)
	next, _ := f.LoadValidators(h + 1)
	header := types.Header{
		ChainID: fakeID, Height: h, Time: time.Unix(1700000000+h, 5).UTC(),
		LastCommitHash: hashOf(h, "commit"), DataHash: hashOf(h, "data"),
		ValidatorsHash: set.Hash(), NextValidatorsHash: next.Hash(),
		ConsensusHash: hashOf(h, "params"), AppHash: hashOf(h, "app"),
		LastResultsHash: hashOf(h, "results"), EvidenceHash: hashOf(h, "evidence"),
		ProposerAddress: set.Validators[0].Address,
	}
	header.Version.Block = proof.BlockProtocol
	if h > 1 {
		header.LastBlockID = f.metas[h-1].BlockID
	}
	id := types.BlockID{Hash: header.Hash(), PartSetHeader: types.PartSetHeader{Total: 1, Hash: hashOf(h, "parts")}}
	commit := &types.Commit{Height: h, Round: 1, BlockID: id}
	for i, v := range set.Validators {
		if i == 0 {
			commit.Signatures = append(commit.Signatures, types.NewCommitSigAbsent())
			continue
		}
		commit.Signatures = append(commit.Signatures, f.vote(t, header, id, v))
	}
	f.metas[h] = &types.BlockMeta{BlockID: id, Header: header}
	f.commits[h] = commit
}

func (f *fakeChain) vote(t testing.TB, header types.Header, id types.BlockID, v *types.Validator) types.CommitSig {
	t.Helper()
	vote := &cmtproto.Vote{
		Type: cmtproto.PrecommitType, Height: header.Height, Round: 1, BlockID: id.ToProto(),
		Timestamp: header.Time.Add(time.Second), ValidatorAddress: v.Address,
	}
	for _, k := range f.keys {
		if bytes.Equal(k.PubKey().Address(), v.Address) {
			sig, err := k.Sign(types.VoteSignBytes(fakeID, vote))
			if err != nil {
				t.Fatal(err)
			}
			return types.CommitSig{
				BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: vote.Timestamp, Signature: sig,
			}
		}
	}
	t.Fatal("no key")
	return types.CommitSig{}
}

// prune forgets the headers below a height, as CometBFT does.
func (f *fakeChain) prune(below int64) {
	for h := f.base; h < below; h++ {
		delete(f.metas, h)
		delete(f.commits, h)
	}
	f.base = below
}

// checkPath verifies a path by package proof, from the first set on.
func checkPath(t *testing.T, c *chain, height uint64, wantAt ...uint64) {
	t.Helper()
	path, err := c.Path(merkle.Hash{}, height)
	if err != nil || len(path) != len(wantAt) {
		t.Fatalf("path to %d has %d steps, %v; want them at %v", height, len(path), err, wantAt)
	}
	set, err := c.validators(1)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range path {
		if s.Light.Header.Height != wantAt[i] {
			t.Fatalf("step %d at %d, want %d", i, s.Light.Header.Height, wantAt[i])
		}
		if err := proof.VerifyLightBlock(set, &s.Light); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if proof.ValidatorsHash(s.Validators) != s.Light.Header.NextValidatorsHash {
			t.Fatalf("step %d leads to another set", i)
		}
		set = s.Validators
	}
	signed, err := c.Signed(height)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyLightBlock(set, &signed.Light); err != nil {
		t.Fatalf("header %d: %v", height, err)
	}
	if !reflect.DeepEqual(set, signed.Validators) {
		t.Fatalf("header %d is signed by another set", height)
	}
}

// TestPath: every change of the validator set is on the path, also after the
// headers are pruned and the node is restarted.
func TestPath(t *testing.T) {
	f := newFakeChain(t, 5)
	c, err := newChain(fakeID, f, f, f)
	if err != nil {
		t.Fatal(err)
	}
	checkPath(t, c, 2)
	checkPath(t, c, 3)
	checkPath(t, c, 4, 3)
	for h := int64(6); h <= 12; h++ {
		f.height = h
		f.add(t, h)
	}
	checkPath(t, c, 7, 3)
	if err := c.Keep(10); err != nil {
		t.Fatal(err)
	}
	f.prune(10)
	checkPath(t, c, 12, 3, 7)
	again, err := newChain(fakeID, f, f, f)
	if err != nil {
		t.Fatal(err)
	}
	checkPath(t, again, 12, 3, 7)
	if len(f.order) != 2 {
		t.Errorf("light blocks kept: %v", f.order)
	}
	if _, err := c.Signed(5); ledger.CodeOf(err) != ledger.CodePruned {
		t.Errorf("pruned header: %v", err)
	}
	f.commits = nil
	if _, err := c.Signed(12); ledger.CodeOf(err) != ledger.CodeFutureHeight {
		t.Errorf("header without votes: %v", err)
	}
}

// TestPathFromPinnedSet: whoever pinned a later set gets the path from there, from the
// last time that it was in force; a set that nobody knows is an error.
func TestPathFromPinnedSet(t *testing.T) {
	f := newFakeChain(t, 12)
	c, err := newChain(fakeID, f, f, f)
	if err != nil {
		t.Fatal(err)
	}
	hash := func(height int64) merkle.Hash {
		set, err := c.validators(height)
		if err != nil {
			t.Fatal(err)
		}
		return proof.ValidatorsHash(set)
	}
	for _, tt := range []struct {
		name   string
		from   merkle.Hash
		height uint64
		want   []uint64
		code   ledger.Code
	}{
		{"genesis, unnamed", merkle.Hash{}, 12, []uint64{3, 7}, ledger.CodeOK},
		{"genesis", hash(1), 12, []uint64{3, 7}, ledger.CodeOK},
		{"genesis, before any change", hash(1), 3, nil, ledger.CodeOK},
		{"second set", hash(4), 12, []uint64{7}, ledger.CodeOK},
		{"second set, before the next", hash(4), 7, nil, ledger.CodeOK},
		{"last set", hash(8), 12, nil, ledger.CodeOK},
		{"a set that comes later", hash(8), 7, nil, ledger.CodeNotFound},
		{"no set of this ledger", merkle.Hash{1}, 12, nil, ledger.CodeNotFound},
		{"no set, before any change", merkle.Hash{1}, 3, nil, ledger.CodeNotFound},
	} {
		path, err := c.Path(tt.from, tt.height)
		var at []uint64
		for _, s := range path {
			at = append(at, s.Light.Header.Height)
		}
		if ledger.CodeOf(err) != tt.code || !slices.Equal(at, tt.want) {
			t.Errorf("%s: steps at %v, %v; want %v, %v", tt.name, at, err, tt.want, tt.code)
		}
	}
	back := step{height: 9}
	back.Light.Header.Height = 9
	back.Light.Header.ValidatorsHash, back.Light.Header.NextValidatorsHash = hash(8), hash(4)
	c.steps = append(c.steps, back)
	if path, err := c.Path(hash(4), 12); err != nil || len(path) != 0 {
		t.Errorf("a set that came back: %d steps, %v", len(path), err)
	}
}

// TestDecodeStep: no prefix and no garbage is taken.
func TestDecodeStep(t *testing.T) {
	f := newFakeChain(t, 5)
	if _, err := newChain(fakeID, f, f, f); err != nil {
		t.Fatal(err)
	}
	good := f.lights[3]
	if _, err := decodeStep(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := decodeStep(good[:i]); err == nil {
			t.Fatalf("%d of %d bytes are taken", i, len(good))
		}
	}
	if _, err := decodeStep(append(good, 0)); err == nil {
		t.Error("a trailing byte is taken")
	}
	f.lights[3] = good[:10]
	if _, err := newChain(fakeID, f, f, f); err == nil {
		t.Error("a node starts on a damaged light block")
	}
}
