package proof

import (
	"errors"
	"fmt"
	"math"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

const (
	certificateName     = "mtm.certificate"
	certificateForm     = 1
	certificateElements = 9
)

// magic is how every certificate begins: the head of the array and its name.
var magic = newMagic(certificateElements, certificateName)

var certificateFrame = frame{magic: magic, form: certificateForm, what: "certificate", max: MaxSize}

var (
	errNoHeight = errors.New("a height is zero")
	errNoParts  = errors.New("a block has at least one part")
)

func (c *Certificate) appendBody(b []byte) []byte {
	b = append(b, magic...)
	b = dcbor.AppendUint(b, certificateForm)
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendBytes(b, c.Claim.Stream[:])
	b = dcbor.AppendUint(b, c.Claim.First)
	b = dcbor.AppendUint(b, c.Claim.Last)
	b = dcbor.AppendBytes(b, c.Entry)
	b = dcbor.AppendArray(b, 4)
	b = dcbor.AppendUint(b, c.Height)
	b = dcbor.AppendUint(b, c.Index)
	b = dcbor.AppendUint(b, c.Size)
	b = dcbor.AppendArray(b, len(c.LogPath))
	for _, h := range c.LogPath {
		b = dcbor.AppendBytes(b, h[:])
	}
	b = dcbor.AppendBytes(b, c.Records)
	return appendSigned(b, &c.Light, c.Path)
}

// appendSigned writes the light block over a state, and the path to the set that
// signed it.
func appendSigned(b []byte, l *LightBlock, path []PathStep) []byte {
	b = appendLight(b, l, l.Header.NextValidatorsHash)
	b = dcbor.AppendArray(b, len(path))
	for i := range path {
		s := &path[i]
		b = dcbor.AppendArray(b, 2)
		b = appendLight(b, &s.Light, s.Light.Header.AppHash)
		b = appendValidators(b, s.Validators)
	}
	return b
}

// appendLight writes [header, open, commit], where open is the one hash of the
// three about state and validators that does not follow from elsewhere.
func appendLight(b []byte, l *LightBlock, open merkle.Hash) []byte {
	h := &l.Header
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendArray(b, 11)
	b = dcbor.AppendUint(b, h.BlockVersion)
	b = dcbor.AppendUint(b, h.AppVersion)
	b = dcbor.AppendUint(b, h.Height)
	b = dcbor.AppendUint(b, uint64(h.Time))
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendBytes(b, h.LastBlockID.Hash[:])
	b = dcbor.AppendUint(b, uint64(h.LastBlockID.PartsTotal))
	b = dcbor.AppendBytes(b, h.LastBlockID.PartsHash[:])
	b = dcbor.AppendBytes(b, h.LastCommitHash[:])
	b = dcbor.AppendBytes(b, h.DataHash[:])
	b = dcbor.AppendBytes(b, h.ConsensusHash[:])
	b = dcbor.AppendBytes(b, h.LastResultsHash[:])
	b = dcbor.AppendBytes(b, h.EvidenceHash[:])
	b = dcbor.AppendBytes(b, h.Proposer[:])
	b = dcbor.AppendBytes(b, open[:])
	return l.Commit.append(b)
}

func (c *Commit) append(b []byte) []byte {
	b = dcbor.AppendArray(b, 4)
	b = dcbor.AppendUint(b, uint64(c.Round))
	b = dcbor.AppendUint(b, uint64(c.PartsTotal))
	b = dcbor.AppendBytes(b, c.PartsHash[:])
	b = dcbor.AppendArray(b, len(c.Signatures))
	for i := range c.Signatures {
		s := &c.Signatures[i]
		b = dcbor.AppendArray(b, 3)
		b = dcbor.AppendUint(b, uint64(s.Index))
		b = dcbor.AppendUint(b, uint64(s.Time))
		b = dcbor.AppendBytes(b, s.Signature[:])
	}
	return b
}

func appendValidators(b []byte, set []Validator) []byte {
	b = dcbor.AppendArray(b, len(set))
	for i := range set {
		b = dcbor.AppendArray(b, 2)
		b = dcbor.AppendBytes(b, set[i].Key[:])
		b = dcbor.AppendUint(b, uint64(set[i].Power))
	}
	return b
}

// parseBody reads a certificate up to its checksum.
func parseBody(b []byte) (*Certificate, error) {
	r := dcbor.NewReader(b)
	r.ExpectArray(certificateElements)
	r.ExpectText(certificateName)
	r.ExpectUint(certificateForm)
	c := new(Certificate)
	r.ExpectArray(3)
	r.Fixed(c.Claim.Stream[:])
	c.Claim.First = number(r, ledger.MaxNumber)
	c.Claim.Last = number(r, ledger.MaxNumber)
	c.Entry = r.Bytes(ledger.MaxStatement)
	r.ExpectArray(4)
	c.Height = number(r, ledger.MaxNumber)
	c.Index = number(r, ledger.MaxNumber)
	c.Size = number(r, ledger.MaxNumber)
	c.LogPath = make([]merkle.Hash, r.Array(MaxLogPath))
	for i := range c.LogPath {
		r.Fixed(c.LogPath[i][:])
	}
	c.Records = r.Bytes(MaxRecords)
	c.Path = readSigned(r, &c.Light)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

// readSigned reads what appendSigned writes, and returns the path.
func readSigned(r *dcbor.Reader, l *LightBlock) []PathStep {
	readLight(r, l, &l.Header.NextValidatorsHash)
	path := make([]PathStep, r.Array(MaxPathSteps))
	for i := range path {
		s := &path[i]
		r.ExpectArray(2)
		readLight(r, &s.Light, &s.Light.Header.AppHash)
		s.Validators = readValidators(r)
	}
	return path
}

func readLight(r *dcbor.Reader, l *LightBlock, open *merkle.Hash) {
	h := &l.Header
	r.ExpectArray(3)
	r.ExpectArray(11)
	h.BlockVersion = number(r, ledger.MaxNumber)
	h.AppVersion = number(r, ledger.MaxNumber)
	h.Height = number(r, ledger.MaxNumber)
	h.Time = int64(number(r, ledger.MaxNumber))
	r.ExpectArray(3)
	r.Fixed(h.LastBlockID.Hash[:])
	h.LastBlockID.PartsTotal = partsTotal(r)
	r.Fixed(h.LastBlockID.PartsHash[:])
	r.Fixed(h.LastCommitHash[:])
	r.Fixed(h.DataHash[:])
	r.Fixed(h.ConsensusHash[:])
	r.Fixed(h.LastResultsHash[:])
	r.Fixed(h.EvidenceHash[:])
	r.Fixed(h.Proposer[:])
	r.Fixed(open[:])
	readCommit(r, &l.Commit)
	if r.Err() == nil && h.Height == 0 {
		r.Fail(errNoHeight)
	}
}

func readCommit(r *dcbor.Reader, c *Commit) {
	r.ExpectArray(4)
	c.Round = uint32(number(r, math.MaxInt32))
	c.PartsTotal = partsTotal(r)
	r.Fixed(c.PartsHash[:])
	c.Signatures = make([]CommitSig, r.Array(MaxValidators))
	for i := range c.Signatures {
		s := &c.Signatures[i]
		r.ExpectArray(3)
		s.Index = uint32(number(r, MaxValidators-1))
		s.Time = int64(number(r, ledger.MaxNumber))
		r.Fixed(s.Signature[:])
	}
}

func readValidators(r *dcbor.Reader) []Validator {
	set := make([]Validator, r.Array(MaxValidators))
	for i := range set {
		r.ExpectArray(2)
		r.Fixed(set[i].Key[:])
		set[i].Power = int64(number(r, ledger.MaxNumber))
	}
	return set
}

func partsTotal(r *dcbor.Reader) uint32 {
	v := number(r, math.MaxUint32)
	if r.Err() == nil && v == 0 {
		r.Fail(errNoParts)
	}
	return uint32(v)
}

// number reads an unsigned integer of at most max.
func number(r *dcbor.Reader, max uint64) uint64 {
	v := r.Uint()
	if v > max {
		r.Fail(dcbor.ErrRange)
		return 0
	}
	return v
}
