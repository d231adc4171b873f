package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mtmledger/crypto"
)

// What makes a text no trust root. encoding/json by itself lets the last of two
// members win, takes CHAIN for chain, and leaves what is missing empty: two
// readers could then pin different sets from one file.
var (
	errMemberUnknown  = errors.New("a member that a trust root does not have")
	errMemberRepeated = errors.New("a member twice")
	errMemberCase     = errors.New("a member in other letters: names are in small ones")
	errMemberMissing  = errors.New("a member is missing")
	errMemberType     = errors.New("a member of another type")
	errTrailing       = errors.New("more after the JSON object")
)

// trustReader reads the JSON of a trust root.
type trustReader struct{ d *json.Decoder }

func readTrustRoot(file []byte) (TrustRoot, error) {
	r := trustReader{json.NewDecoder(bytes.NewReader(file))}
	r.d.UseNumber()
	var root TrustRoot
	err := r.object(map[string]func() error{
		"chain":      func() (err error) { root.Chain, err = r.text(); return err },
		"validators": func() (err error) { root.Validators, err = r.validators(); return err },
	})
	if err != nil {
		return TrustRoot{}, err
	}
	if _, err := r.d.Token(); !errors.Is(err, io.EOF) {
		return TrustRoot{}, errTrailing
	}
	return root, nil
}

// object reads an object that has each of these members once and no other.
func (r trustReader) object(members map[string]func() error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for r.d.More() {
		name, err := r.text()
		if err != nil {
			return err
		}
		read, known := members[name]
		switch {
		case seen[name]:
			return fmt.Errorf("%w: %q", errMemberRepeated, name)
		case !known:
			return otherMember(name, members)
		}
		seen[name] = true
		if err := read(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(seen) < len(members) {
		return errMemberMissing
	}
	return r.delim('}')
}

func otherMember(name string, members map[string]func() error) error {
	for m := range members {
		if strings.EqualFold(name, m) {
			return fmt.Errorf("%w: %q", errMemberCase, name)
		}
	}
	return fmt.Errorf("%w: %q", errMemberUnknown, name)
}

func (r trustReader) validators() ([]Validator, error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	var set []Validator
	for r.d.More() {
		if len(set) == MaxValidators {
			return nil, fmt.Errorf("more than %d", MaxValidators)
		}
		var v Validator
		err := r.object(map[string]func() error{
			"key":   func() (err error) { v.Key, err = r.key(); return err },
			"power": func() (err error) { v.Power, err = r.whole(); return err },
		})
		if err != nil {
			return nil, err
		}
		set = append(set, v)
	}
	return set, r.delim(']')
}

func (r trustReader) key() (crypto.PublicKey, error) {
	s, err := r.text()
	if err != nil {
		return crypto.PublicKey{}, err
	}
	return crypto.ParsePublicKey(s)
}

// whole reads an integer that is written as digits, without fraction or exponent.
func (r trustReader) whole() (int64, error) {
	t, err := r.d.Token()
	if err != nil {
		return 0, err
	}
	n, ok := t.(json.Number)
	if !ok {
		return 0, errMemberType
	}
	return strconv.ParseInt(n.String(), 10, 64)
}

func (r trustReader) text() (string, error) {
	t, err := r.d.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", errMemberType
	}
	return s, nil
}

func (r trustReader) delim(want json.Delim) error {
	t, err := r.d.Token()
	if err == nil && t != want {
		err = errMemberType
	}
	return err
}
