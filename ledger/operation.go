package ledger

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

const (
	operationVersion  = 1
	possessionVersion = 1
)

// Kind is the kind of an operation.
type Kind uint64

// The kinds. Numbers never change; new ones are added at the end.
const (
	KindEnrolDevice     Kind = 1
	KindOpenStream      Kind = 2
	KindEnrolBridge     Kind = 3
	KindRotate          Kind = 4
	KindSuspend         Kind = 5
	KindResume          Kind = 6
	KindRetire          Kind = 7
	KindCompromise      Kind = 8
	KindTransferDevice  Kind = 9
	KindDescribe        Kind = 10
	KindTransferStream  Kind = 11
	KindCloseStream     Kind = 12
	KindGrant           Kind = 13
	KindRevoke          Kind = 14
	KindDeliver         Kind = 15
	KindEquivocation    Kind = 16
	KindPropose         Kind = 17
	KindApprove         Kind = 18
	KindAdmit           Kind = 19
	KindRemove          Kind = 20
	KindValidator       Kind = 21
	KindSetParameters   Kind = 22
	KindSetAdmins       Kind = 23
	KindEnrolDevices    Kind = 24
	KindRotateValidator Kind = 25
	KindRemoveBridge    Kind = 26
	KindManifest        Kind = 27
	KindEnrolListed     Kind = 28
	KindCloseManifest   Kind = 29
)

var kindNames = [...]string{
	KindEnrolDevice:     "enrol_device",
	KindOpenStream:      "open_stream",
	KindEnrolBridge:     "enrol_bridge",
	KindRotate:          "rotate",
	KindSuspend:         "suspend",
	KindResume:          "resume",
	KindRetire:          "retire",
	KindCompromise:      "compromise",
	KindTransferDevice:  "transfer_device",
	KindDescribe:        "describe",
	KindTransferStream:  "transfer_stream",
	KindCloseStream:     "close_stream",
	KindGrant:           "grant",
	KindRevoke:          "revoke",
	KindDeliver:         "deliver",
	KindEquivocation:    "equivocation",
	KindPropose:         "propose",
	KindApprove:         "approve",
	KindAdmit:           "admit",
	KindRemove:          "remove",
	KindValidator:       "validator",
	KindSetParameters:   "set_parameters",
	KindSetAdmins:       "set_admins",
	KindEnrolDevices:    "enrol_devices",
	KindRotateValidator: "rotate_validator",
	KindRemoveBridge:    "remove_bridge",
	KindManifest:        "manifest",
	KindEnrolListed:     "enrol_listed",
	KindCloseManifest:   "close_manifest",
}

// String returns the kind's name.
func (k Kind) String() string {
	if k > 0 && k < Kind(len(kindNames)) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind_%d", uint64(k))
}

// Body is what an operation does: one type for each Kind.
type Body interface {
	Kind() Kind
	append(b []byte) []byte
}

// EnrolDevice makes a device known, with its first key. The actor is the
// organisation that will own it.
type EnrolDevice struct{ Possession *Possession }

// EnrolBridge makes a bridge known, with its key. The actor is the organisation
// that answers for it.
type EnrolBridge struct{ Possession *Possession }

// OpenStream begins a stream of a device. The actor is the device itself or the
// organisation that owns it.
type OpenStream struct {
	Device crypto.ID
	Name   string // see CheckName
}

// Kind returns KindEnrolDevice.
func (EnrolDevice) Kind() Kind { return KindEnrolDevice }

// Kind returns KindEnrolBridge.
func (EnrolBridge) Kind() Kind { return KindEnrolBridge }

// Kind returns KindOpenStream.
func (OpenStream) Kind() Kind { return KindOpenStream }

// DeviceID is the id that the device gets.
func (e EnrolDevice) DeviceID() crypto.ID { return DeviceID(e.Possession.Key) }

// BridgeID is the id that the bridge gets.
func (e EnrolBridge) BridgeID() crypto.ID { return BridgeID(e.Possession.Key) }

// Operation is a signed change of the records. See docs/spec/operation.md.
type Operation struct {
	Sign1    *crypto.Sign1 // the signed message; nil before SignOperation
	Chain    string
	Actor    crypto.ID // who acts: an organisation or a device
	NotAfter int64     // seconds since the Unix epoch after which it counts no more
	Body     Body
}

// Bytes returns the signed message exactly as it was made or received.
func (o *Operation) Bytes() []byte { return o.Sign1.Bytes() }

// Digest is the operation's identity: SHA-256 of the Sig_structure.
func (o *Operation) Digest() [32]byte { return o.Sign1.Digest() }

