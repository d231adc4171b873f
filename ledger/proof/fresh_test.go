package proof

import (
	"errors"
	"testing"
	"time"
)

func TestFreshness(t *testing.T) {
	w := newWorld(t)
	answer := mustAnswer(t, w)
	certificate := must(Verify(w.certificate(17, 19).Encode(), w.root()))
	later := newWorld(t)
	later.header = later.headerAt(9)
	later.page(2, 4)
	w.page(0, 2)
	pages := must(Join(mustAnswer(t, w), mustAnswer(t, later))) // as of 6 and of 8
	swapped := &Joined{Pages: []*Answered{pages.Pages[1], pages.Pages[0]}}
	signed := blockTime(7) / 1000
	at := func(age time.Duration) time.Time { return time.UnixMicro(signed).Add(age) }
	tests := []struct {
		name  string
		want  Freshness
		fresh bool
	}{
		{"nothing demanded", Freshness{}, true},
		{"its height", Freshness{MinHeight: 6}, true},
		{"the height after it", Freshness{MinHeight: 7}, false},
		{"its time", Freshness{NotBefore: Micros(signed)}, true},
		{"a microsecond later", Freshness{NotBefore: Micros(signed + 1)}, false},
		{"as old as allowed", NotOlder(time.Hour, at(time.Hour)), true},
		{"a microsecond older", NotOlder(time.Hour, at(time.Hour+time.Microsecond)), false},
		{"from the future", NotOlder(time.Hour, at(-time.Hour)), true},
		{"height, but not time", Freshness{MinHeight: 6, NotBefore: Micros(signed + 1)}, false},
		{"time, but not height", Freshness{MinHeight: 7, NotBefore: Micros(signed)}, false},
	}
	for _, tt := range tests {
		for what, p := range map[string]Proven{"answer": answer, "certificate": certificate, "pages": pages, "pages swapped": swapped} {
			err := tt.want.Check(p)
			var r *Refusal
			if (err == nil) != tt.fresh || err != nil && (!errors.As(err, &r) || r.Check != CheckFresh) {
				t.Errorf("%s of the %s: %v", tt.name, what, err)
			}
		}
	}
}
