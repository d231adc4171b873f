package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

func ExampleResult_Encode() {
	r := state.Result{
		Codes:   []ledger.Code{ledger.CodeOK, ledger.CodeUsed, ledger.CodeOK},
		Indexes: []uint64{40, 41},
	}
	fmt.Printf("%x\n", r.Encode())
	// Output: 840018280382010a
}

var results = []struct {
	name string
	r    state.Result
	hex  string
}{
	{"refused", state.Result{Code: ledger.CodeUnknownBridge}, "8105"},
	{"operation", state.Result{Indexes: []uint64{7}}, "820007"},
	{"one", state.Result{Codes: make([]ledger.Code, 1), Indexes: []uint64{1}}, "83000101"},
	{"all", state.Result{Codes: make([]ledger.Code, 3), Indexes: []uint64{500, 501, 502}}, "83001901f403"},
	{"some", state.Result{Codes: []ledger.Code{0, 10, 0, 4}, Indexes: []uint64{9, 10}}, "8400090484010a0304"},
	{"none", state.Result{Codes: []ledger.Code{10, 30}, Indexes: []uint64{}}, "8400000284000a01181e"},
}

func TestResult(t *testing.T) {
	for _, c := range results {
		raw := c.r.Encode()
		if got := fmt.Sprintf("%x", raw); got != c.hex {
			t.Errorf("%s: %s, want %s", c.name, got, c.hex)
		}
		back, err := state.DecodeResult(raw)
		if err != nil || !reflect.DeepEqual(back, c.r) {
			t.Errorf("%s: decoded %+v, want %+v (%v)", c.name, back, c.r, err)
		}
	}
}

// TestResultSize: a full batch without refusals takes a few bytes.
func TestResultSize(t *testing.T) {
	r := state.Result{Codes: make([]ledger.Code, ledger.MaxStatements)}
	for i := range r.Codes {
		r.Indexes = append(r.Indexes, 1<<40+uint64(i))
	}
	if n := len(r.Encode()); n > 14 {
		t.Errorf("%d bytes", n)
	}
}

func TestResultMalformed(t *testing.T) {
	build := func(values ...any) []byte { return encodeAny(t, values) }
	for name, raw := range map[string][]byte{
		"nothing":             nil,
		"no array":            {0x00},
		"empty array":         build(),
		"no parts":            {0x80, 0x00},
		"accepted alone":      build(0),
		"refused with index":  build(5, 7),
		"refused with batch":  build(5, 1, 1),
		"operation at 0":      build(0, 0),
		"operation beyond":    build(0, uint64(1)<<63),
		"no statements":       build(0, 1, 0),
		"too many statements": build(0, 1, ledger.MaxStatements+1),
		"all from 0":          build(0, 0, 3),
		"index beyond":        build(0, uint64(ledger.MaxNumber), 1),
		"no refusals":         build(0, 1, 3, []any{}),
		"odd refusals":        build(0, 1, 3, []any{0}),
		"refusal ok":          build(0, 1, 3, []any{0, 0}),
		"refusal beyond":      build(0, 1, 3, []any{3, 4}),
		"refusal twice":       build(0, 1, 3, []any{1, 4, 1, 4}),
		"refusals descending": build(0, 1, 3, []any{1, 4, 0, 4}),
		"code beyond 32 bits": build(0, 1, 3, []any{1, uint64(1) << 32}),
		"none from 1":         build(0, 1, 1, []any{0, 4}),
		"some from 0":         build(0, 0, 2, []any{0, 4}),
		"five parts":          build(0, 1, 2, []any{0, 4}, 0),
		"trailing":            append(build(0, 7), 0),
		"long form":           {0x82, 0x00, 0x18, 0x07},
	} {
		if r, err := state.DecodeResult(raw); !errors.Is(err, state.ErrMalformedResult) {
			t.Errorf("%s: %x decoded to %+v (%v)", name, raw, r, err)
		}
	}
}

func encodeAny(t *testing.T, values []any) []byte {
	b := dcbor.AppendArray(nil, len(values))
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = dcbor.AppendUint(b, uint64(v))
		case uint64:
			b = dcbor.AppendUint(b, v)
		case []any:
			b = append(b, encodeAny(t, v)...)
		default:
			t.Fatalf("no encoding of %T", v)
		}
	}
	return b
}

// FuzzResult: what decodes, encodes to the same bytes.
func FuzzResult(f *testing.F) {
	for _, c := range results {
		f.Add(c.r.Encode())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := state.DecodeResult(raw)
		if err != nil {
			return
		}
		if again := r.Encode(); !bytes.Equal(again, raw) {
			t.Errorf("%x decodes to %+v, which encodes to %x", raw, r, again)
		}
	})
}
