package main

import (
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
edges, or 2,000 answers. --out keeps the answers, one file each.`,
		Example: `  mtm query lineage --home ledger --stream mean --number 7 --direction inputs
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
			return a.pinned(cmd, func(m *testnet.Manifest, ask asker) (err error) {
				if q.Stream, err = a.resolve(m, "stream"); err != nil {
					return err
				}
				l, err := proof.WalkLineage(q, func(queries ...proof.Query) (*proof.Answered, error) {
					var r client.AnswerRequest
					for _, x := range queries {
						r.Questions = append(r.Questions, client.Question{Query: x})
					}
					return ask(cmd.Context(), r)
				})
				if err != nil {
					return err
				}
				return report(cmd, a.json, l, strings.TrimRight(l.String(), "\n"))
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&a.of, "stream", "", "name or id of the stream (required)")
	cmd.Flags().Uint64Var(&q.Number, "number", 0, "number of the reading (required)")
	cmd.Flags().StringVar(&q.Direction, "direction", proof.LineageBoth, "inputs, uses or both")
	cmd.Flags().IntVar(&q.Depth, "depth", proof.LineageDepth, "how many derivations to go, at most 16")
	return cmd
}
