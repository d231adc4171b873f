// Package ledger holds the wire formats of MTM Ledger: statements, operations,
// transactions, acknowledgements, and what stands around them (identifiers,
// topics, codes, limits). It encodes, decodes and makes every check that needs
// nothing but the bytes; package state makes the checks that need the records.
//
// All formats are deterministic CBOR (docs/spec/encoding.md) in tagged
// COSE_Sign1 messages (docs/spec/signatures.md). Whatever a Parse function
// accepts re-encodes to the same bytes. Parsed values alias the input, which
// must not be changed as long as they are used.
//
// An error that stems from the input carries a [Code]; [CodeOf] returns it.
//
// Formats: docs/spec/statement.md, operation.md, transaction.md, mqtt.md.
package ledger
