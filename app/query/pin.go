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
	// MaxPinnedHeights is how many heights a node holds at once. Each keeps what is
	// deleted after it on the disk.
	MaxPinnedHeights = 4
	// MaxPinsOfHeight is how many pins share one height: they cost memory only.
	MaxPinsOfHeight = 1_000
)

// Paths of pins and of what they serve.
const (
	PathAnswer = "/answer"
	PathPin    = "/pin"
	PathUnpin  = "/unpin"
)

// Pin is a height that a node holds, so that several answers are about one state. Pins
// of one height share it: it is held until the last of them ends.
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
	mu      sync.Mutex
	held    map[crypto.ID]heldPin
	heights map[uint64]*heldHeight // of the pins
	closed  bool
}

type heldPin struct {
	*heldHeight
	timer *time.Timer
}

type heldHeight struct {
	provenState
	pins int // at least 1
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
	held, found := h.pins.held[pin]
	if !found {
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
	held, err := h.pins.share(p)
	if err != nil {
		p.view.Release()
		return nil, err
	}
	h.pins.held[id] = heldPin{held, time.AfterFunc(PinTime, func() { h.drop(id) })}
	return &Pin{ID: id, Height: held.view.Height, Expires: time.Now().Add(PinTime).UnixMicro()}, nil
}

// share returns the held height of a state, with one pin more. The state's view is then
// the pins', which have one of each height. Call it with mu.
func (p *pins) share(s provenState) (*heldHeight, error) {
	if p.held == nil {
		p.held, p.heights = make(map[crypto.ID]heldPin), make(map[uint64]*heldHeight)
	}
	held := p.heights[s.view.Height]
	switch {
	case p.closed:
		return nil, ledger.Errorf(ledger.CodeOverloaded, "this node is stopping")
	case held == nil && len(p.heights) >= MaxPinnedHeights:
		return nil, ledger.Errorf(ledger.CodeOverloaded, "this node holds %d heights already; at most %d at once, each for up to %v", len(p.heights), MaxPinnedHeights, PinTime)
	case held == nil:
		held = &heldHeight{provenState: s}
		p.heights[s.view.Height] = held
	case held.pins >= MaxPinsOfHeight:
		return nil, ledger.Errorf(ledger.CodeOverloaded, "this node has %d pins of height %d already: ask again after the next block", held.pins, s.view.Height)
	default:
		s.view.Release()
	}
	held.pins++
	return held, nil
}

// drop ends a pin; false: there is none.
func (h *Handler) drop(id crypto.ID) bool {
	h.pins.mu.Lock()
	held, found := h.pins.held[id]
	if !found {
		h.pins.mu.Unlock()
		return false
	}
	delete(h.pins.held, id)
	held.pins--
	last := held.pins == 0
	if last {
		delete(h.pins.heights, held.view.Height)
	}
	h.pins.mu.Unlock()
	held.timer.Stop()
	if last {
		held.view.Release()
	}
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
