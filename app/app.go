// Package app is the ledger as an ABCI application: it checks transactions for
// CometBFT's pool, proposes and judges blocks, executes them with the rules of
// package state, commits the result to package store, and answers queries.
//
// What each call may do (docs/design/app.md):
//
//   - CheckTx and Query read an immutable view of the last block, from any
//     number of goroutines.
//   - PrepareProposal and ProcessProposal read the same and keep nothing.
//   - FinalizeBlock computes a block and keeps it in memory.
//   - Commit writes it, in one atomic batch.
//
// Bad transactions get a ledger.Code; they are never a Go error, which would
// stop the node. A Go error means that this node's own database failed.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/query"
	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// Version is the version of the transition rules that this program knows; nodes with
// another one don't agree on app hashes.
const Version = 1

// headerVersion is the application's version in every block header of every ledger. Which
// rules a block has the members decide (parameter app_version), not the header: CometBFT
// takes the header's version from the program that a home begins with, so if it followed
// the program, a home begun after an upgrade would reject the blocks before it.
const headerVersion = 1

// verifiedCache is how many verified signatures are remembered, so that a
// signature checked for the pool is not verified again in its block: a few
// full blocks.
const verifiedCache = 200_000

// Config is what an App needs.
type Config struct {
	State *store.State
	// Query answers Query and has the counters of refusals; nil refuses all.
	Query *query.Handler
	// Workers verify signatures; 0 means GOMAXPROCS.
	Workers int
	// RetainBlocks is how many blocks CometBFT keeps; 0 all.
	RetainBlocks uint64
	// Version of the rules that this program knows; 0 means Version. Tests of an upgrade
	// set it.
	Version uint64
	// Logger; nil drops everything.
	Logger *slog.Logger
}

// App is the application. Close it after CometBFT.
type App struct {
	abci.BaseApplication

	st       *store.State
	query    *query.Handler
	refused  *query.Counters
	verifier *crypto.Verifier
	retain   uint64
	version  uint64
	log      *slog.Logger

	parsed  *parsedCache
	backlog *backlog

	mu      sync.Mutex
	chain   string
	archive func(below uint64) error
	waiting map[[32]byte][]chan store.Outcome

	pending *store.Block // of FinalizeBlock, for Commit; consensus alone uses it
}

var _ abci.Application = (*App)(nil)

// New returns an App over a state, which may be empty.
func New(c Config) (*App, error) {
	if c.State == nil {
		return nil, errors.New("app: no state")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	refused := new(query.Counters)
	if c.Query != nil {
		refused = &c.Query.Refused
	}
	return &App{
		st:       c.State,
		query:    c.Query,
		refused:  refused,
		verifier: crypto.NewVerifier(crypto.VerifierConfig{Workers: c.Workers, CacheSize: verifiedCache}),
		retain:   c.RetainBlocks,
		version:  cmp.Or(c.Version, Version),
		log:      c.Logger,
		parsed:   newParsedCache(parsedBytes),
		backlog:  newBacklog(),
		waiting:  make(map[[32]byte][]chan store.Outcome),
	}, nil
}

// Close ends the verifier's workers.
func (a *App) Close() { a.verifier.Close() }

// SetChain names the chain. The node calls it before CometBFT starts: after a
// restart there is no InitChain.
func (a *App) SetChain(chain string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chain = chain
}

// SetArchive names what is called with a height before CometBFT is told to
// delete the blocks below it. An error keeps them.
func (a *App) SetArchive(keep func(below uint64) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.archive = keep
}

func (a *App) chainID() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chain
}

// Info tells CometBFT which block was committed last, for it to replay those
// that are missing.
func (a *App) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	res := &abci.ResponseInfo{Data: "mtmledger", Version: fmt.Sprint(a.version), AppVersion: headerVersion}
	tip := a.st.Tip()
	if tip == nil || tip.Height == 0 {
		if tip != nil {
			tip.Release()
		}
		return res, nil // block 0 is InitChain's, which CometBFT repeats
	}
	defer tip.Release()
	res.LastBlockHeight = int64(tip.Height)
	res.LastBlockAppHash = tip.AppHash[:]
	return res, nil
}

// Query answers a query of package query.
func (a *App) Query(ctx context.Context, req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	var value []byte
	err := ledger.Errorf(ledger.CodeNotFound, "queries are off")
	if req.Height < 0 {
		err = ledger.Errorf(ledger.CodeMalformed, "negative height")
		a.refused.Queries.Add(ledger.CodeMalformed)
	} else if a.query != nil {
		value, err = a.query.At(ctx, req.Path, req.Data, uint64(req.Height))
	}
	if err != nil {
		return &abci.ResponseQuery{Code: uint32(ledger.CodeOf(err)), Log: err.Error()}, nil
	}
	res := &abci.ResponseQuery{Value: value}
	if tip := a.st.Tip(); tip != nil {
		res.Height = int64(tip.Height)
		tip.Release()
	}
	return res, nil
}

// nextBlock is the block that would follow a view, as far as known before it
// is proposed.
func (a *App) nextBlock(v *store.View) state.Block {
	return state.Block{Chain: a.chainID(), Height: v.Height + 1, Time: v.Time}
}

// Outcome waits until a transaction is committed.
func (a *App) Outcome(ctx context.Context, hash [32]byte) (store.Outcome, error) {
	ch := make(chan store.Outcome, 1)
	a.mu.Lock()
	a.waiting[hash] = append(a.waiting[hash], ch)
	a.mu.Unlock()
	defer a.forget(hash, ch)

	if o, found, err := a.committed(hash); err != nil || found {
		return o, err
	}
	select {
	case o := <-ch:
		return o, nil
	case <-ctx.Done():
		return store.Outcome{}, ctx.Err()
	}
}

func (a *App) forget(hash [32]byte, ch chan store.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var rest []chan store.Outcome
	for _, c := range a.waiting[hash] {
		if c != ch {
			rest = append(rest, c)
		}
	}
	if rest == nil {
		delete(a.waiting, hash)
		return
	}
	a.waiting[hash] = rest
}

// committed looks a transaction up.
func (a *App) committed(hash [32]byte) (o store.Outcome, found bool, err error) {
	tip := a.st.Tip()
	if tip == nil {
		return o, false, nil
	}
	defer tip.Release()
	return tip.Outcome(hash)
}

// announce tells those who wait what became of the block's transactions.
func (a *App) announce(b *store.Block) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return
	}
	for _, r := range b.Results {
		for _, ch := range a.waiting[r.Hash] {
			select {
			case ch <- store.Outcome{Height: b.Height, Time: b.Time, Data: r.Data}:
			default: // it has one already
			}
		}
	}
}
