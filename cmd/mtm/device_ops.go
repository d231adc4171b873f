package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

// deviceOps are the commands on an enrolled device.
func deviceOps() []*cobra.Command {
	return []*cobra.Command{
		newDeviceRotate(),
		deviceStatus("suspend", "Refuse what a device signs until it is resumed", func(d crypto.ID) ledger.Body { return ledger.Suspend{Device: d} }),
		deviceStatus("resume", "End a suspension", func(d crypto.ID) ledger.Body { return ledger.Resume{Device: d} }),
		deviceStatus("retire", "End a device for ever", func(d crypto.ID) ledger.Body { return ledger.Retire{Device: d} }),
		newDeviceTransfer(), newDeviceCompromise(),
		newDescribe("device", "mtm device describe --home ledger --device press-3 --set model=PX-9 --hex firmware=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
		newEnrolMany(), newDevicePossession(),
	}
}

// deviceStatus is a command that changes the status of a device.
func deviceStatus(use, short string, body func(crypto.ID) ledger.Body) *cobra.Command {
	var device string
	cmd := &cobra.Command{
		Use: use, Short: short,
		Example: fmt.Sprintf("  mtm device %s --home ledger --device press-3", use),
	}
	cmd.Flags().StringVar(&device, "device", "", "name or id of the device")
	return operation(cmd, "device", func(s *session) (ledger.Body, error) {
		id, err := s.device(device)
		return body(id), err
	})
}

func newDeviceTransfer() *cobra.Command {
	var (
		device, to string
		with       bool
	)
	cmd := &cobra.Command{
		Use: "transfer", Short: "Give a device to another organisation",
		Long: `Gives a device to another organisation from the next block on. Both must agree: one
proposes, the other approves. The device keeps its id, its keys and its streams;
the streams' owner changes only with --with-streams.`,
		Example: `  mtm device transfer --home a --device press-3 --to "Works B" --with-streams --propose
  mtm vote approve --home b --proposal PROPOSAL`,
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "name or id of the device")
	f.StringVar(&to, "to", "", "name or id of the organisation that gets it")
	f.BoolVar(&with, "with-streams", false, "the giver's streams of the device go too, from now on")
	return operation(cmd, "device to", func(s *session) (ledger.Body, error) {
		id, err := s.device(device)
		if err != nil {
			return nil, err
		}
		org, err := s.organisation(to)
		return ledger.TransferDevice{Device: id, To: org, WithStreams: with}, err
	})
}

func newDeviceCompromise() *cobra.Command {
	var (
		device, principal, kid string
		from                   uint64
	)
	cmd := &cobra.Command{
		Use: "compromise", Short: "Declare that a key was in wrong hands from a height on",
		Long: `Closes a key in the next block. What it signed at or after the height stays in the
log and is shown as doubtful for ever. The owner then gives the device another key:
mtm device rotate --lost.`,
		Example: "  mtm device compromise --home ledger --device press-3 --from 1200",
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "name or id of the device")
	f.StringVar(&principal, "principal", "", "id of a bridge, instead of --device")
	f.StringVar(&kid, "key-id", "", "the key, 16 hexadecimal digits (default: the device's in --home)")
	f.Uint64Var(&from, "from", 0, "height of the first block whose entries are in doubt")
	return operation(cmd, "from", func(s *session) (ledger.Body, error) {
		body := ledger.Compromise{From: from}
		var err error
		switch {
		case (device == "") == (principal == ""):
			return nil, usagef("--device or --principal is required")
		case device != "":
			body.Principal, err = s.device(device)
		default:
			body.Principal, err = s.principal(principal)
		}
		if err != nil {
			return nil, err
		}
		if kid != "" {
			body.Key, err = keyIDFlag("key-id", kid)
			return body, err
		}
		d := s.ownDevice(device)
		if d == nil {
			return nil, usagef("--key-id is required: the key is not in --home")
		}
		key, err := s.m.DeviceKey(d)
		body.Key = key.Public().KeyID()
		return body, err
	})
}

// newDescribe is the command that describes a device or a stream.
func newDescribe(what, example string) *cobra.Command {
	var (
		subject   string
		text, hex []string
	)
	cmd := &cobra.Command{
		Use: "describe", Short: "Record the attributes of a " + what,
		Long: `Replaces all attributes of the ` + what + `; the old ones stay in its history. Names that
programs rely on are in docs/spec/operation.md.`,
		Example: "  " + example,
	}
	f := cmd.Flags()
	f.StringVar(&subject, what, "", "name or id of the "+what)
	f.StringArrayVar(&text, "set", nil, "NAME=TEXT; give it once for each attribute")
	f.StringArrayVar(&hex, "hex", nil, "NAME=HEX: an attribute of bytes, such as a digest")
	return operation(cmd, what, func(s *session) (ledger.Body, error) {
		find := s.device
		switch what {
		case "stream":
			find = s.stream
		case "organisation":
			find = s.organisation
		}
		id, err := find(subject)
		if err != nil {
			return nil, err
		}
		list, err := attributes(text, hex)
		return ledger.Describe{Subject: id, Attributes: list}, err
	})
}

// attributes reads NAME=VALUE pairs.
func attributes(text, bytes []string) (list []ledger.Attribute, err error) {
	for i, pair := range append(slices.Clone(text), bytes...) {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("%q: want NAME=VALUE", pair)
		}
		a := ledger.Attribute{Name: name, Text: value}
		if i >= len(text) {
			a.Text = ""
			if a.Data, err = hex.DecodeString(value); err != nil {
				return nil, usagef("--hex %s: %w", name, err)
			}
			a.Data = append([]byte{}, a.Data...) // not nil: an empty byte string
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b ledger.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func newDeviceRotate() *cobra.Command {
	var (
		a      act
		device string
		old    string
		closes uint64
		lost   bool
	)
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the key of a device",
		Long: `Makes a new key, records it and puts it in place of the old one, which is kept beside
it. The device signs with its old key; with --lost its organisation signs instead,
because the old key is gone. What was signed with the old key and waits to be sent
still counts below the height --closes. Stop the device while its key is replaced.`,
		Example: `  mtm device rotate --home ledger --device press-3 --closes 5000
  mtm device rotate --home ledger --device press-3 --lost`,
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "name of the device in --home")
	f.StringVar(&old, "old-key-id", "", "the key to replace, 16 hexadecimal digits (default: the one in --home)")
	f.Uint64Var(&closes, "closes", 0, "first height at which the old key counts no more (default: the next)")
	f.BoolVar(&lost, "lost", false, "the organisation signs: the device's key is lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !lost && a.as == "" {
			a.as = device
		}
		return a.session(cmd, "device", func(s *session) error { return s.rotate(cmd, device, old, closes) })
	}
	return cmd
}

// Names of a device's key files.
const (
	keyFile  = "key.pem"
	nextFile = "key.next.pem"
)

// rotate records a new key of a device of the folder and puts it in place. A new key
// that was made before, by a run that was cut short, is used.
func (s *session) rotate(cmd *cobra.Command, name, oldID string, closes uint64) error {
	d := s.ownDevice(name)
	if d == nil {
		return withHint(fmt.Errorf("%w: device %q", testnet.ErrUnknown, name), "--home of the folder with the device's key")
	}
	next, err := loadOrMakeKey(s.m.Path(d.Home, nextFile))
	if err != nil {
		return err
	}
	old, err := s.oldKey(d, oldID)
	if err != nil {
		return err
	}
	if _, err := s.c.KeyInfo(s.ctx, d.ID, next.Public().KeyID()); err == nil {
		return s.switchKey(cmd, d, old, next, 0) // recorded by a run that was cut short
	}
	possession, err := ledger.SignPossession(next, s.chain, s.m.Organisation.ID)
	if err != nil {
		return err
	}
	body := ledger.Rotate{Device: d.ID, Old: old, Closes: closes, Possession: possession}
	r, err := s.submit(body)
	if err != nil {
		return s.explain(err, body)
	}
	return s.switchKey(cmd, d, old, next, r.Height)
}

// oldKey is the key id that is given, or else that of the device's key file.
func (s *session) oldKey(d *testnet.Device, text string) (crypto.KeyID, error) {
	if text != "" {
		return keyIDFlag("old-key-id", text)
	}
	key, err := s.m.DeviceKey(d)
	if errors.Is(err, os.ErrNotExist) {
		return crypto.KeyID{}, withHint(err, "--old-key-id: the key that is lost")
	}
	return key.Public().KeyID(), err
}

// switchKey puts a device's new key in place.
func (s *session) switchKey(cmd *cobra.Command, d *testnet.Device, old crypto.KeyID, next crypto.PrivateKey, height uint64) error {
	path := s.m.Path(d.Home, keyFile)
	if err := disk.Move(disk.OS{}, path, s.m.Path(d.Home, "key."+old.String()+".pem")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := disk.Move(disk.OS{}, s.m.Path(d.Home, nextFile), path); err != nil {
		return err
	}
	kid := next.Public().KeyID()
	return report(cmd, s.asJSON, map[string]any{
		"device": d.ID, "key": next.Public(), "key_id": kid.String(), "old_key_id": old.String(), "height": height, "file": path,
	}, fmt.Sprintf("device %s signs with key %s from now on; the old one is %s", d.Name, kid, old))
}

func loadOrMakeKey(path string) (crypto.PrivateKey, error) {
	key, err := crypto.LoadKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	if key, err = crypto.GenerateKey(); err != nil {
		return key, err
	}
	return key, crypto.SaveKey(path, key)
}

// manifestRoom keeps an operation below ledger.MaxOperation with what stands around
// the proofs.
const manifestRoom = ledger.MaxOperation - 1024

func newEnrolMany() *cobra.Command {
	var (
		a    act
		list string
	)
	cmd := &cobra.Command{
		Use: "enrol-many", Short: "Enrol the devices of a list",
		Long: `Enrols up to 256 devices with each operation. A line of the list is the name of a
device, whose key is made in --home if there is none, or a proof of possession in
base64, made by a device elsewhere. Devices that are enrolled already are left out.`,
		Example: "  mtm device enrol-many --home ledger --list fleet.txt",
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&list, "list", "", "file with a device a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, "list", func(s *session) error { return s.enrolMany(cmd, list) })
	}
	return cmd
}

func (s *session) enrolMany(cmd *cobra.Command, list string) error {
	if s.m == nil {
		return usagef("--home must hold the organisation's key")
	}
	all, err := s.readList(list)
	if err != nil {
		return err
	}
	var fresh []*ledger.Possession
	for _, p := range all {
		switch _, err := s.c.KeyInfo(s.ctx, ledger.DeviceID(p.Key), p.Key.KeyID()); ledger.CodeOf(err) {
		case ledger.CodeOK:
		case ledger.CodeUnknownKey:
			fresh = append(fresh, p)
		default:
			return err
		}
	}
	operations, height := 0, uint64(0)
	for rest := fresh; len(rest) > 0; operations++ {
		n, size := 0, 0
		for n < min(len(rest), ledger.MaxManifest) && size+len(rest[n].Bytes())+3 <= manifestRoom {
			size += len(rest[n].Bytes()) + 3
			n++
		}
		r, err := s.submit(ledger.EnrolDevices{Possessions: rest[:n]})
		if err != nil {
			return s.explain(err, ledger.EnrolDevices{})
		}
		rest, height = rest[n:], r.Height
	}
	return report(cmd, s.asJSON, map[string]any{
		"enrolled": len(fresh), "before": len(all) - len(fresh), "operations": operations, "height": height,
	}, fmt.Sprintf("%d devices enrolled with %d operations, %d were there already", len(fresh), operations, len(all)-len(fresh)))
}

// readList reads names of devices and proofs of possession, a line each.
func (s *session) readList(name string) (list []*ledger.Possession, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for number := 1; in.Scan(); number++ {
		line := strings.TrimSpace(in.Text())
		if line == "" {
			continue
		}
		p, err := s.readPossession(line)
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", name, number, err)
		}
		list = append(list, p)
	}
	return list, in.Err()
}

func (s *session) readPossession(line string) (*ledger.Possession, error) {
	if b, err := base64.StdEncoding.DecodeString(line); err == nil && len(line) > ledger.MaxName {
		return ledger.ParsePossession(b)
	}
	d, err := s.m.AddDevice(line)
	if err != nil {
		return nil, err
	}
	key, err := s.m.DeviceKey(d)
	if err != nil {
		return nil, err
	}
	return ledger.SignPossession(key, s.chain, s.m.Organisation.ID)
}

func newDevicePossession() *cobra.Command {
	var (
		home, device, organisation string
		asJSON                     bool
	)
	cmd := &cobra.Command{
		Use: "possession", Short: "Prove that a device holds its key, for an organisation's list",
		Long: `Prints a proof of possession in base64: a line for mtm device enrol-many --list of the
organisation that will own the device. The device's key is made if there is none, and
stays where it is.`,
		Example: "  mtm device possession --home edge --device press-3 --organisation ORGANISATION-ID >> fleet.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device == "" {
				return usagef("--device is required")
			}
			m, err := openHome(home)
			if err != nil {
				return err
			}
			owner := m.Organisation.ID
			if organisation != "" {
				if owner, err = idFlag("organisation", organisation); err != nil {
					return err
				}
			}
			d, err := m.AddDevice(device)
			if err != nil {
				return err
			}
			key, err := m.DeviceKey(d)
			if err != nil {
				return err
			}
			p, err := ledger.SignPossession(key, m.Chain, owner)
			if err != nil {
				return err
			}
			text := base64.StdEncoding.EncodeToString(p.Bytes())
			return report(cmd, asJSON, map[string]any{"device": d.ID, "organisation": owner, "possession": text}, text)
		},
	}
	homeFlag(cmd, &home)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&device, "device", "", "name of the device")
	cmd.Flags().StringVar(&organisation, "organisation", "", "id of the organisation (default: that of --home)")
	return cmd
}
