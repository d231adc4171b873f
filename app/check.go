package app

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
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

// check is both parts of checking, for one.
func (a *App) check(raw []byte) error {
	es, _, errs := a.screen([][]byte{raw})
	if errs[0] != nil {
		return errs[0]
	}
	return a.verify(es)[0]
}

// screen is the first part of checking: all that is cheap and says whose transactions
// these are. Each gets nil or a refusal with its code, and an entry if it is not refused;
// a failed database refuses as overloaded, because CometBFT has no other way to hear of
// it here. The parameters are those of the next block.
func (a *App) screen(raws [][]byte) ([]*entry, *record.Parameters, []error) {
	errs := make([]error, len(raws))
	tip := a.st.Tip()
	if tip == nil {
		return nil, nil, refuseAll(errs, ledger.Errorf(ledger.CodeOverloaded, "the ledger has not begun"))
	}
	defer tip.Release()
	b := a.nextBlock(tip)
	txs := a.parsed.all(raws)
	for i, p := range txs {
		errs[i] = a.checkForm(tip, p)
	}
	if err := a.checkSigners(tip, b, txs, errs); err != nil {
		return nil, nil, refuseAll(errs, a.failed("CheckTx", err))
	}
	p, err := state.ParametersAt(tip, b.Height)
	if err != nil {
		return nil, nil, refuseAll(errs, a.failed("CheckTx", err))
	}
	es, err := entries(tip, b, &p, txs, raws, errs)
	if err != nil {
		return nil, nil, refuseAll(errs, a.failed("CheckTx", err))
	}
	return es, &p, errs
}

// entries describes those that are not refused, and refuses what is too large for any block.
func entries(tip *store.View, b state.Block, p *record.Parameters, txs []*parsedTx, raws [][]byte, errs []error) ([]*entry, error) {
	q, err := state.NewQuota(tip, b)
	if err != nil {
		return nil, err
	}
	es := make([]*entry, len(txs))
	for i, tx := range txs {
		if errs[i] != nil {
			continue
		}
		if es[i], err = newEntry(q, tx, raws[i]); err != nil {
			return nil, err
		}
		if !es[i].fitsAlone(p) {
			errs[i] = ledger.CodeQuota.Err()
		}
	}
	return es, nil
}

// verify is the second part: it verifies all signatures together, which is faster in
// large batches, and refuses operations that would be refused for good.
func (a *App) verify(es []*entry) []error {
	errs := make([]error, len(es))
	tip := a.st.Tip()
	defer tip.Release()
	b := a.nextBlock(tip)
	txs := make([]*parsedTx, len(es))
	for i, e := range es {
		txs[i] = a.parsed.of(e)
	}
	js, err := a.judge(tip, b, txs)
	if err != nil {
		return refuseAll(errs, a.failed("CheckTx", err))
	}
	for i, j := range js {
		if j.tx.Operation != nil {
			errs[i] = a.rehearse(tip, b, j)
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
		var err error
		if checks[i], err = state.Signer(tip, b, p.tx); err != nil {
			return err
		}
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
