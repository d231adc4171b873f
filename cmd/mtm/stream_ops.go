package main

import (
	"github.com/spf13/cobra"

	"mtmledger/ledger"
)

// streamOps are the commands on an open stream.
func streamOps() []*cobra.Command {
	return []*cobra.Command{
		newStreamTransfer(), newStreamClose(),
		newDescribe("stream", "mtm stream describe --home ledger --stream temperature --set media_type=text/plain --set unit=Cel"),
	}
}

func newStreamTransfer() *cobra.Command {
	var (
		stream, to string
		past       bool
	)
	cmd := &cobra.Command{
		Use: "transfer", Short: "Give a stream to another organisation",
		Long: `Gives a stream to another organisation from the next block on. Both must agree: one
proposes, the other approves. Readings from before stay the giver's, unless --past
gives them too. The device that writes the stream stays its owner's.`,
		Example: `  mtm stream transfer --home a --stream temperature --to "Works B" --propose
  mtm vote approve --home b --proposal PROPOSAL`,
	}
	f := cmd.Flags()
	f.StringVar(&stream, "stream", "", "name or id of the stream")
	f.StringVar(&to, "to", "", "name or id of the organisation that gets it")
	f.BoolVar(&past, "past", false, "the giver's past readings go too")
	return operation(cmd, "stream to", func(s *session) (ledger.Body, error) {
		id, err := s.stream(stream)
		if err != nil {
			return nil, err
		}
		org, err := s.organisation(to)
		return ledger.TransferStream{Stream: id, To: org, FromNow: !past}, err
	})
}

func newStreamClose() *cobra.Command {
	var stream string
	cmd := &cobra.Command{
		Use: "close", Short: "End a stream for ever",
		Example: "  mtm stream close --home ledger --stream temperature",
	}
	cmd.Flags().StringVar(&stream, "stream", "", "name or id of the stream")
	return operation(cmd, "stream", func(s *session) (ledger.Body, error) {
		id, err := s.stream(stream)
		return ledger.CloseStream{Stream: id}, err
	})
}
