package ledger

import (
	"errors"
	"math"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

const acknowledgementVersion = 1

// Acknowledgement is a bridge's signed word to a device: what became of one or several
// of its statements. One signature answers all that were decided together. See
// docs/spec/mqtt.md.
type Acknowledgement struct {
	Sign1    *crypto.Sign1 // the signed message; nil before SignAcknowledgement
	Chain    string
	Bridge   crypto.ID
	Outcomes []Outcome // 1 to MaxOutcomes
}

// Outcome says of one statement that the ledger has committed it (CodeOK), or refuses
// it for good (any other code).
type Outcome struct {
	Stream crypto.ID
	First  uint64   // number of the statement's first reading
	Count  uint64   // number of its readings
	Digest [32]byte // the statement's digest
	Height uint64   // where it was committed; 0 if refused
	Index  uint64   // its index in the log; 0 if refused
	Code   Code
}

// Bytes returns the signed message exactly as it was made or received.
func (a *Acknowledgement) Bytes() []byte { return a.Sign1.Bytes() }

// KeyID names the bridge's key that signed.
func (a *Acknowledgement) KeyID() crypto.KeyID { return a.Sign1.Header.KeyID }

// SignAcknowledgement signs a, of which all fields but Sign1 are set, with a
// bridge's key.
func SignAcknowledgement(k crypto.PrivateKey, a Acknowledgement) (*Acknowledgement, error) {
	return ParseAcknowledgement(crypto.NewSign1(k, crypto.Header{ContentFormat: FormatAcknowledgement}, a.payload()).Bytes())
}

func (a *Acknowledgement) payload() []byte {
	b := dcbor.AppendArray(make([]byte, 0, 80+96*len(a.Outcomes)), 4)
	b = dcbor.AppendUint(b, acknowledgementVersion)
	b = dcbor.AppendText(b, a.Chain)
	b = dcbor.AppendBytes(b, a.Bridge[:])
	b = dcbor.AppendArray(b, len(a.Outcomes))
	for i := range a.Outcomes {
		b = a.Outcomes[i].append(b)
	}
	return b
}

const outcomeFields = 7

func (o *Outcome) append(b []byte) []byte {
	b = dcbor.AppendArray(b, outcomeFields)
	b = dcbor.AppendBytes(b, o.Stream[:])
	b = dcbor.AppendUint(b, o.First)
	b = dcbor.AppendUint(b, o.Count)
	b = dcbor.AppendBytes(b, o.Digest[:])
	b = dcbor.AppendUint(b, o.Height)
	b = dcbor.AppendUint(b, o.Index)
	return dcbor.AppendUint(b, uint64(o.Code))
}

// ParseAcknowledgement decodes an acknowledgement and makes every check that
// needs only its bytes; the signature is not one of them. The result aliases b.
func ParseAcknowledgement(b []byte) (*Acknowledgement, error) {
	sign1, err := parseSign1("acknowledgement", b, MaxAcknowledgement, FormatAcknowledgement)
	if err != nil {
		return nil, err
	}
	a := &Acknowledgement{Sign1: sign1}
	r := dcbor.NewReader(sign1.Payload)
	r.ExpectArray(4)
	r.ExpectUint(acknowledgementVersion)
	a.Chain = readChain(r)
	a.Bridge = readID(r)
	n := r.Array(MaxOutcomes)
	if r.Err() == nil && n == 0 {
		r.Fail(errNoOutcome)
	}
	for range n {
		if r.Err() != nil {
			break
		}
		a.Outcomes = append(a.Outcomes, readOutcome(r))
	}
	if err := r.Done(); err != nil {
		return nil, malformed("acknowledgement", err)
	}
	return a, nil
}

var (
	errNoOutcome = errors.New("no outcome")
	errAckPlace  = errors.New("height and index are above 0 with code 0, and 0 with any other")
)

func readOutcome(r *dcbor.Reader) (o Outcome) {
	r.ExpectArray(outcomeFields)
	o.Stream = readID(r)
	o.First = readFirst(r)
	o.Count = r.Uint()
	r.Fixed(o.Digest[:])
	o.Height = readNumber(r)
	o.Index = readNumber(r)
	code := r.Uint()
	o.Code = Code(code)
	if r.Err() == nil && (o.Count == 0 || o.Count > MaxReadings) {
		r.Fail(errNoReading)
	}
	checkRun(r, o.First, o.Count)
	if r.Err() == nil && code > math.MaxUint32 {
		r.Fail(dcbor.ErrRange)
	}
	if committed := o.Code == CodeOK; committed != (o.Height != 0) || committed != (o.Index != 0) {
		r.Fail(errAckPlace)
	}
	return o
}

// Answers tells whether the outcome is that of statement s. Whoever asks has compared
// the acknowledgement's chain.
func (o *Outcome) Answers(s *Statement) bool {
	return o.Stream == s.Stream && o.First == s.First &&
		o.Count == uint64(len(s.Readings)) && o.Digest == s.Digest()
}
