package query

import (
	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// coder reads or writes a message: each type lists its fields once, in fields,
// and that serves both ways. It reads when r is set.
type coder struct {
	w []byte
	r *dcbor.Reader
}

// Message is a request or a reply: one deterministic CBOR array.
type Message interface{ fields(x *coder) }

// Encode returns the bytes of a message.
func Encode(m Message) []byte {
	x := &coder{}
	m.fields(x)
	return x.w
}

// Decode reads a message. Its errors carry ledger.CodeMalformed.
func Decode(b []byte, m Message) error {
	x := &coder{r: dcbor.NewReader(b)}
	m.fields(x)
	if err := x.r.Done(); err != nil {
		return ledger.Errorf(ledger.CodeMalformed, "query message: %w", err)
	}
	return nil
}

func (x *coder) array(n int) {
	if x.r != nil {
		x.r.ExpectArray(n)
		return
	}
	x.w = dcbor.AppendArray(x.w, n)
}

// uint is a number up to 2^63-1.
func (x *coder) uint(p *uint64) {
	if x.r == nil {
		x.w = dcbor.AppendUint(x.w, *p)
		return
	}
	if *p = x.r.Uint(); *p > ledger.MaxNumber {
		x.r.Fail(dcbor.ErrRange)
	}
}

func (x *coder) int(p *int64) {
	if x.r == nil {
		x.w = dcbor.AppendInt(x.w, *p)
		return
	}
	*p = x.r.Int()
}

func (x *coder) bool(p *bool) {
	if x.r == nil {
		x.w = dcbor.AppendBool(x.w, *p)
		return
	}
	*p = x.r.Bool()
}

func (x *coder) text(p *string, limit int) {
	if x.r == nil {
		x.w = dcbor.AppendText(x.w, *p)
		return
	}
	*p = x.r.Text(limit)
}

func (x *coder) bytes(p *[]byte, limit int) {
	if x.r == nil {
		x.w = dcbor.AppendBytes(x.w, *p)
		return
	}
	*p = x.r.Bytes(limit)
}

func (x *coder) fixed(p []byte) {
	if x.r == nil {
		x.w = dcbor.AppendBytes(x.w, p)
		return
	}
	x.r.Fixed(p)
}

func (x *coder) id(p *crypto.ID) { x.fixed(p[:]) }

func (x *coder) hash(p *[32]byte) { x.fixed(p[:]) }

// list is an array of up to limit items.
func list[T any](x *coder, p *[]T, limit int, each func(*T)) {
	if x.r == nil {
		x.w = dcbor.AppendArray(x.w, len(*p))
		for i := range *p {
			each(&(*p)[i])
		}
		return
	}
	n := x.r.Array(limit)
	for range n {
		var v T
		if each(&v); x.r.Err() != nil {
			return
		}
		*p = append(*p, v)
	}
}
