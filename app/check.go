package app

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// CheckTx decides whether a transaction enters the pool: its form, its signer,
// and that nobody committed it already. The statements' signatures are
// verified too, so that the block needs no time for it, but a bad statement
// doesn't keep the good ones beside it out. An operation that would be refused
// for good is refused here.
func (a *App) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if err := a.check(req.Tx); err != nil {
		return &abci.ResponseCheckTx{Code: uint32(ledger.CodeOf(err)), Log: err.Error()}, nil
	}
	return &abci.ResponseCheckTx{}, nil
}

// check returns a refusal with its code; a failed database refuses as
// overloaded, because CometBFT has no other way to hear of it here.
func (a *App) check(raw []byte) error {
	tip := a.st.Tip()
	if tip == nil {
		return ledger.Errorf(ledger.CodeOverloaded, "the ledger has not begun")
	}
	defer tip.Release()
	p := a.parsed.parse(raw)
	if p.err != nil {
		return p.err
	}
	if _, found, err := tip.Outcome(p.hash); err != nil {
		return a.failed("CheckTx", err)
	} else if found {
		return ledger.Errorf(ledger.CodeReplayed, "this transaction is committed already")
	}
	b := a.nextBlock(tip)
	if err := a.checkSigner(tip, b, p.tx); err != nil {
		return err
	}
	js, err := a.judge(tip, b, []*parsedTx{p})
	if err != nil {
		return a.failed("CheckTx", err)
	}
	if p.tx.Operation != nil {
		return a.rehearse(tip, b, js[0])
	}
	return nil
}

// checkSigner verifies the one signature that makes the others worth the work:
// that of the transaction without its statements.
func (a *App) checkSigner(tip *store.View, b state.Block, tx *ledger.Transaction) error {
	alone := *tx
	if tx.Batch != nil {
		batch := *tx.Batch
		batch.Raw = nil
		alone.Batch = &batch
	}
	checks, err := state.Signatures(tip, b, &alone)
	if err != nil {
		return a.failed("CheckTx", err)
	}
	valid := checks[0].Code == ledger.CodeOK && a.verifier.Verify([]crypto.Item{checks[0].Item})[0]
	return checks[0].Verdict(valid).Err()
}

// rehearse applies an operation to the last block's state and forgets it. What
// may change until its block is no reason to refuse.
func (a *App) rehearse(tip *store.View, b state.Block, j judged) error {
	v := state.NewView(tip, tip.LogSize())
	res := state.Apply(v, b, j.tx, j.verdicts)
	if err := v.Err(); err != nil {
		return a.failed("CheckTx", err)
	}
	if res.Code.Retryable() {
		return nil
	}
	return res.Code.Err()
}

// failed logs a failure of this node and refuses for the time being.
func (a *App) failed(call string, err error) error {
	a.log.Error("reading the ledger's state failed", "call", call, "error", err)
	return ledger.Errorf(ledger.CodeOverloaded, "this node can't read its state: %w", err)
}
