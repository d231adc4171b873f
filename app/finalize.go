package app

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// errOrder is returned when CometBFT calls out of order; it never does.
var errOrder = errors.New("app: call out of order")

// noRecords is the state before genesis.
type noRecords struct{}

func (noRecords) Get(merkle.Key) ([]byte, error) { return nil, nil }

func (noRecords) Predecessor(_, _ merkle.Key) (merkle.Key, []byte, error) {
	return merkle.Key{}, nil, nil
}

func (noRecords) Node(merkle.NodeID) (merkle.Node, error) { return merkle.Node{}, store.ErrNotFound }

func (noRecords) Tile(uint8, uint64) ([]merkle.Hash, error) { return nil, store.ErrNotFound }

// InitChain makes block 0 from the genesis and commits it. CometBFT repeats
// the call when the node ended before block 1: the genesis must be the same.
func (a *App) InitChain(_ context.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	if req.InitialHeight != 1 {
		return nil, fmt.Errorf("app: initial height %d, must be 1", req.InitialHeight)
	}
	a.SetChain(req.ChainId)
	if err := checkGenesisValidators(req); err != nil {
		return nil, err
	}
	v := state.NewView(noRecords{}, 0)
	if err := state.Genesis(v, req.ChainId, req.AppStateBytes, req.Time.UnixMicro()); err != nil {
		return nil, fmt.Errorf("app: genesis: %w", err)
	}
	b, err := build(noRecords{}, store.Tip{Log: new(merkle.Frontier)}, v)
	if err != nil {
		return nil, fmt.Errorf("app: genesis: %w", err)
	}
	b.Time = req.Time.UnixMicro()
	if err := a.commitGenesis(b); err != nil {
		return nil, err
	}
	return &abci.ResponseInitChain{AppHash: b.AppHash[:]}, nil
}

func (a *App) commitGenesis(b *store.Block) error {
	if a.st.Empty() {
		return a.st.Commit(*b)
	}
	tip := a.st.Tip()
	defer tip.Release()
	if tip.Height != 0 || tip.AppHash != b.AppHash {
		return fmt.Errorf("app: this home's database belongs to another genesis (height %d)", tip.Height)
	}
	return nil
}

// reader is what building a block reads besides the rows.
type reader interface {
	merkle.NodeReader
	merkle.TileReader
}

// build computes what committing a finished view writes; its height is one
// above before's, except that genesis is 0.
func build(r reader, before store.Tip, v *state.View) (*store.Block, error) {
	if err := v.Err(); err != nil {
		return nil, err
	}
	b := &store.Block{Rows: v.Changes()}
	var err error
	if b.Trie, b.Nodes, err = merkle.Update(r, before.Trie, b.Rows); err != nil {
		return nil, err
	}
	b.Log = before.Log.Clone()
	entries := v.Entries()
	leaves := make([]merkle.Hash, len(entries))
	for i, e := range entries {
		leaves[i] = merkle.LeafHash(e.Bytes)
		b.Log.Append(leaves[i])
		b.Entries = append(b.Entries, e.Bytes)
	}
	if len(leaves) > 0 {
		if b.Tiles, err = merkle.NewTiles(before.Log.Size(), r, leaves); err != nil {
			return nil, err
		}
	}
	b.AppHash = merkle.AppHash(b.Log.Size(), b.Log.Root(), b.Trie.RootHash())
	return b, nil
}

// FinalizeBlock executes a block. It verifies all signatures at once, applies
// the transactions one after the other, and keeps the outcome for Commit. The
// error is a failure of this node's database.
func (a *App) FinalizeBlock(_ context.Context, req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	tip := a.st.Tip()
	if tip == nil {
		return nil, fmt.Errorf("%w: block before genesis", errOrder)
	}
	defer tip.Release()
	if uint64(req.Height) != tip.Height+1 {
		return nil, fmt.Errorf("%w: block %d after %d", errOrder, req.Height, tip.Height)
	}
	blk := state.Block{Chain: a.chainID(), Height: tip.Height + 1, Time: req.Time.UnixMicro()}
	if err := a.checkVersion(tip, blk); err != nil {
		return nil, err
	}
	js, err := a.judge(tip, blk, a.parsed.all(req.Txs))
	if err != nil {
		return nil, fmt.Errorf("app: block %d: %w", req.Height, err)
	}
	b, res, err := a.execute(tip, blk, js, req)
	if err != nil {
		return nil, fmt.Errorf("app: block %d: %w", req.Height, err)
	}
	a.pending = b
	return res, nil
}

