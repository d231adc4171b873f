package proof

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// Claim is what a certificate proves: readings First..Last of a stream.
type Claim struct {
	Stream      crypto.ID
	First, Last uint64
}

// Certificate is the parsed form of a certificate file.
type Certificate struct {
	Claim  Claim
	Entry  []byte // the statement, as signed
	Height uint64 // at which the entry was committed
	Index  uint64 // of the entry in the log
	Size   uint64 // of the log in the proven state
	// LogPath leads from the entry to the log's root, as merkle.InclusionProof
	// returns it.
	LogPath []merkle.Hash
	// Records is the partial tree of the records that reveals the rows of
	// [RecordQueries], as merkle.Prove returns it.
	Records []byte
	// Light is the header over the proven state (Height+1 or later) with votes.
	// Chain, ValidatorsHash and AppHash of its header are not part of the file:
	// they follow from the rest and from the trust root.
	Light LightBlock
	// Path leads from the pinned validator set to the one that signed Light:
	// one step for each change of the set between.
	Path []PathStep
}

// PathStep is a light block signed by the validator set before a change, and the
// sorted set after it. Chain, ValidatorsHash and NextValidatorsHash of its
// header are not part of the file.
type PathStep struct {
	Light      LightBlock
	Validators []Validator
}

// Encode writes the certificate as a file.
func (c *Certificate) Encode() []byte { return nil }

// Parse reads a certificate file and checks its form, limits and checksum, not
// what it proves. What it accepts, [Certificate.Encode] writes again byte for
// byte. The result aliases file.
func Parse(file []byte) (*Certificate, error) {
	return nil, refuse(CheckShape, "not yet")
}
