package dcbor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIntegers has the examples of RFC 8949 appendix A and every boundary.
func TestIntegers(t *testing.T) {
	tests := []struct {
		v    int64
		want string
	}{
		{0, "00"}, {1, "01"}, {10, "0a"}, {23, "17"}, {24, "1818"}, {25, "1819"}, {100, "1864"},
		{255, "18ff"}, {256, "190100"}, {1000, "1903e8"}, {65535, "19ffff"}, {65536, "1a00010000"},
		{1000000, "1a000f4240"}, {math.MaxUint32, "1affffffff"}, {math.MaxUint32 + 1, "1b0000000100000000"},
		{1000000000000, "1b000000e8d4a51000"}, {math.MaxInt64, "1b7fffffffffffffff"},
		{-1, "20"}, {-10, "29"}, {-24, "37"}, {-25, "3818"}, {-100, "3863"}, {-1000, "3903e7"},
		{math.MinInt64, "3b7fffffffffffffff"},
	}
	for _, tt := range tests {
		got := AppendInt(nil, tt.v)
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("%d: %x, want %s", tt.v, got, tt.want)
		}
		r := NewReader(got)
		if v := r.Int(); v != tt.v || r.Done() != nil {
			t.Errorf("%s: %d, %v", tt.want, v, r.Err())
		}
		if tt.v >= 0 {
			if u := AppendUint(nil, uint64(tt.v)); !bytes.Equal(u, got) || SizeUint(uint64(tt.v)) != len(u) {
				t.Errorf("%d as uint: %x", tt.v, u)
			}
		}
	}
}

func TestWriters(t *testing.T) {
	tests := []struct {
		got  []byte
		want string
	}{
		{AppendUint(nil, math.MaxUint64), "1bffffffffffffffff"},
		{AppendBytes(nil, nil), "40"},
		{AppendBytes(nil, []byte{1, 2, 3, 4}), "4401020304"},
		{AppendText(nil, "IETF"), "6449455446"},
		{AppendText(nil, "水"), "63e6b0b4"},
		{AppendArray(nil, 3), "83"},
		{AppendArray(nil, 25), "9819"},
		{AppendMap(nil, 0), "a0"},
		{AppendTag(nil, 18), "d2"},
		{AppendBool(nil, false), "f4"},
		{AppendBool(nil, true), "f5"},
		{AppendNull(nil), "f6"},
	}
	for _, tt := range tests {
		if hex.EncodeToString(tt.got) != tt.want {
			t.Errorf("%x, want %s", tt.got, tt.want)
		}
		if len(tt.got) == 0 {
			t.Error("empty")
		}
	}
}

// TestReadAll reads one item of each kind in a row.
func TestReadAll(t *testing.T) {
	b := AppendTag(nil, TagSign1)
	b = AppendArray(b, 9)
	b = AppendUint(b, 7)
	b = AppendInt(b, -7)
	b = AppendBytes(b, []byte("ab"))
	b = AppendBytes(b, []byte("cd"))
	b = AppendText(b, "é")
	b = AppendMap(b, 1)
	b = AppendUint(b, 1)
	b = AppendText(b, "v")
	b = AppendBool(b, true)
	b = AppendNull(b)
	b = AppendNull(b)
	r := NewReader(b)
	r.ExpectTag(TagSign1)
	r.ExpectArray(9)
	r.ExpectUint(7)
	if r.Kind() != KindNegInt || r.Int() != -7 {
		t.Error("negative")
	}
	if got := r.Bytes(2); string(got) != "ab" {
		t.Errorf("bytes %q", got)
	}
	var fixed [2]byte
	if r.Fixed(fixed[:]); string(fixed[:]) != "cd" {
		t.Errorf("fixed %q", fixed)
	}
	r.ExpectText("é")
	r.ExpectMap(1)
	if k, v := r.Uint(), r.Text(1); k != 1 || v != "v" {
		t.Errorf("map %d %q", k, v)
	}
	if r.Null() || !r.Bool() || !r.Null() || string(r.Raw()) != "\xf6" {
		t.Error("simple values")
	}
	if r.Kind() != KindEnd || r.Done() != nil || r.Offset() != len(b) {
		t.Error(r.Err())
	}
	if err := Check(b); err != nil {
		t.Error(err)
	}
}

