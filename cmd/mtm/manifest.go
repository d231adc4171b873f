package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

func newManifest() *cobra.Command {
	return group("manifest", "Sign once for a fleet, and enrol its devices when they come",
		newManifestSign(), newManifestEnrol(), newManifestClose())
}

func newManifestSign() *cobra.Command {
	var list, keys, until string
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign for the devices of a list, before they are there",
		Long: `Signs that the devices of a list may be enrolled for the organisation: one operation for
up to 1,048,576 of them. The ledger keeps the hash of the list, and no key of the
organisation is needed any more: whoever has the list and a device's proof of possession
enrols it (mtm manifest enrol), a gateway for one.

A line of the list is a public key in base64, a proof of possession in base64, or the
name of a device of --home, whose key is made if there is none. --keys writes the list as
public keys, in its order: for who enrols elsewhere. It is no secret, but without it
nobody can be enrolled.`,
		Example: `  mtm manifest sign --home ledger --list fleet.txt --keys fleet.keys --until 2027-01-01T00:00:00Z
  mtm manifest sign --home ledger --list fleet.txt --keys fleet.keys --propose    # several admin keys must sign`,
	}
	f := cmd.Flags()
	f.StringVar(&list, "list", "", "file with a device a line")
	f.StringVar(&keys, "keys", "", "write the list's public keys to this file")
	f.StringVar(&until, "until", "", "RFC 3339 time from which on it counts no more (default: no end)")
	return operation(cmd, "list", func(s *session) (ledger.Body, error) {
		end, err := timeFlag("until", until)
		if err != nil {
			return nil, err
		}
		fleet, err := readFleet(s.m, list)
		if err != nil {
			return nil, err
		}
		if keys != "" {
			if err := writeFile(keys, fleetText(fleet)); err != nil {
				return nil, err
			}
		}
		return ledger.Manifest{Root: fleet.Root(), Count: uint64(len(fleet.Keys())), Until: end}, nil
	})
}

func newManifestClose() *cobra.Command {
	var manifest string
	cmd := &cobra.Command{
		Use: "close", Short: "End a manifest: what was not enrolled with it never will be",
		Example: "  mtm manifest close --home ledger --manifest MANIFEST",
	}
	cmd.Flags().StringVar(&manifest, "manifest", "", "id of the manifest")
	return operation(cmd, "manifest", func(*session) (ledger.Body, error) {
		id, err := idFlag("manifest", manifest)
		return ledger.CloseManifest{Manifest: id}, err
	})
}

func newManifestEnrol() *cobra.Command {
	var (
		a                        act
		manifest, list, arrivals string
	)
	cmd := &cobra.Command{
		Use: "enrol", Short: "Enrol devices of a manifest",
		Long: `Enrols devices of a manifest for the organisation that signed it, up to 256 with an
operation. --list is the list that was signed, or its --keys, in the same order. --arrived
names who is there, a line each: a proof of possession (mtm device possession, on the
device) or the name of a device of --home; without it, those of --list. Who is enrolled
already is left out, so this may be run again.

Any member or enrolled device may do this: --as gateway signs with a device of --home.`,
		Example: `  mtm manifest enrol --home edge --as gateway --manifest MANIFEST --list fleet.keys --arrived today.txt
  mtm manifest enrol --home ledger --manifest MANIFEST --list fleet.txt`,
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&manifest, "manifest", "", "id of the manifest")
	f.StringVar(&list, "list", "", "file with the list that was signed")
	f.StringVar(&arrivals, "arrived", "", "file with the devices that are there (default: --list)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "manifest list", func(s *session) error {
			id, err := idFlag("manifest", manifest)
			if err != nil {
				return err
			}
			if arrivals == "" {
				arrivals = list
			}
			return s.enrolListed(cmd, id, list, arrivals)
		})
	}
	return cmd
}

