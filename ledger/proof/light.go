package proof

import (
	"encoding/binary"
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// BlockProtocol is the only version of CometBFT's block format that is known
// here. Another version may hash its headers differently, so it is refused.
const BlockProtocol = 11

// precommit is the type of the votes in a commit.
const precommit = 2

// BlockID names a block in CometBFT: the hash of its header, and into how many
// parts with which root the block was cut. The zero BlockID is that before the
// first block.
type BlockID struct {
	Hash       merkle.Hash
	PartsTotal uint32
	PartsHash  merkle.Hash
}

// append writes the BlockID (and just as well the CanonicalBlockID) message:
// {1: hash, 2: PartSetHeader {1: total, 2: hash}}.
func (id BlockID) append(b []byte) []byte {
	if id == (BlockID{}) {
		return appendMessageField(b, 2, nil)
	}
	parts := make([]byte, 0, 48)
	parts = appendVarintField(parts, 1, uint64(id.PartsTotal))
	parts = appendBytesField(parts, 2, id.PartsHash[:])
	b = appendBytesField(b, 1, id.Hash[:])
	return appendMessageField(b, 2, parts)
}

// Header is a CometBFT header. Heights are in 1..2^63-1, Time is in nanoseconds
// since the Unix epoch, not negative.
type Header struct {
	BlockVersion, AppVersion uint64
	Chain                    string
	Height                   uint64
	Time                     int64
	LastBlockID              BlockID
	LastCommitHash           merkle.Hash
	DataHash                 merkle.Hash
	ValidatorsHash           merkle.Hash
	NextValidatorsHash       merkle.Hash
	ConsensusHash            merkle.Hash
	AppHash                  merkle.Hash // of the state after block Height-1
	LastResultsHash          merkle.Hash
	EvidenceHash             merkle.Hash
	Proposer                 Address
}

// Hash returns the header's hash, which is the block's: the RFC 6962 tree hash
// of the 14 encoded fields in order. Strings, integers and hashes are wrapped
// into a message with the value as field 1 (StringValue, Int64Value, BytesValue).
func (h *Header) Hash() merkle.Hash { return treeHash(h.leaves()) }

func (h *Header) leaves() [][]byte {
	hash := func(v merkle.Hash) []byte { return appendBytesField(nil, 1, v[:]) }
	version := appendVarintField(nil, 1, h.BlockVersion)
	return [][]byte{
		appendVarintField(version, 2, h.AppVersion),
		appendBytesField(nil, 1, []byte(h.Chain)),
		appendVarintField(nil, 1, h.Height),
		appendTime(nil, h.Time),
		h.LastBlockID.append(nil),
		hash(h.LastCommitHash),
		hash(h.DataHash),
		hash(h.ValidatorsHash),
		hash(h.NextValidatorsHash),
		hash(h.ConsensusHash),
		hash(h.AppHash),
		hash(h.LastResultsHash),
		hash(h.EvidenceHash),
		appendBytesField(nil, 1, h.Proposer[:]),
	}
}

// CommitSig is one validator's precommit for the block: its index in the sorted
// set, the time it voted at (nanoseconds) and its signature. Votes for nothing
// and absent votes are never carried.
type CommitSig struct {
	Index     uint32
	Time      int64
	Signature crypto.Signature
}

// Commit carries votes for one block; the block's hash and height are those of
// the header that it stands beside. Signatures are sorted by index.
type Commit struct {
	Round      uint32
	PartsTotal uint32
	PartsHash  merkle.Hash
	Signatures []CommitSig
}

// LightBlock is a header and votes for it.
type LightBlock struct {
	Header Header
	Commit Commit
}

// SignBytes returns the bytes that a validator signs at the given time to vote
// for the block: the length-prefixed CanonicalVote message {1: type, 2: height,
// 3: round, 4: block id, 5: time, 6: chain}.
func (c *Commit) SignBytes(chain string, height uint64, block merkle.Hash, time int64) []byte {
	id := BlockID{Hash: block, PartsTotal: c.PartsTotal, PartsHash: c.PartsHash}
	vote := make([]byte, 0, 256)
	vote = appendVarintField(vote, 1, precommit)
	vote = appendFixed64Field(vote, 2, height)
	vote = appendFixed64Field(vote, 3, uint64(c.Round))
	vote = appendMessageField(vote, 4, id.append(nil))
	vote = appendMessageField(vote, 5, appendTime(nil, time))
	vote = appendBytesField(vote, 6, []byte(chain))
	return append(binary.AppendUvarint(make([]byte, 0, len(vote)+4), uint64(len(vote))), vote...)
}

// ErrNotEnoughPower is returned when votes do not carry more than 2/3 of the
// power.
var ErrNotEnoughPower = errors.New("not more than 2/3 of the validators' power")

// SelectSignatures returns the fewest signatures that carry more than 2/3 of
// the power of the sorted set, ordered by index. The given ones are all valid
// votes for the block, in any order. It returns [ErrNotEnoughPower] if they do
// not suffice, and an error for an index that is not in the set or stands twice.
func SelectSignatures(set []Validator, sigs []CommitSig) ([]CommitSig, error) {
	total, err := totalPower(set)
	if err != nil {
		return nil, fmt.Errorf("select signatures: %w", err)
	}
	byIndex := make(map[uint32]CommitSig, len(sigs))
	for _, s := range sigs {
		_, twice := byIndex[s.Index]
		if twice || int(s.Index) >= len(set) {
			return nil, fmt.Errorf("select signatures: index %d stands twice or is not in the set", s.Index)
		}
		byIndex[s.Index] = s
	}
	// The set is sorted by power, so the order of indexes takes the most power first.
	var chosen []CommitSig
	var power int64
	for i, v := range set {
		s, ok := byIndex[uint32(i)]
		if !ok {
			continue
		}
		chosen = append(chosen, s)
		power += v.Power
		if moreThanTwoThirds(power, total) {
			return chosen, nil
		}
	}
	return nil, fmt.Errorf("select signatures: %w: %d of %d", ErrNotEnoughPower, power, total)
}

// moreThanTwoThirds does not overflow, because total <= MaxTotalPower.
func moreThanTwoThirds(power, total int64) bool { return 3*power > 2*total }