// refusedItems are whole items that no reader may accept.
var refusedItems = []struct {
	name, in string
	want     error
}{
	{"nothing", "", ErrTruncated},
	{"0 in two bytes", "1800", ErrNotShortest},
	{"23 in two bytes", "1817", ErrNotShortest},
	{"255 in three bytes", "1900ff", ErrNotShortest},
	{"65535 in five bytes", "1a0000ffff", ErrNotShortest},
	{"2^32-1 in nine bytes", "1b00000000ffffffff", ErrNotShortest},
	{"negative in two bytes", "3817", ErrNotShortest},
	{"byte string length", "580161", ErrNotShortest},
	{"text length", "780161", ErrNotShortest},
	{"array length", "980101", ErrNotShortest},
	{"map length", "b8010101", ErrNotShortest},
	{"tag", "d81200", ErrNotShortest},
	{"indefinite bytes", "5f4101ff", ErrIndefinite},
	{"indefinite text", "7f6161ff", ErrIndefinite},
	{"indefinite array", "9f01ff", ErrIndefinite},
	{"indefinite map", "bf0101ff", ErrIndefinite},
	{"break", "ff", ErrUnsupported},
	{"reserved 28", "1c", ErrReserved},
	{"reserved 29", "5d", ErrReserved},
	{"reserved 30", "9e", ErrReserved},
	{"half float", "f93c00", ErrUnsupported},
	{"float", "fa47c35000", ErrUnsupported},
	{"double", "fb3ff199999999999a", ErrUnsupported},
	{"undefined", "f7", ErrUnsupported},
	{"simple 16", "f0", ErrUnsupported},
	{"simple 255", "f8ff", ErrUnsupported},
	{"tag 0", "c000", ErrValue},
	{"tag 55799", "d9d9f700", ErrValue},
	{"bad UTF-8", "61ff", ErrUTF8},
	{"surrogate", "63eda080", ErrUTF8},
	{"cut head", "19", ErrTruncated},
	{"cut bytes", "4201", ErrTruncated},
	{"cut array", "8201", ErrTruncated},
	{"cut map", "a101", ErrTruncated},
	{"huge bytes", "5bffffffffffffffff", ErrTooLong},
	{"huge array", "9b7fffffffffffffff", ErrTooLong},
	{"unsorted map", "a202000100", ErrMapOrder},
	{"key twice", "a201000100", ErrMapOrder},
	{"unsorted map by length", "a2616100190100 00", ErrMapOrder},
	{"unsorted in array", "81a202000100", ErrMapOrder},
	{"trailing", "0000", ErrTrailing},
	{"too deep", strings.Repeat("81", MaxDepth) + "00", ErrDepth},
}

