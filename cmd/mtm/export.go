package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// errGaps says that a stream has numbers missing.
var errGaps = errors.New("readings are missing")

func newExport() *cobra.Command {
	var (
		t           target
		stream, out string
	)
	cmd := &cobra.Command{
		Use: "export", Short: "Write the contents of a stream's readings, in order",
		Long: `Writes the contents of all readings of a stream, one after the other, exactly as
the device signed them. A stream with gaps is refused, with the missing numbers.`,
		Example: "  mtm export --home ledger --stream machine.csv | cmp - machine.csv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stream == "" {
				return usagef("--stream is required")
			}
			m, c, done, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			id, err := resolveStream(m, stream)
			if err != nil {
				return err
			}
			if out == "" {
				return export(cmd.Context(), c, id, cmd.OutOrStdout())
			}
			return writeResult(out, func(w io.Writer) error { return export(cmd.Context(), c, id, w) })
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&stream, "stream", "", "name or id of the stream")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return cmd
}

// export writes all readings of a stream that has no gaps.
func export(ctx context.Context, c ledgerClient, stream crypto.ID, w io.Writer) error {
	info, err := c.Stream(ctx, stream)
	if err != nil {
		return err
	}
	if info.GapCount > 0 {
		return withHint(fmt.Errorf("stream %s: %w: %s", stream, errGaps, gapText(info.Gaps)),
			"wait until the device sent them; a gap stays if the device lost them")
	}
	out := bufio.NewWriterSize(w, 1<<16)
	next := uint64(1)
	for from := uint64(1); from != 0 && next <= info.Mark; {
		var list []client.Statement
		if list, from, err = c.Statements(ctx, stream, from, 1000); err != nil {
			return err
		}
		for _, found := range list {
			if next, err = exportStatement(out, found, next); err != nil {
				return err
			}
		}
	}
	if next <= info.Mark {
		return fmt.Errorf("stream %s: the node has no readings %d to %d", stream, next, info.Mark)
	}
	return out.Flush()
}

// exportStatement writes the readings of one statement, which must begin at
// number next, and returns the number after them.
func exportStatement(w io.Writer, found client.Statement, next uint64) (uint64, error) {
	s, err := ledger.ParseStatement(found.Bytes)
	if err != nil {
		return next, fmt.Errorf("log entry %d: %w", found.Index, err)
	}
	if s.First != next {
		return next, fmt.Errorf("stream %s: %w: %d to %d", s.Stream, errGaps, next, s.First-1)
	}
	for _, r := range s.Readings {
		if _, err := w.Write(r.Content); err != nil {
			return next, err
		}
	}
	return s.Last() + 1, nil
}

// gapText lists gaps, not too many.
func gapText(gaps []client.Gap) string {
	const most = 10
	var parts []string
	for i, g := range gaps {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more gaps", len(gaps)-most))
			break
		}
		if g.First == g.Last {
			parts = append(parts, fmt.Sprint(g.First))
		} else {
			parts = append(parts, fmt.Sprintf("%d to %d", g.First, g.Last))
		}
	}
	return strings.Join(parts, ", ")
}
