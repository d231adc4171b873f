package proof

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"mtmledger/ledger/record"
)

// TestVerifyFiles: what files prove together, and which of them is refused.
func TestVerifyFiles(t *testing.T) {
	root := newWorld(t).root()
	file := func(change func(w *world)) []byte {
		w := newWorld(t)
		change(w)
		return w.answer().Encode()
	}
	pages := [][]byte{
		file(func(w *world) { w.page(0, 2) }), file(func(w *world) { w.page(2, 4) }), file(func(w *world) { w.page(4, 5) }),
	}
	parts := [][]byte{
		file(func(w *world) { w.part(5, 12, place{3, 3}) }), file(func(w *world) { w.part(13, 25, place{5, 4}) }),
	}
	later := file(func(w *world) {
		w.header = w.headerAt(9)
		w.page(4, 5)
	})
	whole := must(VerifyFiles(root, pages...)).(*Joined)
	if height, at := whole.AsOf(); whole.Rows != 5 || height != 6 || at != Micros(blockTime(7)/1000) || !whole.Heights.One() {
		t.Errorf("%+v", whole)
	}
	two := must(VerifyFiles(root, pages[0], pages[1], later)).(*Joined)
	if height, _ := two.AsOf(); height != 6 || two.Heights != (Heights{6, 8}) || !strings.Contains(two.String(), "6 to 8") {
		t.Errorf("as of %d: %s", height, two)
	}
	cover := must(VerifyFiles(root, parts...)).(*Joined)
	if c := cover.Counts; *cover.Cover != (Claim{cover.Cover.Stream, 5, 25}) || c[CoverStatement] != 9 || c[CoverMissing] != 6 || c[CoverUnwritten] != 6 {
		t.Errorf("%+v", cover)
	}
	if b := must(json.Marshal(Accepted(cover))); !strings.Contains(string(b), `"committed":9,"missing":6,"not_written":6`) {
		t.Errorf("%s", b)
	}
	if one := must(VerifyFiles(root, pages[0])); one.(*Answered).AsOfHeight != 6 {
		t.Error(one)
	}
	for name, tt := range map[string]struct {
		files [][]byte
		check Check
	}{
		"one missing":        {[][]byte{pages[0], pages[2]}, CheckPages},
		"out of order":       {[][]byte{pages[1], pages[0], pages[2]}, CheckPages},
		"twice":              {[][]byte{pages[0], pages[0]}, CheckPages},
		"list, then cover":   {[][]byte{pages[0], parts[0]}, CheckPages},
		"cover, then list":   {[][]byte{parts[0], pages[0]}, CheckPages},
		"cover with a hole":  {[][]byte{parts[0], file(func(w *world) { w.part(17, 25, place{5, 4}) })}, CheckPages},
		"no list":            {[][]byte{file(func(w *world) { w.queries = w.queries[1:]; w.cover, w.places = nil, nil }), pages[0]}, CheckPages},
		"nothing asked":      {[][]byte{file(func(w *world) { w.queries, w.cover, w.places = nil, nil, nil }), pages[0]}, CheckPages},
		"then nothing asked": {[][]byte{pages[0], file(func(w *world) { w.queries, w.cover, w.places = nil, nil, nil })}, CheckPages},
		"list not the first": {[][]byte{pages[0], file(func(w *world) {
			w.page(2, 4)
			w.queries = append([]Query{ListQuery(record.Range(record.FamilyOrganisationDevice, w.org))}, w.queries...)
		})}, CheckPages},
		"damaged":      {[][]byte{pages[0], pages[1][:100], pages[2]}, CheckChecksum},
		"no files":     {nil, CheckPages},
		"too many":     {make([][]byte, MaxPages+1), CheckPages},
		"not too many": {make([][]byte, MaxPages), CheckShape},
	} {
		p, err := VerifyFiles(root, tt.files...)
		var r *Refusal
		if p != nil || !errors.As(err, &r) || r.Check != tt.check {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}
