// Package state holds the transition rules of the ledger: what a transaction
// changes, given the records before it. It is pure: no clock, no randomness, no
// I/O besides the Reader, no dependence on map order. Every validator that applies the
// same blocks to the same records gets the same results, entries and changes.
//
// The rules, with every code, are specified in docs/spec/state.md; the rows they
// read and write are those of package ledger/record.
//
// # The way of a block
//
//	v := state.NewView(store, logSize)
//	for each transaction: checks, err := state.Signatures(store, block, tx)
//	verify the items of all checks, in any order, in parallel
//	for each transaction, in order: result := state.Apply(v, block, tx, verdicts)
//	state.EndBlock(v, block)
//	if v.Err() != nil: stop the node; nothing of the block may be kept
//	v.Entries() are the new leaves of the log, v.Changes() the new rows
//
// # What the caller owes
//
//   - Signatures reads the records as they were before the block, never a View that
//     already holds some of the block's changes. Keys take effect in the block after the
//     one that enrols them, so nothing is lost by it, and all signatures of a block can
//     be verified at once, in parallel, and while it is only proposed.
//   - Blocks come in order of height, each with a View over the committed records of the
//     one before it.
//   - An error of the Reader ends the block: it is kept by the View (Err) and every
//     further result is void. It is a failure of this node, never a result.
package state
