package app

import (
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

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

// signers are who signed for the last block.
func signers(commit abci.CommitInfo) (list []state.Address) {
	for _, vote := range commit.Votes {
		if vote.BlockIdFlag == cmtproto.BlockIDFlagCommit && len(vote.Validator.Address) == len(state.Address{}) {
			list = append(list, state.Address(vote.Validator.Address))
		}
	}
	return list
}

// recordMisbehaviour records CometBFT's evidence.
func recordMisbehaviour(v *state.View, blk state.Block, list []abci.Misbehavior) {
	var all []state.Misbehaviour
	for _, m := range list {
		if len(m.Validator.Address) != len(state.Address{}) || m.Height < 0 {
			continue
		}
		offence := record.OffenceDuplicateVote
		if m.Type == abci.MisbehaviorType_LIGHT_CLIENT_ATTACK {
			offence = record.OffenceLightAttack
		}
		all = append(all, state.Misbehaviour{Address: state.Address(m.Validator.Address), Offence: offence, Height: uint64(m.Height)})
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
