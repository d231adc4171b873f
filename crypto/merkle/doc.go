// Package merkle builds, proves and checks the two commitments of the ledger.
//
// The log is the Merkle tree of RFC 9162 section 2.1 with SHA-256 over the
// exact bytes of every entry. Its nodes are kept as tiles of 256 hashes in the
// layout of C2SP tlog-tiles: tile (L, i) holds the roots of the complete
// subtrees of 2^(8L) leaves number 256i to 256i+255.
//
//	Frontier, NewTiles                     append
//	InclusionProof,   VerifyInclusion      one leaf is at this index
//	MultiProof,       VerifyMulti          many leaves are at these indexes
//	ConsistencyProof, VerifyConsistency    an older log is a prefix of a newer
//
// The records are a path-compressed binary trie over keys of 264 bits. Its root
// depends only on the set of keys and values, never on the order of changes:
//
//	leaf   = SHA-256(0x00 || key[33] || SHA-256(value))
//	branch = SHA-256(0x01 || depth u16 big-endian || prefix[33] || left || right)
//	empty  = SHA-256("")
//
// where depth is the index of the first bit (most significant first) in which
// the keys below the branch differ, and prefix is the bits before it, followed
// by zeros. A branch always has two children, so the trie of a set is unique.
//
//	Update                                 apply the changes of one block
//	Prove, ParsePartial, Partial           get, absence, predecessor, list
//
// A proof is a partial tree: the trie with whole subtrees replaced by their
// hash. One partial tree serves any number of questions, and every question
// fails with ErrNotRevealed unless the revealed part alone decides it.
//
// The app hash joins both in a tree compatible with CometBFT's simple:v leaves.
//
// The package is pure: it reads through small interfaces, keeps nothing and
// imports nothing outside the standard library but the CBOR codec. The format
// is specified in docs/spec/commitment.md, with vectors in testdata/vectors.
package merkle
