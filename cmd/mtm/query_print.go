package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// refusedAnswer is the error for an answer that is sound by itself, but to another question.
func refusedAnswer(format string, args ...any) error {
	return withHint(fmt.Errorf("the node's answer is refused: it is to another question: %s", fmt.Sprintf(format, args...)),
		"another --node: this one lies, or something between")
}

// answersTo checks that an answer, sound by itself, is one to this question and to
// nothing else: a node may answer another. A list or a cover may end early.
func answersTo(q client.AnswerRequest, page *proof.Answered) error {
	rest := page.Results
	for i := range q.Questions {
		n, err := answersOne(&q.Questions[i], rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return refusedAnswer("%s, which was not asked", rest[0].Query)
	}
	for _, index := range q.Entries {
		if !slices.ContainsFunc(page.Entries, func(e proof.Entry) bool { return e.Index == index }) {
			return refusedAnswer("entry %d is left out", index)
		}
	}
	c := page.Cover
	switch {
	case q.Cover == nil && c != nil:
		return refusedAnswer("a cover of stream %s", c.Stream)
	case q.Cover == nil && len(page.Entries) != len(q.Entries):
		return refusedAnswer("%d entries of the log, %d were asked for", len(page.Entries), len(q.Entries))
	case q.Cover != nil && c == nil:
		return refusedAnswer("the cover is left out")
	case q.Cover != nil && (c.Stream != q.Cover.Stream || c.First != q.Cover.First || c.Last > q.Cover.Last):
		return refusedAnswer("a cover of numbers %d to %d of stream %s", c.First, c.Last, c.Stream)
	}
	return nil
}

// answersOne checks that results begin with those of one question, and counts them: one,
// and if it asks about the rows of a list too, one about each.
func answersOne(asked *client.Question, results []proof.Result) (int, error) {
	if len(results) == 0 {
		return 0, refusedAnswer("%s is left out", asked.Query)
	}
	got := results[0]
	short := asked.Kind == proof.QueryList && string(got.Query.Hi[:]) < string(asked.Hi[:]) && len(got.Rows) > 0
	if got.Query.Kind != asked.Kind || got.Query.Lo != asked.Lo || got.Query.Hi != asked.Hi && !short {
		return 0, refusedAnswer("%s", got.Query)
	}
	if asked.Follow == 0 {
		return 1, nil
	}
	about := results[1:]
	if len(about) < len(got.Rows) {
		return 0, refusedAnswer("rows about the list are left out")
	}
	for i, row := range got.Rows {
		if want := asked.About(record.ChildOf(row.Key)); about[i].Query != want {
			return 0, refusedAnswer("%s, not %s", about[i].Query, want)
		}
	}
	return 1 + len(got.Rows), nil
}

// answersWhole checks that no list of an answer to the question ends early.
func answersWhole(q client.AnswerRequest, page *proof.Answered) error {
	i := 0
	for _, asked := range q.Questions {
		got := page.Results[i]
		if got.Query.Hi != asked.Hi {
			return refusedAnswer("%s, and no further", got.Query)
		}
		if i++; asked.Follow != 0 {
			i += len(got.Rows)
		}
	}
	return nil
}

// rest returns the question for what a page leaves open.
func rest(q client.AnswerRequest, page *proof.Answered) (client.AnswerRequest, bool) {
	if c := q.Cover; c != nil {
		left := *c
		left.First = page.Cover.Last + 1
		q.Cover = &left
		return q, page.Cover.Last < c.Last
	}
	if len(q.Questions) == 0 {
		return q, false
	}
	end, next := page.Results[0].Query.Hi, q.Questions[0]
	if next.Hi == end {
		return q, false
	}
	next.Lo, _ = record.Successor(end)
	q.Questions = []client.Question{next}
	return q, true
}

// joined checks that the pages leave no hole: the first question may take several, what
// is asked beside it is answered whole on the first page.
func joined(q client.AnswerRequest, pages []*proof.Answered) (err error) {
	if len(q.Questions) > 1 {
		beside := *pages[0]
		beside.Results = beside.Results[1:]
		if err := answersWhole(client.AnswerRequest{Questions: q.Questions[1:]}, &beside); err != nil {
			return err
		}
	}
	switch {
	case q.Cover != nil:
		_, _, err = proof.JoinCovers(q.Cover.Stream, q.Cover.First, q.Cover.Last, pages...)
	case len(pages) > 1:
		_, _, err = proof.JoinLists(q.Questions[0].Lo, q.Questions[0].Hi, pages...)
	}
	return err
}

// shown tells whether a row is about the height that --at asks for.
func (a *asking) shown(r proof.Row) bool {
	switch record.FamilyOf(r.Key) {
	case record.FamilyOrganisationBridge, record.FamilyOrganisationDevice, record.FamilyOrganisationStream:
		spans, err := record.ParseSpans(r.Value)
		return a.at == 0 || err != nil || spans.At(a.at)
	}
	return true
}

// asked is the JSON form of verified pages.
type asked struct {
	Question  string         `json:"question"`
	From      uint64         `json:"as_of_height"`
	To        uint64         `json:"to_height"` // above as_of_height: the pages were true at several
	OneHeight bool           `json:"one_height"`
	Rows      []proof.Row    `json:"rows"`
	About     []proof.Row    `json:"about,omitempty"` // one for each row
	Covers    []*proof.Cover `json:"covers,omitempty"`
	Entries   []proof.Entry  `json:"entries,omitempty"`
	Pages     int            `json:"pages"`
	Proof     string         `json:"proof,omitempty"` // file
	Assuming  string         `json:"assumption"`
}

// print prints what the pages prove.
func (a *asking) print(cmd *cobra.Command, pages []*proof.Answered) error {
	out := asked{From: pages[0].AsOfHeight, To: pages[0].AsOfHeight, Rows: []proof.Row{}, Pages: len(pages), Proof: a.out, Assuming: proof.Assumption}
	for _, p := range pages {
		out.From, out.To = min(out.From, p.AsOfHeight), max(out.To, p.AsOfHeight)
		for i, r := range p.Results {
			for _, row := range r.Rows {
				if i > 0 {
					out.About = append(out.About, row)
				} else if a.shown(row) {
					out.Rows = append(out.Rows, row)
				}
			}
		}
		if p.Cover != nil {
			out.Covers = append(out.Covers, p.Cover)
		}
		out.Entries = append(out.Entries, p.Entries...)
	}
	out.OneHeight = out.From == out.To
	if len(pages[0].Results) > 0 {
		out.Question = pages[0].Results[0].Query.String()
	}
	if a.json {
		return report(cmd, true, out)
	}
	var lines []string
	for _, p := range pages {
		if p.Cover != nil || len(p.Entries) > 0 {
			lines = append(lines, strings.TrimRight(p.String(), "\n"))
		}
	}
	if len(lines) > 0 {
		return report(cmd, false, nil, lines...)
	}
	return report(cmd, false, nil, a.lines(out, pages[len(pages)-1])...)
}

// lines are the rows for people.
func (a *asking) lines(out asked, last *proof.Answered) []string {
	var lines []string
	for _, row := range out.Rows {
		lines = append(lines, row.String())
	}
	if len(out.Rows) == 0 {
		lines = append(lines, "none, and that is proven")
	}
	for _, row := range out.About {
		lines = append(lines, fmt.Sprintf("  %s  %s", record.FamilyOf(row.Key), row))
	}
	when := fmt.Sprintf("as of height %d, signed in the header of %s", out.From, last.HeaderTime)
	if !out.OneHeight {
		when = fmt.Sprintf("in %d pages, true at heights %d to %d; --pin reads all at one", out.Pages, out.From, out.To)
	}
	return append(lines, fmt.Sprintf("proven: %d rows, %s", len(out.Rows), when), "assuming "+out.Assuming)
}
