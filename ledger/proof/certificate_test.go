package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// failing returns the check that refuses a file, "" if it is accepted.
func failing(t testing.TB, file []byte, root TrustRoot) Check {
	t.Helper()
	f, err := Verify(file, root)
	if err == nil {
		return ""
	}
	if f != nil {
		t.Fatal("a refusal comes with a finding")
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not a refusal: %v", err)
	}
	if r.Check == "" || r.Err == nil || r.Err.Error() == "" {
		t.Fatalf("a refusal without a reason: %v", err)
	}
	return r.Check
}

func TestFinding(t *testing.T) {
	f := newFixture(t)
	c := f.certificate(18, 19)
	got, err := Verify(c.Encode(), f.root())
	if err != nil {
		t.Fatal(err)
	}
	at := f.statement.Readings
	want := &Finding{
		Chain: f.chain, Stream: f.stream, First: 18, Last: 19, Media: "text/plain",
		Readings: []ProvenValue{
			{18, Micros(at[1].Time), []byte("21.25")},
			{19, Micros(at[2].Time), []byte("\x00\xff")},
		},
		Statement: StatementFinding{Digest: f.statement.Digest(), First: 17, Last: 19},
		Device:    ledger.DeviceID(f.device.Public()), KeyID: f.device.Public().KeyID(), Key: f.device.Public(),
		Owner: f.org, Index: 5, Height: 4, Time: Micros(blockTime(4) / 1000),
		AsOfHeight: 6, LogSize: 7, HeaderTime: Micros(blockTime(7) / 1000),
		Validators: 4, Signed: 3, TotalPower: 40, Power: 30, Assumption: Assumption,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	text := got.String()
	for _, s := range []string{
		"reading 18", "21.25", "hex 00ff", f.stream.String(), f.org.String(), "entry 5 of 7", "at height 4",
		"power 30 of 40", Assumption, want.KeyID.String(), want.Device.String(), "height 6",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("the text lacks %q:\n%s", s, text)
		}
	}
}

func TestFindingJSON(t *testing.T) {
	f := newFixture(t)
	got, err := Verify(f.certificate(18, 19).Encode(), f.root())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	readings := m["readings"].([]any)
	first, second := readings[0].(map[string]any), readings[1].(map[string]any)
	if first["text"] != "21.25" || first["content"] != "MjEuMjU=" || first["declared_time"] == nil {
		t.Errorf("first reading %v", first)
	}
	if _, ok := second["text"]; ok || second["content"] != "AP8=" {
		t.Errorf("second reading %v", second)
	}
	for _, name := range []string{
		"chain", "stream", "first", "last", "media", "statement", "device", "key_id", "key", "owner", "log_index",
		"committed_height", "committed_time", "as_of_height", "log_size", "header_time", "validators",
		"validators_signed", "power", "power_signed", "validator_set_changes", "assumption",
	} {
		if m[name] == nil {
			t.Errorf("no %s in %s", name, data)
		}
	}
}

// TestFindingInDoubt: a certificate of what a key signed that is declared compromised is
// sound, and says the doubt in words and as JSON.
func TestFindingInDoubt(t *testing.T) {
	for _, tt := range []struct {
		from     uint64 // declared compromised; the reading is of height 4
		doubtful bool
		text     string
		json     string
	}{
		{0, false, "", `"doubtful":false,"owner"`},
		{3, true, "IN DOUBT     the key is declared compromised from height 3 on: somebody else may have signed this", `"doubtful":true,"doubtful_from":3,`},
		{4, true, "IN DOUBT     the key is declared compromised from height 4 on", `"doubtful":true,"doubtful_from":4,`},
		{5, false, "the key is declared compromised from height 5 on, after this", `"doubtful":false,"doubtful_from":5,`},
	} {
		f := newFixture(t)
		doubtKey(f, tt.from)
		got, err := Verify(f.certificate(17, 19).Encode(), f.root())
		if err != nil || got.Doubtful != tt.doubtful || got.DoubtfulFrom != tt.from {
			t.Fatalf("from %d: %+v, %v", tt.from, got, err)
		}
		text := got.String()
		if !strings.Contains(text, tt.text) || strings.HasPrefix(text, "IN DOUBT") != tt.doubtful || strings.Contains(text, "compromised") != (tt.from != 0) {
			t.Errorf("from %d:\n%s", tt.from, text)
		}
		if data := must(json.Marshal(got)); !bytes.Contains(data, []byte(tt.json)) {
			t.Errorf("from %d: %s", tt.from, data)
		}
	}
}

