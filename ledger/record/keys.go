// Package record names every row of the records (the authenticated map) and
// encodes their values. It holds no rules: package state applies those, and a
// verifier reads rows with this package alone. See docs/spec/records.md.
//
// A row's key is 33 bytes: family (1), id (16), sub (16). The sub part is zero,
// a height or a number (8 bytes big endian, then 8 zero bytes), a key id (8
// bytes, then 8 zero bytes) or a child's id (16 bytes). Rows whose sub part is a
// height are history: the row in force at height h is the last one at or below
// h, the predecessor of (family, id, h) among the rows of (family, id).
package record

import (
	"encoding/binary"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// Family is the first byte of a row's key.
type Family uint8

// The families. New ones are added, old ones never change their meaning.
const (
	FamilyParameters           Family = 0x01 // (0, height) -> Parameters
	FamilyBlock                Family = 0x02 // (0, height) -> Block
	FamilyOperation            Family = 0x03 // (digest[:16], digest[16:]) -> Operation
	FamilyOrganisation         Family = 0x10 // (organisation, height) -> Organisation
	FamilyKey                  Family = 0x11 // (principal, key id) -> Key
	FamilyBridge               Family = 0x12 // (bridge, height) -> Bridge
	FamilyOrganisationBridge   Family = 0x13 // (organisation, bridge) -> Since
	FamilyMembers              Family = 0x14 // (0, height) -> Members
	FamilyAdmins               Family = 0x15 // (organisation, height) -> Admins
	FamilyDevice               Family = 0x20 // (device, height) -> Device
	FamilyOrganisationDevice   Family = 0x21 // (organisation, device) -> Since
	FamilyKeyless              Family = 0x22 // (device, 0) -> Keyless
	FamilyManifest             Family = 0x23 // (manifest, 0) -> Manifest
	FamilyOrganisationManifest Family = 0x24 // (organisation, manifest) -> Since
	FamilyListed               Family = 0x25 // (manifest, index) -> Listed
	FamilyStream               Family = 0x30 // (stream, 0) -> StreamHead
	FamilyOwner                Family = 0x31 // (stream, height) -> Owner
	FamilyOrganisationStream   Family = 0x32 // (organisation, stream) -> Since
	FamilyDeviceStream         Family = 0x33 // (device, stream) -> DeviceStream
	FamilyGap                  Family = 0x34 // (stream, first number) -> Gap
	FamilyParts                Family = 0x35 // (stream, height) -> Parts
	FamilyDescription          Family = 0x36 // (subject, height) -> Description
	FamilyClosed               Family = 0x37 // (stream, 0) -> Closed
	FamilyGrant                Family = 0x40 // (grant, 0) -> Grant
	FamilyStreamGrant          Family = 0x41 // (stream, grant) -> Since
	FamilyGranteeGrant         Family = 0x42 // (principal, grant) -> Since
	FamilyDelivery             Family = 0x43 // (delivery, 0) -> Delivery
	FamilyStreamDelivery       Family = 0x44 // (stream, delivery) -> Since
	FamilyConsumerDelivery     Family = 0x45 // (principal, delivery) -> Since
	FamilyDerived              Family = 0x46 // (derived stream, first number) -> Derived
	FamilyUse                  Family = 0x47 // (input stream, node, log index and place) -> Use
	FamilyEvidence             Family = 0x48 // (device, key id) -> Evidence
	FamilyAccess               Family = 0x4b // (principal, stream) -> Access

	FamilyValidator             Family = 0x49 // (validator, height) -> Validator
	FamilyOrganisationValidator Family = 0x4a // (organisation, validator) -> Since
	FamilyMisbehaviour          Family = 0x4c // (validator, height) -> Misbehaviour
	FamilyValidatorSet          Family = 0x4d // (0, height) -> ValidatorSet
	FamilyUseLengths            Family = 0x4e // (input stream, 0) -> UseLengths
	FamilyUntried               Family = 0x4f // (validator, 0) -> Untried
	FamilyProposal              Family = 0x50 // (proposal, 0) -> Proposal
	FamilyApproval              Family = 0x51 // (proposal, organisation) -> Approvals
)

// families lists every family with its name, in order.
var families = []struct {
	family Family
	name   string
}{
	{FamilyParameters, "parameters"},
	{FamilyBlock, "block"},
	{FamilyOperation, "operation"},
	{FamilyOrganisation, "organisation"},
	{FamilyKey, "key"},
	{FamilyBridge, "bridge"},
	{FamilyOrganisationBridge, "organisation_bridge"},
	{FamilyMembers, "members"},
	{FamilyAdmins, "admins"},
	{FamilyDevice, "device"},
	{FamilyOrganisationDevice, "organisation_device"},
	{FamilyKeyless, "keyless"},
	{FamilyManifest, "manifest"},
	{FamilyOrganisationManifest, "organisation_manifest"},
	{FamilyListed, "listed"},
	{FamilyStream, "stream"},
	{FamilyOwner, "owner"},
	{FamilyOrganisationStream, "organisation_stream"},
	{FamilyDeviceStream, "device_stream"},
	{FamilyGap, "gap"},
	{FamilyParts, "parts"},
	{FamilyDescription, "description"},
	{FamilyClosed, "closed"},
	{FamilyGrant, "grant"},
	{FamilyStreamGrant, "stream_grant"},
	{FamilyGranteeGrant, "grantee_grant"},
	{FamilyDelivery, "delivery"},
	{FamilyStreamDelivery, "stream_delivery"},
	{FamilyConsumerDelivery, "consumer_delivery"},
	{FamilyDerived, "derived_from"},
	{FamilyUse, "used_by"},
	{FamilyEvidence, "evidence"},
	{FamilyValidator, "validator"},
	{FamilyOrganisationValidator, "organisation_validator"},
	{FamilyAccess, "access"},
	{FamilyMisbehaviour, "misbehaviour"},
	{FamilyValidatorSet, "validator_set"},
	{FamilyUseLengths, "use_lengths"},
	{FamilyUntried, "untried"},
	{FamilyProposal, "proposal"},
	{FamilyApproval, "approval"},
}

// String returns the family's name, or its number when it is not known.
func (f Family) String() string {
	for _, e := range families {
		if e.family == f {
			return e.name
		}
	}
	return fmt.Sprintf("family_%02x", uint8(f))
}

const (
	idAt  = 1
	subAt = idAt + len(crypto.ID{})
)

func prefix(f Family, id crypto.ID) (k merkle.Key) {
	k[0] = byte(f)
	copy(k[idAt:], id[:])
	return k
}

func withNumber(f Family, id crypto.ID, n uint64) merkle.Key {
	k := prefix(f, id)
	binary.BigEndian.PutUint64(k[subAt:], n)
	return k
}

func withChild(f Family, id, child crypto.ID) merkle.Key {
	k := prefix(f, id)
	copy(k[subAt:], child[:])
	return k
}

// ParametersRow is the key of the parameters set at height.
func ParametersRow(height uint64) merkle.Key {
	return withNumber(FamilyParameters, crypto.ID{}, height)
}

// BlockRow is the key of the row of a non-empty block.
func BlockRow(height uint64) merkle.Key { return withNumber(FamilyBlock, crypto.ID{}, height) }

// OperationRow is the key of the row that an accepted operation leaves for ever.
func OperationRow(digest [32]byte) (k merkle.Key) {
	k[0] = byte(FamilyOperation)
	copy(k[idAt:], digest[:])
	return k
}

// OrganisationRow is the key of an organisation's row set at height.
func OrganisationRow(organisation crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyOrganisation, organisation, height)
}

