package crypto

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"mtmledger/internal/dcbor"
)

var statementHeader = Header{ContentFormat: 65_101, HasClaims: true, Issuer: ID{1, 2, 3}, Subject: ID{15: 9}}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSign1RoundTrip(t *testing.T) {
	k := testKey(1)
	for name, h := range map[string]Header{
		"statement":      statementHeader,
		"operation":      {ContentFormat: 65_102},
		"format 0":       {},
		"largest format": {ContentFormat: MaxContentFormat},
	} {
		for _, payload := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{7}, 300), bytes.Repeat([]byte{7}, 70_000)} {
			made := NewSign1(k, h, payload)
			h.KeyID = k.Public().KeyID()
			got, err := ParseSign1(made.Bytes())
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, len(payload), err)
			}
			if got.Header != h || made.Header != h || !bytes.Equal(got.Payload, payload) || !bytes.Equal(made.Payload, payload) {
				t.Errorf("%s, %d bytes: parsed %+v", name, len(payload), got.Header)
			}
			if !got.Verify(k.Public()) || got.Verify(testKey(2).Public()) {
				t.Errorf("%s, %d bytes: wrong verdict", name, len(payload))
			}
			if got.Digest() != sha256.Sum256(got.SigStructure()) || got.Digest() != made.Digest() {
				t.Errorf("%s, %d bytes: wrong digest", name, len(payload))
			}
			item := got.Item(k.Public())
			if !Verify(item.Key, item.Message, item.Signature) {
				t.Errorf("%s, %d bytes: the item does not verify", name, len(payload))
			}
		}
	}
}

// The bytes of one message, part by part.
func TestSign1Bytes(t *testing.T) {
	s := NewSign1(testKey(1), Header{ContentFormat: 65_102}, []byte("hi"))
	kid, sig := testKey(1).Public().KeyID(), s.Signature
	want := unhex(t, "d2"+ // tag 18
		"84"+ // array of 4
		"51"+ // protected: 17 bytes
		"a3"+ // map of 3
		"0127"+ // alg: EdDSA
		"0319fe4e"+ // content type: 65102
		"0448"+kid.String()+ // kid
		"a0"+ // unprotected: {}
		"426869"+ // payload
		"5840"+hex.EncodeToString(sig[:]))
	if !bytes.Equal(s.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", s.Bytes(), want)
	}
	tbs := unhex(t, "84"+"6a5369676e617475726531"+"51"+hex.EncodeToString(want[3:20])+"40"+"426869")
	if !bytes.Equal(s.SigStructure(), tbs) {
		t.Errorf("Sig_structure\ngot  %x\nwant %x", s.SigStructure(), tbs)
	}
}

func TestNewSign1DropsClaimsThatAreNotThere(t *testing.T) {
	h := statementHeader
	h.HasClaims = false
	s := NewSign1(testKey(1), h, nil)
	if !s.Header.Issuer.IsZero() || !s.Header.Subject.IsZero() {
		t.Error("the header shows claims that are not in the message")
	}
}

func TestNewSign1CopiesThePayload(t *testing.T) {
	payload := []byte("before")
	s := NewSign1(testKey(1), Header{}, payload)
	copy(payload, "AFTER!")
	if string(s.Payload) != "before" || !s.Verify(testKey(1).Public()) {
		t.Error("a change of the caller's payload shows in the message")
	}
}

// build encodes a message of the given parts, right or wrong.
func build(protected, unprotected, payload, sig []byte) []byte {
	b := append([]byte{0xd2, 0x84}, protected...)
	b = append(b, unprotected...)
	b = append(b, payload...)
	return append(b, sig...)
}

type badMessage struct {
	what  string
	bytes []byte
}

