package crypto

import (
	"errors"
	"testing"

	"filippo.io/edwards25519"
)

func TestRFC8032(t *testing.T) {
	for _, v := range rfcVectors(t) {
		it := v.item(t)
		k := KeyFromSeed([32]byte(unhex(t, v.Secret)))
		if k.Public() != it.Key || k.Sign(it.Message) != it.Signature {
			t.Errorf("%s: another key or signature", v.Name)
		}
	}
}

func TestVerify(t *testing.T) {
	for _, c := range corpusCases(t) {
		if got := Verify(c.item.Key, c.item.Message, c.item.Signature); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if ref := reference(c.item); ref != c.want {
			t.Errorf("%s: the reference says %v, want %v", c.name, ref, c.want)
		}
	}
}

func TestCheckEnrolment(t *testing.T) {
	check := func(name string, p PublicKey, want error) {
		t.Helper()
		if err := CheckEnrolment(p); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	good := testKey(1).Public()
	check("good key", good, nil)
	check("base point", PublicKey(edwards25519.NewGeneratorPoint().Bytes()), nil)
	points := torsion(t)
	canonical := map[PublicKey]bool{}
	for i, p := range points {
		key := PublicKey(p.Bytes())
		canonical[key] = true
		check("small order", key, ErrKeyOrder)
		if i == 0 {
			continue
		}
		mixed, err := new(edwards25519.Point).SetBytes(good[:])
		if err != nil {
			t.Fatal(err)
		}
		check("mixed order", PublicKey(mixed.Add(mixed, p).Bytes()), ErrKeyOrder)
	}
	for _, e := range smallEncodings(t) {
		if !canonical[e] {
			check("non-canonical", e, ErrKeyNotCanonical)
		}
	}
	for _, c := range undecodableCases(t)[:1] {
		check("no point", c.item.Key, ErrKeyNotPoint)
	}
	// y in p..2^255-1 that are points of large order.
	n := 0
	for y := byte(0xed); y != 0; y++ {
		p := PublicKey{0: y, 31: 0x7f}
		for i := 1; i < 31; i++ {
			p[i] = 0xff
		}
		if _, err := new(edwards25519.Point).SetBytes(p[:]); err == nil {
			check("y >= p", p, ErrKeyNotCanonical)
			n++
		}
	}
	if n == 0 {
		t.Error("no non-canonical point was found")
	}
}

func BenchmarkVerifyOne(b *testing.B) {
	k := testKey(1)
	msg := make([]byte, 160)
	sig, p := k.Sign(msg), k.Public()
	b.ReportAllocs()
	for b.Loop() {
		if !Verify(p, msg, sig) {
			b.Fatal("refused")
		}
	}
}