// execute applies judged transactions to the last block's state.
func (a *App) execute(tip *store.View, blk state.Block, js []judged, req *abci.RequestFinalizeBlock) (*store.Block, *abci.ResponseFinalizeBlock, error) {
	v := state.NewView(tip, tip.LogSize())
	state.RecordSignatures(v, blk, signers(req.DecidedLastCommit))
	outcomes := make([]state.Result, len(js))
	for i, j := range js {
		if j.err != nil {
			outcomes[i] = state.Result{Code: j.code()}
			continue
		}
		outcomes[i] = state.Apply(v, blk, j.tx, j.verdicts)
	}
	recordMisbehaviour(v, blk, req.Misbehavior)
	updates := validatorUpdates(v, blk)
	state.EndBlock(v, blk)
	b, err := build(a.st.Working(tip), tip.Tip, v)
	if err != nil {
		return nil, nil, err
	}
	b.Height, b.Time = blk.Height, blk.Time
	results := make([]*abci.ExecTxResult, len(js))
	for i, res := range outcomes {
		data := res.Encode()
		results[i] = &abci.ExecTxResult{Code: uint32(res.Code), Data: data}
		b.Results = append(b.Results, store.Result{Hash: js[i].hash, Data: data})
		b.Places = appendPlaces(b.Places, js[i], res)
	}
	return b, &abci.ResponseFinalizeBlock{TxResults: results, ValidatorUpdates: updates, AppHash: b.AppHash[:]}, nil
}

// appendPlaces notes where the accepted statements of a batch stand.
func appendPlaces(places []store.Place, j judged, res state.Result) []store.Place {
	if j.err != nil || j.tx.Batch == nil || res.Code != ledger.CodeOK {
		return places
	}
	next := 0
	for i, code := range res.Codes {
		if code != ledger.CodeOK {
			continue
		}
		// It was parsed to be accepted, so it parses.
		if s, err := j.tx.Batch.Parse(i); err == nil {
			places = append(places, store.Place{Stream: s.Stream, First: s.First, Index: res.Indexes[next]})
		}
		next++
	}
	return places
}

// Commit writes the block of the last FinalizeBlock and tells who waits for
// its transactions.
func (a *App) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	b := a.pending
	if b == nil {
		return nil, fmt.Errorf("%w: commit without a block", errOrder)
	}
	a.pending = nil
	if err := a.st.Commit(*b); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	a.count(b)
	a.backlog.committed(b)
	a.announce(b)
	return &abci.ResponseCommit{RetainHeight: a.retainHeight(b.Height)}, nil
}

// count counts what a committed block refused. A block that is replayed counts once a run.
func (a *App) count(b *store.Block) {
	for _, r := range b.Results {
		res, err := state.DecodeResult(r.Data)
		if err != nil {
			continue // it was encoded here
		}
		a.refused.Committed.Add(res.Code)
		for _, code := range res.Codes {
			a.refused.Committed.Add(code)
		}
	}
}

// retainEvery spaces out pruning, which costs CometBFT a few writes each time.
const retainEvery = 100

// retainHeight is the oldest block CometBFT still needs after a height, 0 for
// no change.
func (a *App) retainHeight(height uint64) int64 {
	if a.retain == 0 || height <= a.retain || height%retainEvery != 0 {
		return 0
	}
	a.mu.Lock()
	keep := a.archive
	a.mu.Unlock()
	if keep == nil {
		return 0
	}
	if err := keep(height - a.retain); err != nil {
		a.log.Error("blocks are not pruned", "below", height-a.retain, "error", err)
		return 0
	}
	return int64(height - a.retain)
}
