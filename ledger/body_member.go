package ledger

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// Admit makes an organisation a member, by a vote of the members.
type Admit struct {
	Name       string             // see CheckName
	Keys       []crypto.PublicKey // its admin keys, 1..MaxAdminKeys, none twice
	Threshold  uint64             // how many of them must sign, 1..len(Keys)
	Possession *Possession        // of the first key, for the id of the new organisation
}

// OrganisationID is the id that the organisation gets.
func (a Admit) OrganisationID() crypto.ID { return OrganisationID(a.Keys[0]) }

// Remove ends an organisation's membership for ever, by a vote of the members.
type Remove struct{ Organisation crypto.ID }

// SetAdmins replaces the admin keys of the actor, an organisation. A key that stands in
// both lists stays; one that was replaced never comes back.
type SetAdmins struct {
	Keys      []crypto.PublicKey // 1..MaxAdminKeys, none twice
	Threshold uint64             // 1..len(Keys)
}

// Kind returns KindAdmit.
func (Admit) Kind() Kind { return KindAdmit }

// Kind returns KindRemove.
func (Remove) Kind() Kind { return KindRemove }

// Kind returns KindSetAdmins.
func (SetAdmins) Kind() Kind { return KindSetAdmins }

func (a Admit) append(b []byte) []byte {
	b = dcbor.AppendText(appendKind(b, 5, KindAdmit), a.Name)
	b = appendAdmins(b, a.Keys, a.Threshold)
	return appendPossession(b, a.Possession)
}

func (o Remove) append(b []byte) []byte {
	return dcbor.AppendBytes(appendKind(b, 2, KindRemove), o.Organisation[:])
}

func (o SetAdmins) append(b []byte) []byte {
	return appendAdmins(appendKind(b, 3, KindSetAdmins), o.Keys, o.Threshold)
}

func appendAdmins(b []byte, keys []crypto.PublicKey, threshold uint64) []byte {
	b = dcbor.AppendArray(b, len(keys))
	for i := range keys {
		b = dcbor.AppendBytes(b, keys[i][:])
	}
	return dcbor.AppendUint(b, threshold)
}

func readMemberBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindAdmit && n == 5:
		body := Admit{Name: r.Text(MaxName)}
		if r.Err() == nil {
			r.Fail(CheckName(body.Name))
		}
		body.Keys, body.Threshold = readAdmins(r)
		body.Possession = readPossession(r)
		if r.Err() == nil && (body.Possession.Key != body.Keys[0] || body.Possession.Organisation != body.OrganisationID()) {
			r.Fail(Errorf(CodeBadPossession, "the proof of possession is not by the first admin key, for the new organisation"))
		}
		return body
	case kind == KindRemove && n == 2:
		return Remove{Organisation: readID(r)}
	case kind == KindSetAdmins && n == 3:
		var body SetAdmins
		body.Keys, body.Threshold = readAdmins(r)
		return body
	}
	return nil
}

func readAdmins(r *dcbor.Reader) (keys []crypto.PublicKey, threshold uint64) {
	n := r.Array(MaxAdminKeys)
	seen := make(map[crypto.PublicKey]bool, n)
	for range n {
		key := readPublicKey(r)
		if r.Err() != nil {
			return nil, 0
		}
		if seen[key] {
			r.Fail(Errorf(CodeExists, "key %v stands twice", key))
			return nil, 0
		}
		seen[key] = true
		keys = append(keys, key)
	}
	threshold = r.Uint()
	if r.Err() == nil && (threshold < 1 || threshold > uint64(n)) {
		r.Fail(fmt.Errorf("threshold %d of %d keys: %w", threshold, n, dcbor.ErrRange))
	}
	return keys, threshold
}

// readPublicKey reads a key that is fit for enrolment.
func readPublicKey(r *dcbor.Reader) (key crypto.PublicKey) {
	r.Fixed(key[:])
	if r.Err() == nil {
		if err := crypto.CheckEnrolment(key); err != nil {
			r.Fail(Errorf(CodeBadKey, "key %v: %w", key, err))
		}
	}
	return key
}
