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
	for _, o := range g.Organisations {
		if o.Threshold != 1 {
			return fmt.Errorf("state: %w", ledger.Errorf(ledger.CodeMalformed,
				"genesis: organisation %q wants %d signatures on an operation; only 1 is supported", o.Name, o.Threshold))
		}
		v.genesisOrganisation(o)
	}
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
	for _, bridge := range o.Bridges {
		b := ledger.BridgeID(bridge.Key)
		v.put(record.BridgeRow(b, GenesisHeight), record.Bridge{Organisation: id}.Encode())
		v.put(record.OrganisationBridgeRow(id, b), newSpan(GenesisHeight))
		v.put(record.KeyRow(b, bridge.Key.KeyID()), record.Key{Public: bridge.Key, Opens: GenesisHeight + 1}.Encode())
	}
}
