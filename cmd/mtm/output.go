package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// report prints v as JSON when asked to, else the lines for people.
func report(cmd *cobra.Command, asJSON bool, v any, lines ...string) error {
	out := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
