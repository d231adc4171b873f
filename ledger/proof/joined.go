package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Joined is what answers prove together that are the pages, in order, of one list
// or of one cover.
type Joined struct {
	Pages   []*Answered
	Heights Heights
	Whole   Query  // of a list, from the first page's first key to the last page's last
	Rows    int    // in it
	Cover   *Claim // of a cover, instead of Whole
	Counts  map[CoverKind]uint64
}

// VerifyFiles checks files, each by how it begins. Several are the pages of one
// list, which is the first query of each, or of one cover, in order. The error is
// a [*Refusal].
func VerifyFiles(root TrustRoot, files ...[]byte) (Proven, error) {
	if len(files) == 1 {
		return VerifyAny(files[0], root)
	}
	if len(files) > MaxPages {
		return nil, refuse(CheckPages, "more than %d files", MaxPages)
	}
	v, err := NewVerifier(root)
	if err != nil {
		return nil, err
	}
	pages := make([]*Answered, len(files))
	for i, file := range files {
		if pages[i], err = v.VerifyAnswer(file); err != nil {
			return nil, ofPage(i+1, err)
		}
	}
	out, err := Join(pages...)
	if err != nil {
		return nil, &Refusal{Check: CheckPages, Err: err}
	}
	return out, nil
}

// ofPage says of which page a refusal is.
func ofPage(n int, err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return &Refusal{Check: r.Check, Err: fmt.Errorf("page %d: %w", n, r.Err)}
	}
	return err
}

// Join joins verified answers. The first says whether it is a list or a cover.
func Join(pages ...*Answered) (*Joined, error) {
	if len(pages) == 0 {
		return nil, ErrNoPages
	}
	out := &Joined{Pages: pages}
	first, last := pages[0], pages[len(pages)-1]
	if first.Cover != nil {
		return out, out.joinCovers(first.Cover.Claim, last)
	}
	for i, p := range pages {
		if len(p.Results) == 0 || p.Results[0].Query.Kind != QueryList {
			return nil, fmt.Errorf("%w: page %d begins with no list and has no cover", ErrPageHole, i+1)
		}
	}
	out.Whole = ListQuery(first.Results[0].Query.Lo, last.Results[0].Query.Hi)
	rows, heights, err := JoinLists(out.Whole.Lo, out.Whole.Hi, beginnings(pages)...)
	out.Rows, out.Heights = len(rows), heights
	return out, err
}

// beginnings returns the pages with their first result only.
func beginnings(pages []*Answered) []*Answered {
	out := make([]*Answered, len(pages))
	for i, p := range pages {
		page := *p
		page.Results = p.Results[:1]
		out[i] = &page
	}
	return out
}

func (out *Joined) joinCovers(whole Claim, last *Answered) error {
	if last.Cover == nil {
		return fmt.Errorf("%w: page %d has no cover", ErrPageHole, len(out.Pages))
	}
	whole.Last = last.Cover.Last
	parts, heights, err := JoinCovers(whole.Stream, whole.First, whole.Last, out.Pages...)
	out.Cover, out.Heights = &whole, heights
	out.Counts = make(map[CoverKind]uint64)
	for _, p := range parts {
		out.Counts[p.Kind] += p.Last - p.First + 1
	}
	return err
}

// AsOf returns the state of the oldest page.
func (out *Joined) AsOf() (uint64, Micros) {
	height, at := out.Pages[0].AsOf()
	for _, p := range out.Pages[1:] {
		if h, t := p.AsOf(); h < height {
			height, at = h, t
		}
	}
	return height, at
}

// MarshalJSON writes what the pages are together, and the pages.
func (out *Joined) MarshalJSON() ([]byte, error) {
	height, at := out.AsOf()
	whole := Fields{{"question", out.Whole.String()}, {"from", out.Whole.Lo.String()}, {"to", out.Whole.Hi.String()}, {"rows", out.Rows}}
	if c := out.Cover; c != nil {
		whole = append(c.fields(), Fields{
			{"committed", out.Counts[CoverStatement]}, {"missing", out.Counts[CoverMissing]}, {"not_written", out.Counts[CoverUnwritten]},
		}...)
	}
	return json.Marshal(Fields{
		{"chain", out.Pages[0].Chain}, {"as_of_height", height}, {"to_height", out.Heights.To}, {"one_height", out.Heights.One()},
		{"header_time", at}, {"whole", whole}, {"pages", out.Pages}, {"assumption", Assumption},
	})
}

// String returns the whole for a person to read, and then each page.
func (out *Joined) String() string {
	var b strings.Builder
	if c := out.Cover; c != nil {
		fmt.Fprintf(&b, "%d pages: stream %s, numbers %d to %d: %d committed, %d missing, %d not written; nothing is left out between them\n", len(out.Pages),
			c.Stream, c.First, c.Last, out.Counts[CoverStatement], out.Counts[CoverMissing], out.Counts[CoverUnwritten])
	} else {
		fmt.Fprintf(&b, "%d pages: %s: %s; nothing is left out between them\n", len(out.Pages), out.Whole, counted(out.Rows, "row", "rows"))
	}
	if out.Heights.One() {
		fmt.Fprintf(&b, "all as of height %d\n", out.Heights.From)
	} else {
		fmt.Fprintf(&b, "each as of its own height, %d to %d: what moved between pages meanwhile may stand in none or in both\n", out.Heights.From, out.Heights.To)
	}
	for i, p := range out.Pages {
		fmt.Fprintf(&b, "page %d\n%s", i+1, p)
	}
	return b.String()
}
