package proof

import (
	"encoding/binary"

	"mtmledger/crypto/merkle"
)

// The few rules of protobuf (proto3, as gogoproto writes it) that the hashes and
// sign bytes of CometBFT need. Fields stand in the order of their numbers. A
// scalar field of value zero and an empty string or bytes field are left out.

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

func appendTag(b []byte, field, wire byte) []byte { return append(b, field<<3|wire) }

// appendVarintField appends an integer field. Negative int64 values, which take
// ten bytes in protobuf, do not occur.
func appendVarintField(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(appendTag(b, field, wireVarint), v)
}

// appendFixed64Field appends an sfixed64 field: little-endian.
func appendFixed64Field(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(appendTag(b, field, wireFixed64), v)
}

// appendBytesField appends a string or bytes field.
func appendBytesField(b []byte, field byte, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendMessageField(b, field, v)
}

// appendMessageField appends an embedded message, which is written even if it is
// empty.
func appendMessageField(b []byte, field byte, v []byte) []byte {
	b = binary.AppendUvarint(appendTag(b, field, wireBytes), uint64(len(v)))
	return append(b, v...)
}

// appendTime appends a google.protobuf.Timestamp of ns nanoseconds since the
// Unix epoch.
func appendTime(b []byte, ns int64) []byte {
	const second = 1_000_000_000
	b = appendVarintField(b, 1, uint64(ns/second))
	return appendVarintField(b, 2, uint64(ns%second))
}

// treeHash is the RFC 6962 tree hash of the leaves (CometBFT's
// merkle.HashFromByteSlices). There is at least one leaf.
func treeHash(leaves [][]byte) merkle.Hash {
	if len(leaves) == 1 {
		return merkle.LeafHash(leaves[0])
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	return merkle.NodeHash(treeHash(leaves[:split]), treeHash(leaves[split:]))
}
