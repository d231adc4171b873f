package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// timeRange is what mtm query cover asks by times, in µs.
type timeRange struct {
	texts            [4]string // of the flags, in the order of timeFlags
	from, to         int64     // committed
	declFrom, declTo int64     // declared; 0 = open
}

// timeFlags are the flags of a timeRange.
var timeFlags = [4][2]string{
	{"from-time", "RFC 3339 time: statements committed from then on"},
	{"to-time", "RFC 3339 time: statements committed until then"},
	{"declared-from", "RFC 3339 time: of those, readings that the device declares from then on"},
	{"declared-to", "RFC 3339 time: and until then"},
}

func (r *timeRange) flags(cmd *cobra.Command) {
	for i, f := range timeFlags {
		cmd.Flags().StringVar(&r.texts[i], f[0], "", f[1])
	}
}

func (r *timeRange) given() bool { return r.texts != [4]string{} }

func (r *timeRange) parse() error {
	for i, into := range []*int64{&r.from, &r.to, &r.declFrom, &r.declTo} {
		var err error
		if *into, err = timeFlag(timeFlags[i][0], r.texts[i]); err != nil {
			return err
		}
	}
	switch {
	case r.texts[0] == "" || r.texts[1] == "":
		return usagef("--from-time and --to-time are required together")
	case r.to < r.from:
		return usagef("--to-time is before --from-time")
	case r.texts[2] != "" && r.texts[3] != "" && r.declTo < r.declFrom:
		return usagef("--declared-to is before --declared-from")
	}
	return nil
}

// byDeclared tells whether readings are chosen by their declared time.
func (r *timeRange) byDeclared() bool { return r.texts[2] != "" || r.texts[3] != "" }

// timed is the JSON form of a cover by times.
type timed struct {
	Stream     crypto.ID        `json:"stream"`
	From       proof.Micros     `json:"from_time"`
	To         proof.Micros     `json:"to_time"`
	First      uint64           `json:"first"`      // of the numbers that were verified
	Last       uint64           `json:"last"`       // 0: there are none
	Verified   int              `json:"verified"`   // statements
	Missing    uint64           `json:"missing"`    // numbers that are committed at no time
	Statements []timedStatement `json:"statements"` // committed in the range
	Note       string           `json:"declared_time,omitempty"`
	AsOf       uint64           `json:"as_of_height"`
	HeaderTime proof.Micros     `json:"header_time"`
	Assuming   string           `json:"assumption"`
}

type timedStatement struct {
	First    uint64              `json:"first"`
	Last     uint64              `json:"last"`
	Index    uint64              `json:"log_index"`
	Height   uint64              `json:"committed_height"`
	Time     proof.Micros        `json:"committed_time"`
	Digest   proof.HexDigest     `json:"digest"`
	Doubtful bool                `json:"doubtful"`
	Readings []proof.ProvenValue `json:"readings"`
}

// declaredNote says what a declared time is worth.
const declaredNote = "chosen by the device's word: the declared time is proven by nobody"

// run verifies the cover of all numbers and prints what was committed in the range.
func (r *timeRange) run(cmd *cobra.Command, a *asking) error {
	if err := r.parse(); err != nil {
		return err
	}
	return a.pinned(cmd, func(m *testnet.Manifest, ask asker) error {
		stream, err := a.resolve(m, "stream")
		if err != nil {
			return err
		}
		head, err := ask(cmd.Context(), client.AnswerRequest{Questions: []client.Question{{Query: proof.RowQuery(record.StreamRow(stream))}}})
		if err != nil {
			return err
		}
		if len(head.Results[0].Rows) == 0 {
			return fmt.Errorf("no stream %s at height %d, and that is proven", stream, head.AsOfHeight)
		}
		v, err := record.ParseStreamHead(head.Results[0].Rows[0].Value)
		if err != nil {
			return err
		}
		out := timed{
			Stream: stream, From: proof.Micros(r.from), To: proof.Micros(r.to), First: max(a.first, 1), Last: v.Mark,
			Statements: []timedStatement{}, AsOf: head.AsOfHeight, HeaderTime: head.HeaderTime, Assuming: proof.Assumption,
		}
		if a.last != 0 {
			out.Last = min(a.last, v.Mark)
		}
		if r.byDeclared() {
			out.Note = declaredNote
		}
		for next := out.First; next <= out.Last; {
			page, err := ask(cmd.Context(), client.AnswerRequest{Cover: &client.RangeRequest{Stream: stream, First: next, Last: out.Last}})
			if err != nil {
				return err
			}
			if page.AsOfHeight != head.AsOfHeight || page.AppHash != head.AppHash {
				return fmt.Errorf("the node's answer is refused: it is about height %d, the others about %d", page.AsOfHeight, head.AsOfHeight)
			}
			r.choose(&out, page.Cover)
			next = page.Cover.Last + 1
		}
		return report(cmd, a.json, out, out.lines()...)
	})
}

// choose adds the statements of a verified cover that were committed in the range.
func (r *timeRange) choose(out *timed, c *proof.Cover) {
	out.Missing += c.Count(proof.CoverMissing)
	for _, p := range c.Parts {
		if p.Entry == nil {
			continue
		}
		out.Verified++
		e := p.Entry
		if t := int64(e.Time); t < r.from || t > r.to {
			continue
		}
		readings := []proof.ProvenValue{}
		for _, v := range e.Readings(p.First, p.Last) {
			if r.declared(int64(v.Declared)) {
				readings = append(readings, v)
			}
		}
		if len(readings) > 0 {
			out.Statements = append(out.Statements, timedStatement{p.First, p.Last, e.Index, e.Height, e.Time, e.Digest, e.Doubtful, readings})
		}
	}
}

// declared tells whether a declared time is in the range; a device without a clock
// declares none.
func (r *timeRange) declared(t int64) bool {
	if !r.byDeclared() {
		return true
	}
	return t != 0 && (r.texts[2] == "" || t >= r.declFrom) && (r.texts[3] == "" || t <= r.declTo)
}

// lines are the statements for people.
func (out *timed) lines() []string {
	var lines []string
	readings := 0
	for _, s := range out.Statements {
		line := fmt.Sprintf("%d to %d: entry %d, committed at height %d, %s", s.First, s.Last, s.Index, s.Height, s.Time)
		if out.Note != "" {
			line += fmt.Sprintf(", %d readings in the declared range", len(s.Readings))
		}
		if s.Doubtful {
			line += ", in doubt: the key is declared compromised"
		}
		lines, readings = append(lines, line), readings+len(s.Readings)
	}
	if len(lines) == 0 {
		lines = append(lines, "none, and that is proven")
	}
	if out.Note != "" {
		lines = append(lines, out.Note)
	}
	return append(lines,
		fmt.Sprintf("committed %s to %s: %d statements, %d readings; nothing of numbers %d to %d is left out", out.From, out.To, len(out.Statements), readings, out.First, out.Last),
		fmt.Sprintf("proven by %d statements and %d missing numbers, as of height %d, signed in the header of %s", out.Verified, out.Missing, out.AsOf, out.HeaderTime),
		"assuming "+out.Assuming)
}
