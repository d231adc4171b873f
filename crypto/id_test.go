package crypto

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestIDText(t *testing.T) {
	id := ID{0: 0xff, 1: 0xfe, 15: 0x03}
	const text = "__4AAAAAAAAAAAAAAAAAAw"
	if id.String() != text {
		t.Fatalf("String = %q, want %q", id.String(), text)
	}
	if got, err := ParseID(text); err != nil || got != id {
		t.Fatalf("ParseID = %v, %v", got, err)
	}
	if id.IsZero() || !(ID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	var back struct{ ID ID }
	data, err := json.Marshal(struct{ ID ID }{id})
	if err != nil || string(data) != `{"ID":"`+text+`"}` {
		t.Fatalf("JSON = %s, %v", data, err)
	}
	if err := json.Unmarshal(data, &back); err != nil || back.ID != id {
		t.Fatalf("JSON back = %v, %v", back, err)
	}
}

func TestParseIDRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"short":             "__4AAAAAAAAAAAAAAAAAA",
		"long":              "__4AAAAAAAAAAAAAAAAAAwA",
		"padded":            "__4AAAAAAAAAAAAAAAAAAw==",
		"standard alphabet": "//4AAAAAAAAAAAAAAAAAAw",
		"trailing bits":     "__4AAAAAAAAAAAAAAAAAAx",
		"newline inside":    "__4AAAAAAAAAAAAAAAAAA\n",
		"newlines inside":   "__4AAAAAAAAAAAAAAAA\r\n\r\n",
		"space":             "__4AAAAAAAAAAAAAAAAAA ",
	} {
		if id, err := ParseID(text); !errors.Is(err, ErrBadID) || !id.IsZero() {
			t.Errorf("%s: ParseID = %v, %v", name, id, err)
		}
	}
}

func TestKeyIDText(t *testing.T) {
	k := KeyID{0xab, 7: 0x0c}
	const text = "ab0000000000000c"
	if k.String() != text {
		t.Fatalf("String = %q", k.String())
	}
	if got, err := ParseKeyID(text); err != nil || got != k {
		t.Fatalf("ParseKeyID = %v, %v", got, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), "zz0000000000000c"} {
		if _, err := ParseKeyID(bad); !errors.Is(err, ErrBadID) {
			t.Errorf("ParseKeyID(%q) = %v", bad, err)
		}
	}
}

func TestSumIsWhatItsCommentSays(t *testing.T) {
	want := sha256.Sum256([]byte("\x03abc" + "\x00\x00\x00\x02hi" + "\x00\x00\x00\x00"))
	if got := Sum("abc", []byte("hi"), nil); got != want {
		t.Errorf("Sum = %x, want %x", got, want)
	}
	large := make([]byte, 70_000)
	head := append([]byte("\x01d\x00\x01\x11\x70"), large...)
	if got := Sum("d", large); got != sha256.Sum256(head) {
		t.Error("Sum of a large part is wrong")
	}
	if id := DeriveID("abc", []byte("hi"), nil); id != ID(want[:16]) {
		t.Errorf("DeriveID = %v", id)
	}
}

func TestSumSeparates(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	seen := map[[32]byte]string{}
	for name, sum := range map[string][32]byte{
		"none":       Sum("d"),
		"empty part": Sum("d", nil),
		"ab":         Sum("d", b("ab")),
		"a b":        Sum("d", b("a"), b("b")),
		"ab and ''":  Sum("d", b("ab"), nil),
		"other":      Sum("e", b("ab")),
		"longer":     Sum("da", b("b")),
	} {
		if other, ok := seen[sum]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[sum] = name
	}
}

func TestSumDomainBounds(t *testing.T) {
	Sum(strings.Repeat("x", 255))
	for _, bad := range []string{"", strings.Repeat("x", 256)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a domain of %d bytes did not panic", len(bad))
				}
			}()
			Sum(bad)
		}()
	}
}
