package ledger

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"mtmledger/crypto"
)

// Hash domains of the derived ids (docs/spec/encoding.md).
const (
	domainOrganisation = "mtm/organisation/1"
	domainDevice       = "mtm/device/1"
	domainBridge       = "mtm/bridge/1"
	domainStream       = "mtm/stream/1"
)

// OrganisationID derives an organisation's id from its first admin key.
func OrganisationID(firstAdmin crypto.PublicKey) crypto.ID {
	return crypto.DeriveID(domainOrganisation, firstAdmin[:])
}

// DeviceID derives a device's id from its first public key. The id stays when
// keys rotate.
func DeviceID(first crypto.PublicKey) crypto.ID { return crypto.DeriveID(domainDevice, first[:]) }

// BridgeID derives a bridge's id from its first public key.
func BridgeID(first crypto.PublicKey) crypto.ID { return crypto.DeriveID(domainBridge, first[:]) }

// StreamID derives a stream's id. The chain id is part of it, so that a
// statement cannot be replayed on another ledger.
func StreamID(chain string, device crypto.ID, name string) crypto.ID {
	return crypto.DeriveID(domainStream, []byte(chain), device[:], []byte(name))
}

// CheckName checks the name of a stream or an organisation: 1..MaxName bytes of
// UTF-8 without spaces at the ends and without the characters of unprintable.
func CheckName(name string) error {
	if len(name) > MaxName {
		return Errorf(CodeTooLarge, "name of %d bytes, at most %d", len(name), MaxName)
	}
	if name == "" || !utf8.ValidString(name) || name[0] == ' ' || name[len(name)-1] == ' ' {
		return Errorf(CodeMalformed, "name is empty, not UTF-8, or begins or ends with a space")
	}
	for _, c := range name {
		if unprintable(c) {
			return Errorf(CodeMalformed, "name has the unprintable character %U", c)
		}
	}
	return nil
}

// unprintable tells whether c is a control character, or one that changes the
// order or breaks the line of text around it. The list is written out because
// validators must agree on it whatever Unicode tables they were built with.
func unprintable(c rune) bool {
	switch {
	case c < 0x20, c >= 0x7f && c <= 0x9f: // C0, DEL, C1
		return true
	case c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e: // zero width, separators, bidi
		return true
	case c >= 0x2060 && c <= 0x206f, c == 0xfeff, c >= 0xfff0 && c <= 0xffff: // invisible, specials
		return true
	}
	return c == 0x00ad || c == 0x061c || c >= 0xe0000 // soft hyphen, bidi, tags and private planes
}

// CheckChain checks a chain id: 1..MaxChain bytes of printable ASCII without
// spaces.
func CheckChain(chain string) error {
	if len(chain) > MaxChain {
		return Errorf(CodeTooLarge, "chain id of %d bytes, at most %d", len(chain), MaxChain)
	}
	if chain == "" {
		return Errorf(CodeMalformed, "chain id is empty")
	}
	for i := range len(chain) {
		if chain[i] <= ' ' || chain[i] > '~' {
			return Errorf(CodeMalformed, "chain id %q has a character outside ! to ~", chain)
		}
	}
	return nil
}

// The MQTT topics of docs/spec/mqtt.md.
const (
	topicUp   = "mtm/1/up/"
	topicAck  = "mtm/1/ack/"
	topicData = "mtm/1/data/"

	// UpFilter is the subscription that matches every UpTopic.
	UpFilter = topicUp + "+/+"
	// AckFilter is the subscription that matches every AckTopic.
	AckFilter = topicAck + "+"
	// DataFilter is the subscription that matches every DataTopic.
	DataFilter = topicData + "+"
)

// UpTopic is where a device publishes the statements of a stream.
func UpTopic(device, stream crypto.ID) string {
	return topicUp + device.String() + "/" + stream.String()
}

// AckTopic is where bridges publish a device's acknowledgements.
func AckTopic(device crypto.ID) string { return topicAck + device.String() }

// DataTopic is where bridges publish the committed statements of a stream.
func DataTopic(stream crypto.ID) string { return topicData + stream.String() }

// ParseUpTopic returns the ids of an UpTopic.
func ParseUpTopic(topic string) (device, stream crypto.ID, err error) {
	rest, ok := strings.CutPrefix(topic, topicUp)
	if !ok {
		return device, stream, Errorf(CodeMalformed, "topic %q is not %s<device>/<stream>", clip(topic), topicUp)
	}
	d, s, _ := strings.Cut(rest, "/")
	if device, err = crypto.ParseID(d); err == nil {
		stream, err = crypto.ParseID(s)
	}
	if err != nil {
		return crypto.ID{}, crypto.ID{}, Errorf(CodeMalformed, "topic %q: %w", clip(topic), err)
	}
	return device, stream, nil
}

// clip shortens input for an error text.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%s... (%d bytes)", s[:most], len(s))
	}
	return s
}
