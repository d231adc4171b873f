package state

import (
	"errors"
	"fmt"

	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// GenesisHeight is the height of the records that a chain begins with.
const GenesisHeight = 0

var errNotEmpty = errors.New("state: genesis on a log that has entries")

// Genesis writes the records of a new chain to a view of empty records, from the app_state
// of CometBFT's genesis file: its organisations, their keys and bridges, the parameters,
// and the genesis entry, the first of the log. The time is the genesis time, in µs.
func Genesis(v *View, chain string, appState []byte, time int64) error {
	if err := ledger.CheckChain(chain); err != nil {
		return fmt.Errorf("state: genesis: %w", err)
	}
	if v.size != 0 {
		return errNotEmpty
	}
	g, err := ledger.ParseGenesis(appState)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	var all record.Members
	var set record.ValidatorSet
	for _, o := range g.Organisations {
		v.genesisOrganisation(o)
		set = v.genesisValidators(set, o)
		all = all.With(o.ID())
	}
	v.put(record.MembersRow(GenesisHeight), all.Encode())
	v.put(record.ValidatorSetRow(GenesisHeight), set.Encode())
	limits := record.Parameters(g.Parameters)
	v.put(record.ParametersRow(GenesisHeight), limits.Encode())
	v.append(g.Entry(chain))
	EndBlock(v, Block{Chain: chain, Height: GenesisHeight, Time: time})
	return nil
}

// genesisOrganisation writes the rows of one organisation. Its keys and those of its
// bridges may sign from the first block on.
func (v *View) genesisOrganisation(o ledger.GenesisOrganisation) {
	id := o.ID()
	row := record.Organisation{Name: o.Name, Threshold: o.Threshold}
	v.put(record.OrganisationRow(id, GenesisHeight), row.Encode())
	for _, k := range o.AdminKeys {
		v.put(record.KeyRow(id, k.KeyID()), record.Key{Public: k, Opens: GenesisHeight + 1}.Encode())
	}
	v.put(record.AdminsRow(id, GenesisHeight), adminsOf(o.AdminKeys).Encode())
	for _, bridge := range o.Bridges {
		b := ledger.BridgeID(bridge.Key)
		v.put(record.BridgeRow(b, GenesisHeight), record.Bridge{Organisation: id}.Encode())
		v.put(record.OrganisationBridgeRow(id, b), newSpan(GenesisHeight))
		v.put(record.KeyRow(b, bridge.Key.KeyID()), record.Key{Public: bridge.Key, Opens: GenesisHeight + 1}.Encode())
	}
}

// genesisValidators adds the validators of an organisation to the set.
func (v *View) genesisValidators(set record.ValidatorSet, o ledger.GenesisOrganisation) record.ValidatorSet {
	for _, g := range o.Validators {
		id := ledger.ValidatorID(g.Key)
		row := record.Validator{Organisation: o.ID(), Key: g.Key, Power: g.Power}
		set = set.With(row)
		v.put(record.ValidatorRow(id, GenesisHeight), row.Encode())
		v.put(record.OrganisationValidatorRow(o.ID(), id), record.Since{Height: GenesisHeight}.Encode())
	}
	return set
}
