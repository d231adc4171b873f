package proof

import "fmt"

// Check names what a proof file is checked for. The names are stable: vectors,
// tools and scripts may rely on them.
type Check string

// The checks of a certificate, in the order in which they are made.
const (
	CheckTrust     Check = "trust"     // the trust root is usable and could belong to this certificate
	CheckShape     Check = "shape"     // the file is one certificate in the one encoding, within the limits
	CheckChecksum  Check = "checksum"  // the file is as it was written
	CheckStatement Check = "statement" // the entry is a well-formed statement
	CheckClaim     Check = "claim"     // the claim lies inside the statement
	CheckLog       Check = "log"       // the entry's path leads to a log root
	CheckRecords   Check = "records"   // the partial tree reveals the rows that are needed
	CheckBlock     Check = "block"     // the block row at the committed height covers the log index
	CheckKey       Check = "key"       // the device key was open at the committed height
	CheckOwner     Check = "owner"     // the stream had an owner at the committed height
	CheckSignature Check = "signature" // the device key signed the statement
	CheckHeader    Check = "header"    // the header can be over the state that is claimed
	CheckPath      Check = "path"      // the path leads from the pinned set to the signing set
	CheckCommit    Check = "commit"    // every validator signature is over this header and state
	CheckPower     Check = "power"     // more than 2/3 of the set's power signed
)

// The checks that only answers have. Theirs come in the order trust, shape,
// checksum, entry, log, records (with block and key), signature, claim, cover,
// header, path, commit, power.
const (
	CheckEntry Check = "entry" // the entries are well-formed statements and operations of this ledger
	CheckCover Check = "cover" // statements, gaps and the unwritten tail account for every number once
)

// CheckPages is the check of several answers together: they are the pages of one
// list or cover, in order, with no hole. It comes after those of each.
const CheckPages Check = "pages"

// A Refusal says why a file is not accepted.
type Refusal struct {
	Check Check
	Err   error
}

// Error names the failing check and the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Check, r.Err) }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(c Check, format string, args ...any) error {
	return &Refusal{Check: c, Err: fmt.Errorf(format, args...)}
}