func TestFindingWithoutClock(t *testing.T) {
	f := &Finding{Readings: []ProvenValue{{Number: 1, Content: []byte("x")}}}
	if text := f.String(); !strings.Contains(text, "declared no time  x") {
		t.Errorf("%q", text)
	}
	data, err := json.Marshal(ProvenValue{Number: 1})
	if err != nil || !bytes.Contains(data, []byte(`"declared_time":null`)) {
		t.Errorf("%s %v", data, err)
	}
}

func TestFindingTextIsBounded(t *testing.T) {
	f := newFixture(t)
	var contents []string
	for i := range ledger.MaxReadings {
		contents = append(contents, fmt.Sprintf("%d\x1b[2J", i))
	}
	contents[3] = strings.Repeat("ä", 5_000)
	f.sign(1, contents...)
	got, err := Verify(f.certificate(1, 1000).Encode(), f.root())
	if err != nil {
		t.Fatal(err)
	}
	if text := got.String(); len(text) > 8_000 || !strings.Contains(text, "and 980 more") || strings.Contains(text, "\x1b") {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	if len(got.Readings) != 1000 {
		t.Errorf("%d readings", len(got.Readings))
	}
}

// TestEveryByte changes every byte of a certificate in 10 ways, cuts it at every
// length and appends to it. All of it is refused with a reason.
func TestEveryByte(t *testing.T) {
	f := newFixture(t)
	f.changeSet(5, newSigners("later", 7, 5, 3))
	file, root := f.certificate(17, 19).Encode(), f.root()
	if c := failing(t, file, root); c != "" {
		t.Fatal(c)
	}
	refused := func(what string, file []byte) {
		if failing(t, file, root) == "" {
			t.Errorf("%s: accepted", what)
		}
	}
	changed := slices.Clone(file)
	for i := range file {
		for _, x := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff, 0x5a} {
			changed[i] = file[i] ^ x
			refused(fmt.Sprintf("byte %d xor %#x", i, x), changed)
		}
		changed[i] = file[i]
		refused(fmt.Sprintf("the first %d bytes", i), file[:i])
		refused(fmt.Sprintf("without the first %d bytes", i+1), file[i+1:])
	}
	for b := range 256 {
		refused(fmt.Sprintf("byte %d appended", b), append(slices.Clone(file), byte(b)))
	}
	refused("doubled", append(slices.Clone(file), file...))
}

// TestEveryByteResealed changes every byte and makes the checksum anew: what is
// then accepted must say the very same.
func TestEveryByteResealed(t *testing.T) {
	f := newFixture(t)
	f.changeSet(5, newSigners("later", 7, 5, 3))
	file, root := f.certificate(17, 19).Encode(), f.root()
	claimed := bytes.Index(file, f.stream[:]) + len(f.stream) // first and last may name fewer readings
	checks := make(map[Check]int)
	for i := range file[:len(file)-32] {
		for _, x := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff} {
			changed := slices.Clone(file)
			changed[i] ^= x
			check := failing(t, reseal(changed), root)
			checks[check]++
			if check == "" && i != claimed && i != claimed+1 {
				t.Errorf("byte %d xor %#x: accepted", i, x)
			}
		}
	}
	for _, c := range []Check{
		CheckShape, CheckStatement, CheckClaim, CheckLog, CheckRecords, CheckBlock, CheckKey, CheckSignature,
		CheckOwner, CheckHeader, CheckTrust, CheckPath, CheckCommit,
	} {
		if checks[c] == 0 {
			t.Errorf("no changed byte fails check %s: %v", c, checks)
		}
	}
}