func (s *session) enrolListed(cmd *cobra.Command, id crypto.ID, list, arrivals string) error {
	row, err := s.manifest(id)
	if err != nil {
		return err
	}
	fleet, err := readFleet(s.m, list)
	if err != nil {
		return err
	}
	if fleet.Root() != row.Root {
		err := ledger.Errorf(ledger.CodeNotListed, "%s is not the list of manifest %s, or not in its order", list, id)
		return withHint(err, "the file that mtm manifest sign wrote with --keys: %d keys", row.Count)
	}
	all, err := s.readArrivals(arrivals, row.Organisation)
	if err != nil {
		return err
	}
	fresh, err := s.notEnrolled(all, row.Organisation)
	if err != nil {
		return err
	}
	devices, err := places(fleet, fresh)
	if err != nil {
		return err
	}
	out := enrolledMany{Enrolled: len(devices), Before: len(all) - len(devices)}
	for len(devices) > 0 {
		body, err := listedOf(fleet, id, devices)
		if err != nil {
			return err
		}
		r, err := s.submit(body)
		if err != nil {
			return s.explain(err, body)
		}
		devices = devices[len(body.Devices):]
		out.Operations, out.Height = out.Operations+1, r.Height
	}
	return report(cmd, s.asJSON, out, fmt.Sprintf("%d devices enrolled with %d operations, %d were there already", out.Enrolled, out.Operations, out.Before))
}

// manifest returns the proven row of a manifest.
func (s *session) manifest(id crypto.ID) (row record.Manifest, err error) {
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{{Query: proof.RowQuery(record.ManifestRow(id))}}})
	if err != nil {
		return row, err
	}
	if len(out.Results[0].Rows) == 0 {
		return row, ledger.CodeUnknownManifest.Err()
	}
	return record.ParseManifest(out.Results[0].Rows[0].Value)
}

// places finds where devices stand in a list, and sorts them by it.
func places(fleet *ledger.Fleet, list []*ledger.Possession) (devices []ledger.ListedDevice, err error) {
	at := make(map[crypto.PublicKey]int, len(fleet.Keys()))
	for i, key := range fleet.Keys() {
		at[key] = i
	}
	for _, p := range list {
		place, listed := at[p.Key]
		if !listed {
			return nil, fmt.Errorf("device %s with key %v: %w", ledger.DeviceID(p.Key), p.Key, ledger.CodeNotListed.Err())
		}
		devices = append(devices, ledger.ListedDevice{Index: uint64(place), Possession: p})
	}
	slices.SortFunc(devices, func(a, b ledger.ListedDevice) int { return int(a.Index) - int(b.Index) })
	return devices, nil
}

// listedOf enrols as many of the devices, from the first on, as one operation may.
func listedOf(fleet *ledger.Fleet, id crypto.ID, devices []ledger.ListedDevice) (body ledger.EnrolListed, err error) {
	for n := min(len(devices), ledger.MaxEnrolled); ; n = (n + 1) / 2 {
		body, err = fleet.Enrol(id, devices[:n])
		if err != nil || n == 1 || len(ledger.EncodeBody(body)) <= enrolmentRoom {
			return body, err
		}
	}
}

// readFleet reads a list of devices: public keys, proofs of possession, or names of --home.
func readFleet(m *testnet.Manifest, name string) (*ledger.Fleet, error) {
	var keys []crypto.PublicKey
	err := eachLine(name, func(line string) error {
		key, err := listedKey(m, line)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	fleet, err := ledger.NewFleet(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return fleet, nil
}

func listedKey(m *testnet.Manifest, line string) (crypto.PublicKey, error) {
	if key, err := crypto.ParsePublicKey(line); err == nil {
		return key, nil
	}
	p, err := parsePossession(line)
	if err != nil {
		return crypto.PublicKey{}, err
	}
	if p != nil {
		return p.Key, nil
	}
	if m == nil {
		return crypto.PublicKey{}, usagef("%q is neither a key nor a proof of possession, and --home is not given", line)
	}
	_, key, err := namedDevice(m, line)
	return key.Public(), err
}

// fleetText is the list as public keys, a line each.
func fleetText(fleet *ledger.Fleet) []byte {
	var b bytes.Buffer
	for _, key := range fleet.Keys() {
		fmt.Fprintln(&b, key)
	}
	return b.Bytes()
}

// readArrivals reads the devices that can be enrolled for an organisation; a public key
// alone is not there.
func (s *session) readArrivals(name string, organisation crypto.ID) (list []newcomer, err error) {
	err = eachLine(name, func(line string) error {
		if _, err := crypto.ParsePublicKey(line); err == nil {
			return nil
		}
		n, err := s.readNewcomer(line, organisation)
		list = append(list, n)
		return err
	})
	if err == nil && len(list) == 0 {
		err = withHint(fmt.Errorf("%s has no device that is there", name), "--arrived FILE with proofs of possession (mtm device possession), or names of --home")
	}
	return list, err
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