// KeyRow is the key of the row of one public key of an organisation, a device
// or a bridge.
func KeyRow(principal crypto.ID, kid crypto.KeyID) merkle.Key {
	k := prefix(FamilyKey, principal)
	copy(k[subAt:], kid[:])
	return k
}

// BridgeRow is the key of a bridge's row set at height.
func BridgeRow(bridge crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyBridge, bridge, height)
}

// OrganisationBridgeRow lists a bridge under its organisation.
func OrganisationBridgeRow(organisation, bridge crypto.ID) merkle.Key {
	return withChild(FamilyOrganisationBridge, organisation, bridge)
}

// DeviceRow is the key of a device's row set at height.
func DeviceRow(device crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyDevice, device, height)
}

// OrganisationDeviceRow lists a device under its organisation.
func OrganisationDeviceRow(organisation, device crypto.ID) merkle.Key {
	return withChild(FamilyOrganisationDevice, organisation, device)
}

// StreamRow is the key of a stream's head.
func StreamRow(stream crypto.ID) merkle.Key { return prefix(FamilyStream, stream) }

// OwnerRow is the key of a stream's owner set at height.
func OwnerRow(stream crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyOwner, stream, height)
}

// PartsRow is the key of the parts of a stream set at height.
func PartsRow(stream crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyParts, stream, height)
}

// OrganisationStreamRow lists a stream under the organisation that owns it.
func OrganisationStreamRow(organisation, stream crypto.ID) merkle.Key {
	return withChild(FamilyOrganisationStream, organisation, stream)
}

// DeviceStreamRow lists a stream under the device that writes it.
func DeviceStreamRow(device, stream crypto.ID) merkle.Key {
	return withChild(FamilyDeviceStream, device, stream)
}

// GapRow is the key of an open gap that begins with number first.
func GapRow(stream crypto.ID, first uint64) merkle.Key {
	return withNumber(FamilyGap, stream, first)
}

// Range returns the least and the greatest possible key of the rows of (f, id):
// for a whole list, or as the lower bound of a predecessor.
func Range(f Family, id crypto.ID) (lo, hi merkle.Key) {
	lo, hi = prefix(f, id), prefix(f, id)
	for i := subAt; i < len(hi); i++ {
		hi[i] = 0xff
	}
	return lo, hi
}

// FamilyRange returns the least and the greatest possible key of family f.
func FamilyRange(f Family) (lo, hi merkle.Key) {
	for i := range hi {
		hi[i] = 0xff
	}
	lo[0], hi[0] = byte(f), byte(f)
	return lo, hi
}

// FamilyOf returns the family of a key.
func FamilyOf(k merkle.Key) Family { return Family(k[0]) }

// IDOf returns the id part of a key.
func IDOf(k merkle.Key) (id crypto.ID) {
	copy(id[:], k[idAt:subAt])
	return id
}

// NumberOf returns the height or number in the sub part of a key.
func NumberOf(k merkle.Key) uint64 { return binary.BigEndian.Uint64(k[subAt:]) }

// ChildOf returns the child's id in the sub part of a key.
func ChildOf(k merkle.Key) (id crypto.ID) {
	copy(id[:], k[subAt:])
	return id
}

// KeyIDOf returns the key id in the sub part of a key.
func KeyIDOf(k merkle.Key) (kid crypto.KeyID) {
	copy(kid[:], k[subAt:])
	return kid
}