func TestVerifierRemembersOnlyWhatItVerified(t *testing.T) {
	f := newFixture(t)
	v, err := NewVerifier(f.root())
	if err != nil {
		t.Fatal(err)
	}
	good := f.certificate(17, 17)
	bad := *good
	bad.Light.Commit.Signatures = slices.Clone(good.Light.Commit.Signatures)
	bad.Light.Commit.Signatures[1].Signature[40] ^= 1
	fewer := *good
	fewer.Light.Commit.Signatures = good.Light.Commit.Signatures[:2]
	another := *good
	another.Light.Header.DataHash[0] ^= 1 // with the votes of the first header
	for round := range 3 {
		if _, err := v.Verify(bad.Encode()); err == nil {
			t.Fatalf("round %d: a wrong signature is accepted", round)
		}
		if _, err := v.Verify(fewer.Encode()); !errors.Is(err, ErrNotEnoughPower) {
			t.Fatalf("round %d: too few signatures: %v", round, err)
		}
		if _, err := v.Verify(another.Encode()); err == nil {
			t.Fatalf("round %d: another header is accepted", round)
		}
		if _, err := v.Verify(good.Encode()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if len(v.seen) != 1 {
		t.Errorf("%d light blocks remembered", len(v.seen))
	}
	for i := range maxSeen + 10 {
		f.header.Time++
		if _, err := v.Verify(f.certificate(17, 17).Encode()); err != nil || len(v.seen) > maxSeen {
			t.Fatalf("%d: %v, %d remembered", i, err, len(v.seen))
		}
	}
}

func TestVerifierIsConcurrent(t *testing.T) {
	f := newFixture(t)
	v, err := NewVerifier(f.root())
	if err != nil {
		t.Fatal(err)
	}
	file := f.certificate(17, 19).Encode()
	done := make(chan error)
	for range 8 {
		go func() {
			_, err := v.Verify(file)
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// FuzzParse: whatever is parsed is encoded to the same bytes. The checksum is
// made anew, because no mutation would find one.
func FuzzParse(f *testing.F) {
	fix := newFixture(f)
	f.Add(fix.certificate(17, 19).Encode())
	fix.changeSet(5, newSigners("later", 7, 5, 3))
	f.Add(fix.certificate(17, 17).Encode())
	f.Add((&Certificate{}).Encode())
	root := fix.root()
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, b := range [][]byte{file, reseal(file)} {
			_, _ = Verify(b, root)
			c, err := Parse(b)
			if err != nil {
				continue
			}
			if again := c.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("parsed\n%x\nencodes to\n%x", b, again)
			}
		}
	})
}

func FuzzParseTrustRoot(f *testing.F) {
	f.Add(newFixture(f).root().Encode())
	f.Add([]byte(`{"chain":"a","validators":[]}`))
	f.Add([]byte(`{"chain":"a","Chain":"b","validators":[{"key":"","power":1,"power":2}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		root, err := ParseTrustRoot(file)
		if err != nil {
			return
		}
		again, err := ParseTrustRoot(root.Encode())
		if err != nil || again.Chain != root.Chain || !slices.Equal(again.Validators, root.Validators) {
			t.Fatalf("%+v becomes %+v: %v", root, again, err)
		}
		// What is accepted has each name once: encoding/json reads the same, and nothing is left over.
		var loose TrustRoot
		if err := json.Unmarshal(file, &loose); err != nil || loose.Chain != root.Chain || len(loose.Validators) != len(root.Validators) {
			t.Fatalf("%s: encoding/json reads %+v, %v", file, loose, err)
		}
		for _, name := range []string{`"chain"`, `"validators"`} {
			if n := bytes.Count(file, []byte(name)); n > 1 {
				t.Fatalf("%s: %s stands there %d times", file, name, n)
			}
		}
	})
}

// other is a key that belongs to nobody in the fixture.
func other() crypto.PrivateKey { return testKey("other") }
