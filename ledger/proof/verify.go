package proof

// Verify checks a certificate file against a trust root. It returns what the
// certificate proves, or a [*Refusal].
func Verify(file []byte, root TrustRoot) (*Finding, error) {
	v, err := NewVerifier(root)
	if err != nil {
		return nil, err
	}
	return v.Verify(file)
}

// Verifier verifies certificates against one trust root.
type Verifier struct {
	root  TrustRoot
	power int64
}

// NewVerifier returns a Verifier for root, or a [*Refusal] if root is not usable.
func NewVerifier(root TrustRoot) (*Verifier, error) {
	r, power, err := root.check()
	if err != nil {
		return nil, &Refusal{Check: CheckTrust, Err: err}
	}
	return &Verifier{root: r, power: power}, nil
}

// Verify checks a certificate file.
func (v *Verifier) Verify(file []byte) (*Finding, error) {
	c, err := Parse(file)
	if err != nil {
		return nil, err
	}
	_ = c
	return nil, refuse(CheckCommit, "not yet")
}
