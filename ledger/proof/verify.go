package proof

import (
	"crypto/sha256"
	"errors"
	"sync"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// Verify checks a certificate file against a trust root and returns what the
// certificate proves. The error is a [*Refusal].
func Verify(file []byte, root TrustRoot) (*Finding, error) {
	v, err := NewVerifier(root)
	if err != nil {
		return nil, err
	}
	return v.Verify(file)
}

// Verifier verifies certificates against one trust root. It remembers the light
// blocks that it verified last, so that many certificates over one state cost
// the validators' signatures once. It is safe for concurrent use.
type Verifier struct {
	root TrustRoot
	set  validatorSet

	mu   sync.Mutex
	seen map[[32]byte]votes
}

// NewVerifier returns a Verifier for root. The error is a [*Refusal] of
// [CheckTrust] if the root is not usable.
func NewVerifier(root TrustRoot) (*Verifier, error) {
	root, power, err := root.check()
	if err != nil {
		return nil, &Refusal{Check: CheckTrust, Err: err}
	}
	set := newValidatorSet(root.Validators, power)
	return &Verifier{root: root, set: set, seen: make(map[[32]byte]votes)}, nil
}

// Verify checks a certificate file. It does not change or keep the file.
func (v *Verifier) Verify(file []byte) (*Finding, error) {
	c, err := Parse(file)
	if err != nil {
		return nil, err
	}
	s, err := c.statement()
	if err != nil {
		return nil, err
	}
	logRoot, err := merkle.VerifyInclusion(merkle.LeafHash(c.Entry), c.Index, c.Size, c.LogPath)
	if err != nil {
		return nil, &Refusal{Check: CheckLog, Err: err}
	}
	rows, err := c.rows(s)
	if err != nil {
		return nil, err
	}
	if !s.Sign1.Verify(rows.key.Public) {
		return nil, refuse(CheckSignature, "the statement is not signed by the device's key")
	}
	header := c.Light.Header
	header.AppHash = merkle.AppHash(c.Size, logRoot, rows.root)
	if header.Height <= c.Height {
		return nil, refuse(CheckHeader, "the header at height %d is not over the state after block %d", header.Height, c.Height)
	}
	votes, err := v.verifyLight(c.Path, header, &c.Light.Commit)
	if err != nil {
		return nil, err
	}
	return v.finding(c, s, rows, votes), nil
}

// statement checks the entry's form and that it covers the claim.
func (c *Certificate) statement() (*ledger.Statement, error) {
	s, err := ledger.ParseStatement(c.Entry)
	if err != nil {
		return nil, &Refusal{Check: CheckStatement, Err: err}
	}
	claim := c.Claim
	switch {
	case claim.Stream != s.Stream:
		return nil, refuse(CheckClaim, "the claim is about stream %s, the statement about %s", claim.Stream, s.Stream)
	case claim.First > claim.Last:
		return nil, refuse(CheckClaim, "the claim ends (%d) before it begins (%d)", claim.Last, claim.First)
	case claim.First < s.First || claim.Last > s.Last():
		return nil, refuse(CheckClaim, "the claim is about readings %d to %d, the statement holds %d to %d",
			claim.First, claim.Last, s.First, s.Last())
	}
	return s, nil
}

// rows are the rows of the records that a certificate needs.
type rows struct {
	root  merkle.Hash
	block record.Block
	key   record.Key
	owner record.Owner
}

// rows reads the rows that the partial tree reveals and checks them against the
// statement and the place in the log.
func (c *Certificate) rows(s *ledger.Statement) (*rows, error) {
	tree, err := merkle.ParsePartial(c.Records)
	if err != nil {
		return nil, &Refusal{Check: CheckRecords, Err: err}
	}
	out := &rows{root: tree.Root()}
	if out.block, err = blockRow(tree, c.Height, c.Index); err != nil {
		return nil, err
	}
	if out.key, err = keyRow(tree, s.Device, s.KeyID(), c.Height); err != nil {
		return nil, err
	}
	if out.owner, err = c.ownerRow(tree, s.Stream); err != nil {
		return nil, err
	}
	return out, nil
}

// blockRow reads the row of the block at a height, which must have added the
// entry at an index.
func blockRow(tree *merkle.Partial, height, index uint64) (record.Block, error) {
	value, found, err := tree.Get(record.BlockRow(height))
	if err != nil {
		return record.Block{}, refuse(CheckRecords, "row of block %d: %w", height, err)
	}
	if !found {
		return record.Block{}, refuse(CheckBlock, "block %d added nothing to the log", height)
	}
	row, err := record.ParseBlock(value)
	if err != nil {
		return record.Block{}, &Refusal{Check: CheckRecords, Err: err}
	}
	if !row.Contains(index) {
		return record.Block{}, refuse(CheckBlock, "block %d added log entries %d to %d, not %d",
			height, row.First, row.First+row.Count-1, index)
	}
	return row, nil
}

// keyRow reads the row of a principal's key, which must be valid at a height.
func keyRow(tree *merkle.Partial, principal crypto.ID, kid crypto.KeyID, height uint64) (record.Key, error) {
	value, found, err := tree.Get(record.KeyRow(principal, kid))
	if err != nil {
		return record.Key{}, refuse(CheckRecords, "row of key %s: %w", kid, err)
	}
	if !found {
		return record.Key{}, refuse(CheckKey, "%s has no key %s", principal, kid)
	}
	row, err := record.ParseKey(value)
	if err != nil {
		return record.Key{}, &Refusal{Check: CheckRecords, Err: err}
	}
	if row.Public.KeyID() != kid {
		return record.Key{}, refuse(CheckKey, "the row of key %s holds another key", kid)
	}
	if !row.ValidAt(height) {
		return record.Key{}, refuse(CheckKey, "key %s opened at height %d and closed at %d (0 = open): not valid at %d",
			kid, row.Opens, row.Closes, height)
	}
	return row, nil
}

func (c *Certificate) ownerRow(tree *merkle.Partial, stream crypto.ID) (record.Owner, error) {
	oldest, _ := record.Range(record.FamilyOwner, stream)
	_, value, found, err := tree.Predecessor(oldest, record.OwnerRow(stream, c.Height))
	if err != nil {
		return record.Owner{}, refuse(CheckRecords, "owner of stream %s: %w", stream, err)
	}
	if !found {
		return record.Owner{}, refuse(CheckOwner, "stream %s had no owner at height %d", stream, c.Height)
	}
	row, err := record.ParseOwner(value)
	if err != nil {
		return record.Owner{}, &Refusal{Check: CheckRecords, Err: err}
	}
	return row, nil
}

// verifyLight walks from the pinned set along the path to the set that signed
// a header, and checks the votes for that header.
func (v *Verifier) verifyLight(path []PathStep, header Header, commit *Commit) (votes, error) {
	set, last := v.set, uint64(0)
	for i := range path {
		next, err := v.verifyStep(set, &path[i], last)
		if err != nil {
			return votes{}, err
		}
		set, last = next, path[i].Light.Header.Height
	}
	if header.Height <= last {
		return votes{}, refuse(CheckPath, "the header at height %d does not come after the path, which ends at %d",
			header.Height, last)
	}
	return v.verifyVotes(set, header, commit)
}

// verifyStep checks one change of the validator set and returns the set after.
func (v *Verifier) verifyStep(set validatorSet, s *PathStep, last uint64) (validatorSet, error) {
	header := s.Light.Header
	if header.Height <= last {
		return validatorSet{}, refuse(CheckPath, "a step at height %d follows one at %d", header.Height, last)
	}
	power, err := totalPower(s.Validators)
	if err != nil {
		return validatorSet{}, refuse(CheckPath, "the set after height %d: %w", header.Height, err)
	}
	next := newValidatorSet(s.Validators, power)
	if next.hash == set.hash {
		return validatorSet{}, refuse(CheckPath, "the step at height %d changes nothing", header.Height)
	}
	header.NextValidatorsHash = next.hash
	if _, err := v.verifyVotes(set, header, &s.Light.Commit); err != nil {
		return validatorSet{}, err
	}
	return next, nil
}

// maxSeen bounds how many light blocks a Verifier remembers.
const maxSeen = 256

// verifyVotes checks the votes of a set for a header whose Chain and
// ValidatorsHash are filled in here, or recalls that they were checked before.
func (v *Verifier) verifyVotes(set validatorSet, header Header, commit *Commit) (votes, error) {
	header.Chain = v.root.Chain
	header.ValidatorsHash = set.hash
	hash := header.Hash()
	id := sha256.Sum256(commit.append(append(make([]byte, 0, 512), hash[:]...)))
	v.mu.Lock()
	seen, ok := v.seen[id]
	v.mu.Unlock()
	if ok {
		return seen, nil
	}
	result, err := set.verify(&header, hash, commit)
	if err != nil {
		return votes{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= maxSeen {
		clear(v.seen)
	}
	v.seen[id] = result
	return result, nil
}

// VerifyLightBlock checks that more than 2/3 of the power of a sorted validator
// set voted for the block. The header must be complete, with the hash of that
// set. The error is a [*Refusal].
func VerifyLightBlock(set []Validator, l *LightBlock) error {
	power, err := totalPower(set)
	if err != nil {
		return &Refusal{Check: CheckTrust, Err: err}
	}
	s := newValidatorSet(set, power)
	if s.hash != l.Header.ValidatorsHash {
		return refuse(CheckTrust, "the header names another validator set")
	}
	_, err = s.verify(&l.Header, l.Header.Hash(), &l.Commit)
	return err
}

// validatorSet is a checked set with what follows from it.
type validatorSet struct {
	validators []Validator
	power      int64
	hash       merkle.Hash
}

func newValidatorSet(set []Validator, power int64) validatorSet {
	return validatorSet{validators: set, power: power, hash: ValidatorsHash(set)}
}

// votes is how much of a set voted for a block.
type votes struct {
	signed, validators int
	power, total       int64
}

var errNotSigned = errors.New("the signature is not over this header: the statement, the log path, the records or " +
	"the header were changed, or the trust root is another ledger's")

// verify checks that more than 2/3 of the set signed the header with this hash.
// Every signature that is carried must be valid, needed or not.
func (s validatorSet) verify(h *Header, hash merkle.Hash, c *Commit) (votes, error) {
	if h.BlockVersion != BlockProtocol {
		return votes{}, refuse(CheckHeader, "block protocol %d: this version knows %d", h.BlockVersion, BlockProtocol)
	}
	if !s.contains(h.Proposer) {
		return votes{}, refuse(CheckTrust, "the block at height %d was proposed by none of the validators trusted there: "+
			"another ledger's trust root, or a step of the path is missing", h.Height)
	}
	out := votes{validators: len(s.validators), total: s.power}
	for i, sig := range c.Signatures {
		switch {
		case int(sig.Index) >= len(s.validators):
			return votes{}, refuse(CheckCommit, "validator %d is not in the set of %d", sig.Index, len(s.validators))
		case i > 0 && sig.Index <= c.Signatures[i-1].Index:
			return votes{}, refuse(CheckCommit, "validator %d comes after %d", sig.Index, c.Signatures[i-1].Index)
		}
		val := s.validators[sig.Index]
		if !crypto.Verify(val.Key, c.SignBytes(h.Chain, h.Height, hash, sig.Time), sig.Signature) {
			return votes{}, refuse(CheckCommit, "validator %d at height %d: %w", sig.Index, h.Height, errNotSigned)
		}
		out.signed++
		out.power += val.Power
	}
	if !moreThanTwoThirds(out.power, out.total) {
		return votes{}, refuse(CheckPower, "height %d: %w: %d of %d", h.Height, ErrNotEnoughPower, out.power, out.total)
	}
	return out, nil
}

func (s validatorSet) contains(a Address) bool {
	for _, v := range s.validators {
		if v.Address() == a {
			return true
		}
	}
	return false
}
