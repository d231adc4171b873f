package state_test

import (
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// newView is a view of the next block of a chain.
func newView(c *simtest.Chain) *state.View { return state.NewView(c.Store, c.Store.LogSize()) }

// next is the block after the last of a chain.
func next(c *simtest.Chain) state.Block {
	return state.Block{Chain: c.ID, Height: c.Height + 1, Time: c.Time + simtest.BlockTime}
}

func applyTo(v *state.View, c *simtest.Chain, tx *ledger.Transaction, verdicts []ledger.Code) state.Result {
	return state.Apply(v, next(c), tx, verdicts)
}
