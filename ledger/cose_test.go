package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/veraison/go-cose"
)

// TestOtherLibrary reads and verifies our messages with veraison/go-cose, and
// reads what that library signs.
func TestOtherLibrary(t *testing.T) {
	pub := deviceKey.Public()
	verifier, err := cose.NewVerifier(cose.AlgorithmEdDSA, ed25519.PublicKey(pub[:]))
	if err != nil {
		t.Fatal(err)
	}
	ours := goodStatement(t)
	var m cose.Sign1Message
	if err := m.UnmarshalCBOR(ours.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(nil, verifier); err != nil {
		t.Fatal(err)
	}
	if f, ok := m.Headers.Protected[cose.HeaderLabelContentType].(int64); !ok || f != FormatStatement {
		t.Errorf("content format %v", m.Headers.Protected[cose.HeaderLabelContentType])
	}
	again, err := m.MarshalCBOR()
	if err != nil || !bytes.Equal(again, ours.Bytes()) {
		t.Errorf("go-cose writes %x, %v", again, err)
	}

	seed := sha256.Sum256([]byte("mtm vector device"))
	signer, err := cose.NewSigner(cose.AlgorithmEdDSA, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	theirs := cose.Sign1Message{
		Headers: cose.Headers{Protected: cose.ProtectedHeader{
			cose.HeaderLabelAlgorithm:   cose.AlgorithmEdDSA,
			cose.HeaderLabelContentType: int64(FormatStatement),
			cose.HeaderLabelKeyID:       kidOf(deviceKey),
			int64(15):                   map[any]any{int64(1): testDevice.String(), int64(2): testStream.String()},
		}},
		Payload: statementPayload(nil),
	}
	if err := theirs.Sign(nil, nil, signer); err != nil {
		t.Fatal(err)
	}
	b, err := theirs.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseStatement(b)
	if err != nil {
		t.Fatal(err)
	}
	if s.Digest() != ours.Digest() || !bytes.Equal(b, ours.Bytes()) {
		t.Errorf("go-cose signs\n%x, we sign\n%x", b, ours.Bytes())
	}
}
