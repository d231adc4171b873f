// Package crypto holds what MTM Ledger needs of cryptography, and nothing that
// knows what is signed: identifiers and domain-separated hashes, ed25519 keys
// and key files, one written rule for accepting a signature, verification of
// many signatures at once, and COSE_Sign1 messages whose bytes are kept as
// received.
//
// # The acceptance rule
//
// Every validator must reach the same verdict on every signature, for ever, so
// there is one rule, ZIP-215, used for one signature and for many. For a public
// key A, a message M and a signature R || s:
//
//  1. s, read as a little-endian number, is below the group order L;
//  2. A and R decode to points of the curve; encodings with y >= p, or with
//     x = 0 and the sign bit set, are accepted;
//  3. k = SHA-512(R || A || M) mod L, over the bytes as received;
//  4. [8][s]B = [8]R + [8][k]A.
//
// Keys are held to more when they are enrolled: [CheckEnrolment] takes only
// canonical encodings of points of prime order, so that no enrolled key has two
// encodings, or a signature that is valid for every message.
//
// The formats are specified in docs/spec/signatures.md; how batches are
// verified, and why the verdict does not depend on the batch, in
// docs/design/verification.md.
package crypto
