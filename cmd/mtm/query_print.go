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

// answersTo checks that an answer, sound by itself, is one to this question: a
// node may answer another.
func answersTo(q client.AnswerRequest, page *proof.Answered) error {
	refuse := func(what string) error {
		return fmt.Errorf("the node's answer is refused: it is to another question: %s", what)
	}
	if len(page.Results) < len(q.Questions) || len(page.Entries) != len(q.Entries) && q.Cover == nil {
		return refuse("something is left out")
	}
	for i, asked := range q.Questions {
		got := page.Results[i].Query // one question has no others before it
		short := asked.Kind == proof.QueryList && string(got.Hi[:]) < string(asked.Hi[:]) && len(page.Results[i].Rows) > 0
		if got.Kind != asked.Kind || got.Lo != asked.Lo || got.Hi != asked.Hi && !short {
			return refuse(got.String())
		}
		if asked.Follow != 0 && !follows(asked, page.Results) {
			return refuse("rows about the list are left out")
		}
	}
	for _, index := range q.Entries {
		if !slices.ContainsFunc(page.Entries, func(e proof.Entry) bool { return e.Index == index }) {
			return refuse(fmt.Sprintf("entry %d is left out", index))
		}
	}
	if c := q.Cover; c != nil && (page.Cover == nil || page.Cover.Stream != c.Stream || page.Cover.First != c.First || page.Cover.Last > c.Last) {
		return refuse("another cover")
	}
	return nil
}

// follows tells whether a list's results are followed by one about each row.
func follows(q client.Question, results []proof.Result) bool {
	rows, about := results[0].Rows, results[1:]
	if len(rows) != len(about) {
		return false
	}
	for i, r := range about {
		if record.FamilyOf(r.Query.Lo) != q.Follow || record.IDOf(r.Query.Lo) != record.ChildOf(rows[i].Key) {
			return false
		}
	}
	return true
}

// rest returns the question for what a page leaves open.
func rest(q client.AnswerRequest, page *proof.Answered) (client.AnswerRequest, bool) {
	if c := q.Cover; c != nil {
		left := *c
		left.First = page.Cover.Last + 1
		q.Cover = &left
		return q, page.Cover.Last < c.Last
	}
	if len(q.Questions) != 1 {
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

// joined checks that the pages leave no hole.
func joined(q client.AnswerRequest, pages []*proof.Answered) (err error) {
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
