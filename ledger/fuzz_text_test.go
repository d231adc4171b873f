package ledger

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzParseGenesis: a genesis that is read is written as JSON that says the same, and
// has the same entry in the log.
func FuzzParseGenesis(f *testing.F) {
	g := goodGenesis()
	seeds := []Genesis{g, {}, {Organisations: g.Organisations[1:]}}
	g.Parameters = GenesisParameters{ClockAhead: 60, VoteNum: 3, VoteDen: 4, StatementsPerBridge: 1000}
	for _, g := range append(seeds, g) {
		b, err := json.Marshal(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(bytes.Replace(b, []byte(`"name"`), []byte(`"NAME"`), 1))
	}
	f.Fuzz(func(t *testing.T, appState []byte) {
		g, err := ParseGenesis(appState)
		if err != nil {
			if code := CodeOf(err); code == CodeOK {
				t.Errorf("%q: code %v: %v", appState, code, err)
			}
			return
		}
		written, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseGenesis(written)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", appState, written, err)
		}
		if !bytes.Equal(again.Encode(), g.Encode()) {
			t.Errorf("%q is written as another genesis, %q", appState, written)
		}
	})
}

// FuzzText: every text of a media type, topic or code that is read is the only one
// of what it stands for.
func FuzzText(f *testing.F) {
	for _, text := range []string{"0", "112", "text/csv", "text/plain; charset=utf-8", UpTopic(testDevice, testOrg), CodeMalformed.String()} {
		f.Add(text)
		f.Add(text + "/")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := ParseMedia(text); err == nil && m.String() != text {
			t.Errorf("media %q is written as %q", text, m)
		}
		if device, stream, err := ParseUpTopic(text); err == nil && UpTopic(device, stream) != text {
			t.Errorf("topic %q is written as %q", text, UpTopic(device, stream))
		}
		if c, err := ParseCode(text); err == nil && c.String() != text {
			t.Errorf("code %q is written as %q", text, c)
		}
	})
}
