package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/ledger"
)

func newParameters() *cobra.Command {
	return group("parameters", "Limits, quotas and thresholds of the ledger", newParametersSet(), newParametersList())
}

func newParametersSet() *cobra.Command {
	var (
		values []string
		active uint64
	)
	cmd := &cobra.Command{
		Use: "set", Short: "Change limits and quotas from a height on, by vote",
		Example: `  mtm parameters set --home a --set statements_per_bridge=5000 --set open_gaps=256 --active 9000 --propose
  mtm vote approve --home b --proposal PROPOSAL`,
	}
	cmd.Flags().StringArrayVar(&values, "set", nil, "NAME=VALUE; give it once for each (mtm parameters list)")
	cmd.Flags().Uint64Var(&active, "active", 0, "first height at which they count (default: as soon as may be)")
	return operation(cmd, "set", func(*session) (ledger.Body, error) {
		list, err := parameterValues(values)
		return ledger.SetParameters{Values: list, Active: active}, err
	})
}

// parameterValues reads NAME=VALUE pairs.
func parameterValues(pairs []string) (list []ledger.Parameter, err error) {
	for _, pair := range pairs {
		name, text, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(ledger.ParameterInfos(), func(p ledger.ParameterInfo) bool { return p.Name == name })
		value, err := strconv.ParseUint(text, 10, 63)
		if i < 0 || err != nil {
			return nil, withHint(usagef("--set %s: want NAME=NUMBER with a known name", pair), "mtm parameters list")
		}
		list = append(list, ledger.Parameter{ID: ledger.ParameterInfos()[i].ID, Value: value})
	}
	slices.SortFunc(list, func(a, b ledger.Parameter) int { return int(a.ID) - int(b.ID) })
	return list, nil
}

func newParametersList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the parameters there are, with their ranges and defaults",
		Example: "  mtm parameters list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var lines []string
			for _, p := range ledger.ParameterInfos() {
				lines = append(lines, fmt.Sprintf("%-28s %d to %d, default %d", p.Name, p.Least, p.Greatest, p.Default))
			}
			return report(cmd, asJSON, ledger.ParameterInfos(), lines...)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
