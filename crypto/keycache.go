package crypto

import "mtmledger/crypto/internal/group"

// keyCacheSize is how many decompressed public keys a Verifier keeps. One takes
// about 300 bytes, so that all take at most 20 MB.
const keyCacheSize = 65_536

// keyPoints is a decompressed public key A and [2^128]A, with which a multiple of
// A by a 256-bit scalar is two multiples by 128-bit scalars.
type keyPoints struct {
	low, high group.Affine
}

// decodeKeyPoints reports false if p is no point of the curve.
func decodeKeyPoints(p *PublicKey) (*keyPoints, bool) {
	k := new(keyPoints)
	if !k.low.SetBytes((*[32]byte)(p)) {
		return nil, false
	}
	k.high.Shift128(&k.low)
	return k, true
}