// TestRefusedItems gives whole items to Check.
func TestRefusedItems(t *testing.T) {
	for _, tt := range refusedItems {
		if err := Check(unhex(t, tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := Check(unhex(t, strings.Repeat("81", MaxDepth-1)+"00")); err != nil {
		t.Errorf("nesting at the limit: %v", err)
	}
}

// TestRefusedByMethod gives items to methods that want something else.
func TestRefusedByMethod(t *testing.T) {
	var two [2]byte
	tests := []struct {
		name, in string
		read     func(*Reader)
		want     error
	}{
		{"Uint of negative", "20", func(r *Reader) { r.Uint() }, ErrType},
		{"Uint of nothing", "", func(r *Reader) { r.Uint() }, ErrTruncated},
		{"Int of text", "6161", func(r *Reader) { r.Int() }, ErrType},
		{"Int of 2^63", "1b8000000000000000", func(r *Reader) { r.Int() }, ErrRange},
		{"Int of -2^63-1", "3b8000000000000000", func(r *Reader) { r.Int() }, ErrRange},
		{"Bytes of text", "6161", func(r *Reader) { r.Bytes(9) }, ErrType},
		{"Bytes too long", "43010203", func(r *Reader) { r.Bytes(2) }, ErrTooLong},
		{"Fixed too short", "4101", func(r *Reader) { r.Fixed(two[:]) }, ErrLength},
		{"Fixed too long", "43010203", func(r *Reader) { r.Fixed(two[:]) }, ErrLength},
		{"Fixed of uint", "01", func(r *Reader) { r.Fixed(two[:]) }, ErrType},
		{"Text of bytes", "4161", func(r *Reader) { r.Text(9) }, ErrType},
		{"Text too long", "63616263", func(r *Reader) { r.Text(2) }, ErrTooLong},
		{"Array too long", "83010203", func(r *Reader) { r.Array(2) }, ErrTooLong},
		{"Array of map", "a0", func(r *Reader) { r.Array(2) }, ErrType},
		{"Map too long", "a201000200", func(r *Reader) { r.Map(1) }, ErrTooLong},
		{"Map of array", "80", func(r *Reader) { r.Map(1) }, ErrType},
		{"Tag of uint", "12", func(r *Reader) { r.Tag() }, ErrType},
		{"Bool of null", "f6", func(r *Reader) { r.Bool() }, ErrUnsupported},
		{"Bool of uint", "01", func(r *Reader) { r.Bool() }, ErrType},
		{"Bool of nothing", "", func(r *Reader) { r.Bool() }, ErrTruncated},
		{"ExpectUint", "02", func(r *Reader) { r.ExpectUint(1) }, ErrValue},
		{"ExpectText", "6162", func(r *Reader) { r.ExpectText("a") }, ErrValue},
		{"ExpectArray", "80", func(r *Reader) { r.ExpectArray(1) }, ErrLength},
		{"ExpectMap", "a0", func(r *Reader) { r.ExpectMap(1) }, ErrLength},
		{"ExpectTag", "d100", func(r *Reader) { r.ExpectTag(18) }, ErrValue},
		{"Fail", "", func(r *Reader) { r.Fail(ErrRange) }, ErrRange},
	}
	for _, tt := range tests {
		r := NewReader(unhex(t, tt.in))
		tt.read(r)
		if !errors.Is(r.Err(), tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, r.Err(), tt.want)
		}
	}
}

// TestSticky: after an error every method returns zero and the error stays.
func TestSticky(t *testing.T) {
	r := NewReader(unhex(t, "01 41ff 6161 8101 a10101 d2 f5 f6"))
	r.Fail(ErrRange)
	var fixed [1]byte
	r.Fixed(fixed[:])
	if r.Uint() != 0 || r.Int() != 0 || r.Bytes(9) != nil || r.Text(9) != "" || r.Array(9) != 0 ||
		r.Map(9) != 0 || r.Tag() != 0 || r.Bool() || r.Null() || r.Raw() != nil || fixed[0] != 0 || r.Kind() != KindEnd {
		t.Error("a method returned something")
	}
	r.Fail(ErrType)
	if err := r.Done(); !errors.Is(err, ErrRange) || errors.Is(err, ErrType) || r.Offset() != 0 {
		t.Errorf("%v at %d", err, r.Offset())
	}
}

var update = flag.Bool("update", false, "write testdata/vectors anew")

// TestVectors writes or compares testdata/vectors/encoding.json.
func TestVectors(t *testing.T) {
	type item struct {
		Name  string `json:"name,omitempty"`
		Bytes string `json:"bytes"`
	}
	file := struct {
		Spec    string `json:"spec"`
		About   string `json:"about"`
		Valid   []item `json:"valid"`
		Invalid []item `json:"invalid"`
	}{Spec: "docs/spec/encoding.md", About: "CBOR items: a strict reader accepts the valid ones and writes them back byte for byte, and refuses the invalid ones. Items nested deeper than 16 are not used."}
	for _, s := range accepted {
		file.Valid = append(file.Valid, item{Bytes: s})
		if err := Check(unhex(t, s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, tt := range refusedItems {
		file.Invalid = append(file.Invalid, item{tt.name, strings.ReplaceAll(tt.in, " ", "")})
	}
	want, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	const path = "../../testdata/vectors/encoding.json"
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s differs (%v); run with -update", path, err)
	}
}

// accepted are items that every reader must accept.
var accepted = []string{
	"00", "17", "1818", "18ff", "190100", "19ffff", "1a00010000", "1b0000000100000000", "1b7fffffffffffffff", "1bffffffffffffffff",
	"20", "37", "3818", "3903e7", "3b7fffffffffffffff", "40", "43010203", "60", "63e6b0b4", "64f0908080", "80", "83010203", "818181f6",
	"a0", "a201020304", "a2616100616200", "a301f50af464f0908080f6", "d28443a10126a0404100", "f4", "f5", "f6",
}

// judge is fxamacker/cbor set to the same rules.
func judge(t testing.TB) (cbor.DecMode, cbor.EncMode) {
	t.Helper()
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		IntDec: cbor.IntDecConvertNone, UTF8: cbor.UTF8RejectInvalid,
		MaxArrayElements: 1 << 20, MaxNestedLevels: 64,
	}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	return dec, enc
}

// FuzzCheck: what Check accepts, an independent decoder accepts too, and its
// core deterministic encoder writes back the same bytes.
func FuzzCheck(f *testing.F) {
	for _, s := range accepted {
		f.Add(unhex(f, s))
	}
	for _, tt := range refusedItems {
		f.Add(unhex(f, tt.in))
	}
	dec, enc := judge(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b) != nil {
			return
		}
		if bytes.ContainsAny(b, "\xd2") {
			// The judge would rewrite tags' content as it likes; well-formedness only.
			if err := cbor.Wellformed(b); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		var v any
		if err := dec.Unmarshal(b, &v); err != nil {
			if strings.Contains(err.Error(), "map key") { // arrays and maps as keys: Go has no such map
				return
			}
			t.Fatalf("%x: the other decoder refuses: %v", b, err)
		}
		again, err := enc.Marshal(v)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if !bytes.Equal(b, again) {
			t.Fatalf("%x re-encodes as %x", b, again)
		}
	})
}

// FuzzScalars: every method on any input keeps the sticky error and stays in
// bounds.
func FuzzScalars(f *testing.F) {
	f.Add([]byte{0x83, 1, 2, 3}, []byte{4, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b, program []byte) {
		r := NewReader(b)
		for _, op := range program {
			before := r.Offset()
			switch op % 10 {
			case 0:
				r.Uint()
			case 1:
				r.Int()
			case 2:
				r.Bytes(int(op))
			case 3:
				r.Text(int(op))
			case 4:
				r.Array(int(op))
			case 5:
				r.Map(int(op))
			case 6:
				r.Tag()
			case 7:
				r.Bool()
			case 8:
				r.Null()
			case 9:
				r.Raw()
			}
			if r.Offset() < before && r.Err() == nil || r.Offset() > len(b) {
				t.Fatalf("offset %d after %d of %d", r.Offset(), before, len(b))
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	in := unhex(b, "85 01 19 1234 18 2a 1b 00060f1c9d4a8000 81 82 00 58 28")
	in = append(in, make([]byte, 40)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(in); err != nil {
			b.Fatal(err)
		}
	}
}
