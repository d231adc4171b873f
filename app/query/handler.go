package query

import (
	"context"
	"errors"
	"sync/atomic"

	"mtmledger/app/store"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// SignedHeader is a header with all votes for its block that the node has, and
// the sorted validator set that voted.
type SignedHeader struct {
	Light      proof.LightBlock
	Validators []proof.Validator
}

// Chain is what queries need of CometBFT.
type Chain interface {
	// Signed returns the header at a height with its votes.
	Signed(height uint64) (SignedHeader, error)
	// Path returns a step for each change of the validator set from the one with
	// the hash from, zero for the genesis's, to the set that signs at a height.
	Path(from merkle.Hash, height uint64) ([]proof.PathStep, error)
	// Describe fills in what CometBFT knows of the node's status.
	Describe(s *Status)
}

// Handler answers queries. Safe for concurrent use.
type Handler struct {
	// Refused counts what the node refuses; the Handler counts queries.
	Refused Counters

	st     *store.State
	chain  atomic.Pointer[chainBox]
	signed atomic.Pointer[SignedHeader] // the last one used, with the fewest votes
	pins   pins
}

type chainBox struct{ Chain }

// NewHandler returns a Handler over a state. Before SetChain there are no
// certificates.
func NewHandler(st *store.State) *Handler { return &Handler{st: st} }

// SetChain gives the Handler its CometBFT.
func (h *Handler) SetChain(c Chain) { h.chain.Store(&chainBox{c}) }

// Query answers a query at the last height. Refusals are *ledger.Error.
func (h *Handler) Query(ctx context.Context, path string, request []byte) ([]byte, error) {
	return h.At(ctx, path, request, 0)
}

// errCorrupt hides a failed database behind a code that says "ask another
// node", and keeps the cause in the text.
func failure(err error) error {
	var coded *ledger.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return ledger.Errorf(ledger.CodeOverloaded, "this node can't read its state: %w", err)
}

// At answers a query at a height, 0 for the last. Only the last two heights can
// be asked.
func (h *Handler) At(_ context.Context, path string, request []byte, height uint64) ([]byte, error) {
	reply, err := h.reply(path, request, height)
	h.Refused.Queries.Add(ledger.CodeOf(err))
	return reply, err
}

func (h *Handler) reply(path string, request []byte, height uint64) ([]byte, error) {
	if len(request) > MaxRequest {
		return nil, ledger.Errorf(ledger.CodeTooLarge, "request of %d bytes, at most %d", len(request), MaxRequest)
	}
	answer, ok := answers[path]
	if !ok {
		return nil, ledger.Errorf(ledger.CodeNotFound, "no query has the path %.100q", path)
	}
	view, err := h.view(height)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	reply, err := answer(h, view, request)
	if err != nil {
		return nil, failure(err)
	}
	return Encode(reply), nil
}

// view returns the state at a height.
func (h *Handler) view(height uint64) (*store.View, error) {
	tip := h.st.Tip()
	switch {
	case tip == nil:
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "the ledger has not begun")
	case height == 0, height == tip.Height:
		return tip, nil
	}
	defer tip.Release()
	if height > tip.Height {
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "height %d, the last is %d", height, tip.Height)
	}
	prev := h.st.Previous()
	if prev != nil && prev.Height == height {
		return prev, nil
	}
	if prev != nil {
		prev.Release()
	}
	return nil, ledger.Errorf(ledger.CodePruned, "height %d: only the last two heights are kept, %d is the last", height, tip.Height)
}

// answer computes the reply to one kind of query.
type answer func(h *Handler, v *store.View, request []byte) (Message, error)

// on makes an answer of a function with a decoded request.
func on[Q any, PQ interface {
	*Q
	Message
}, R Message](f func(h *Handler, v *store.View, q *Q) (R, error)) answer {
	return func(h *Handler, v *store.View, request []byte) (Message, error) {
		var q Q
		if err := Decode(request, PQ(&q)); err != nil {
			return nil, err
		}
		return f(h, v, &q)
	}
}

var answers = map[string]answer{
	PathTip:           on((*Handler).tip),
	PathStatus:        on((*Handler).status),
	PathResults:       on((*Handler).results),
	PathKey:           on((*Handler).key),
	PathFind:          on((*Handler).find),
	PathStatements:    on((*Handler).statements),
	PathEntries:       on((*Handler).entries),
	PathStream:        on((*Handler).stream),
	PathStreams:       on((*Handler).streams),
	PathDevices:       on((*Handler).devices),
	PathOrganisations: on((*Handler).organisations),
	PathAppHash:       on((*Handler).appHash),
	PathCertificate:   on((*Handler).certificate),
	PathAnswer:        on((*Handler).answer),
	PathPin:           on((*Handler).pin),
	PathUnpin:         on((*Handler).unpin),
}

func (h *Handler) tip(v *store.View, _ *Empty) (*Tip, error) { return &Tip{Height: v.Height}, nil }

func (h *Handler) status(v *store.View, _ *Empty) (*Status, error) {
	s := &Status{
		Height:    v.Height,
		AppHash:   v.AppHash,
		LogSize:   v.LogSize(),
		Time:      v.Time,
		DiskBytes: h.st.Size(),
		Refused:   h.Refused.Counts(),
	}
	if prev := h.st.Previous(); prev != nil {
		s.SignedHeight = prev.Height
		prev.Release()
	}
	if c := h.chain.Load(); c != nil {
		c.Describe(s)
	}
	return s, nil
}

func (h *Handler) results(v *store.View, q *ResultsRequest) (*Results, error) {
	out := &Results{Height: v.Height}
	for i, hash := range q.Hashes {
		o, found, err := v.Outcome(hash)
		if err != nil {
			return nil, err
		}
		if found {
			out.List = append(out.List, TxOutcome{Place: uint64(i), Height: o.Height, Time: o.Time, Data: o.Data})
		}
	}
	return out, nil
}

func (h *Handler) appHash(v *store.View, q *HeightRequest) (*HeightInfo, error) {
	height := q.Height
	if height == 0 {
		height = v.Height
	}
	if height > v.Height {
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "height %d, the last is %d", height, v.Height)
	}
	b, err := v.Block(height)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ledger.Errorf(ledger.CodePruned, "height %d: only the last %d heights are kept", height, store.ResultDepth)
	}
	if err != nil {
		return nil, err
	}
	return &HeightInfo{
		Height: height, AppHash: b.AppHash, LogSize: b.LogSize, Time: b.Time, Count: uint64(len(b.Hashes)),
	}, nil
}
