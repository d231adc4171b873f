package ledger

import (
	"errors"
	"fmt"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// Compromise declares that a key was in wrong hands from a height on. It closes
// the key; what it signed since then stands in the log and is in doubt. The
// actor is the organisation that answers for the key's principal.
type Compromise struct {
	Principal crypto.ID // a device, a bridge or the actor itself
	Key       crypto.KeyID
	From      uint64 // height of the first block whose entries are in doubt, at least 1
}

// TransferDevice gives a device to another organisation. Both must agree.
type TransferDevice struct {
	Device      crypto.ID
	To          crypto.ID // organisation
	WithStreams bool      // the giver's streams of the device go too, from now on
}

// Attribute is a named property. One of Text and Data is set; Data that is not
// nil makes it a byte string.
type Attribute struct {
	Name string // see CheckName
	Text string
	Data []byte
}

// Describe replaces all attributes of a subject. The actor is the organisation
// that owns or answers for it, or the subject itself if it is an organisation.
type Describe struct {
	Subject    crypto.ID   // an organisation, a device, a stream or a bridge
	Attributes []Attribute // 0..MaxAttributes, by ascending name (bytewise)
}

// TransferStream gives a stream to another organisation. Both must agree.
type TransferStream struct {
	Stream  crypto.ID
	To      crypto.ID // organisation
	FromNow bool      // false: the giver's past readings go too
}

// CloseStream ends a stream for ever. The actor is the organisation that owns it.
type CloseStream struct{ Stream crypto.ID }

// Kind returns KindCompromise.
func (Compromise) Kind() Kind { return KindCompromise }

// Kind returns KindTransferDevice.
func (TransferDevice) Kind() Kind { return KindTransferDevice }

// Kind returns KindDescribe.
func (Describe) Kind() Kind { return KindDescribe }

// Kind returns KindTransferStream.
func (TransferStream) Kind() Kind { return KindTransferStream }

// Kind returns KindCloseStream.
func (CloseStream) Kind() Kind { return KindCloseStream }

func (o Compromise) append(b []byte) []byte {
	b = appendKind(b, 4, KindCompromise)
	b = dcbor.AppendBytes(b, o.Principal[:])
	b = dcbor.AppendBytes(b, o.Key[:])
	return dcbor.AppendUint(b, o.From)
}

func (o TransferDevice) append(b []byte) []byte {
	b = appendKind(b, 4, KindTransferDevice)
	b = dcbor.AppendBytes(b, o.Device[:])
	b = dcbor.AppendBytes(b, o.To[:])
	return dcbor.AppendBool(b, o.WithStreams)
}

func (o Describe) append(b []byte) []byte {
	b = appendKind(b, 3, KindDescribe)
	b = dcbor.AppendBytes(b, o.Subject[:])
	return AppendAttributes(b, o.Attributes)
}

func (o TransferStream) append(b []byte) []byte {
	b = appendKind(b, 4, KindTransferStream)
	b = dcbor.AppendBytes(b, o.Stream[:])
	b = dcbor.AppendBytes(b, o.To[:])
	return dcbor.AppendBool(b, o.FromNow)
}

func (o CloseStream) append(b []byte) []byte {
	return dcbor.AppendBytes(appendKind(b, 2, KindCloseStream), o.Stream[:])
}

func appendKind(b []byte, n int, k Kind) []byte {
	return dcbor.AppendUint(dcbor.AppendArray(b, n), uint64(k))
}

// readOwnershipBody reads the rest of a body of n elements whose kind was read,
// nil if it is none of this file's.
func readOwnershipBody(r *dcbor.Reader, kind Kind, n int) Body {
	switch {
	case kind == KindCompromise && n == 4:
		body := Compromise{Principal: readID(r)}
		r.Fixed(body.Key[:])
		body.From = readNumber(r)
		if r.Err() == nil && body.From == 0 {
			r.Fail(errFromZero)
		}
		return body
	case kind == KindTransferDevice && n == 4:
		return TransferDevice{Device: readID(r), To: readID(r), WithStreams: r.Bool()}
	case kind == KindDescribe && n == 3:
		return Describe{Subject: readID(r), Attributes: ReadAttributes(r)}
	case kind == KindTransferStream && n == 4:
		return TransferStream{Stream: readID(r), To: readID(r), FromNow: r.Bool()}
	case kind == KindCloseStream && n == 2:
		return CloseStream{Stream: readID(r)}
	}
	return nil
}

var (
	errFromZero       = errors.New("heights in doubt begin at 1")
	errAttributeOrder = errors.New("attributes must be in ascending order of their names, none twice")
)

// AppendAttributes appends [[name, value]...]. See ReadAttributes.
func AppendAttributes(b []byte, list []Attribute) []byte {
	b = dcbor.AppendArray(b, len(list))
	for _, a := range list {
		b = dcbor.AppendText(dcbor.AppendArray(b, 2), a.Name)
		if a.Data != nil {
			b = dcbor.AppendBytes(b, a.Data)
		} else {
			b = dcbor.AppendText(b, a.Text)
		}
	}
	return b
}

// ReadAttributes reads what AppendAttributes writes: at most MaxAttributes of
// them and MaxDescription bytes, names in strictly ascending order. A value that
// is a text is Text, one that is a byte string is Data, not nil even if empty.
func ReadAttributes(r *dcbor.Reader) []Attribute {
	begin := r.Offset()
	n := r.Array(MaxAttributes)
	if r.Err() != nil || n == 0 {
		return nil
	}
	list := make([]Attribute, n)
	for i := range list {
		list[i] = readAttribute(r)
		if r.Err() == nil && i > 0 && list[i].Name <= list[i-1].Name {
			r.Fail(errAttributeOrder)
		}
		if r.Err() != nil {
			return nil
		}
	}
	if size := r.Offset() - begin; size > MaxDescription {
		r.Fail(fmt.Errorf("attributes of %d bytes, at most %d: %w", size, MaxDescription, dcbor.ErrTooLong))
	}
	return list
}

func readAttribute(r *dcbor.Reader) (a Attribute) {
	r.ExpectArray(2)
	if a.Name = r.Text(MaxName); r.Err() == nil {
		r.Fail(CheckName(a.Name))
	}
	if r.Kind() == dcbor.KindBytes {
		a.Data = append([]byte{}, r.Bytes(MaxDescription)...)
	} else if a.Text = r.Text(MaxDescription); r.Err() == nil {
		r.Fail(checkText("an attribute", a.Text))
	}
	return a
}

// checkText refuses the characters that a name may not have either.
func checkText(what, text string) error {
	for _, c := range text {
		if unprintable(c) {
			return Errorf(CodeMalformed, "%s has the unprintable character %U", what, c)
		}
	}
	return nil
}
