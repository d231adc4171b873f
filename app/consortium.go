package app

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// checkGenesisValidators compares the validators of CometBFT's genesis with those that
// the app_state gives to organisations, if it names any: they must be the same.
func checkGenesisValidators(req *abci.RequestInitChain) error {
	g, err := ledger.ParseGenesis(req.AppStateBytes)
	if err != nil || g.NumValidators() == 0 {
		return err
	}
	powers := make(map[crypto.PublicKey]int64)
	for _, o := range g.Organisations {
		for _, v := range o.Validators {
			powers[v.Key] = int64(v.Power)
		}
	}
	if len(powers) != len(req.Validators) {
		return fmt.Errorf("app: genesis: %d validators, organisations name %d", len(req.Validators), len(powers))
	}
	for _, v := range req.Validators {
		raw := v.PubKey.GetEd25519()
		if len(raw) != len(crypto.PublicKey{}) || v.Power < 1 || powers[crypto.PublicKey(raw)] != v.Power {
			return fmt.Errorf("app: genesis: validator %x of power %d is no organisation's", raw, v.Power)
		}
	}
	return nil
}

// ErrVersion says that the ledger's next block has rules that this program doesn't know.
var ErrVersion = errors.New("app: this program is older than the ledger's rules")

// CheckVersion tells whether this program knows the rules of the block after the last one:
// an error with [ErrVersion] if not.
func (a *App) CheckVersion() error {
	tip := a.st.Tip()
	if tip == nil {
		return nil
	}
	defer tip.Release()
	return a.checkVersion(tip, a.nextBlock(tip))
}

// checkVersion refuses a block whose rules are newer than this program.
func (a *App) checkVersion(tip *store.View, blk state.Block) error {
	p, err := state.ParametersAt(tip, blk.Height)
	if err == nil && p.AppVersion > a.version {
		err = fmt.Errorf("%w: from height %d on they have version %d, this program has %d; upgrade it",
			ErrVersion, blk.Height, p.AppVersion, a.version)
	}
	return err
}

// recordMisbehaviour records CometBFT's evidence.
func recordMisbehaviour(v *state.View, blk state.Block, list []abci.Misbehavior) {
	var all []state.Misbehaviour
	for _, m := range list {
		if len(m.Validator.Address) != 20 || m.Height < 0 {
			continue
		}
		offence := record.OffenceDuplicateVote
		if m.Type == abci.MisbehaviorType_LIGHT_CLIENT_ATTACK {
			offence = record.OffenceLightAttack
		}
		all = append(all, state.Misbehaviour{Address: [20]byte(m.Validator.Address), Offence: offence, Height: uint64(m.Height)})
	}
	state.RecordMisbehaviour(v, blk, all)
}

// validatorUpdates is what a block changed of the validators, for CometBFT.
func validatorUpdates(v *state.View, blk state.Block) (list []abci.ValidatorUpdate) {
	for _, u := range v.ValidatorUpdates(blk) {
		list = append(list, abci.Ed25519ValidatorUpdate(u.Key[:], int64(u.Power)))
	}
	return list
}

// withinQuota leaves out transactions that exceed what their bridge or organisation may
// have in the next block: operations come first, otherwise in order. Whether all fit does
// not depend on the order.
func (a *App) withinQuota(tip *store.View, cs []candidate) ([]candidate, error) {
	q, err := state.NewQuota(tip, a.nextBlock(tip))
	if err != nil {
		return nil, err
	}
	// A bridge's batches must not use up what its organisation's operations need.
	slices.SortStableFunc(cs, func(a, b candidate) int {
		switch {
		case (a.tx.Operation == nil) == (b.tx.Operation == nil):
			return 0
		case a.tx.Operation != nil:
			return -1
		}
		return 1
	})
	var kept []candidate
	for _, c := range cs {
		code, err := q.Take(c.tx)
		if err != nil {
			return nil, err
		}
		if code != ledger.CodeOK {
			continue
		}
		if c.payer, err = q.Payer(c.tx); err != nil {
			return nil, err
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// poolBlocks is how many blocks' quotas the pool takes of a bridge, or of an
// organisation, from block to block.
const poolBlocks = 4

// poolOperations is how many bytes of operations the pool takes of an organisation from
// block to block: a quarter of a block, so that nobody's operations pile up before those
// of others.
const poolOperations = 1 << 20

// poolQuota counts what the pool took since the last block. Operations count apart: the
// flood of a bridge must not keep out the operation that removes it.
type poolQuota struct {
	mu         sync.Mutex
	height     uint64
	quota      *state.Quota // of batches
	operations *state.Quota
}

// take uses up what a transaction needs: CodeQuota if there is not enough left, or if a
// batch is too large for any block. The error is a failure of the tip.
func (p *poolQuota) take(tip *store.View, blk state.Block, tx *ledger.Transaction) (ledger.Code, error) {
	alone, err := state.NewQuota(tip, blk)
	if err != nil {
		return ledger.CodeOK, err
	}
	if code, err := alone.Take(tx); code != ledger.CodeOK || err != nil {
		return code, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quota == nil || p.height != blk.Height {
		if p.quota, err = state.NewQuota(tip, blk); err != nil {
			return ledger.CodeOK, err
		}
		if p.operations, err = state.NewQuota(tip, blk); err != nil {
			return ledger.CodeOK, err
		}
		p.quota.Multiply(poolBlocks)
		p.operations.Multiply(poolBlocks)
		p.operations.BoundBytes(poolOperations)
		p.height = blk.Height
	}
	quota := p.quota
	if tx.Operation != nil {
		quota = p.operations
	}
	quota.Use(tip)
	return quota.Take(tx)
}

// checkQuotas refuses transactions that the pool has no place for.
func (a *App) checkQuotas(tip *store.View, blk state.Block, txs []*parsedTx, errs []error) error {
	good, places := remaining(txs, errs)
	for i, p := range good {
		code, err := a.pool.take(tip, blk, p.tx)
		if err != nil {
			return err
		}
		errs[places[i]] = code.Err()
	}
	return nil
}
