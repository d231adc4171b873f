package app

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// CheckTx decides whether a transaction enters the pool: its form, its signer,
// and that nobody committed it already. The statements' signatures are
// verified too, so that the block needs no time for it, but a bad statement
// doesn't keep the good ones beside it out. An operation that would be refused
// for good is refused here.
func (a *App) CheckTx(_ context.Context, req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	return a.response(a.check(req.Tx)), nil
}

// check is checkAll for one.
func (a *App) check(raw []byte) error { return a.checkAll([][]byte{raw})[0] }

// checkAll checks transactions together, because signatures are verified faster
// in large batches. Each gets nil or a refusal with its code; a failed database
// refuses as overloaded, because CometBFT has no other way to hear of it here.
func (a *App) checkAll(raws [][]byte) []error {
	errs := make([]error, len(raws))
	tip := a.st.Tip()
	if tip == nil {
		return refuseAll(errs, ledger.Errorf(ledger.CodeOverloaded, "the ledger has not begun"))
	}
	defer tip.Release()
	b := a.nextBlock(tip)
	txs := make([]*parsedTx, len(raws))
	for i, raw := range raws {
		txs[i] = a.parsed.parse(raw)
		errs[i] = a.checkForm(tip, txs[i])
	}
	if err := a.checkSigners(tip, b, txs, errs); err != nil {
		return refuseAll(errs, a.failed("CheckTx", err))
	}
	if err := a.checkQuotas(tip, b, txs, errs); err != nil {
		return refuseAll(errs, a.failed("CheckTx", err))
	}
	good, places := remaining(txs, errs)
	js, err := a.judge(tip, b, good)
	if err != nil {
		return refuseAll(errs, a.failed("CheckTx", err))
	}
	for i, j := range js {
		if j.tx.Operation != nil {
			errs[places[i]] = a.rehearse(tip, b, j)
		}
	}
	return errs
}

func refuseAll(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// remaining returns the transactions that are not refused, and their places.
func remaining(txs []*parsedTx, errs []error) (good []*parsedTx, places []int) {
	for i, p := range txs {
		if errs[i] == nil {
			good, places = append(good, p), append(places, i)
		}
	}
	return good, places
}

// checkForm refuses what can't be decoded or is committed.
func (a *App) checkForm(tip *store.View, p *parsedTx) error {
	if p.err != nil {
		return p.err
	}
	if _, found, err := tip.Outcome(p.hash); err != nil {
		return a.failed("CheckTx", err)
	} else if found {
		return ledger.Errorf(ledger.CodeReplayed, "this transaction is committed already")
	}
	return nil
}

// checkSigners verifies, of each transaction, the one signature that makes the
// others worth the work: that of the transaction without its statements.
func (a *App) checkSigners(tip *store.View, b state.Block, txs []*parsedTx, errs []error) error {
	good, places := remaining(txs, errs)
	checks := make([]state.Check, len(good))
	for i, p := range good {
		alone := *p.tx
		if alone.Batch != nil {
			batch := *alone.Batch
			batch.Raw = nil
			alone.Batch = &batch
		}
		cs, err := state.Signatures(tip, b, &alone)
		if err != nil {
			return err
		}
		checks[i] = cs[0]
	}
	codes, _ := decide(checks, a.verifier.Verify(appendItems(nil, checks)))
	for i, code := range codes {
		errs[places[i]] = code.Err()
	}
	return nil
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
