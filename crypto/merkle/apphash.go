package merkle

import (
	"crypto/sha256"
	"encoding/binary"
)

// AppHash returns the root of the RFC 6962 tree over the two named roots of a
// state, which CometBFT headers carry as app_hash. The leaves are those of
// CometBFT's "simple:v" proof operator, in the order of their names:
//
//	"log"     -> log size u64 big-endian || log root
//	"records" -> records root
//
// leaf = SHA-256(0x00 || uvarint len(name) || name || uvarint 32 || SHA-256(value)),
// root = SHA-256(0x01 || leaf "log" || leaf "records").
func AppHash(logSize uint64, logRoot, recordsRoot Hash) Hash {
	var log [8 + HashSize]byte
	binary.BigEndian.PutUint64(log[:8], logSize)
	copy(log[8:], logRoot[:])
	return NodeHash(simpleLeaf("log", log[:]), simpleLeaf("records", recordsRoot[:]))
}

// simpleLeaf returns the hash of one CometBFT simple:v leaf.
func simpleLeaf(name string, value []byte) Hash {
	valueHash := sha256.Sum256(value)
	leaf := binary.AppendUvarint(nil, uint64(len(name)))
	leaf = append(leaf, name...)
	leaf = binary.AppendUvarint(leaf, HashSize)
	leaf = append(leaf, valueHash[:]...)
	return LeafHash(leaf)
}
