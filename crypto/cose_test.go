package crypto_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"github.com/veraison/go-cose"

	mtm "mtmledger/crypto"
)

// A COSE library signs, we parse; and the bytes are ours to the last.
func TestCOSESignsForUs(t *testing.T) {
	seed := [32]byte{7}
	key := mtm.KeyFromSeed(seed)
	signer, err := cose.NewSigner(cose.AlgorithmEdDSA, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	kid := key.Public().KeyID()
	iss, sub := mtm.ID{1}, mtm.ID{2}
	headers := cose.Headers{Protected: cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm:   cose.AlgorithmEdDSA,
		cose.HeaderLabelContentType: uint64(65_101),
		cose.HeaderLabelKeyID:       kid[:],
		cose.HeaderLabelCWTClaims: cose.CWTClaims{
			cose.CWTClaimIssuer: iss.String(), cose.CWTClaimSubject: sub.String(),
		},
	}}
	payload := []byte("payload")
	b, err := cose.Sign1(rand.Reader, signer, headers, payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mtm.ParseSign1(b)
	if err != nil {
		t.Fatalf("%v\n%x", err, b)
	}
	want := mtm.Header{ContentFormat: 65_101, KeyID: kid, HasClaims: true, Issuer: iss, Subject: sub}
	if s.Header != want || !bytes.Equal(s.Payload, payload) || !s.Verify(key.Public()) {
		t.Errorf("parsed %+v", s)
	}
	if ours := mtm.NewSign1(key, want, payload); !bytes.Equal(ours.Bytes(), b) {
		t.Errorf("ours  %x\ntheirs %x", ours.Bytes(), b)
	}
}

// We sign, a COSE library verifies, header and all.
func TestCOSEReadsOurs(t *testing.T) {
	key := mtm.KeyFromSeed([32]byte{8})
	pub := key.Public()
	verifier, err := cose.NewVerifier(cose.AlgorithmEdDSA, crypto.PublicKey(ed25519.PublicKey(pub[:])))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []mtm.Header{
		{ContentFormat: 65_102},
		{ContentFormat: 65_101, HasClaims: true, Issuer: mtm.ID{1}, Subject: mtm.ID{2}},
	} {
		s := mtm.NewSign1(key, h, []byte("payload"))
		var msg cose.Sign1Message
		if err := msg.UnmarshalCBOR(s.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := msg.Verify(nil, verifier); err != nil {
			t.Error(err)
		}
		kid := pub.KeyID()
		if got, ok := msg.Headers.Protected[cose.HeaderLabelKeyID].([]byte); !ok || !bytes.Equal(got, kid[:]) {
			t.Errorf("kid %x", got)
		}
		again, err := msg.MarshalCBOR()
		if err != nil || !bytes.Equal(again, s.Bytes()) {
			t.Errorf("the library writes it differently: %x, %v", again, err)
		}
		msg.Payload[0] ^= 1
		if msg.Verify(nil, verifier) == nil {
			t.Error("the library accepts a changed payload")
		}
	}
}
