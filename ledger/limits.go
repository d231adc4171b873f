package ledger

import "math"

// The limits of the formats. Every one is tested at its value and one above.
const (
	// MaxStatement is the greatest size of a statement in bytes: a transaction
	// carries several, and an MQTT packet of 64 KiB one.
	MaxStatement = 60_000
	// MaxReadings is the greatest number of readings of a statement.
	MaxReadings = 1_000
	// MaxContent is the greatest size of a reading's content in bytes.
	MaxContent = 32_768
	// MaxMedia is the greatest size of a media type given as text, in bytes.
	MaxMedia = 64
	// MaxMediaFormat is the greatest CoAP content format (RFC 7252 section 12.3).
	MaxMediaFormat = 65_535
	// MaxInputs is the greatest number of inputs of a derived statement.
	MaxInputs = 64
	// MaxName is the greatest size of a stream's or an organisation's name in bytes.
	MaxName = 64
	// MaxChain is the greatest size of a chain id in bytes (CometBFT's own limit).
	MaxChain = 50
	// MaxOperation is the greatest size of an operation in bytes.
	MaxOperation = 60_000
	// MaxEvidence is the greatest size in bytes of an operation that shows two
	// statements of up to MaxStatement.
	MaxEvidence = 121_000
	// MaxEnrolled is how many devices one operation may enrol.
	MaxEnrolled = 256
	// MaxFleet is how many devices one manifest may list.
	MaxFleet = 1 << 20
	// MaxFleetPath is how many hashes can prove MaxEnrolled keys of a fleet: fewer than
	// one for each level of its tree and each key.
	MaxFleetPath = MaxEnrolled * 20
	// MaxAttributes is how many attributes a description may have.
	MaxAttributes = 32
	// MaxDescription is the greatest size of a description in bytes, encoded.
	MaxDescription = 4_096
	// MaxPurpose is the greatest size of a grant's purpose in bytes.
	MaxPurpose = 256
	// MaxGrants is how many grants that may still count one organisation may have
	// given one principal on one stream.
	MaxGrants = 8
	// MaxAccess is how many such grants one principal may have on one stream, whoever
	// gave them: a derived statement is checked against all of them. They are of several
	// organisations where the stream was sold.
	MaxAccess = 64
	// MaxParts is into how many parts of different owners sales "from now on" may divide
	// a stream.
	MaxParts = 64
	// MaxStreamsMoved is how many streams a device may have that is to be given away
	// together with its streams.
	MaxStreamsMoved = 256
	// MaxTransaction is the greatest size of a transaction in bytes.
	MaxTransaction = 524_288
	// MaxStatements is the greatest number of statements of a transaction.
	MaxStatements = 2_000
	// MaxPossession is the greatest size of a proof of possession in bytes; the
	// format itself stays below it.
	MaxPossession = 512
	// MaxAcknowledgement is the greatest size of an acknowledgement in bytes; the
	// format itself stays below it.
	MaxAcknowledgement = 3_072
	// MaxOutcomes is the greatest number of statements that one acknowledgement answers.
	// A small device reads it whole.
	MaxOutcomes = 32
	// MaxNumber is the greatest reading number, log index and height.
	MaxNumber = math.MaxInt64
	// MaxOpenGaps is how many open gaps a stream may have.
	MaxOpenGaps = 1_024
	// MaxClockAhead is how far a declared time may be ahead of the block's time,
	// in seconds.
	MaxClockAhead = 24 * 60 * 60
	// MaxNotAfter is how far an operation's not_after may be ahead of the block's
	// time, in seconds.
	MaxNotAfter = 30 * 24 * 60 * 60
	// MaxAdminKeys is how many admin keys an organisation may have.
	MaxAdminKeys = 16
	// MaxGenesisOrganisations is how many organisations a genesis may name.
	MaxGenesisOrganisations = MaxMembers
	// MaxGenesisBridges is how many bridges an organisation may have in a genesis.
	MaxGenesisBridges = 1_000
	// MaxMembers is how many organisations may be members at one time.
	MaxMembers = 1_000
	// MaxValidators is how many validators there may be at one time.
	MaxValidators = 200
	// MaxPower is the greatest power of a validator: all together stay far below
	// what CometBFT can add up.
	MaxPower = 1_000_000_000
	// MaxApprovals is how many keys of one organisation may approve one proposal,
	// replaced ones included.
	MaxApprovals = 64
	// MaxVoteDen is the greatest denominator of the share of members that a vote needs.
	MaxVoteDen = 1_000
	// MaxActiveAhead is how many blocks ahead parameters may be set.
	MaxActiveAhead = 1_000_000
	// MaxAppVersion is the greatest version of the rules.
	MaxAppVersion = 1_000_000
	// MaxQuotaStatements and MaxQuotaBytes bound the quotas of a block.
	MaxQuotaStatements = 10_000_000
	MaxQuotaBytes      = 1 << 30
	// DefaultQuotaStatements and DefaultQuotaBytes are the quotas of a new ledger: more
	// than fits into a block.
	DefaultQuotaStatements = 200_000
	DefaultQuotaBytes      = 64 << 20
)

// Content formats of the signed messages: the experimental range of CoAP
// content formats (RFC 7252 section 12.3). 65106 is reserved for deliveries.
const (
	FormatStatement       = 65_101
	FormatOperation       = 65_102
	FormatBatch           = 65_103
	FormatAcknowledgement = 65_104
	FormatPossession      = 65_105
	FormatDelivery        = 65_106
)