// malformedSign1 returns messages that are wrong in one way each.
func malformedSign1(t testing.TB) []badMessage {
	t.Helper()
	good := NewSign1(testKey(1), statementHeader, []byte("hi"))
	b := good.Bytes()
	protected := dcbor.AppendBytes(nil, good.Protected)
	none, payload, sig := []byte{0xa0}, []byte{0x42, 'h', 'i'}, dcbor.AppendBytes(nil, good.Signature[:])
	wrap := func(header string) []byte {
		return build(dcbor.AppendBytes(nil, unhex(t, header)), none, payload, sig)
	}
	const kid = "04480102030405060708"
	const iss, sub = "0176" + "41414141414141414141414141414141414141414141", "0276" + "41414141414141414141414141414141414141414141"
	if _, err := ParseSign1(wrap("a4" + "0127" + "0300" + kid + "0fa2" + iss + sub)); err != nil {
		t.Fatalf("the pattern itself is refused: %v", err)
	}
	if !bytes.Equal(build(protected, none, payload, sig), b) {
		t.Fatal("build does not rebuild a good message")
	}
	return []badMessage{
		{"empty", nil},
		{"no tag", b[1:]},
		{"another tag", append([]byte{0xd1}, b[1:]...)},
		{"long tag", append([]byte{0xd8, 18}, b[1:]...)},
		{"tag twice", append([]byte{0xd2}, b...)},
		{"three elements", append([]byte{0xd2, 0x83}, b[2:]...)},
		{"five elements", append([]byte{0xd2, 0x85}, append(b[2:len(b):len(b)], 0)...)},
		{"indefinite array", append([]byte{0xd2, 0x9f}, append(b[2:len(b):len(b)], 0xff)...)},
		{"trailing byte", append(b[:len(b):len(b)], 0)},
		{"unprotected kid", build(protected, unhex(t, "a1044101"), payload, sig)},
		{"unprotected list", build(protected, []byte{0x80}, payload, sig)},
		{"detached payload", build(protected, none, []byte{0xf6}, sig)},
		{"payload as text", build(protected, none, []byte{0x62, 'h', 'i'}, sig)},
		{"payload length not shortest", build(protected, none, []byte{0x58, 2, 'h', 'i'}, sig)},
		{"payload too long for input", build(protected, none, unhex(t, "5affffffff6869"), sig)},
		{"short signature", build(protected, none, payload, dcbor.AppendBytes(nil, good.Signature[:63]))},
		{"long signature", build(protected, none, payload, dcbor.AppendBytes(nil, make([]byte, 65)))},
		{"no signature", build(protected, none, payload, nil)},
		{"protected is a map", build(good.Protected, none, payload, sig)},
		{"protected empty", build([]byte{0x40}, none, payload, sig)},

		{"empty header", wrap("a0")},
		{"no kid", wrap("a2" + "0127" + "0300")},
		{"no content type", wrap("a2" + "0127" + kid)},
		{"no algorithm", wrap("a2" + "0300" + kid)},
		{"another algorithm", wrap("a3" + "0126" + "0300" + kid)},
		{"fully specified algorithm", wrap("a3" + "0132" + "0300" + kid)},
		{"algorithm positive", wrap("a3" + "0107" + "0300" + kid)},
		{"algorithm not shortest", wrap("a3" + "013807" + "0300" + kid)},
		{"labels out of order", wrap("a3" + "0300" + "0127" + kid)},
		{"label twice", wrap("a4" + "0127" + "0300" + "0300" + kid)},
		{"label not shortest", wrap("a3" + "180127" + "0300" + kid)},
		{"content type as text", wrap("a3" + "0127" + "036161" + kid)},
		{"content type too large", wrap("a3" + "0127" + "031a00010000" + kid)},
		{"content type not shortest", wrap("a3" + "0127" + "031800" + kid)},
		{"kid of 7 bytes", wrap("a3" + "0127" + "0300" + "044701020304050607")},
		{"kid of 9 bytes", wrap("a3" + "0127" + "0300" + "0449010203040506070809")},
		{"kid as text", wrap("a3" + "0127" + "0300" + "04684141414141414141")},
		{"crit", wrap("a4" + "0127" + "028103" + "0300" + kid)},
		{"a further label", wrap("a4" + "0127" + "0300" + kid + "1000")},
		{"claims and a further label", wrap("a5" + "0127" + "0300" + kid + "0fa0" + "1000")},
		{"count above content", wrap("a4" + "0127" + "0300" + kid)},
		{"header with trailing bytes", wrap("a3" + "0127" + "0300" + kid + "00")},
		{"claims empty", wrap("a4" + "0127" + "0300" + kid + "0fa0")},
		{"claims without subject", wrap("a4" + "0127" + "0300" + kid + "0fa1" + iss)},
		{"claims out of order", wrap("a4" + "0127" + "0300" + kid + "0fa2" + sub + iss)},
		{"claims with a third", wrap("a4" + "0127" + "0300" + kid + "0fa3" + iss + sub + "0300")},
		{"issuer short", wrap("a4" + "0127" + "0300" + kid + "0fa2" + "016141" + sub)},
		{"issuer as bytes", wrap("a4" + "0127" + "0300" + kid + "0fa2" + "0156" + iss[4:] + sub)},
		{"issuer with trailing bits", wrap("a4" + "0127" + "0300" + kid + "0fa2" + "0176" + iss[4:len(iss)-2] + "42" + sub)},
		{"issuer in standard alphabet", wrap("a4" + "0127" + "0300" + kid + "0fa2" + "01762f" + iss[6:] + sub)},
	}
}

