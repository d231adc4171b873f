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
	// MaxTrustRoot bounds a trust root file, in bytes.
	MaxTrustRoot = 1 << 20
)
