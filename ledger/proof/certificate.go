package proof

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
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
	// Records is the partial tree of the records that answers [RecordQueries],
	// as merkle.Prove returns it.
	Records []byte
	// Light is the header over the proven state, at a height above Height, with
	// votes. Chain, ValidatorsHash and AppHash of its header are not part of the
	// file: they follow from the rest and from the trust root.
	Light LightBlock
	// Path leads from the pinned validator set to the one that signed Light:
	// one step for each change of the set between.
	Path []PathStep
}

// PathStep is a light block signed by the validator set before a change, and the
// sorted set after it, which signs from the next height on. Chain,
// ValidatorsHash and NextValidatorsHash of its header are not part of the file.
type PathStep struct {
	Light      LightBlock
	Validators []Validator
}

// RecordQueries returns the questions that the records of a certificate answer:
// the device's key, the stream's owner at the height and the row of the block.
func RecordQueries(device crypto.ID, kid crypto.KeyID, stream crypto.ID, height uint64) []merkle.Query {
	oldest, _ := record.Range(record.FamilyOwner, stream)
	return []merkle.Query{
		merkle.GetQuery(record.KeyRow(device, kid)),
		merkle.PredecessorQuery(oldest, record.OwnerRow(stream, height)),
		merkle.GetQuery(record.BlockRow(height)),
	}
}

// Encode writes the certificate as a file. It checks nothing.
func (c *Certificate) Encode() []byte {
	b := make([]byte, 0, 1024+len(c.Entry)+len(c.Records)+len(c.LogPath)*34)
	return seal(c.appendBody(b))
}

// Parse reads a certificate file and checks its form, limits and checksum, not
// what it proves. What it accepts, [Certificate.Encode] writes again byte for
// byte. The result aliases file, which must not be changed while it is in use.
// The error is a [*Refusal] of [CheckShape] or [CheckChecksum].
func Parse(file []byte) (*Certificate, error) {
	body, err := certificateFrame.open(file)
	if err != nil {
		return nil, err
	}
	c, err := parseBody(body)
	if err != nil {
		return nil, &Refusal{Check: CheckShape, Err: err}
	}
	return c, nil
}
