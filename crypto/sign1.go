package crypto

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"mtmledger/internal/dcbor"
)

// Bounds of a COSE_Sign1. Kinds of messages have tighter ones of their own.
const (
	// MaxSign1Size is the largest message, in bytes: a transaction's limit.
	MaxSign1Size = 524_288
	// MaxContentFormat is the largest CoAP content format (RFC 7252 section 12.3).
	MaxContentFormat = 65_535
)

// Labels and values of the protected header.
const (
	labelAlgorithm   = 1 // RFC 9052 section 3.1
	labelContentType = 3
	labelKeyID       = 4
	labelClaims      = 15 // RFC 9597
	claimIssuer      = 1  // RFC 8392
	claimSubject     = 2
	algorithmEdDSA   = -8 // RFC 9053 section 2.2

	headerPairs       = 3 // algorithm, content type, key id
	headerPairsClaims = 4 // and claims

	// The protected header has at most 67 bytes; Sig_structure's other parts
	// at most 20.
	maxProtected    = 67
	sigStructureMax = 20
)

// sigContext is the context string of a COSE_Sign1's Sig_structure.
const sigContext = "Signature1"

// ErrBadSign1 is returned for bytes that are not a COSE_Sign1 of the one form
// that the ledger knows.
var ErrBadSign1 = errors.New("crypto: malformed COSE_Sign1")

// ErrSign1Size is returned for a COSE_Sign1 above [MaxSign1Size].
var ErrSign1Size = fmt.Errorf("crypto: COSE_Sign1 larger than %d bytes", MaxSign1Size)

// Header is the protected header of a COSE_Sign1. The algorithm is always EdDSA.
type Header struct {
	ContentFormat uint64 // CoAP content format of the payload, 0..65535
	KeyID         KeyID  // names the signing key among those of one principal
	HasClaims     bool   // whether Issuer and Subject are there: statements only
	Issuer        ID     // CWT claim iss: the device
	Subject       ID     // CWT claim sub: the stream
}

// Sign1 is one COSE_Sign1 (RFC 9052 section 4.2), tagged, of this form only
// (docs/spec/signatures.md):
//
//	18([ bstr protected, {}, bstr payload, bstr64 signature ])
//	protected = { 1: -8, 3: content format, 4: key id, ? 15: {1: iss, 2: sub} }
//
// There is exactly one encoding of it. Its slices may alias the bytes it was
// parsed from, which must not be changed as long as it is used.
type Sign1 struct {
	Header    Header
	Protected []byte // the protected header as signed
	Payload   []byte
	Signature Signature

	raw []byte
}

// ParseSign1 reads a COSE_Sign1 and keeps its bytes, which it does not copy.
// What it accepts, [NewSign1] would encode to the same bytes. It does not verify
// the signature. Errors wrap [ErrBadSign1] or [ErrSign1Size].
func ParseSign1(b []byte) (*Sign1, error) {
	if len(b) > MaxSign1Size {
		return nil, ErrSign1Size
	}
	s := Sign1{raw: b}
	r := dcbor.NewReader(b)
	r.ExpectTag(dcbor.TagSign1)
	r.ExpectArray(4)
	s.Protected = r.Bytes(maxProtected)
	r.ExpectMap(0)
	s.Payload = r.Bytes(MaxSign1Size)
	r.Fixed(s.Signature[:])
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSign1, err)
	}
	if err := s.Header.parse(s.Protected); err != nil {
		return nil, fmt.Errorf("%w: protected header: %w", ErrBadSign1, err)
	}
	return &s, nil
}

// parse reads a protected header. The labels stand in the only order that
// deterministic encoding allows.
func (h *Header) parse(b []byte) error {
	r := dcbor.NewReader(b)
	n := r.Map(headerPairsClaims)
	r.ExpectUint(labelAlgorithm)
	if alg := r.Int(); alg != algorithmEdDSA {
		r.Fail(dcbor.ErrValue)
	}
	r.ExpectUint(labelContentType)
	h.ContentFormat = r.Uint()
	if h.ContentFormat > MaxContentFormat {
		r.Fail(dcbor.ErrRange)
	}
	r.ExpectUint(labelKeyID)
	r.Fixed(h.KeyID[:])
	switch n {
	case headerPairs:
	case headerPairsClaims:
		h.parseClaims(r)
	default:
		r.Fail(dcbor.ErrLength)
	}
	return r.Done()
}

func (h *Header) parseClaims(r *dcbor.Reader) {
	h.HasClaims = true
	r.ExpectUint(labelClaims)
	r.ExpectMap(2)
	r.ExpectUint(claimIssuer)
	readID(r, &h.Issuer)
	r.ExpectUint(claimSubject)
	readID(r, &h.Subject)
}

