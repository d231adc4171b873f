package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/crypto"
	"mtmledger/ledger"
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
the streams' owner changes only with --with-streams. Of a device with more than 256
streams, or one that was sold 63 times (too_many), give the device without it, then
each stream that is to go by mtm stream transfer. What a member owned that left, the
members give by vote: who is to have it proposes.`,
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
