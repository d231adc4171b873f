package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// How flags name what is in the folder or in the ledger.

// device finds a device by its name in the folder, or by id.
func (s *session) device(name string) (crypto.ID, error) {
	if d := s.ownDevice(name); d != nil {
		return d.ID, nil
	}
	id, err := crypto.ParseID(name)
	if err != nil {
		return id, withHint(fmt.Errorf("%w: device %q", testnet.ErrUnknown, name), "its id, or --home of the folder that has it")
	}
	return id, nil
}

// stream finds a stream by its name in the folder, or by id.
func (s *session) stream(name string) (crypto.ID, error) { return resolveStream(s.m, name) }

// organisation finds an organisation by id, or by its name in the ledger.
func (s *session) organisation(name string) (crypto.ID, error) {
	id, err := organisationNamed(s.m, name, func(q client.AnswerRequest) (*proof.Answered, error) { return s.provenPage(0, q) })
	if errors.Is(err, errNoTrust) {
		err = withHint(fmt.Errorf("the name %q of an organisation: %w", name, err), "--trust FILE, or its id instead of its name")
	}
	return id, err
}

// organisationNamed returns an id as it is, or else the only organisation of that name:
// that of the folder, or one that the records prove, since the id goes into what is signed.
func organisationNamed(m *testnet.Manifest, name string, ask func(client.AnswerRequest) (*proof.Answered, error)) (id crypto.ID, err error) {
	if id, err := crypto.ParseID(name); err == nil {
		return id, nil
	}
	if m != nil && m.Organisation.Name == name {
		return m.Organisation.ID, nil
	}
	rows, err := organisationRows(ask)
	if err != nil {
		return id, err
	}
	var found []crypto.ID
	for _, r := range rows {
		row, err := record.ParseOrganisation(r.Value)
		if err != nil {
			return id, err
		}
		if id := record.IDOf(r.Key); row.Name == name && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return id, withHint(fmt.Errorf("%w: organisation %q", ledger.CodeUnknownOrganisation.Err(), name), "mtm query organisations")
	case 1:
		return found[0], nil
	}
	return id, withHint(fmt.Errorf("%d organisations have the name %q: %v", len(found), name, found), "the id of the one that is meant, instead of its name")
}

// organisationRows returns all rows of organisations, removed ones too, proven complete.
// Rows of histories are only added: at the height of the first page none was missing.
func organisationRows(ask func(client.AnswerRequest) (*proof.Answered, error)) ([]proof.Row, error) {
	whole := proof.ListQuery(record.FamilyRange(record.FamilyOrganisation))
	q := client.AnswerRequest{Questions: []client.Question{{Query: whole}}}
	var pages []*proof.Answered
	for more := true; more; {
		page, err := ask(q)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		q, more = rest(q, page)
	}
	rows, _, err := proof.JoinLists(whole.Lo, whole.Hi, pages...)
	return rows, err
}

// principal takes an id, or finds a device of the folder, or an organisation.
func (s *session) principal(name string) (crypto.ID, error) {
	if d := s.ownDevice(name); d != nil {
		return d.ID, nil
	}
	return s.organisation(name)
}

// idFlag reads an id that names nothing in the folder.
func idFlag(flag, text string) (crypto.ID, error) {
	id, err := crypto.ParseID(text)
	if err != nil {
		return id, usagef("--%s: %w", flag, err)
	}
	return id, nil
}

// keyIDFlag reads a key id.
func keyIDFlag(flag, text string) (kid crypto.KeyID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(kid) {
		return kid, usagef("--%s: a key id is %d hexadecimal digits", flag, 2*len(kid))
	}
	return crypto.KeyID(b), nil
}

// publicKeyFlag reads a public key in base64.
func publicKeyFlag(flag, text string) (key crypto.PublicKey, err error) {
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return key, usagef("--%s: %w", flag, err)
	}
	return key, nil
}