func readID(r *dcbor.Reader, id *ID) {
	text := r.TextBytes(idTextSize)
	if r.Err() != nil {
		return
	}
	if err := id.UnmarshalText(text); err != nil {
		r.Fail(err)
	}
}

// append encodes the header. The result has at most maxProtected bytes.
func (h *Header) append(b []byte) []byte {
	pairs := headerPairs
	if h.HasClaims {
		pairs = headerPairsClaims
	}
	b = dcbor.AppendMap(b, pairs)
	b = dcbor.AppendUint(b, labelAlgorithm)
	b = dcbor.AppendInt(b, algorithmEdDSA)
	b = dcbor.AppendUint(b, labelContentType)
	b = dcbor.AppendUint(b, h.ContentFormat)
	b = dcbor.AppendUint(b, labelKeyID)
	b = dcbor.AppendBytes(b, h.KeyID[:])
	if !h.HasClaims {
		return b
	}
	b = dcbor.AppendUint(b, labelClaims)
	b = dcbor.AppendMap(b, 2)
	b = dcbor.AppendUint(b, claimIssuer)
	b = dcbor.AppendText(b, h.Issuer.String())
	b = dcbor.AppendUint(b, claimSubject)
	return dcbor.AppendText(b, h.Subject.String())
}

// NewSign1 signs payload with k. The header's key id is set to that of k. The
// caller keeps to the bounds: ParseSign1 refuses a content format above
// [MaxContentFormat] and a message above [MaxSign1Size].
func NewSign1(k PrivateKey, h Header, payload []byte) *Sign1 {
	h.KeyID = k.Public().KeyID()
	if !h.HasClaims {
		h.Issuer, h.Subject = ID{}, ID{}
	}
	protected := h.append(make([]byte, 0, maxProtected))
	s := Sign1{Header: h, Protected: protected, Payload: payload}
	s.Signature = k.Sign(s.SigStructure())

	b := make([]byte, 0, len(payload)+len(protected)+maxSign1Heads)
	b = dcbor.AppendTag(b, dcbor.TagSign1)
	b = dcbor.AppendArray(b, 4)
	b = dcbor.AppendBytes(b, protected)
	b = dcbor.AppendMap(b, 0)
	b = dcbor.AppendBytes(b, payload)
	payloadEnd := len(b)
	s.raw = dcbor.AppendBytes(b, s.Signature[:])
	// All slices alias the one encoding, so the caller may reuse its payload.
	s.Payload = s.raw[payloadEnd-len(payload) : payloadEnd : payloadEnd]
	return &s
}

// maxSign1Heads bounds what a COSE_Sign1 has besides header and payload: tag,
// array, the heads of its four items, and the signature.
const maxSign1Heads = 1 + 1 + 2 + 1 + 9 + 2 + 64

// Bytes returns the message as received or made. It must not be changed.
func (s *Sign1) Bytes() []byte { return s.raw }

// SigStructure returns what is signed (RFC 9052 section 4.4), in a new slice:
//
//	[ "Signature1", bstr protected, h'' (external_aad), bstr payload ]
func (s *Sign1) SigStructure() []byte {
	return s.appendSigStructure(make([]byte, 0, sigStructureMax+len(s.Protected)+len(s.Payload)))
}

func (s *Sign1) appendSigStructure(b []byte) []byte {
	b = dcbor.AppendArray(b, 4)
	b = dcbor.AppendText(b, sigContext)
	b = dcbor.AppendBytes(b, s.Protected)
	b = dcbor.AppendBytes(b, nil)
	return dcbor.AppendBytes(b, s.Payload)
}

// smallMessage is up to how many bytes a Sig_structure is built on the stack.
const smallMessage = 1024

// Digest returns SHA-256 of the Sig_structure: the identity of what was signed,
// whatever the signature's bytes.
func (s *Sign1) Digest() [32]byte {
	var buf [smallMessage]byte
	return sha256.Sum256(s.appendSigStructure(buf[:0]))
}

// Verify reports whether the signature is by p, under the one rule of [Verify].
func (s *Sign1) Verify(p PublicKey) bool {
	var buf [smallMessage]byte
	return Verify(p, s.appendSigStructure(buf[:0]), s.Signature)
}

// Item returns the signature, by p, for a [Verifier].
func (s *Sign1) Item(p PublicKey) Item {
	return Item{Key: p, Message: s.SigStructure(), Signature: s.Signature}
}
