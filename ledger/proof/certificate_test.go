package proof

import (
	"errors"
	"testing"
)

func verifyCheck(t *testing.T, file []byte, root TrustRoot) Check {
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
	return r.Check
}

func TestAccepts(t *testing.T) {
	f := newFixture(t)
	file := f.certificate(17, 19).Encode()
	got, err := Verify(file, f.root())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes\n%s", len(file), got)
}
