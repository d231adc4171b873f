package app

import (
	"sync"
	"sync/atomic"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// parsedBytes bounds the transactions whose decoded form is kept between
// CheckTx, the proposal and the block, by their size.
const parsedBytes = 64 << 20

// parsedTx is a transaction with what the calls need of it.
type parsedTx struct {
	hash [32]byte
	size int
	tx   *ledger.Transaction
	err  error // it can't be decoded
	last atomic.Pointer[verdicts]
}

// verdicts are those on a transaction's signatures in the block at a height.
// They follow from the transaction and the state before that block, so CheckTx,
// the proposal and the block share them.
type verdicts struct {
	height uint64
	codes  []ledger.Code
}

// code is why the transaction can't be decoded.
func (p *parsedTx) code() ledger.Code { return ledger.CodeOf(p.err) }

// parsedCache keeps decoded transactions by hash, the newer ones.
type parsedCache struct {
	mu         sync.Mutex
	max        int
	young, old map[[32]byte]*parsedTx
	bytes      int // of young
}

func newParsedCache(max int) *parsedCache {
	return &parsedCache{max: max, young: make(map[[32]byte]*parsedTx)}
}

// parse decodes a transaction or finds it decoded. raw must not be changed
// later.
func (c *parsedCache) parse(raw []byte) *parsedTx {
	hash := ledger.TxHash(raw)
	if p := c.get(hash); p != nil {
		return p
	}
	p := &parsedTx{hash: hash, size: len(raw)}
	p.tx, p.err = ledger.ParseTransaction(raw)
	c.put(p)
	return p
}

// of is the decoded form of a transaction that was decoded before.
func (c *parsedCache) of(e *entry) *parsedTx {
	if p := c.get(e.hash); p != nil {
		return p
	}
	return c.parse(e.raw)
}

// all decodes transactions.
func (c *parsedCache) all(raws [][]byte) []*parsedTx {
	txs := make([]*parsedTx, len(raws))
	for i, raw := range raws {
		txs[i] = c.parse(raw)
	}
	return txs
}

func (c *parsedCache) get(hash [32]byte) *parsedTx {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.young[hash]; p != nil {
		return p
	}
	return c.old[hash]
}

func (c *parsedCache) put(p *parsedTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes+p.size > c.max/2 {
		c.old, c.young, c.bytes = c.young, make(map[[32]byte]*parsedTx), 0
	}
	c.young[p.hash] = p
	c.bytes += p.size
}

// judged is a transaction with the verdicts on its signatures.
type judged struct {
	*parsedTx
	verdicts []ledger.Code // nil when it can't be decoded
}

// signer is the code of the transaction as a whole before it is applied: it
// can't be decoded, or its signer may not sign it.
func (j judged) signer() ledger.Code {
	if j.err != nil {
		return j.code()
	}
	return j.verdicts[0]
}

// judge verifies every signature of the transactions at once. The error is a
// failure of r.
func (a *App) judge(r state.Reader, b state.Block, txs []*parsedTx) ([]judged, error) {
	out := make([]judged, len(txs))
	checks := make([][]state.Check, len(txs))
	var items []crypto.Item
	for i, p := range txs {
		out[i].parsedTx = p
		if p.err != nil {
			continue
		}
		if v := p.last.Load(); v != nil && v.height == b.Height {
			out[i].verdicts = v.codes
			continue
		}
		var err error
		if checks[i], err = state.Signatures(r, b, p.tx); err != nil {
			return nil, err
		}
		items = appendItems(items, checks[i])
	}
	valid := a.verifier.Verify(items)
	for i := range out {
		if checks[i] == nil {
			continue
		}
		out[i].verdicts, valid = decide(checks[i], valid)
		out[i].last.Store(&verdicts{b.Height, out[i].verdicts})
	}
	return out, nil
}

// appendItems appends the signatures that are to be verified.
func appendItems(items []crypto.Item, checks []state.Check) []crypto.Item {
	for _, c := range checks {
		if c.Code == ledger.CodeOK {
			items = append(items, c.Item)
		}
	}
	return items
}

// decide returns the codes of the checks, given whether their signatures are
// valid, and what is left of valid.
func decide(checks []state.Check, valid []bool) ([]ledger.Code, []bool) {
	codes := make([]ledger.Code, len(checks))
	for i, c := range checks {
		ok := false
		if c.Code == ledger.CodeOK {
			ok, valid = valid[0], valid[1:]
		}
		codes[i] = c.Verdict(ok)
	}
	return codes, valid
}