// KeyID names the key that signed.
func (o *Operation) KeyID() crypto.KeyID { return o.Sign1.Header.KeyID }

// SignOperation signs o, of which all fields but Sign1 are set, with a key of
// the actor.
func SignOperation(k crypto.PrivateKey, o Operation) (*Operation, error) {
	if o.Body == nil {
		return nil, Errorf(CodeMalformed, "operation has no body")
	}
	return ParseOperation(crypto.NewSign1(k, crypto.Header{ContentFormat: FormatOperation}, o.payload()).Bytes())
}

func (o *Operation) payload() []byte {
	b := dcbor.AppendArray(make([]byte, 0, 512), 5)
	b = dcbor.AppendUint(b, operationVersion)
	b = dcbor.AppendText(b, o.Chain)
	b = dcbor.AppendBytes(b, o.Actor[:])
	b = dcbor.AppendInt(b, o.NotAfter)
	return o.Body.append(b)
}

// ParseOperation decodes an operation and makes every check that needs only its
// bytes; no signature is one of them. The result aliases b.
func ParseOperation(b []byte) (*Operation, error) {
	if len(b) > MaxEvidence {
		return nil, tooLargeOperation(b)
	}
	sign1, err := parseSign1("operation", b, MaxEvidence, FormatOperation)
	switch {
	case err == nil:
		return operationFrom(sign1)
	case len(b) > MaxOperation:
		return nil, tooLargeOperation(b)
	}
	return nil, err
}

func tooLargeOperation(b []byte) error {
	return Errorf(CodeTooLarge, "operation of %d bytes, at most %d, with evidence %d", len(b), MaxOperation, MaxEvidence)
}

// operationFrom decodes the payload. Only an operation that shows two statements
// may be larger than MaxOperation.
func operationFrom(sign1 *crypto.Sign1) (*Operation, error) {
	o, err := decodeOperation(sign1)
	if len(sign1.Bytes()) > MaxOperation && (err != nil || o.Body.Kind() != KindEquivocation) {
		return nil, tooLargeOperation(sign1.Bytes())
	}
	return o, err
}

func decodeOperation(sign1 *crypto.Sign1) (*Operation, error) {
	o := &Operation{Sign1: sign1}
	r := dcbor.NewReader(sign1.Payload)
	r.ExpectArray(5)
	r.ExpectUint(operationVersion)
	o.Chain = readChain(r)
	o.Actor = readID(r)
	o.NotAfter = int64(readNumber(r))
	o.Body = readBody(r)
	if err := r.Done(); err != nil {
		return nil, malformed("operation payload", err)
	}
	return o, o.checkPossessions()
}

// bodyReaders read the bodies of the kinds of one file each.
var bodyReaders = []func(r *dcbor.Reader, kind Kind, n int) Body{
	readDeviceBody,
	readOwnershipBody,
	readGrantBody,
	readEvidenceBody,
	readManifestBody,
	readMemberBody,
	readValidatorBody,
	readParametersBody,
	readBridgeBody,
}

func readBody(r *dcbor.Reader) Body {
	n := r.Array(anyLength)
	kind := Kind(r.Uint())
	switch {
	case r.Err() != nil:
	case kind == KindEnrolDevice && n == 2:
		return EnrolDevice{Possession: readPossession(r)}
	case kind == KindEnrolBridge && n == 2:
		return EnrolBridge{Possession: readPossession(r)}
	case kind == KindOpenStream && n == 3:
		body := OpenStream{Device: readID(r), Name: r.Text(MaxName)}
		if r.Err() == nil {
			r.Fail(CheckName(body.Name))
		}
		return body
	default:
		if body := readProposalBody(r, kind, n); body != nil {
			return body
		}
		for _, read := range bodyReaders {
			if body := read(r, kind, n); body != nil {
				return body
			}
		}
		r.Fail(fmt.Errorf("no operation of %v has %d elements: %w", kind, n, dcbor.ErrValue))
	}
	return nil
}

func (e EnrolDevice) append(b []byte) []byte { return appendEnrol(b, KindEnrolDevice, e.Possession) }

func (e EnrolBridge) append(b []byte) []byte { return appendEnrol(b, KindEnrolBridge, e.Possession) }

func appendEnrol(b []byte, k Kind, p *Possession) []byte {
	return appendPossession(dcbor.AppendUint(dcbor.AppendArray(b, 2), uint64(k)), p)
}

func appendPossession(b []byte, p *Possession) []byte {
	if p == nil || p.Sign1 == nil {
		return dcbor.AppendBytes(b, nil) // refused when it is parsed
	}
	return dcbor.AppendBytes(b, p.Bytes())
}

