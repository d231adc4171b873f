package ledger

import (
	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// The operations on a device that is enrolled. They take effect in the block
// after the one that holds them.

// Rotate replaces a key of a device by a new one, which opens in the next block.
// The actor is the device itself or the organisation that owns it, for a device
// whose key is lost.
type Rotate struct {
	Device     crypto.ID
	Old        crypto.KeyID // the key it replaces: the one that is not closed or closing
	Closes     uint64       // first height at which the old key is valid no more; 0 or a past one: the next
	Possession *Possession  // of the new key, for the organisation that owns the device
}

// Suspend stops a device: what it signs is refused until it is resumed. The
// actor is the organisation that owns it.
type Suspend struct{ Device crypto.ID }

// Resume ends a suspension. The actor is the organisation that owns the device.
type Resume struct{ Device crypto.ID }

// Retire stops a device for ever. The actor is the organisation that owns it.
type Retire struct{ Device crypto.ID }

// Kind returns KindRotate.
func (Rotate) Kind() Kind { return KindRotate }

// Kind returns KindSuspend.
func (Suspend) Kind() Kind { return KindSuspend }

// Kind returns KindResume.
func (Resume) Kind() Kind { return KindResume }

// Kind returns KindRetire.
func (Retire) Kind() Kind { return KindRetire }

func (o Rotate) append(b []byte) []byte {
	b = dcbor.AppendUint(dcbor.AppendArray(b, 5), uint64(KindRotate))
	b = dcbor.AppendBytes(b, o.Device[:])
	b = dcbor.AppendBytes(b, o.Old[:])
	b = dcbor.AppendUint(b, o.Closes)
	return appendPossession(b, o.Possession)
}

func (o Suspend) append(b []byte) []byte { return appendDeviceBody(b, KindSuspend, o.Device) }

func (o Resume) append(b []byte) []byte { return appendDeviceBody(b, KindResume, o.Device) }

func (o Retire) append(b []byte) []byte { return appendDeviceBody(b, KindRetire, o.Device) }

func appendDeviceBody(b []byte, k Kind, device crypto.ID) []byte {
	b = dcbor.AppendUint(dcbor.AppendArray(b, 2), uint64(k))
	return dcbor.AppendBytes(b, device[:])
}

// readDeviceBody reads the rest of a body of n elements whose kind was read, nil
// if it is none of this file's.
func readDeviceBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindRotate && n == 5:
		body := Rotate{Device: readID(r)}
		r.Fixed(body.Old[:])
		body.Closes = readNumber(r)
		body.Possession = readPossession(r)
		return body
	case kind == KindSuspend && n == 2:
		return Suspend{Device: readID(r)}
	case kind == KindResume && n == 2:
		return Resume{Device: readID(r)}
	case kind == KindRetire && n == 2:
		return Retire{Device: readID(r)}
	}
	return nil
}
