package main

import (
	"encoding/hex"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
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
	if s.m != nil && s.m.Organisation.Name == name {
		return s.m.Organisation.ID, nil
	}
	var after crypto.ID
	for {
		list, more, err := s.c.Organisations(s.ctx, after, 1000)
		if err != nil {
			return after, err
		}
		for _, o := range list {
			if o.Name == name || o.Organisation.String() == name {
				return o.Organisation, nil
			}
			after = o.Organisation
		}
		if !more || len(list) == 0 {
			return after, withHint(fmt.Errorf("%w: organisation %q", ledger.CodeUnknownOrganisation.Err(), name), "mtm org show")
		}
	}
}

// principal finds a device of the folder, or an organisation, or takes an id.
func (s *session) principal(name string) (crypto.ID, error) {
	if d := s.ownDevice(name); d != nil {
		return d.ID, nil
	}
	id, err := s.organisation(name)
	if err == nil {
		return id, nil
	}
	if id, notID := crypto.ParseID(name); notID == nil {
		return id, nil
	}
	return id, err
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
