package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// rotation is what mtm device rotate is told.
type rotation struct {
	device, old string
	closes      uint64
	possession  string
}

func newDeviceRotate() *cobra.Command {
	var (
		a    act
		r    rotation
		lost bool
	)
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the key of a device",
		Long: `Makes a new key, records it and puts it in place of the old one, which is kept beside
it. The device signs with its old key; with --lost its organisation signs instead,
because the old key is gone. What was signed with the old key and waits to be sent
still counts below the height --closes. Stop the device while its key is replaced.

Where the owner records the key of a device that is elsewhere, the device makes it and
proves that it has it: mtm device possession --next. Once it is recorded, mtm device
rotate there puts it in place. The same goes for a key that was proposed.`,
		Example: `  mtm device rotate --home ledger --device press-3 --closes 5000
  mtm device rotate --home ledger --device press-3 --lost
  mtm device rotate --home ledger --device DEVICE-ID --lost --old-key-id 0123456789abcdef --possession PROOF`,
	}
	a.flags(cmd)
	a.proposeFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.device, "device", "", "name of the device in --home; its id with --possession")
	f.StringVar(&r.old, "old-key-id", "", "the key to replace, 16 hexadecimal digits (default: the one in --home)")
	f.Uint64Var(&r.closes, "closes", 0, "first height at which the old key counts no more (default: the next)")
	f.StringVar(&r.possession, "possession", "", "proof that the device has the new key; none is made here")
	f.BoolVar(&lost, "lost", false, "the organisation signs: the device's key is lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !lost && a.as == "" {
			a.as = r.device
		}
		return a.session(cmd, "device", func(s *session) error {
			if r.possession != "" {
				return s.rotateElsewhere(cmd, r)
			}
			return s.rotate(cmd, r)
		})
	}
	return cmd
}

// Names of a device's key files.
const (
	keyFile  = "key.pem"
	nextFile = "key.next.pem"
)

// rotate records a new key of a device of the folder and puts it in place. A new key
// that was made before, by a run that was cut short or whose owner records it, is used.
func (s *session) rotate(cmd *cobra.Command, r rotation) error {
	d := s.ownDevice(r.device)
	if d == nil {
		return withHint(fmt.Errorf("%w: device %q", testnet.ErrUnknown, r.device),
			"--home of the folder with the device's key; or, there, mtm device possession --next, and here --possession")
	}
	next, err := loadOrMakeKey(s.m.Path(d.Home, nextFile))
	if err != nil {
		return err
	}
	old, err := s.oldKey(d, r.old)
	if err != nil {
		return err
	}
	if _, err := s.c.KeyInfo(s.ctx, d.ID, next.Public().KeyID()); err == nil {
		return s.switchKey(cmd, d, old, next, 0) // it is recorded
	}
	owner, err := s.deviceOwner(d.ID)
	if err != nil {
		return err
	}
	possession, err := ledger.SignPossession(next, s.chain, owner)
	if err != nil {
		return err
	}
	body := ledger.Rotate{Device: d.ID, Old: old, Closes: r.closes, Possession: possession}
	return s.put(cmd, body, func() error {
		done, err := s.submit(body)
		if err != nil {
			return s.explain(err, body)
		}
		return s.switchKey(cmd, d, old, next, done.Height)
	})
}

// rotateElsewhere records a new key that a device has made elsewhere.
func (s *session) rotateElsewhere(cmd *cobra.Command, r rotation) error {
	body := ledger.Rotate{Closes: r.closes}
	d := s.ownDevice(r.device)
	var err error
	if d != nil {
		body.Device = d.ID
		body.Old, err = s.oldKey(d, r.old)
	} else if body.Device, err = idFlag("device", r.device); err == nil {
		if r.old == "" {
			return usagef("--old-key-id is required: the device's key is not in --home (mtm query keys --id %s)", r.device)
		}
		body.Old, err = keyIDFlag("old-key-id", r.old)
	}
	if err == nil {
		body.Possession, err = possessionFlag(r.possession)
	}
	if err != nil {
		return err
	}
	return s.put(cmd, body, func() error { return s.record(cmd, body) })
}

// possessionFlag reads the proof of possession that --possession gives, in base64.
func possessionFlag(text string) (*ledger.Possession, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, usagef("--possession: %w", err)
	}
	return ledger.ParsePossession(b)
}

// deviceOwner is the organisation that owns a device, proven.
func (s *session) deviceOwner(id crypto.ID) (crypto.ID, error) {
	out, err := s.proven(0, client.AnswerRequest{Questions: []client.Question{{Query: proof.AtQuery(record.FamilyDevice, id, 0)}}})
	if err != nil {
		return crypto.ID{}, err
	}
	if len(out.Results[0].Rows) == 0 {
		return crypto.ID{}, ledger.CodeUnknownDevice.Err()
	}
	row, err := record.ParseDevice(out.Results[0].Rows[0].Value)
	return row.Organisation, err
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
