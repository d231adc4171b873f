package ledger

import (
	"crypto/sha256"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// TxHash is the hash by which CometBFT names a transaction: SHA-256 of its bytes.
func TxHash(tx []byte) [32]byte { return sha256.Sum256(tx) }

// TxResult is what became of a committed transaction.
type TxResult struct {
	Height  uint64   // height of its block
	Time    int64    // the block's time, microseconds since the Unix epoch
	Code    Code     // of the transaction as a whole
	Codes   []Code   // one per statement; empty for an operation
	Indexes []uint64 // log indexes, in order, of the statements with CodeOK (or of the operation)
}

// Found is a committed statement.
type Found struct {
	Statement []byte // its exact bytes
	Height    uint64
	Index     uint64 // its place in the log
	Time      int64  // committed time, microseconds since the Unix epoch
}

const committedVersion = 1

// Committed is a committed statement as bridges publish it on a DataTopic.
type Committed struct {
	Height    uint64
	Index     uint64
	Time      int64 // committed time, microseconds since the Unix epoch
	Statement []byte
}

// Encode returns the payload of docs/spec/mqtt.md.
func (c Committed) Encode() []byte {
	b := make([]byte, 0, len(c.Statement)+34)
	b = dcbor.AppendArray(b, 5)
	b = dcbor.AppendUint(b, committedVersion)
	b = dcbor.AppendUint(b, c.Height)
	b = dcbor.AppendUint(b, c.Index)
	b = dcbor.AppendInt(b, c.Time)
	return dcbor.AppendBytes(b, c.Statement)
}

// ParseCommitted decodes the payload of a DataTopic. The statement inside is not
// checked.
func ParseCommitted(b []byte) (Committed, error) {
	var c Committed
	r := dcbor.NewReader(b)
	r.ExpectArray(5)
	r.ExpectUint(committedVersion)
	c.Height = readNumber(r)
	c.Index = readNumber(r)
	c.Time = r.Int()
	c.Statement = r.Bytes(MaxStatement)
	if err := r.Done(); err != nil {
		return Committed{}, malformed("committed statement", err)
	}
	return c, nil
}

// readNumber reads a height, an index or a reading number.
func readNumber(r *dcbor.Reader) uint64 {
	v := r.Uint()
	if v > MaxNumber {
		r.Fail(dcbor.ErrRange)
		return 0
	}
	return v
}

func readID(r *dcbor.Reader) (id crypto.ID) {
	r.Fixed(id[:])
	return id
}
