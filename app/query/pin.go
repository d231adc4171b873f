package query

import (
	"crypto/rand"
	"sync"
	"time"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// Limits of pins.
const (
	// PinTime is how long a pin holds its height.
	PinTime = 10 * time.Minute
	// MaxPins is how many pins a node has at once.
	MaxPins = 4
)

// Paths of pins and of what they serve.
const (
	PathAnswer = "/answer"
	PathPin    = "/pin"
	PathUnpin  = "/unpin"
)

// Pin is a height that a node holds, so that several answers are about one state.
type Pin struct {
	ID      crypto.ID // names it in AnswerRequest and /unpin
	Height  uint64
	Expires int64 // µs since the Unix epoch, by the node's clock
}

func (m *Pin) fields(x *coder) {
	x.array(3)
	x.id(&m.ID)
	x.uint(&m.Height)
	x.int(&m.Expires)
}

// provenState is a state with the header over it and the votes for that. The path to
// those who voted depends on which set the asker pinned.
type provenState struct {
	view  *store.View
	light proof.LightBlock
}

// pins are the states that a node holds.
type pins struct {
	mu     sync.Mutex
	held   map[crypto.ID]*heldPin
	closed bool
}

type heldPin struct {
	provenState
	timer *time.Timer
}

// latest returns the last state that a signed header commits to. Release its view.
func (h *Handler) latest() (provenState, error) {
	prev := h.st.Previous()
	if prev == nil || prev.Height == 0 { // the first header has no block before it
		if prev != nil {
			prev.Release()
		}
		return provenState{}, ledger.Errorf(ledger.CodeFutureHeight, "no state is signed for yet")
	}
	p := provenState{view: prev}
	err := h.sign(&p)
	if err != nil {
		prev.Release()
	}
	return p, err
}

// sign adds the header over the state and its votes.
func (h *Handler) sign(p *provenState) error {
	chain := h.chain.Load()
	if chain == nil {
		return ledger.Errorf(ledger.CodeFutureHeight, "the node is starting")
	}
	signed, err := h.signedHeader(chain, p.view.Height+1)
	if err != nil {
		return err
	}
	p.light = signed.Light
	return nil
}

// state returns the state of a pin, or the latest for the zero id. Release its view.
func (h *Handler) state(pin crypto.ID) (provenState, error) {
	if pin.IsZero() {
		return h.latest()
	}
	h.pins.mu.Lock()
	defer h.pins.mu.Unlock()
	held := h.pins.held[pin]
	if held == nil {
		return provenState{}, ledger.Errorf(ledger.CodePruned, "no pin %s: it ended, or is another node's", pin)
	}
	held.view.Hold()
	return held.provenState, nil
}

func (h *Handler) pin(_ *store.View, _ *Empty) (*Pin, error) {
	p, err := h.latest()
	if err != nil {
		return nil, err
	}
	var id crypto.ID
	rand.Read(id[:])
	h.pins.mu.Lock()
	defer h.pins.mu.Unlock()
	if h.pins.closed || len(h.pins.held) >= MaxPins {
		p.view.Release()
		return nil, ledger.Errorf(ledger.CodeOverloaded, "this node holds %d heights already; at most %d at once, each for up to %v", len(h.pins.held), MaxPins, PinTime)
	}
	if h.pins.held == nil {
		h.pins.held = make(map[crypto.ID]*heldPin)
	}
	out := &Pin{ID: id, Height: p.view.Height, Expires: time.Now().Add(PinTime).UnixMicro()}
	h.pins.held[id] = &heldPin{p, time.AfterFunc(PinTime, func() { h.drop(id) })}
	return out, nil
}

// drop ends a pin; false: there is none.
func (h *Handler) drop(id crypto.ID) bool {
	h.pins.mu.Lock()
	held := h.pins.held[id]
	delete(h.pins.held, id)
	h.pins.mu.Unlock()
	if held == nil {
		return false
	}
	held.timer.Stop()
	held.view.Release()
	return true
}

func (h *Handler) unpin(_ *store.View, q *IDRequest) (*Empty, error) {
	if !h.drop(q.ID) {
		return nil, ledger.Errorf(ledger.CodeNotFound, "no pin %s", q.ID)
	}
	return &Empty{}, nil
}

// Close ends all pins, for good. The database can be closed only after.
func (h *Handler) Close() {
	h.pins.mu.Lock()
	h.pins.closed = true
	var ids []crypto.ID
	for id := range h.pins.held {
		ids = append(ids, id)
	}
	h.pins.mu.Unlock()
	for _, id := range ids {
		h.drop(id)
	}
}
