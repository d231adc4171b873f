package record

import (
	"encoding/binary"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// KeylessRow is the key of the row of a device without a current key.
func KeylessRow(device crypto.ID) merkle.Key { return prefix(FamilyKeyless, device) }

// DescriptionRow is the key of a subject's description set at height.
func DescriptionRow(subject crypto.ID, height uint64) merkle.Key {
	return withNumber(FamilyDescription, subject, height)
}

// ClosedRow is the key of the row that says when a stream was closed.
func ClosedRow(stream crypto.ID) merkle.Key { return prefix(FamilyClosed, stream) }

// GrantRow is the key of a grant.
func GrantRow(grant crypto.ID) merkle.Key { return prefix(FamilyGrant, grant) }

// StreamGrantRow lists a grant under the stream that it is on.
func StreamGrantRow(stream, grant crypto.ID) merkle.Key {
	return withChild(FamilyStreamGrant, stream, grant)
}

// GranteeGrantRow lists a grant under the principal that it is for.
func GranteeGrantRow(grantee, grant crypto.ID) merkle.Key {
	return withChild(FamilyGranteeGrant, grantee, grant)
}

// AccessRow is the key of the list of grants of a principal on a stream.
func AccessRow(grantee, stream crypto.ID) merkle.Key {
	return withChild(FamilyAccess, grantee, stream)
}

// DeliveryRow is the key of a delivery.
func DeliveryRow(delivery crypto.ID) merkle.Key { return prefix(FamilyDelivery, delivery) }

// StreamDeliveryRow lists a delivery under the stream whose readings it confirms.
func StreamDeliveryRow(stream, delivery crypto.ID) merkle.Key {
	return withChild(FamilyStreamDelivery, stream, delivery)
}

// ConsumerDeliveryRow lists a delivery under the principal that signed it.
func ConsumerDeliveryRow(consumer, delivery crypto.ID) merkle.Key {
	return withChild(FamilyConsumerDelivery, consumer, delivery)
}

// DerivedRow is the key of the row of a derived statement.
func DerivedRow(stream crypto.ID, first uint64) merkle.Key {
	return withNumber(FamilyDerived, stream, first)
}

// UseRow is the key of the row of one use of readings of a stream: by the
// derived statement at a log index, as its input number place, from 0.
func UseRow(stream crypto.ID, index, place uint64) merkle.Key {
	k := withNumber(FamilyUse, stream, index)
	binary.BigEndian.PutUint64(k[subAt+8:], place)
	return k
}

// PlaceOf returns the second number in the sub part of a UseRow.
func PlaceOf(k merkle.Key) uint64 { return binary.BigEndian.Uint64(k[subAt+8:]) }

// EvidenceRow is the key of the evidence against one key of a device.
func EvidenceRow(device crypto.ID, kid crypto.KeyID) merkle.Key {
	k := prefix(FamilyEvidence, device)
	copy(k[subAt:], kid[:])
	return k
}