func (o OpenStream) append(b []byte) []byte {
	b = dcbor.AppendUint(dcbor.AppendArray(b, 3), uint64(KindOpenStream))
	b = dcbor.AppendBytes(b, o.Device[:])
	return dcbor.AppendText(b, o.Name)
}

// Possessions returns the proofs of possession that a body carries, in order.
func Possessions(body Body) []*Possession {
	switch v := body.(type) {
	case Propose:
		return Possessions(v.Body)
	case Admit:
		return []*Possession{v.Possession}
	case RotateValidator:
		return []*Possession{v.Possession}
	case EnrolDevice:
		return []*Possession{v.Possession}
	case EnrolBridge:
		return []*Possession{v.Possession}
	case Rotate:
		return []*Possession{v.Possession}
	case EnrolDevices:
		return v.Possessions
	case EnrolListed:
		return v.possessions()
	}
	return nil
}

// checkPossessions checks that the proofs of possession were made for this
// operation. Who owns the device of a rotation, or signed a manifest, only the records
// know.
func (o *Operation) checkPossessions() error {
	elsewhere := false // only the body or the records know for whom the proof is
	switch Proposed(o.Body).(type) {
	case Rotate, Admit, EnrolListed:
		elsewhere = true
	}
	seen := make(map[crypto.PublicKey]bool)
	for _, p := range Possessions(o.Body) {
		if p.Chain != o.Chain || (p.Organisation != o.Actor && !elsewhere) {
			return Errorf(CodeBadPossession, "the proof of possession is for organisation %v on chain %q", p.Organisation, p.Chain)
		}
		if seen[p.Key] {
			return Errorf(CodeExists, "key %v stands twice", p.Key)
		}
		seen[p.Key] = true
	}
	return nil
}

// Possession proves that whoever enrols a key holds it: the key signs the chain,
// the organisation and itself.
type Possession struct {
	Sign1        *crypto.Sign1
	Chain        string
	Organisation crypto.ID
	Key          crypto.PublicKey
}

// Bytes returns the signed message exactly as it was made or received.
func (p *Possession) Bytes() []byte { return p.Sign1.Bytes() }

// Verify tells whether the proof's signature is by its own key.
func (p *Possession) Verify() bool { return p.Sign1.Verify(p.Key) }

// SignPossession proves possession of k to an organisation on a chain.
func SignPossession(k crypto.PrivateKey, chain string, organisation crypto.ID) (*Possession, error) {
	p := Possession{Chain: chain, Organisation: organisation, Key: k.Public()}
	return ParsePossession(crypto.NewSign1(k, crypto.Header{ContentFormat: FormatPossession}, p.payload()).Bytes())
}

func (p *Possession) payload() []byte {
	b := dcbor.AppendArray(make([]byte, 0, 128), 4)
	b = dcbor.AppendUint(b, possessionVersion)
	b = dcbor.AppendText(b, p.Chain)
	b = dcbor.AppendBytes(b, p.Organisation[:])
	return dcbor.AppendBytes(b, p.Key[:])
}

// ParsePossession decodes a proof of possession and makes every check that needs
// only its bytes: the key must be fit for enrolment (crypto.CheckEnrolment) and
// the key id must be its own. The signature is not checked. The result aliases b.
func ParsePossession(b []byte) (*Possession, error) {
	sign1, err := parseSign1("proof of possession", b, MaxPossession, FormatPossession)
	if err != nil {
		return nil, err
	}
	p := &Possession{Sign1: sign1}
	r := dcbor.NewReader(sign1.Payload)
	r.ExpectArray(4)
	r.ExpectUint(possessionVersion)
	p.Chain = readChain(r)
	p.Organisation = readID(r)
	r.Fixed(p.Key[:])
	if err := r.Done(); err != nil {
		return nil, malformed("proof of possession", err)
	}
	if p.Key.KeyID() != sign1.Header.KeyID {
		return nil, Errorf(CodeBadPossession, "the proof's key id is not that of its key")
	}
	if err := crypto.CheckEnrolment(p.Key); err != nil {
		return nil, Errorf(CodeBadKey, "key %v: %w", p.Key, err)
	}
	return p, nil
}

func readPossession(r *dcbor.Reader) *Possession {
	b := r.Bytes(MaxPossession)
	if r.Err() != nil {
		return nil
	}
	p, err := ParsePossession(b)
	r.Fail(err)
	return p
}

func readChain(r *dcbor.Reader) string {
	chain := r.Text(MaxChain)
	if r.Err() == nil {
		r.Fail(CheckChain(chain))
	}
	return chain
}
