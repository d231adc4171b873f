package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

// newcomer is a device of a list. A key that replaced the first one makes another id.
type newcomer struct {
	id         crypto.ID
	possession *ledger.Possession
}

// readList reads names of devices and proofs of possession, a line each.
func (s *session) readList(name string) (list []newcomer, err error) {
	err = eachLine(name, func(line string) error {
		n, err := s.readNewcomer(line, s.actor)
		list = append(list, n)
		return err
	})
	return eachOnce(list), err
}

// eachOnce leaves out whoever stands in a list again.
func eachOnce(list []newcomer) (once []newcomer) {
	seen := make(map[crypto.ID]bool)
	for _, n := range list {
		if !seen[n.id] {
			seen[n.id] = true
			once = append(once, n)
		}
	}
	return once
}

// readNewcomer reads a proof of possession, or makes one for an organisation by the key of
// a device of the folder.
func (s *session) readNewcomer(line string, organisation crypto.ID) (n newcomer, err error) {
	p, err := parsePossession(line)
	if err != nil {
		return n, err
	}
	if p != nil {
		return newcomer{ledger.DeviceID(p.Key), p}, nil
	}
	if s.m == nil {
		return n, usagef("%q is no proof of possession, and --home is not given", line)
	}
	d, key, err := namedDevice(s.m, line)
	if err != nil {
		return n, err
	}
	p, err = ledger.SignPossession(key, s.chain, organisation)
	return newcomer{d.ID, p}, err
}

// eachLine reads a file with a device a line.
func eachLine(name string, do func(line string) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for number := 1; in.Scan(); number++ {
		if line := strings.TrimSpace(in.Text()); line != "" {
			if err := do(line); err != nil {
				return fmt.Errorf("%s line %d: %w", name, number, err)
			}
		}
	}
	return in.Err()
}

// parsePossession reads a proof of possession in base64, nil if the line is a name.
func parsePossession(line string) (*ledger.Possession, error) {
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil || len(line) <= ledger.MaxName {
		return nil, nil
	}
	return ledger.ParsePossession(b)
}

// namedDevice is the device of a folder with a name, made if there is none.
func namedDevice(m *testnet.Manifest, name string) (*testnet.Device, crypto.PrivateKey, error) {
	d, err := m.AddDevice(name)
	if err != nil {
		return nil, crypto.PrivateKey{}, err
	}
	key, err := m.DeviceKey(d)
	return d, key, err
}
