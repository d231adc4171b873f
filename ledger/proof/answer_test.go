package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger/record"
)

func mustAnswer(t testing.TB, w *world) *Answered {
	t.Helper()
	out, err := VerifyAnswer(w.answer().Encode(), w.root())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnswer(t *testing.T) {
	w := newWorld(t)
	out := mustAnswer(t, w)
	if out.AsOfHeight != 6 || out.LogSize != 7 || out.HeaderTime != Micros(blockTime(7)/1000) || out.Signed != 3 || out.Assumption == "" {
		t.Errorf("%+v", out)
	}
	if n := len(out.Results[0].Rows); n != 5 {
		t.Errorf("%d devices", n)
	}
	owner, err := record.ParseOwner(out.Results[1].Rows[0].Value)
	if err != nil || owner.Organisation != w.org || len(out.Results[2].Rows) != 1 || len(out.Results[3].Rows) != 0 {
		t.Errorf("owner %+v %v, results %v", owner, err, out.Results)
	}
	if e := out.Entries[1]; e.Kind != EntryStatement || e.Time != Micros(blockTime(4)/1000) || e.Key != w.device.Public() || e.Doubtful {
		t.Errorf("entry %+v", e)
	}
	var got []string
	for _, p := range out.Cover.Parts {
		got = append(got, fmt.Sprintf("%s %d-%d", p.Kind, p.First, p.Last))
	}
	if s := strings.Join(got, ", "); s != "statement 5-10, missing 11-16, statement 17-19, not_written 20-25" || out.Cover.Mark != 19 {
		t.Errorf("cover %s, mark %d", s, out.Cover.Mark)
	}
	if out.Cover.Count(CoverStatement) != 9 || out.Cover.Count(CoverMissing) != 6 || out.Cover.Count(CoverUnwritten) != 6 {
		t.Errorf("counts %+v", out.Cover)
	}
	text := out.String()
	for _, s := range []string{
		"all organisation_device rows of organisation " + w.org.String() + ": 5 rows", "stream row of stream", "none, which is proven",
		"5 to 10: entry 3, committed at height 3", "11 to 16: missing", "20 to 25: not written", Assumption, "height 6",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("the text lacks %q:\n%s", s, text)
		}
	}
}

// TestAnswerReads: what the answer proves can be read by key, and what it does
// not prove can't.
func TestAnswerReads(t *testing.T) {
	w := newWorld(t)
	out := mustAnswer(t, w)
	if rows, err := out.Of(record.FamilyOrganisationDevice, w.org); err != nil || len(rows) != 5 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, found, err := out.At(record.FamilyOwner, w.stream, 5); err != nil || !found {
		t.Errorf("owner: %v %v", found, err)
	}
	if _, found, err := out.Get(record.StreamRow(crypto.ID{1})); err != nil || found {
		t.Errorf("no stream: %v %v", found, err)
	}
	if _, _, err := out.At(record.FamilyOwner, w.stream, 0); err == nil {
		t.Error("the last owner was not asked for, but is answered")
	}
	if _, err := out.All(record.FamilyOrganisation); err == nil {
		t.Error("the organisations were not asked for, but are answered")
	}
}

func TestAnswerJSON(t *testing.T) {
	w := newWorld(t)
	w.places = []place{{0, 0}, {2, 3}, {3, 3}}
	w.cover = nil
	data, err := json.Marshal(mustAnswer(t, w))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		`"kind":"genesis"`, `"operation":"open_stream"`, `"name":"temperature"`, `"text":"20.3"`, `"doubtful":false`,
		`"family":"organisation_device"`, `"device":"`, `"status":"active"`, `"as_of_height":6`,
	} {
		if !bytes.Contains(data, []byte(s)) {
			t.Errorf("the JSON lacks %s:\n%s", s, data)
		}
	}
}

// TestRowShapes: every family of the records can be shown, and no name stands
// twice in a row.
func TestRowShapes(t *testing.T) {
	for f := range 256 {
		family := record.Family(f)
		s, ok := shapeOf(family)
		if known := !strings.HasPrefix(family.String(), "family_"); known != ok {
			t.Errorf("%s: shown %v", family, ok)
		}
		if ok && s.id == "" && s.sub == "" {
			t.Errorf("%s: no name of the key", family)
		}
	}
	w := newWorld(t)
	for k, value := range w.rows {
		seen := make(map[string]bool)
		for _, field := range (Row{k, value}).Fields() {
			if seen[field.Name] || field.Name == "value" {
				t.Errorf("%s: %s", record.FamilyOf(k), field.Name)
			}
			seen[field.Name] = true
		}
	}
	if s := (Row{Value: []byte{1}}).String(); !strings.Contains(s, "value 01") {
		t.Error(s)
	}
}

func TestAnswerEveryByte(t *testing.T) {
	w := newWorld(t)
	w.changeSet(5, newSigners("later", 7, 5, 3))
	file, root := w.answer().Encode(), w.root()
	if c := answerFails(t, file, root); c != "" {
		t.Fatal(c)
	}
	want, err := json.Marshal(must(VerifyAnswer(file, root)))
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(file)
	for i := range file {
		for _, x := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff, 0x5a} {
			changed[i] = file[i] ^ x
			if answerFails(t, changed, root) == "" {
				t.Errorf("byte %d xor %#x: accepted", i, x)
			}
		}
		changed[i] = file[i]
		if answerFails(t, file[:i], root) == "" || answerFails(t, file[i+1:], root) == "" {
			t.Errorf("cut at %d: accepted", i)
		}
		if i >= len(file)-32 {
			continue
		}
		// With a new checksum only another question may be answered, truly.
		for _, x := range []byte{1, 2, 16, 128} {
			changed[i] = file[i] ^ x
			other, err := VerifyAnswer(reseal(changed), root)
			changed[i] = file[i]
			if err != nil {
				continue
			}
			got, _ := json.Marshal(other)
			if bytes.Equal(got, want) {
				t.Errorf("byte %d xor %#x: means the same", i, x)
			}
			if i > len(answerFrame.magic)+4*75+40 {
				t.Errorf("byte %d xor %#x, after the question: accepted", i, x)
			}
		}
	}
	if answerFails(t, append(slices.Clone(file), 0), root) == "" {
		t.Error("a byte appended: accepted")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzParseAnswer: whatever is parsed is encoded to the same bytes.
func FuzzParseAnswer(f *testing.F) {
	w := newWorld(f)
	f.Add(w.answer().Encode())
	w.cover, w.places = nil, nil
	w.changeSet(5, newSigners("later", 7, 5, 3))
	f.Add(w.answer().Encode())
	f.Add((&Answer{}).Encode())
	root := w.root()
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, b := range [][]byte{file, reseal(file)} {
			if out, err := VerifyAnswer(b, root); err == nil {
				_, _ = out.String(), must(json.Marshal(out))
			}
			a, err := ParseAnswer(b)
			if err != nil {
				continue
			}
			if again := a.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("parsed\n%x\nencodes to\n%x", b, again)
			}
		}
	})
}
