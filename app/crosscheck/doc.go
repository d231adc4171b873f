// Package crosscheck has only tests. They compare the hand-written hashing and
// verification of light blocks in ledger/proof with CometBFT's own types. They
// stand here because ledger/proof, its tests included, never imports CometBFT.
package crosscheck
