package ledger

import (
	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// RemoveBridge ends a bridge for ever. The actor is the organisation that answers for
// it.
type RemoveBridge struct{ Bridge crypto.ID }

// Kind returns KindRemoveBridge.
func (RemoveBridge) Kind() Kind { return KindRemoveBridge }

func (o RemoveBridge) append(b []byte) []byte { return appendDeviceBody(b, KindRemoveBridge, o.Bridge) }

func readBridgeBody(r *dcbor.Reader, kind Kind, n int) Body {
	if kind != KindRemoveBridge || n != 2 {
		return nil
	}
	return RemoveBridge{Bridge: readID(r)}
}
