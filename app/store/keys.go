package store

import (
	"encoding/binary"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// The key spaces of the one database: first byte of every key. A new one is
// added here and nowhere else.
const (
	spaceMeta   byte = 0x01 // "tip" -> tip: height, app hash, log frontier, trie root
	spaceRow    byte = 0x02 // record key 33 -> value: the authenticated map
	spaceNode   byte = 0x03 // trie node by path: depth u16be, first depth bits of the keys below -> node
	spaceUndo   byte = 0x04 // height u64be -> undo record, the last 16
	spaceEntry  byte = 0x10 // log index u64be -> entry bytes
	spaceTile   byte = 0x11 // level u8, index u64be -> up to 256 hashes
	spaceBlock  byte = 0x12 // first log index u64be -> height, time, count of the block
	spaceStream byte = 0x13 // stream 16, first number u64be -> log index
	spaceResult byte = 0x14 // transaction hash 32 -> height, time, encoded result
	spaceHeight byte = 0x15 // height u64be -> app hash, log size, transaction hashes
	spaceLight  byte = 0x16 // height u64be -> light block kept for ever
	spaceComet  byte = 0x20 // database name, 0x00, key: CometBFT's own stores
)

var keyTip = []byte{spaceMeta, 't', 'i', 'p'}

func numberKey(space byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{space}, n)
}

func rowKey(k merkle.Key) []byte { return append([]byte{spaceRow}, k[:]...) }

// nodeKey has only the bytes of the prefix that the depth can fill: with the
// depth before them no two nodes share a key.
func nodeKey(id merkle.NodeID) []byte {
	b := binary.BigEndian.AppendUint16([]byte{spaceNode}, id.Depth)
	return append(b, id.Prefix[:(id.Depth+7)/8]...)
}

func tileKey(level uint8, index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceTile, level}, index)
}

func streamKey(stream crypto.ID, first uint64) []byte {
	b := append([]byte{spaceStream}, stream[:]...)
	return binary.BigEndian.AppendUint64(b, first)
}

func resultKey(hash [32]byte) []byte { return append([]byte{spaceResult}, hash[:]...) }

// number reads the u64 at the end of a key.
func number(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }
