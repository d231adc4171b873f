package crosscheck

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	cmtmerkle "github.com/cometbft/cometbft/crypto/merkle"

	"mtmledger/crypto/merkle"
)

// TestAppHash compares crypto/merkle's app hash with CometBFT's simple:v proof
// operator. It stands here so that crypto and its tests build without CometBFT.
func TestAppHash(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	names := []string{"log", "records"} // ascending, as the leaves must be
	for range 100 {
		size := r.Uint64() >> 1 >> r.IntN(63)
		var logRoot, recordsRoot merkle.Hash
		for i := range logRoot {
			logRoot[i], recordsRoot[i] = byte(r.Uint64()), byte(r.Uint64())
		}
		values := [][]byte{append(binary.BigEndian.AppendUint64(nil, size), logRoot[:]...), recordsRoot[:]}
		appHash := merkle.AppHash(size, logRoot, recordsRoot)
		var leaves [][]byte
		for i, name := range names {
			valueHash := sha256.Sum256(values[i])
			leaf := append(binary.AppendUvarint(nil, uint64(len(name))), name...)
			leaves = append(leaves, append(binary.AppendUvarint(leaf, 32), valueHash[:]...))
		}
		root, proofs := cmtmerkle.ProofsFromByteSlices(leaves)
		if string(root) != string(appHash[:]) {
			t.Fatalf("app hash %s, CometBFT has %x", appHash, root)
		}
		for i, name := range names {
			op := cmtmerkle.NewValueOp([]byte(name), proofs[i])
			if out, err := op.Run([][]byte{values[i]}); err != nil || string(out[0]) != string(appHash[:]) {
				t.Fatalf("simple:v operator for %s: %x, %v", name, out, err)
			}
			values[i][0] ^= 1
			if _, err := op.Run([][]byte{values[i]}); err == nil {
				t.Fatalf("simple:v operator for %s accepts another value", name)
			}
		}
	}
}
