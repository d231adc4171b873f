package app

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// operationShare is the part of a block (1/operationShare) that operations may have when
// batches wait too.
const operationShare = 2

// PrepareProposal chooses and orders the transactions of a block: operations first, then
// batches, each in fair turns; a stream's statements in the order of their numbers. It
// never changes a transaction. What could not be in a valid block is left out.
//
// CometBFT offers the oldest of its pool, as much as fits into a block: a flood would fill
// that for many blocks. The choice is from all that is in the pool.
func (a *App) PrepareProposal(_ context.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	tip := a.st.Tip()
	if tip == nil {
		return nil, fmt.Errorf("%w: proposal before genesis", errOrder)
	}
	defer tip.Release()
	res, err := a.prepare(tip, req)
	if err != nil {
		return nil, fmt.Errorf("app: proposal: %w", err)
	}
	return res, nil
}

func (a *App) prepare(tip *store.View, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	cs, err := a.proposable(tip, req.Txs)
	if err != nil {
		return nil, err
	}
	q, err := state.NewQuota(tip, a.nextBlock(tip))
	if err != nil {
		return nil, err
	}
	chosen, err := choose(cs, req.MaxTxBytes, func(e *entry) (bool, error) {
		code, err := q.Take(a.parsed.of(e).tx)
		return code == ledger.CodeOK, err
	})
	if err != nil {
		return nil, err
	}
	txs := make([]*parsedTx, len(chosen))
	for i, e := range chosen {
		txs[i] = a.parsed.of(e)
	}
	// All are valid; but a proposal that the others reject would cost a round.
	good, err := a.valid(tip, txs)
	if err != nil {
		return nil, err
	}
	res := &abci.ResponsePrepareProposal{}
	for _, i := range order(good) {
		res.Txs = append(res.Txs, chosen[i].raw)
	}
	return res, nil
}

// proposable returns what waits and may be in the next block, the oldest first; and what
// else CometBFT offers, which is nothing as long as [Clients] alone fill its pool.
func (a *App) proposable(tip *store.View, offered [][]byte) ([]claim, error) {
	s, err := a.standing(tip)
	if err != nil {
		return nil, err
	}
	var good []claim
	known := make(map[[32]byte]bool)
	for _, c := range a.backlog.claims() {
		known[c.hash] = true
		code, err := s.code(c.entry)
		if err != nil {
			return nil, err
		}
		if code == ledger.CodeOK {
			good = append(good, c)
		}
	}
	var others [][]byte
	for _, raw := range offered {
		if !known[ledger.TxHash(raw)] {
			others = append(others, raw)
		}
	}
	valid, err := a.valid(tip, a.parsed.all(others))
	if err != nil {
		return nil, err
	}
	q, err := state.NewQuota(tip, a.nextBlock(tip))
	if err != nil {
		return nil, err
	}
	for _, c := range valid {
		e, err := newEntry(q, c.parsedTx, others[c.place])
		if err != nil {
			return nil, err
		}
		if e.fitsAlone(&s.limits) {
			good = append(good, claim{entry: e})
		}
	}
	return good, nil
}

// candidate is a transaction that may be proposed, and its place in a list.
type candidate struct {
	*parsedTx
	place int
}

// valid returns the transactions that a block may have apart from quotas, none twice.
func (a *App) valid(tip *store.View, txs []*parsedTx) ([]candidate, error) {
	js, err := a.judge(tip, a.nextBlock(tip), txs)
	if err != nil {
		return nil, err
	}
	var good []candidate
	seen := make(map[[32]byte]bool, len(js))
	for i, j := range js {
		if j.signer() != ledger.CodeOK || seen[j.hash] {
			continue
		}
		if _, found, err := tip.Outcome(j.hash); err != nil {
			return nil, err
		} else if found {
			continue
		}
		seen[j.hash] = true
		good = append(good, candidate{j.parsedTx, i})
	}
	return good, nil
}

// choose returns what goes into a block of at most limit bytes: operations, then batches,
// each in turns. take uses up quotas, or tells that they don't suffice.
func choose(cs []claim, limit int64, take func(*entry) (bool, error)) ([]*entry, error) {
	var operations, batches turns
	for _, c := range cs {
		if c.operation {
			operations.push(c.entry, c.organisation, c.ofSender)
		} else {
			batches.push(c.entry, c.organisation, c.ofSender)
		}
	}
	first := limit
	if batches.length > 0 {
		first /= operationShare
	}
	chosen, err := fill(nil, &operations, first, take)
	if err != nil {
		return nil, err
	}
	for _, e := range chosen {
		limit -= e.size
	}
	return fill(chosen, &batches, limit, take)
}

// fill appends transactions of at most limit bytes. One that doesn't fit ends its sender's
// turns.
func fill(chosen []*entry, t *turns, limit int64, take func(*entry) (bool, error)) ([]*entry, error) {
	for e := t.peek(); e != nil; e = t.peek() {
		ok := e.size <= limit
		if ok {
			var err error
			if ok, err = take(e); err != nil {
				return nil, err
			}
		}
		if !ok {
			t.skip()
			continue
		}
		limit -= e.size
		chosen = append(chosen, t.next())
	}
	return chosen, nil
}

// ProcessProposal accepts a block only if every transaction in it can be
// decoded, stands once, was not committed before, and is signed by somebody who
// may sign it. A bad statement in a batch is no reason to reject: it is refused
// when the batch is applied, and its bridge answers for it.
func (a *App) ProcessProposal(_ context.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	reject := &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}
	tip := a.st.Tip()
	if tip == nil {
		return nil, fmt.Errorf("%w: proposal before genesis", errOrder)
	}
	defer tip.Release()
	good, err := a.acceptable(tip, req.Txs)
	if err != nil {
		return nil, fmt.Errorf("app: proposal: %w", err)
	}
	if good != len(req.Txs) {
		a.log.Warn("proposal rejected", "height", req.Height, "transactions", len(req.Txs), "good", good)
		return reject, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// acceptable counts the transactions that a block may have, within quotas.
func (a *App) acceptable(tip *store.View, raws [][]byte) (n int, err error) {
	good, err := a.valid(tip, a.parsed.all(raws))
	if err != nil {
		return 0, err
	}
	q, err := state.NewQuota(tip, a.nextBlock(tip))
	if err != nil {
		return 0, err
	}
	for _, c := range good {
		code, err := q.Take(c.tx)
		if err != nil {
			return 0, err
		}
		if code == ledger.CodeOK {
			n++
		}
	}
	return n, nil
}
