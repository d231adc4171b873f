package proof

import "math"

// Limits of certificates and trust roots. A file beyond one is refused before
// anything is computed from it.
const (
	// MaxSize bounds a certificate, in bytes: a statement at its largest, the
	// records it needs and hundreds of path steps. The usual certificate has
	// under 4 KB.
	MaxSize = 4 << 20
	// MaxRecords bounds the partial tree of the records, in bytes.
	MaxRecords = 1 << 16
	// MaxLogPath bounds the inclusion path: a log has at most 2^63-1 entries.
	MaxLogPath = 63
	// MaxPathSteps bounds the validator-set changes between the pinned set and
	// the set that signed.
	MaxPathSteps = 1024
	// MaxValidators bounds a validator set.
	MaxValidators = 1000
	// MaxTotalPower bounds the sum of the powers of a validator set, as
	// CometBFT does: 2^60 - 1, three times which fits in an int64.
	MaxTotalPower = math.MaxInt64 / 8
	// MaxAnswer bounds an answer, in bytes: a cover of 10,000 small statements,
	// or a partial tree at its largest and 4 MB of entries.
	MaxAnswer = 8 << 20
	// MaxQueries bounds the queries of an answer: a list of MaxRows rows with a
	// query about each, and some more.
	MaxQueries = 4_096
	// MaxRows bounds the rows of one list in an answer: a page.
	MaxRows = 1_000
	// MaxAnswerRows bounds the rows of all queries of an answer together; a row
	// that two queries ask for counts twice.
	MaxAnswerRows = 8_192
	// MaxEntries bounds the log entries of an answer.
	MaxEntries = 10_000
	// MaxAnswerPath bounds the multi-proof of the entries of an answer.
	MaxAnswerPath = 1 << 17
	// MaxPages bounds the files that are joined to one list or cover.
	MaxPages = 1_000
	// MaxLineage bounds a lineage file, in bytes: an answer and the question.
	MaxLineage = MaxAnswer + 128
	// MaxFile bounds the file of any proof, in bytes.
	MaxFile = MaxLineage
	// MaxTrustRoot bounds a trust root file, in bytes.
	MaxTrustRoot = 1 << 20
)
