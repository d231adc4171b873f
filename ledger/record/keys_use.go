package record

import (
	"encoding/binary"
	"math/bits"

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

// LengthClasses is how many classes of lengths there are, see [LengthClass].
const LengthClasses = 63

// LengthClass is the class of readings first to last: k for 2^k to 2^(k+1)-1 of them.
func LengthClass(first, last uint64) int { return bits.Len64(max(last-first+1, 1)) - 1 }

// useNode places the ranges of a class by where they begin, in steps of 2^class: those of
// one class stand together, ascending. It has 64 bits: the number of zeros before the
// first 1 is the class less than 63, and what follows is the number of the step.
func useNode(class int, first uint64) uint64 { return 1<<(63-class) + first>>class }

// placeBits is how many bits of a UseRow's key say which input it is: log2 of ledger.MaxInputs.
const placeBits = 6

// UseRow is the key of the row of one use of readings first to last of a stream: by the
// derived statement at a log index, as its input number place, from 0.
func UseRow(stream crypto.ID, first, last, index, place uint64) merkle.Key {
	k := withNumber(FamilyUse, stream, useNode(LengthClass(first, last), first))
	binary.BigEndian.PutUint64(k[subAt+8:], index<<placeBits|place)
	return k
}

// UseRange returns the least and the greatest possible key of the uses of a length class
// that overlap readings first to last. Among them are at most some that end, or begin,
// within twice their length of these.
func UseRange(stream crypto.ID, class int, first, last uint64) (lo, hi merkle.Key) {
	longest := uint64(1)<<(class+1) - 1
	begin := uint64(1)
	if first > longest {
		begin = first - longest + 1
	}
	lo = withNumber(FamilyUse, stream, useNode(class, begin))
	hi = withNumber(FamilyUse, stream, useNode(class, last))
	for i := subAt + 8; i < len(hi); i++ {
		hi[i] = 0xff
	}
	return lo, hi
}

// UseOf returns the log index of the statement and the place of the input in a UseRow.
func UseOf(k merkle.Key) (index, place uint64) {
	n := binary.BigEndian.Uint64(k[subAt+8:])
	return n >> placeBits, n & (1<<placeBits - 1)
}

// UseLengthsRow is the key of the row that says which lengths uses of a stream have.
func UseLengthsRow(stream crypto.ID) merkle.Key { return prefix(FamilyUseLengths, stream) }

// EvidenceRow is the key of the evidence against one key of a device.
func EvidenceRow(device crypto.ID, kid crypto.KeyID) merkle.Key {
	k := prefix(FamilyEvidence, device)
	copy(k[subAt:], kid[:])
	return k
}
