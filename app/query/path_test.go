package query

import (
	"strings"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// longChain has had as many changes of its validators.
type longChain int

func (longChain) Signed(uint64) (SignedHeader, error) { return SignedHeader{}, nil }

func (longChain) Describe(*Status) {}

func (n longChain) Path(from merkle.Hash, _ uint64) ([]proof.PathStep, error) {
	if from != (merkle.Hash{}) {
		n = 1
	}
	return make([]proof.PathStep, n), nil
}

// TestLongPath: what every verifier would refuse is not given out, and the refusal says
// what helps.
func TestLongPath(t *testing.T) {
	h := NewHandler(nil)
	for _, tt := range []struct {
		changes longChain
		from    merkle.Hash
		want    ledger.Code
	}{
		{proof.MaxPathSteps, merkle.Hash{}, ledger.CodeOK},
		{proof.MaxPathSteps + 1, merkle.Hash{}, ledger.CodeTooLarge},
		{proof.MaxPathSteps + 1, merkle.Hash{1}, ledger.CodeOK},
	} {
		h.SetChain(tt.changes)
		_, err := h.path(tt.from, 7)
		if ledger.CodeOf(err) != tt.want || err != nil && !strings.Contains(err.Error(), "pin a later validator set") {
			t.Errorf("%d changes from %s: %v, want %v", tt.changes, tt.from, err, tt.want)
		}
	}
}
