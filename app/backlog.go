package app

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/cometbft/cometbft/types"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// Bounds of what waits here of one organisation. A node takes only half as much from its
// own clients as from its peers: what one node took from a client the others take too,
// even those that are a few blocks behind and still have what it committed.
const (
	// poolPart is the part (1/poolPart) of what is still free that an organisation may
	// have in all, from its second transaction on; the first may take half. However many
	// organisations send all they can, some is left free, and a place for each member.
	poolPart = 4
	// poolBlocks is for how many blocks the quotas of what waits must suffice.
	poolBlocks = 8
	// poolOperations bounds the bytes of operations. They count apart from batches: the
	// flood of a bridge must not keep out the operation that removes it.
	poolOperations = 4 << 20
)

// backlog is what waits on this node, by whom: the transactions in CometBFT's pool, and
// those that are being checked for it. CometBFT offers a proposer only the oldest of its
// pool, a block's worth; here are all of them.
type backlog struct {
	mu       sync.Mutex
	maxCount int // of CometBFT's pool
	maxBytes int64
	txs      map[[32]byte]*entry
	bytes    int64
	arrivals uint64

	operations, batches map[crypto.ID]*account // by organisation
}

func newBacklog() *backlog {
	return &backlog{
		maxCount: math.MaxInt, maxBytes: math.MaxInt64, txs: make(map[[32]byte]*entry),
		operations: make(map[crypto.ID]*account), batches: make(map[crypto.ID]*account),
	}
}

// entry is a transaction that waits. Its decoded form would take several times as much.
type entry struct {
	hash              [32]byte
	raw               []byte
	size              int64 // in a block
	operation         bool
	payer             crypto.ID    // the organisation whose quota it uses
	sender            crypto.ID    // the bridge, or the actor
	key               crypto.KeyID // of the sender
	statements, bytes uint64       // of the quotas

	arrival uint64 // in CometBFT's pool; 0: it is being checked
}

// account is what waits of an organisation, or of a sender of it.
type account struct {
	count             int
	size              int64
	statements, bytes uint64
	served            int64 // bytes committed, or what the least served had at the beginning
	senders           map[crypto.ID]*account
}

// newEntry describes a transaction that can be decoded.
func newEntry(q *state.Quota, p *parsedTx, raw []byte) (*entry, error) {
	e := &entry{hash: p.hash, raw: raw, operation: p.tx.Operation != nil, key: p.tx.Sign1().Header.KeyID}
	e.size = types.ComputeProtoSizeForTxs([]types.Tx{raw})
	e.statements, e.bytes = state.Need(p.tx)
	if e.operation {
		e.sender = p.tx.Operation.Actor
	} else {
		e.sender = p.tx.Batch.Bridge
	}
	var err error
	e.payer, err = q.Payer(p.tx)
	return e, err
}

// fits tells whether quotas suffice for the transaction in n blocks together with what
// its organisation and its sender have already.
func (e *entry) fits(p *record.Parameters, n uint64, organisation, sender *account) bool {
	if !e.operation && (sender.statements+e.statements > n*p.StatementsPerBridge || sender.bytes+e.bytes > n*p.BytesPerBridge) {
		return false
	}
	return organisation.statements+e.statements <= n*p.StatementsPerOrganisation &&
		organisation.bytes+e.bytes <= n*p.BytesPerOrganisation
}

// fitsAlone tells whether there can be a block with the transaction.
func (e *entry) fitsAlone(p *record.Parameters) bool { return e.fits(p, 1, &account{}, &account{}) }

// limit sets the bounds of CometBFT's pool.
func (b *backlog) limit(count int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.maxCount, b.maxBytes = count, bytes
}

// admit takes a transaction in that is to be checked, or says that its sender has too much
// here: CodeQuota. ours tells that a client of this node sent it.
func (b *backlog) admit(e *entry, p *record.Parameters, ours bool) ledger.Code {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.txs[e.hash] != nil {
		return ledger.CodeOverloaded // CometBFT forgot that it has it
	}
	o := b.organisations(e)[e.payer]
	if o == nil {
		o = &account{senders: make(map[crypto.ID]*account)}
	}
	s := o.senders[e.sender]
	if s == nil {
		s = &account{}
	}
	if !b.room(e, p, o, s, ours) {
		return ledger.CodeQuota
	}
	b.txs[e.hash] = e
	b.bytes += e.size
	enter(b.organisations(e), e.payer, o, e)
	enter(o.senders, e.sender, s, e)
	return ledger.CodeOK
}

