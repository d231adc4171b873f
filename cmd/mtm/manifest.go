package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"

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
		newManifestSign(), newManifestRoot(), newManifestEnrol(), newManifestClose())
}

const listForms = `A line of the list is a public key in base64, a proof of possession in base64, or the
name of a device of --home`

func newManifestSign() *cobra.Command {
	var list, keys, until string
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign for the devices of a list, before they are there",
		Long: `Signs that the devices of a list may be enrolled for the organisation: one operation for
up to 1,048,576 of them. The ledger keeps the hash of the list, and no key of the
organisation is needed any more: whoever has the list and a device's proof of possession
enrols it (mtm manifest enrol), a gateway for one.

` + listForms + `, whose key is made if there is none. --keys writes the list as
public keys, in its order: for who enrols elsewhere. It is no secret, but without it
nobody can be enrolled.

Where several admin keys must sign, the others compare the root of the proposal (mtm vote
show) with that of the list they were given (mtm manifest root).`,
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
		fleet, err := readFleet(list, s.makeNamed)
		if err != nil {
			return nil, err
		}
		if err := checkFleet(list, fleet); err != nil {
			return nil, err
		}
		if keys != "" {
			if err := saveKeys(keys, list, fleet); err != nil {
				return nil, err
			}
		}
		return ledger.Manifest{Root: fleet.Root(), Count: uint64(len(fleet.Keys())), Until: end}, nil
	})
}

// checkFleet refuses keys that could never be enrolled.
func checkFleet(list string, fleet *ledger.Fleet) error {
	for i, key := range fleet.Keys() {
		if err := crypto.CheckEnrolment(key); err != nil {
			return ledger.Errorf(ledger.CodeBadKey, "%s: key %d, %v: %w", list, i+1, key, err)
		}
	}
	return nil
}

// saveKeys writes the list as public keys, a line each.
func saveKeys(name, list string, fleet *ledger.Fleet) error {
	was, err := os.Stat(list)
	if err != nil {
		return err
	}
	if now, err := os.Stat(name); err == nil && os.SameFile(was, now) {
		return usagef("--keys would overwrite --list")
	}
	var b bytes.Buffer
	for _, key := range fleet.Keys() {
		fmt.Fprintln(&b, key)
	}
	return writeFile(name, b.Bytes())
}

func newManifestRoot() *cobra.Command {
	var (
		home, list string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use: "root", Short: "Print the root of a list, to compare with what was or is to be signed",
		Long: "Prints the root of a list and how many devices it has; asks nobody. " + listForms + ".",
		Example: `  mtm manifest root --list fleet.keys
  mtm vote show --home ledger --proposal PROPOSAL      # the root that is proposed`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list == "" {
				return usagef("--list is required")
			}
			named := noNames
			if home != "" {
				m, err := openHome(home)
				if err != nil {
					return err
				}
				named = namedIn(m)
			}
			fleet, err := readFleet(list, named)
			if err != nil {
				return err
			}
			root := fleet.Root()
			return report(cmd, asJSON, map[string]any{"root": hex.EncodeToString(root[:]), "devices": len(fleet.Keys())},
				fmt.Sprintf("root %x of %d devices", root, len(fleet.Keys())))
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&home, "home", "", "folder of the ledger whose devices the list names, if it names any")
	cmd.Flags().StringVar(&list, "list", "", "file with a device a line")
	return cmd
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
	if row.Closed != 0 {
		return fmt.Errorf("manifest %s: %w", id, ledger.CodeManifestClosed.Err())
	}
	fleet, err := readFleet(list, namedIn(s.m))
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
	var out enrolledMany
	for try := 0; ; try++ {
		fresh, err := s.notEnrolled(all, row.Organisation)
		if err != nil {
			return err
		}
		devices, err := places(fleet, fresh)
		if err != nil {
			return err
		}
		err = s.enrolPlaces(fleet, id, devices, &out)
		if err == nil {
			break
		}
		if ledger.CodeOf(err) != ledger.CodeExists || try == mostRaces {
			return s.explain(err, ledger.EnrolListed{})
		}
	}
	out.Before = len(all) - out.Enrolled
	return report(cmd, s.asJSON, out, fmt.Sprintf("%d devices enrolled with %d operations, %d were there already", out.Enrolled, out.Operations, out.Before))
}

// mostRaces is how often somebody else may enrol one of the devices meanwhile.
const mostRaces = 20

// enrolPlaces enrols devices, as many as it takes operations for, and counts them.
func (s *session) enrolPlaces(fleet *ledger.Fleet, id crypto.ID, devices []ledger.ListedDevice, out *enrolledMany) error {
	for len(devices) > 0 {
		body, err := listedOf(fleet, id, devices)
		if err != nil {
			return err
		}
		r, err := s.submit(body)
		if err != nil {
			return err
		}
		devices = devices[len(body.Devices):]
		out.Enrolled, out.Operations, out.Height = out.Enrolled+len(body.Devices), out.Operations+1, r.Height
	}
	return nil
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

// readFleet reads a list of devices: public keys, proofs of possession, or names.
func readFleet(name string, named naming) (*ledger.Fleet, error) {
	var keys []crypto.PublicKey
	err := eachLine(name, func(line string) error {
		key, err := listedKey(line, named)
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

// naming finds the key of a device by its name.
type naming func(name string) (crypto.PublicKey, error)

// makeNamed finds the key of a device of the folder, or makes it.
func (s *session) makeNamed(name string) (crypto.PublicKey, error) {
	if s.m == nil {
		return noNames(name)
	}
	if likeKey.MatchString(name) {
		return crypto.PublicKey{}, fmt.Errorf("%q looks like a key and is none: want 32 bytes in base64, with = at the end", name)
	}
	_, key, err := namedDevice(s.m, name)
	return key.Public(), err
}

// likeKey is what nobody calls a device: much of a key, or one in other letters.
var likeKey = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{40,}$`)

// namedIn finds the keys of devices that the folder has.
func namedIn(m *testnet.Manifest) naming {
	if m == nil {
		return noNames
	}
	return func(name string) (crypto.PublicKey, error) {
		d, err := m.Device(name)
		if err != nil {
			return crypto.PublicKey{}, fmt.Errorf("neither a key nor a proof of possession: %w", err)
		}
		key, err := crypto.LoadKey(m.Path(d.Home, keyFile))
		return key.Public(), err
	}
}

func noNames(name string) (crypto.PublicKey, error) {
	return crypto.PublicKey{}, usagef("%q is neither a key nor a proof of possession, and --home is not given", name)
}

func listedKey(line string, named naming) (crypto.PublicKey, error) {
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
	return named(line)
}

// readArrivals reads the devices that can be enrolled for an organisation; a public key
// alone is not there.
func (s *session) readArrivals(name string, organisation crypto.ID) (list []newcomer, err error) {
	err = eachLine(name, func(line string) error {
		if _, err := crypto.ParsePublicKey(line); err == nil {
			return nil
		}
		if p, err := parsePossession(line); p == nil && err == nil {
			if _, err := namedIn(s.m)(line); err != nil {
				return err // it is not made here
			}
		}
		n, err := s.readNewcomer(line, organisation)
		list = append(list, n)
		return err
	})
	list = eachOnce(list)
	if err == nil && len(list) == 0 {
		err = withHint(fmt.Errorf("%s has no device that is there", name), "--arrived FILE with proofs of possession (mtm device possession), or names of --home")
	}
	return list, err
}
