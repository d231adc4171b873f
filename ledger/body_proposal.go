package ledger

import (
	"errors"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// Propose puts an operation to those who must agree to it, and is the first
// agreement: of the actor, an organisation, by the key that signs. Its id is
// MadeID of the operation's digest.
type Propose struct {
	Expires int64 // seconds since the Unix epoch after which it can be approved no more
	Body    Body  // what is done, with the proposer as actor; not itself a Propose, Approve or Equivocation
}

// Approve agrees to a proposal, by one key of the actor, an organisation.
type Approve struct{ Proposal crypto.ID }

// Kind returns KindPropose.
func (Propose) Kind() Kind { return KindPropose }

// Kind returns KindApprove.
func (Approve) Kind() Kind { return KindApprove }

func (o Propose) append(b []byte) []byte {
	b = dcbor.AppendInt(appendKind(b, 3, KindPropose), o.Expires)
	return dcbor.AppendBytes(b, EncodeBody(o.Body))
}

func (o Approve) append(b []byte) []byte {
	return dcbor.AppendBytes(appendKind(b, 2, KindApprove), o.Proposal[:])
}

// EncodeBody returns the bytes of a body, which stand in a proposal.
func EncodeBody(body Body) []byte {
	if body == nil {
		return nil // refused when it is parsed
	}
	return body.append(nil)
}

// ParseBody decodes the body that a proposal carries. The result aliases b.
func ParseBody(b []byte) (Body, error) {
	r := dcbor.NewReader(b)
	body := readBody(r)
	if err := r.Done(); err != nil {
		return nil, malformed("body", err)
	}
	if needsNoProposal(body.Kind()) {
		return nil, malformed("body", errNotProposed)
	}
	return body, nil
}

// needsNoProposal tells whether one key is enough for a kind, whoever it belongs to.
func needsNoProposal(kind Kind) bool {
	switch kind {
	case KindPropose, KindApprove, KindEquivocation, KindEnrolListed:
		return true
	}
	return false
}

var errNotProposed = errors.New("an operation of this kind needs no proposal")

// Proposed returns the body of a proposal, or else the body itself.
func Proposed(body Body) Body {
	if p, ok := body.(Propose); ok {
		return p.Body
	}
	return body
}

func readProposalBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindPropose && n == 3:
		body := Propose{Expires: int64(readNumber(r))}
		inner := r.Bytes(MaxOperation)
		if r.Err() == nil {
			var err error
			if err = checkProposedKind(inner); err == nil {
				body.Body, err = ParseBody(inner)
			}
			r.Fail(err)
		}
		return body
	case kind == KindApprove && n == 2:
		return Approve{Proposal: readID(r)}
	}
	return nil
}

// checkProposedKind refuses a proposal within a proposal before it is read, so that
// reading never nests deeper.
func checkProposedKind(b []byte) error {
	r := dcbor.NewReader(b)
	r.Array(anyLength)
	if kind := Kind(r.Uint()); r.Err() == nil && needsNoProposal(kind) {
		return malformed("body", errNotProposed)
	}
	return nil
}
