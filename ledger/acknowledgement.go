package ledger

import (
	"errors"
	"math"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

const acknowledgementVersion = 1

// Acknowledgement is a bridge's signed word to a device: the ledger has
// committed this statement (CodeOK), or refuses it for good (any other code).
// See docs/spec/mqtt.md.
type Acknowledgement struct {
	Sign1  *crypto.Sign1 // the signed message; nil before SignAcknowledgement
	Chain  string
	Bridge crypto.ID
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
	b := dcbor.AppendArray(make([]byte, 0, 192), 10)
	b = dcbor.AppendUint(b, acknowledgementVersion)
	b = dcbor.AppendText(b, a.Chain)
	b = dcbor.AppendBytes(b, a.Bridge[:])
	b = dcbor.AppendBytes(b, a.Stream[:])
	b = dcbor.AppendUint(b, a.First)
	b = dcbor.AppendUint(b, a.Count)
	b = dcbor.AppendBytes(b, a.Digest[:])
	b = dcbor.AppendUint(b, a.Height)
	b = dcbor.AppendUint(b, a.Index)
	return dcbor.AppendUint(b, uint64(a.Code))
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
	r.ExpectArray(10)
	r.ExpectUint(acknowledgementVersion)
	a.Chain = readChain(r)
	a.Bridge = readID(r)
	a.Stream = readID(r)
	a.First = readFirst(r)
	a.Count = r.Uint()
	r.Fixed(a.Digest[:])
	a.Height = readNumber(r)
	a.Index = readNumber(r)
	code := r.Uint()
	a.Code = Code(code)
	if r.Err() == nil && (a.Count == 0 || a.Count > MaxReadings) {
		r.Fail(errNoReading)
	}
	checkRun(r, a.First, a.Count)
	if r.Err() == nil && code > math.MaxUint32 {
		r.Fail(dcbor.ErrRange)
	}
	if committed := a.Code == CodeOK; committed != (a.Height != 0) || committed != (a.Index != 0) {
		r.Fail(errAckPlace)
	}
	if err := r.Done(); err != nil {
		return nil, malformed("acknowledgement", err)
	}
	return a, nil
}

var errAckPlace = errors.New("height and index are above 0 with code 0, and 0 with any other")

// Answers tells whether the acknowledgement is about statement s of a chain.
func (a *Acknowledgement) Answers(chain string, s *Statement) bool {
	return a.Chain == chain && a.Stream == s.Stream && a.First == s.First &&
		a.Count == uint64(len(s.Readings)) && a.Digest == s.Digest()
}
