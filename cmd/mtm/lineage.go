package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/ledger/proof"
	"mtmledger/testnet"
)

func newLineage() *cobra.Command {
	a := new(asking)
	q := proof.LineageQuery{}
	cmd := &cobra.Command{
		Use: "lineage", Short: "What a reading was computed from, and what was computed from it, step by step",
		Long: `Walks the recorded derivations from a reading on, nearest first, with one proven
answer a hop, all at one height that the node holds meanwhile. Each statement is
walked from once. Where a bound ends the walk, the output says so: the depth, 1,000
edges, 2,000 answers, or 7,000 rows. Of the uses of a stream only those are looked at
that may reach into the readings asked for, however many there are. --out keeps the whole walk as one file (.mtmlineage), which
mtm verify and mtm-verify check offline; it holds up to 1,000 queries.`,
		Example: `  mtm query lineage --home ledger --stream mean --number 7 --direction inputs --out mean-7.mtmlineage
  mtm query lineage --home ledger --stream cpu --number 1200 --direction uses --depth 5 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case q.Number == 0:
				return usagef("--number is required; numbers begin at 1")
			case q.Depth < 1 || q.Depth > proof.MaxLineageDepth:
				return usagef("--depth must be 1 to %d", proof.MaxLineageDepth)
			case q.Direction != proof.LineageInputs && q.Direction != proof.LineageUses && q.Direction != proof.LineageBoth:
				return usagef("--direction must be inputs, uses or both")
			}
			out := a.out
			a.out = "" // not for each answer
			return a.pinned(cmd, func(m *testnet.Manifest, ask asker) (err error) {
				if q.Stream, err = a.resolve(m, "stream"); err != nil {
					return err
				}
				var asked []client.Question
				l, err := proof.WalkLineage(q, func(queries ...proof.Query) (*proof.Answered, error) {
					page, err := askAll(cmd.Context(), ask, queries)
					if err == nil {
						for _, r := range page.Results {
							asked = append(asked, client.Question{Query: r.Query})
						}
					}
					return page, err
				})
				if err != nil {
					return err
				}
				if out != "" {
					if err := a.keepLineage(cmd.Context(), ask, q, asked, out); err != nil {
						return err
					}
				}
				return report(cmd, a.json, l, strings.TrimRight(l.String(), "\n"))
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().Lookup("out").Usage = "file to keep the whole walk in, as one proof"
	cmd.Flags().StringVar(&a.of, "stream", "", "name or id of the stream (required)")
	cmd.Flags().Uint64Var(&q.Number, "number", 0, "number of the reading (required)")
	cmd.Flags().StringVar(&q.Direction, "direction", proof.LineageBoth, "inputs, uses or both")
	cmd.Flags().IntVar(&q.Depth, "depth", proof.LineageDepth, "how many derivations to go, at most 16")
	return cmd
}

func askAll(ctx context.Context, ask asker, queries []proof.Query) (*proof.Answered, error) {
	var r client.AnswerRequest
	for _, x := range queries {
		r.Questions = append(r.Questions, client.Question{Query: x})
	}
	return ask(ctx, r)
}

// keepLineage asks for all that a walk asked in one answer, and writes the file
// once it proves the walk.
func (a *asking) keepLineage(ctx context.Context, ask asker, q proof.LineageQuery, asked []client.Question, name string) error {
	const tooLarge = "ask with a smaller --depth or for one --direction, or without --out"
	if len(asked) > client.MaxQuestions {
		return withHint(fmt.Errorf("the walk asks %d queries, a lineage file has at most %d", len(asked), client.MaxQuestions), tooLarge)
	}
	root, err := a.root()
	if err != nil {
		return err
	}
	if _, err := ask(ctx, client.AnswerRequest{Questions: asked}); err != nil {
		return withHint(fmt.Errorf("the whole walk in one answer: %w", err), tooLarge)
	}
	file := (&proof.LineageFile{Question: q, Answer: a.file}).Encode()
	if _, err := proof.VerifyLineage(file, root); err != nil {
		return withHint(fmt.Errorf("the whole walk in one answer: %w", err), tooLarge)
	}
	return writeFile(name, file)
}
