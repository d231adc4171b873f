package proof

import (
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// TestRowWords: rights and the body of a proposal are shown in words.
func TestRowWords(t *testing.T) {
	grant := func(r ledger.Rights) Row {
		return Row{record.GrantRow(crypto.ID{1}), record.Grant{Rights: r, First: 1, Granted: 5}.Encode()}
	}
	body := ledger.EncodeBody(ledger.CloseStream{Stream: crypto.ID{7}})
	proposed := Row{record.ProposalRow(crypto.ID{2}), record.Proposal{Expires: 1_800_000_000, Body: body}.Encode()}
	for _, tt := range []struct {
		row  Row
		want string
	}{
		{grant(ledger.RightRead), "rights read  first 1"},
		{grant(ledger.RightDerive), "rights derive  first 1"},
		{grant(ledger.RightReadDerive), "rights read+derive  first 1"},
		{proposed, "body (kind close_stream  stream " + crypto.ID{7}.String() + ")"},
		{proposed, "expires 2027-01-15T08:00:00.000000Z"},
	} {
		if got := tt.row.String(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: want %s", got, tt.want)
		}
	}
	if got := ledger.Rights(9).String(); got != "rights_9" {
		t.Error(got)
	}
}
