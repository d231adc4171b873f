package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"mtmledger/crypto"
)

// byHand is the hash of docs/spec/encoding.md, written again.
func byHand(domain string, parts ...[]byte) (id crypto.ID) {
	b := append([]byte{byte(len(domain))}, domain...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	h := sha256.Sum256(b)
	copy(id[:], h[:])
	return id
}

func TestIDs(t *testing.T) {
	key := deviceKey.Public()
	if DeviceID(key) != byHand("mtm/device/1", key[:]) || BridgeID(key) != byHand("mtm/bridge/1", key[:]) ||
		OrganisationID(key) != byHand("mtm/organisation/1", key[:]) {
		t.Error("ids of a key")
	}
	d := DeviceID(key)
	if StreamID("c", d, "n") != byHand("mtm/stream/1", []byte("c"), d[:], []byte("n")) {
		t.Error("stream id")
	}
	if StreamID("c", d, "n") == StreamID("d", d, "n") || StreamID("c", d, "n") == StreamID("c", d, "m") {
		t.Error("stream ids do not depend on chain and name")
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "a b", "Temperatur °C", "温度", "a/b:c", strings.Repeat("n", 64), "🌡"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " a", "a ", "a\tb", "a\x00", "a\x7f", "a\u0085b", "a\u200bb", "a\u2028b", "a\u202eb",
		"a\u2066b", "\ufeffa", "a\ufffd", "a\xff", "a\u00adb", "a\U000e0001", "a\U0010ffff", "a\u061cb"} {
		if CodeOf(CheckName(name)) != CodeMalformed {
			t.Errorf("%q is accepted", name)
		}
	}
	if CodeOf(CheckName(strings.Repeat("n", 65))) != CodeTooLarge {
		t.Error("65 bytes are accepted")
	}
	for _, chain := range []string{"a", "mtm-1", strings.Repeat("c", 50)} {
		if err := CheckChain(chain); err != nil {
			t.Errorf("%q: %v", chain, err)
		}
	}
	for _, chain := range []string{"", "a b", "é", "a\n", strings.Repeat("c", 51)} {
		if CheckChain(chain) == nil {
			t.Errorf("%q is accepted", chain)
		}
	}
}

func TestTopics(t *testing.T) {
	up := UpTopic(testDevice, testStream)
	if up != "mtm/1/up/"+testDevice.String()+"/"+testStream.String() || len(up) != 54 {
		t.Error(up)
	}
	d, s, err := ParseUpTopic(up)
	if d != testDevice || s != testStream || err != nil {
		t.Error(err)
	}
	if AckTopic(testDevice) != "mtm/1/ack/"+testDevice.String() || DataTopic(testStream) != "mtm/1/data/"+testStream.String() {
		t.Error("topics")
	}
	for _, bad := range []string{"", "mtm/1/up/", up[1:], up + "/", up + "x", up[:len(up)-1], strings.Replace(up, "/1/", "/2/", 1),
		AckTopic(testDevice), "mtm/1/up/" + testDevice.String(), strings.Repeat("x", 1000)} {
		if _, _, err := ParseUpTopic(bad); CodeOf(err) != CodeMalformed {
			t.Errorf("%q: %v", bad, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("an error text of %d bytes", len(err.Error()))
		}
	}
}

func TestMedia(t *testing.T) {
	for s, want := range map[string]Media{
		"0": {}, "112": {Format: 112}, "65535": {Format: 65535}, "text/csv": {Text: "text/csv"},
		"text/csv; header=present": {Text: "text/csv; header=present"}, "a/b/c": {Text: "a/b/c"},
	} {
		m, err := ParseMedia(s)
		if m != want || err != nil || m.String() != s {
			t.Errorf("%q: %v, %v", s, m, err)
		}
	}
	for _, s := range []string{"", "65536", "-1", "012", "1x", "text", "/", "/a", "a/", "a/é", " a/b", strings.Repeat("a", 64) + "/"} {
		if _, err := ParseMedia(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}
