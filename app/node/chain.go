package node

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"mtmledger/app/query"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// blocks is what chain needs of CometBFT's block store.
type blocks interface {
	Base() int64
	Height() int64
	LoadBlockMeta(height int64) *types.BlockMeta
	LoadBlockCommit(height int64) *types.Commit
	LoadSeenCommit(height int64) *types.Commit
}

// validatorSets is what chain needs of CometBFT's state store.
type validatorSets interface {
	LoadValidators(height int64) (*types.ValidatorSet, error)
}

// archive keeps light blocks for ever.
type archive interface {
	PutLight(height uint64, b []byte) error
	Lights(each func(height uint64, b []byte) error) error
}

// chain serves headers and votes to queries, and keeps for ever those at which
// the validator set changes, because every later certificate needs them.
type chain struct {
	id      string
	blocks  blocks
	sets    validatorSets
	archive archive

	mu      sync.Mutex
	steps   []step // by height
	scanned int64  // every header up to here was looked at
}

// step is a change of the validator set and the height of the last header that
// the set before it signs.
type step struct {
	height uint64
	proof.PathStep
}

// newChain reads the changes kept and looks at the headers since.
func newChain(id string, b blocks, v validatorSets, a archive) (*chain, error) {
	c := &chain{id: id, blocks: b, sets: v, archive: a}
	err := a.Lights(func(height uint64, raw []byte) error {
		s, err := decodeStep(raw)
		if err != nil {
			return fmt.Errorf("node: light block %d: %w", height, err)
		}
		c.steps = append(c.steps, step{height, s})
		c.scanned = int64(height)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.scan(b.Height() - 1)
}

// scan looks at the headers up to a height for changes of the validator set.
// Headers that were pruned were looked at before (Keep).
func (c *chain) scan(to int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := max(c.scanned+1, c.blocks.Base(), 1); h <= to; h++ {
		meta := c.blocks.LoadBlockMeta(h)
		if meta == nil {
			return fmt.Errorf("node: header %d is missing", h)
		}
		if !slices.Equal(meta.Header.ValidatorsHash, meta.Header.NextValidatorsHash) {
			if err := c.keep(meta); err != nil {
				return err
			}
		}
		c.scanned = h
	}
	return nil
}

// keep archives the change that follows a header.
func (c *chain) keep(meta *types.BlockMeta) error {
	h := meta.Header.Height
	commit := c.commit(h)
	if commit == nil {
		return fmt.Errorf("node: no votes for header %d", h)
	}
	set, err := c.validators(h)
	if err != nil {
		return err
	}
	next, err := c.validators(h + 1)
	if err != nil {
		return err
	}
	raw, err := encodeStep(&meta.Header, commit, set, next)
	if err != nil {
		return err
	}
	s, err := decodeStep(raw)
	if err != nil {
		return err
	}
	c.steps = append(c.steps, step{uint64(h), s})
	return c.archive.PutLight(uint64(h), raw)
}

// commit returns the votes for a header, nil when there are none.
func (c *chain) commit(h int64) *types.Commit {
	if commit := c.blocks.LoadSeenCommit(h); commit != nil {
		return commit
	}
	return c.blocks.LoadBlockCommit(h)
}

// Keep archives what certificates need of the headers below a height, before
// CometBFT prunes them.
func (c *chain) Keep(below uint64) error { return c.scan(int64(below)) }

// Path implements query.Chain. A set that was in force twice counts from its last time:
// that is the shortest path, and as good for whoever pinned the set.
func (c *chain) Path(from merkle.Hash, height uint64) ([]proof.PathStep, error) {
	if err := c.scan(int64(height) - 1); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var path []proof.PathStep
	found := from == merkle.Hash{}
	for _, s := range c.steps {
		if s.height >= height {
			break
		}
		header := &s.Light.Header
		found = found || header.ValidatorsHash == from
		if path = append(path, s.PathStep); from == header.NextValidatorsHash {
			path, found = nil, true
		}
	}
	if found || len(path) == 0 && c.signedBy(from, height) {
		return path, nil
	}
	return nil, ledger.Errorf(ledger.CodeNotFound, "no validator set up to height %d has the hash %s: the trust root is another ledger's, or of a later set", height, from)
}

// signedBy tells whether the set with a hash signs at a height.
func (c *chain) signedBy(set merkle.Hash, height uint64) bool {
	meta := c.blocks.LoadBlockMeta(int64(height))
	return meta != nil && slices.Equal(meta.Header.ValidatorsHash, set[:])
}

// Signed implements query.Chain.
func (c *chain) Signed(height uint64) (query.SignedHeader, error) {
	h := int64(height)
	meta := c.blocks.LoadBlockMeta(h)
	if meta == nil {
		return query.SignedHeader{}, ledger.Errorf(ledger.CodePruned, "header %d is not kept", height)
	}
	commit := c.commit(h)
	if commit == nil {
		return query.SignedHeader{}, ledger.Errorf(ledger.CodeFutureHeight, "no votes for header %d yet", height)
	}
	set, err := c.validators(h)
	if err != nil {
		return query.SignedHeader{}, err
	}
	header, err := headerOf(&meta.Header)
	if err != nil {
		return query.SignedHeader{}, err
	}
	return query.SignedHeader{
		Light:      proof.LightBlock{Header: header, Commit: commitOf(commit)},
		Validators: set,
	}, nil
}

// validators returns the set that signs at a height, in the order of its votes.
func (c *chain) validators(h int64) ([]proof.Validator, error) {
	set, err := c.sets.LoadValidators(h)
	if err != nil {
		return nil, fmt.Errorf("node: validators at %d: %w", h, err)
	}
	out := make([]proof.Validator, len(set.Validators))
	for i, v := range set.Validators {
		pub, ok := v.PubKey.(cmted25519.PubKey)
		if !ok {
			return nil, fmt.Errorf("node: validator %s has no ed25519 key", v.Address)
		}
		copy(out[i].Key[:], pub)
		out[i].Power = v.VotingPower
	}
	return out, nil
}

func headerOf(h *types.Header) (proof.Header, error) {
	out := proof.Header{
		BlockVersion: h.Version.Block,
		AppVersion:   h.Version.App,
		Chain:        h.ChainID,
		Height:       uint64(h.Height),
		Time:         h.Time.UnixNano(),
	}
	last, err := blockIDOf(h.LastBlockID)
	if err != nil {
		return out, err
	}
	out.LastBlockID = last
	copy(out.Proposer[:], h.ProposerAddress)
	return out, hashes(map[*merkle.Hash][]byte{
		&out.LastCommitHash:     h.LastCommitHash,
		&out.DataHash:           h.DataHash,
		&out.ValidatorsHash:     h.ValidatorsHash,
		&out.NextValidatorsHash: h.NextValidatorsHash,
		&out.ConsensusHash:      h.ConsensusHash,
		&out.AppHash:            h.AppHash,
		&out.LastResultsHash:    h.LastResultsHash,
		&out.EvidenceHash:       h.EvidenceHash,
	})
}

func blockIDOf(id types.BlockID) (proof.BlockID, error) {
	out := proof.BlockID{PartsTotal: id.PartSetHeader.Total}
	if len(id.Hash) == 0 {
		return out, nil
	}
	return out, hashes(map[*merkle.Hash][]byte{&out.Hash: id.Hash, &out.PartsHash: id.PartSetHeader.Hash})
}

// hashes copies hashes, which CometBFT keeps as slices.
func hashes(from map[*merkle.Hash][]byte) error {
	for to, b := range from {
		if len(b) != merkle.HashSize {
			return fmt.Errorf("node: hash of %d bytes in a header", len(b))
		}
		copy(to[:], b)
	}
	return nil
}

func commitOf(c *types.Commit) proof.Commit {
	out := proof.Commit{Round: uint32(c.Round), PartsTotal: c.BlockID.PartSetHeader.Total}
	copy(out.PartsHash[:], c.BlockID.PartSetHeader.Hash)
	for i, s := range c.Signatures {
		if s.BlockIDFlag != types.BlockIDFlagCommit {
			continue
		}
		sig := proof.CommitSig{Index: uint32(i), Time: s.Timestamp.UnixNano()}
		copy(sig.Signature[:], s.Signature)
		out.Signatures = append(out.Signatures, sig)
	}
	return out
}

// encodeStep writes a change of the validator set, for this node alone: header
// and votes as CometBFT's protobuf, the set that voted, and the one after it.
func encodeStep(h *types.Header, c *types.Commit, set, next []proof.Validator) ([]byte, error) {
	header, err := h.ToProto().Marshal()
	if err != nil {
		return nil, fmt.Errorf("node: header %d: %w", h.Height, err)
	}
	commit, err := c.ToProto().Marshal()
	if err != nil {
		return nil, fmt.Errorf("node: votes for header %d: %w", h.Height, err)
	}
	return keptStep{header, commit, set, next}.encode(), nil
}

// keptStep is a change of the validator set as it is kept.
type keptStep struct {
	header, commit []byte
	set, next      []proof.Validator
}

func (s keptStep) encode() []byte {
	b := dcbor.AppendArray(nil, 4)
	b = dcbor.AppendBytes(b, s.header)
	b = dcbor.AppendBytes(b, s.commit)
	return appendSet(appendSet(b, s.set), s.next)
}

func readStep(b []byte) (s keptStep, err error) {
	r := dcbor.NewReader(b)
	r.ExpectArray(4)
	s.header, s.commit = r.Bytes(len(b)), r.Bytes(len(b))
	s.set, s.next = readSet(r), readSet(r)
	return s, r.Done()
}

func appendSet(b []byte, set []proof.Validator) []byte {
	b = dcbor.AppendArray(b, 2*len(set))
	for _, v := range set {
		b = dcbor.AppendBytes(b, v.Key[:])
		b = dcbor.AppendInt(b, v.Power)
	}
	return b
}

func readSet(r *dcbor.Reader) (set []proof.Validator) {
	n := r.Array(2 * proof.MaxValidators)
	if n%2 != 0 {
		r.Fail(dcbor.ErrLength)
	}
	for range n / 2 {
		var v proof.Validator
		r.Fixed(v.Key[:])
		v.Power = r.Int()
		set = append(set, v)
	}
	return set
}

func decodeStep(b []byte) (s proof.PathStep, err error) {
	kept, err := readStep(b)
	if err != nil {
		return s, err
	}
	var hp cmtproto.Header
	var cp cmtproto.Commit
	if err := errors.Join(hp.Unmarshal(kept.header), cp.Unmarshal(kept.commit)); err != nil {
		return s, err
	}
	h, err := types.HeaderFromProto(&hp)
	if err != nil {
		return s, err
	}
	c, err := types.CommitFromProto(&cp)
	if err != nil {
		return s, err
	}
	s.Validators = kept.next
	s.Light.Commit = commitOf(c)
	if s.Light.Header, err = headerOf(&h); err != nil {
		return s, err
	}
	s.Light.Commit.Signatures, err = proof.SelectSignatures(kept.set, s.Light.Commit.Signatures)
	return s, err
}