// room tells whether an organisation may have one more here.
func (b *backlog) room(e *entry, p *record.Parameters, o, s *account, ours bool) bool {
	part, blocks, operations := int64(poolPart), uint64(poolBlocks), int64(poolOperations)
	if ours {
		part, blocks, operations = 2*part, blocks/2, operations/2
	}
	if !e.fits(p, blocks, o, s) {
		return false
	}
	count, size := b.maxCount-len(b.txs), b.maxBytes-b.bytes
	if o.count == 0 {
		return count > 0 && e.size <= size/2 // others have left that
	}
	count, size = (count-ledger.MaxMembers)/int(part), size/part
	if e.operation {
		size = min(size, operations)
	}
	// A sender leaves as much as it has for the others of its organisation.
	return o.count+s.count < count && o.size+s.size+e.size <= size
}

func (b *backlog) organisations(e *entry) map[crypto.ID]*account {
	if e.operation {
		return b.operations
	}
	return b.batches
}

// enter counts a transaction. Who had none begins level with the one served least.
func enter(all map[crypto.ID]*account, id crypto.ID, a *account, e *entry) {
	if all[id] == nil {
		first := true
		for _, other := range all {
			if first || other.served < a.served {
				a.served, first = other.served, false
			}
		}
		all[id] = a
	}
	a.count++
	a.size += e.size
	a.statements += e.statements
	a.bytes += e.bytes
}

func leave(all map[crypto.ID]*account, id crypto.ID, e *entry, served int64) *account {
	a := all[id]
	a.count--
	a.size -= e.size
	a.statements -= e.statements
	a.bytes -= e.bytes
	a.served += served
	if a.count == 0 {
		delete(all, id)
	}
	return a
}

// entered tells that a transaction is in CometBFT's pool now.
func (b *backlog) entered(hash [32]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.txs[hash]; e != nil && e.arrival == 0 {
		b.arrivals++
		e.arrival = b.arrivals
	}
}

// drop forgets a transaction that is not, or no longer, to be proposed.
func (b *backlog) drop(hash [32]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(hash, false)
}

// committed forgets the transactions of a block, which its senders were served.
func (b *backlog) committed(block *store.Block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range block.Results {
		b.remove(r.Hash, true)
	}
}

func (b *backlog) remove(hash [32]byte, served bool) {
	e := b.txs[hash]
	if e == nil {
		return
	}
	delete(b.txs, hash)
	b.bytes -= e.size
	bytes := int64(0)
	if served {
		bytes = e.size
	}
	o := leave(b.organisations(e), e.payer, e, bytes)
	leave(o.senders, e.sender, e, bytes)
}

// claim is a transaction with what its organisation, and its sender, were served before.
type claim struct {
	*entry
	organisation, ofSender int64
}

// claims returns what is in CometBFT's pool, the oldest first.
func (b *backlog) claims() []claim {
	b.mu.Lock()
	cs := make([]claim, 0, len(b.txs))
	for _, e := range b.txs {
		if e.arrival > 0 {
			o := b.organisations(e)[e.payer]
			cs = append(cs, claim{e, o.served, o.senders[e.sender].served})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(cs, func(x, y claim) int { return cmp.Compare(x.arrival, y.arrival) })
	return cs
}

// standing tells of transactions that waited whether they still may be in the next block.
// Their signatures were verified; that their senders may sign is looked up once for each.
type standing struct {
	app    *App
	tip    *store.View
	limits record.Parameters
	known  map[sender]ledger.Code
}

type sender struct {
	operation bool
	id        crypto.ID
	key       crypto.KeyID
}

func (a *App) standing(tip *store.View) (*standing, error) {
	p, err := state.ParametersAt(tip, a.nextBlock(tip).Height)
	return &standing{a, tip, p, make(map[sender]ledger.Code)}, err
}

// code is why a transaction can't be in the next block: CodeOK if it can.
func (s *standing) code(e *entry) (ledger.Code, error) {
	who := sender{e.operation, e.sender, e.key}
	code, found := s.known[who]
	if !found {
		check, err := state.Signer(s.tip, s.app.nextBlock(s.tip), s.app.parsed.of(e).tx)
		if err != nil {
			return code, err
		}
		code = check.Code
		s.known[who] = code
	}
	if code == ledger.CodeOK && !e.fitsAlone(&s.limits) {
		code = ledger.CodeQuota
	}
	return code, nil
}

// stale returns what is in CometBFT's pool and can't be in the block after tip.
func (a *App) stale(tip *store.View) (list []*entry, err error) {
	cs := a.backlog.claims()
	if len(cs) == 0 {
		return nil, nil
	}
	s, err := a.standing(tip)
	if err != nil {
		return nil, err
	}
	for _, c := range cs {
		code, err := s.code(c.entry)
		if err != nil {
			return nil, err
		}
		if code != ledger.CodeOK {
			list = append(list, c.entry)
		}
	}
	return list, nil
}