func TestParseSign1Refuses(t *testing.T) {
	for _, c := range malformedSign1(t) {
		if s, err := ParseSign1(c.bytes); !errors.Is(err, ErrBadSign1) || s != nil {
			t.Errorf("%s: ParseSign1 = %v, %v", c.what, s, err)
		}
	}
	b := NewSign1(testKey(1), statementHeader, []byte("hi")).Bytes()
	for n := range b {
		if _, err := ParseSign1(b[:n]); !errors.Is(err, ErrBadSign1) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestSign1Size(t *testing.T) {
	k := testKey(1)
	overhead := len(NewSign1(k, Header{}, make([]byte, 70_000)).Bytes()) - 70_000
	at := NewSign1(k, Header{}, make([]byte, MaxSign1Size-overhead))
	if len(at.Bytes()) != MaxSign1Size {
		t.Fatalf("%d bytes, want %d", len(at.Bytes()), MaxSign1Size)
	}
	if _, err := ParseSign1(at.Bytes()); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	over := NewSign1(k, Header{}, make([]byte, MaxSign1Size-overhead+1))
	if _, err := ParseSign1(over.Bytes()); !errors.Is(err, ErrSign1Size) {
		t.Errorf("above the limit: %v", err)
	}
	if _, err := ParseSign1(NewSign1(k, Header{ContentFormat: MaxContentFormat + 1}, nil).Bytes()); !errors.Is(err, ErrBadSign1) {
		t.Errorf("content format above the limit: %v", err)
	}
}

// Every bit of a message counts: a flip is refused or changes what it says.
func TestSign1EveryBit(t *testing.T) {
	k := testKey(1)
	b := NewSign1(k, statementHeader, []byte("hi")).Bytes()
	for i := range len(b) * 8 {
		flipped := bytes.Clone(b)
		flipped[i/8] ^= 1 << (i % 8)
		if s, err := ParseSign1(flipped); err == nil && s.Verify(k.Public()) {
			t.Errorf("bit %d of byte %d changes nothing", i%8, i/8)
		}
	}
}

func TestParseSign1Allocates(t *testing.T) {
	b := NewSign1(testKey(1), statementHeader, make([]byte, 60)).Bytes()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseSign1(b); err != nil {
			t.Error(err)
		}
	}); n > 1 {
		t.Errorf("ParseSign1 allocates %v times, want 1", n)
	}
}

// FuzzParseSign1 checks malleability: whatever parses is the only encoding of
// what it says.
func FuzzParseSign1(f *testing.F) {
	f.Add(NewSign1(testKey(1), statementHeader, []byte("hi")).Bytes())
	f.Add(NewSign1(testKey(1), Header{ContentFormat: 65_102}, nil).Bytes())
	f.Add(NewSign1(testKey(1), Header{ContentFormat: 23}, make([]byte, 256)).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSign1(b)
		if err != nil {
			if !errors.Is(err, ErrBadSign1) && !errors.Is(err, ErrSign1Size) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		header := s.Header.append(nil)
		if !bytes.Equal(header, s.Protected) {
			t.Errorf("header %x re-encodes to %x", s.Protected, header)
		}
		again := build(dcbor.AppendBytes(nil, header), []byte{0xa0}, dcbor.AppendBytes(nil, s.Payload), dcbor.AppendBytes(nil, s.Signature[:]))
		if !bytes.Equal(again, b) {
			t.Errorf("%x re-encodes to %x", b, again)
		}
		if !bytes.Equal(s.Bytes(), b) {
			t.Error("bytes were not kept")
		}
	})
}

func BenchmarkParseSign1(b *testing.B) {
	raw := NewSign1(testKey(1), statementHeader, make([]byte, 60)).Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSign1(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign1Digest(b *testing.B) {
	s := NewSign1(testKey(1), statementHeader, make([]byte, 60))
	b.ReportAllocs()
	for b.Loop() {
		s.Digest()
	}
}
