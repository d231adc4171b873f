package app

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// fairShare is the part of a block (1/fairShare) that is proposed when several
// bridges wait: CometBFT offers no more than one block's worth from its pool,
// so there is a choice between bridges only if less than that is taken.
const fairShare = 2

// PrepareProposal chooses and orders the transactions of a block: operations
// first, then the bridges' batches in turn, a stream's statements in the order
// of their numbers. It never changes a transaction. What could not be in a
// valid block is left out.
func (a *App) PrepareProposal(_ context.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	tip := a.st.Tip()
	if tip == nil {
		return nil, fmt.Errorf("%w: proposal before genesis", errOrder)
	}
	defer tip.Release()
	good, err := a.proposable(tip, req.Txs)
	if err != nil {
		return nil, fmt.Errorf("app: proposal: %w", err)
	}
	res := &abci.ResponsePrepareProposal{}
	for _, i := range order(choose(good, req.MaxTxBytes)) {
		res.Txs = append(res.Txs, req.Txs[i])
	}
	return res, nil
}

// candidate is a transaction that may be proposed, and its place in the pool.
type candidate struct {
	*parsedTx
	place int
	bytes int64     // what it takes in a block
	payer crypto.ID // the organisation whose quota it uses
}

// proposable returns the transactions that a block may have, none twice and none over
// a quota.
func (a *App) proposable(tip *store.View, raws [][]byte) ([]candidate, error) {
	txs := make([]*parsedTx, len(raws))
	for i, raw := range raws {
		txs[i] = a.parsed.parse(raw)
	}
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
		size := types.ComputeProtoSizeForTxs([]types.Tx{raws[i]})
		good = append(good, candidate{parsedTx: j.parsedTx, place: i, bytes: size})
	}
	return a.withinQuota(tip, good)
}

// choose returns what goes into a block of at most limit bytes, in the order of
// the pool as far as it is fair: operations, the organisations in turn by bytes, then
// batches, the bridges in turn by bytes. If others wait, neither is more than a share of
// the block.
func choose(cs []candidate, limit int64) []candidate {
	var operations, batches turns
	for _, c := range cs {
		if c.tx.Operation != nil {
			operations.add(c.payer, c)
		} else {
			batches.add(c.tx.Batch.Bridge, c)
		}
	}
	first := limit
	if len(operations.who)+len(batches.who) > 1 {
		first /= fairShare
	}
	chosen := operations.take(first)
	for _, c := range chosen {
		limit -= c.bytes
	}
	if len(batches.who) > 1 {
		limit /= fairShare
	}
	return append(chosen, batches.take(limit)...)
}

// turns are the transactions of several who share a block.
type turns struct {
	who    []crypto.ID
	queues map[crypto.ID][]candidate
}

func (t *turns) add(id crypto.ID, c candidate) {
	if t.queues == nil {
		t.queues = make(map[crypto.ID][]candidate)
	}
	if t.queues[id] == nil {
		t.who = append(t.who, id)
	}
	t.queues[id] = append(t.queues[id], c)
}

// take gives each in turn the next place until the bytes are used: the one that has had
// the fewest bytes is next, the first in the pool among equals. A transaction that doesn't
// fit ends its sender's turns.
func (t *turns) take(limit int64) []candidate {
	var chosen []candidate
	queues, bridges := t.queues, t.who
	had := make([]int64, len(bridges))
	for {
		next := -1
		for i, id := range bridges {
			if len(queues[id]) > 0 && (next < 0 || had[i] < had[next]) {
				next = i
			}
		}
		if next < 0 {
			return chosen
		}
		q := queues[bridges[next]]
		if q[0].bytes > limit {
			queues[bridges[next]] = nil
			continue
		}
		limit -= q[0].bytes
		had[next] += q[0].bytes
		chosen = append(chosen, q[0])
		queues[bridges[next]] = q[1:]
	}
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
	good, err := a.proposable(tip, req.Txs)
	if err != nil {
		return nil, fmt.Errorf("app: proposal: %w", err)
	}
	if len(good) != len(req.Txs) {
		a.log.Warn("proposal rejected", "height", req.Height, "transactions", len(req.Txs), "good", len(good))
		return reject, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}
