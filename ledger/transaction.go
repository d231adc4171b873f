package ledger

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

const batchVersion = 1

// Batch carries statements to the ledger, signed by a bridge. See
// docs/spec/transaction.md.
type Batch struct {
	Sign1    *crypto.Sign1 // the signed message; nil before SignBatch
	Chain    string
	Bridge   crypto.ID
	Attempt  uint64   // how often these statements were sent before
	Received int64    // when the bridge received the last of them, microseconds since the Unix epoch
	Raw      [][]byte // the statements' bytes, 1..MaxStatements, not checked
}

// Bytes returns the signed message exactly as it was made or received.
func (t *Batch) Bytes() []byte { return t.Sign1.Bytes() }

// KeyID names the bridge's key that signed.
func (t *Batch) KeyID() crypto.KeyID { return t.Sign1.Header.KeyID }

// Len is the number of statements.
func (t *Batch) Len() int { return len(t.Raw) }

// Parse decodes statement i. A statement that cannot be decoded is refused with
// its error's code and does not disturb the others.
func (t *Batch) Parse(i int) (*Statement, error) { return ParseStatement(t.Raw[i]) }

// Transaction is what CometBFT orders: a batch or an operation. Exactly one
// field is set.
type Transaction struct {
	Batch     *Batch
	Operation *Operation
}

// Sign1 returns the signed message.
func (t *Transaction) Sign1() *crypto.Sign1 {
	if t.Batch != nil {
		return t.Batch.Sign1
	}
	return t.Operation.Sign1
}

// Chain returns the chain id that the transaction is for.
func (t *Transaction) Chain() string {
	if t.Batch != nil {
		return t.Batch.Chain
	}
	return t.Operation.Chain
}

// BatchOverhead is how many bytes a batch has besides its statements, at most;
// each statement adds its length and at most 3 bytes.
const BatchOverhead = 256

// SignBatch signs statements with a bridge's key.
func SignBatch(k crypto.PrivateKey, chain string, bridge crypto.ID, attempt uint64, received int64, raws [][]byte) (*Batch, error) {
	batch := Batch{Chain: chain, Bridge: bridge, Attempt: attempt, Received: received, Raw: raws}
	t, err := ParseTransaction(crypto.NewSign1(k, crypto.Header{ContentFormat: FormatBatch}, batch.payload()).Bytes())
	if err != nil {
		return nil, err
	}
	return t.Batch, nil
}

func (t *Batch) payload() []byte {
	size := BatchOverhead
	for _, raw := range t.Raw {
		size += len(raw) + 3
	}
	b := dcbor.AppendArray(make([]byte, 0, size), 6)
	b = dcbor.AppendUint(b, batchVersion)
	b = dcbor.AppendText(b, t.Chain)
	b = dcbor.AppendBytes(b, t.Bridge[:])
	b = dcbor.AppendUint(b, t.Attempt)
	b = dcbor.AppendInt(b, t.Received)
	b = dcbor.AppendArray(b, len(t.Raw))
	for _, raw := range t.Raw {
		b = dcbor.AppendBytes(b, raw)
	}
	return b
}

// ParseTransaction decodes the bytes that CometBFT orders and makes every check
// that needs only them, down to the statements of a batch but not into them.
// Signatures are not checked. The result aliases b.
func ParseTransaction(b []byte) (*Transaction, error) {
	if len(b) > MaxTransaction {
		return nil, Errorf(CodeTooLarge, "transaction of %d bytes, at most %d", len(b), MaxTransaction)
	}
	sign1, err := crypto.ParseSign1(b)
	if err != nil {
		return nil, Errorf(CodeMalformed, "transaction: %w", err)
	}
	switch f := sign1.Header.ContentFormat; f {
	case FormatOperation:
		return operationTransaction(b, sign1)
	case FormatBatch:
		return batchTransaction(sign1)
	default:
		return nil, malformed("transaction", fmt.Errorf("content format %d is neither an operation's nor a batch's: %w", f, errHeader))
	}
}

func operationTransaction(b []byte, sign1 *crypto.Sign1) (*Transaction, error) {
	if len(b) > MaxEvidence {
		return nil, tooLargeOperation(b)
	}
	if err := checkHeader("operation", sign1, FormatOperation); err != nil {
		return nil, err
	}
	o, err := operationFrom(sign1)
	if err != nil {
		return nil, err
	}
	return &Transaction{Operation: o}, nil
}

func batchTransaction(sign1 *crypto.Sign1) (*Transaction, error) {
	if err := checkHeader("transaction", sign1, FormatBatch); err != nil {
		return nil, err
	}
	t := &Batch{Sign1: sign1}
	r := dcbor.NewReader(sign1.Payload)
	r.ExpectArray(6)
	r.ExpectUint(batchVersion)
	t.Chain = readChain(r)
	t.Bridge = readID(r)
	t.Attempt = readNumber(r)
	t.Received = r.Int()
	n := r.Array(MaxStatements)
	if r.Err() == nil && n == 0 {
		r.Fail(errNoStatement)
	}
	if r.Err() == nil {
		t.Raw = make([][]byte, n)
		for i := range t.Raw {
			t.Raw[i] = r.Bytes(MaxTransaction)
		}
	}
	if err := r.Done(); err != nil {
		return nil, malformed("transaction payload", err)
	}
	return &Transaction{Batch: t}, nil
}

var errNoStatement = fmt.Errorf("a transaction has 1 to %d statements", MaxStatements)
