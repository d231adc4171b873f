package proof

import "mtmledger/crypto"

// Assumption is what an accepted certificate still rests on.
const Assumption = "more than 2/3 of the pinned validator set never signs a fork, even after leaving"

// Finding says what an accepted certificate proves.
type Finding struct {
	Chain        string
	Claim        Claim
	Device       crypto.ID
	Key          crypto.PublicKey
	KeyID        crypto.KeyID
	Organisation crypto.ID // that owned the stream at Height
}
