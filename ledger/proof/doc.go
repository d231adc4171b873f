// Package proof holds the certificate, one file that proves a claim about the
// ledger offline, and its stand-alone verification.
//
// A certificate (docs/spec/certificate.md) carries a statement as its device
// signed it, where it stands in the log, the rows of the records that say whose
// key signed it, who owned the stream and when it was committed, and a light
// block: the CometBFT header over that state with the fewest validator
// signatures above two thirds. Whoever has the file and a pinned [TrustRoot]
// needs nothing and nobody else:
//
//	finding, err := proof.Verify(file, root)
//
// What is accepted is proven under one assumption, which every [Finding]
// repeats: [Assumption].
//
// An answer (docs/spec/answer.md, [VerifyAnswer]) proves rows, their absence, whole
// lists, log entries and covers in the same way, and a lineage
// (docs/spec/lineage.md, [VerifyLineage]) a walk of such questions. [VerifyAny] tells
// them apart by how they begin, and a [Freshness] demands a recent state.
//
// The package hashes headers, votes and validator sets of CometBFT v0.40 by
// itself. It imports neither CometBFT nor the ledger's transition rules, so that
// a reader can hold all that an acceptance rests on in the head.
//
// [Parse] checks the form, [Verifier.Verify] everything else. Every refusal is a
// [*Refusal] that names the failing [Check].
package proof
