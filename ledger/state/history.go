package state

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/record"
)

// What is in force at height h is the last history row at or below h. A row that opens a
// history is written at the height of its block, so that later transactions of the block
// can use it; a change of something that is in use is written at the next height, so that
// one answer holds for all entries of a block.

func organisationAt(r Reader, id crypto.ID, height uint64) (record.Organisation, bool, error) {
	return at(r, record.OrganisationRow(id, 0), record.OrganisationRow(id, height), record.ParseOrganisation)
}

func bridgeAt(r Reader, id crypto.ID, height uint64) (record.Bridge, bool, error) {
	return at(r, record.BridgeRow(id, 0), record.BridgeRow(id, height), record.ParseBridge)
}

func deviceAt(r Reader, id crypto.ID, height uint64) (record.Device, bool, error) {
	return at(r, record.DeviceRow(id, 0), record.DeviceRow(id, height), record.ParseDevice)
}

func ownerAt(r Reader, stream crypto.ID, height uint64) (record.Owner, bool, error) {
	return at(r, record.OwnerRow(stream, 0), record.OwnerRow(stream, height), record.ParseOwner)
}

func parametersAt(r Reader, height uint64) (record.Parameters, bool, error) {
	return at(r, record.ParametersRow(0), record.ParametersRow(height), record.ParseParameters)
}

func at[T any](r Reader, lo, k merkle.Key, parse func([]byte) (T, error)) (row T, found bool, err error) {
	_, value, err := r.Predecessor(lo, k)
	if err != nil || value == nil {
		return row, false, err
	}
	row, err = parse(value)
	return row, err == nil, err
}
