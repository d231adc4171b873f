package signer

import (
	"errors"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// guard notes the error of a key, which CometBFT's handler turns into a text for the node.
type guard struct {
	types.PrivValidator
	failed error
}

// SignVote implements types.PrivValidator.
func (g *guard) SignVote(chain string, v *cmtproto.Vote) error {
	g.failed = g.PrivValidator.SignVote(chain, v)
	return g.failed
}

// SignProposal implements types.PrivValidator.
func (g *guard) SignProposal(chain string, p *cmtproto.Proposal) error {
	g.failed = g.PrivValidator.SignProposal(chain, p)
	return g.failed
}

func isState(err error) bool { return errors.Is(err, ErrState) }
