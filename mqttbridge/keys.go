package mqttbridge

import (
	"context"
	"sync"
	"time"

	"mtmledger/crypto"
)

// keyName names a key of a device.
type keyName struct {
	device crypto.ID
	kid    crypto.KeyID
}

// Bounds of the key lookups.
const (
	lookups     = 8      // under way at once
	maxAsking   = 1024   // waiting for that; beyond it messages are held back
	maxRefusals = 16_384 // that are remembered
)

// keys remembers device keys: two generations of at most half the bound each, so
// that what is used stays. Keys are never taken back here: whether one is still
// valid is for the ledger to say.
//
// A key that is not remembered is asked for beside the messages whose keys are. What
// names it meanwhile waits here, so that each device's messages stay in order. A refusal
// is remembered for a moment, so that many messages of an unknown device cost one
// question.
type keys struct {
	ask chan keyName // to be looked up

	mu         sync.Mutex
	half       int
	young, old map[keyName]crypto.PublicKey
	waiting    map[keyName][]*item // for the answer
	refused    map[keyName]refusedKey
}

type refusedKey struct {
	err   error
	until time.Time
}

func newKeys(max int) *keys {
	return &keys{
		half: max/2 + 1, young: make(map[keyName]crypto.PublicKey),
		ask: make(chan keyName, maxAsking), waiting: make(map[keyName][]*item), refused: make(map[keyName]refusedKey),
	}
}

// sort divides parsed items: known have their key, refused the ledger's reason, and the
// others wait here for the names in ask, which the caller sends to k.ask.
func (k *keys) sort(items []*item, now time.Time) (known, refused []*item, ask []keyName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known = items[:0]
	for _, it := range items {
		n := keyName{it.statement.Device, it.statement.KeyID()}
		if list, waits := k.waiting[n]; waits {
			k.waiting[n] = append(list, it)
		} else if p, ok := k.get(n); ok {
			it.key = p
			known = append(known, it)
		} else if r, ok := k.refused[n]; ok && now.Before(r.until) {
			it.refuse(r.err)
			refused = append(refused, it)
		} else {
			k.waiting[n] = []*item{it}
			ask = append(ask, n)
		}
	}
	return known, refused, ask
}

// get returns a remembered key. Call with mu held, as put.
func (k *keys) get(n keyName) (crypto.PublicKey, bool) {
	p, ok := k.young[n]
	if !ok {
		if p, ok = k.old[n]; ok {
			k.put(n, p)
		}
	}
	return p, ok
}

func (k *keys) put(n keyName, p crypto.PublicKey) {
	if len(k.young) >= k.half {
		k.old, k.young = k.young, make(map[keyName]crypto.PublicKey)
	}
	k.young[n] = p
}

// found remembers a key and gives the items that wait for it to queue, which is done
// before any later item with this key is sorted.
func (k *keys) found(n keyName, p crypto.PublicKey, queue func(items []*item)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(n, p)
	items := k.waiting[n]
	delete(k.waiting, n)
	for _, it := range items {
		it.key = p
	}
	queue(items)
}

// refuse remembers a refusal until a time and returns the items that waited.
func (k *keys) refuse(n keyName, err error, until time.Time) []*item {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.refused) >= maxRefusals {
		clear(k.refused)
	}
	k.refused[n] = refusedKey{err, until}
	items := k.waiting[n]
	delete(k.waiting, n)
	for _, it := range items {
		it.refuse(err)
	}
	return items
}

// lookUp asks the ledger for keys, one after another, until ctx ends.
func (b *Bridge) lookUp(ctx context.Context) {
	for {
		select {
		case n := <-b.keys.ask:
			if b.lookUpOne(ctx, n) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// lookUpOne asks for a key until the ledger answers, and passes on what waits for it;
// or returns ctx's error.
func (b *Bridge) lookUpOne(ctx context.Context, n keyName) error {
	var key crypto.PublicKey
	var refused error
	err := b.insist(ctx, "key", func() (err error) {
		key, err = b.cfg.Ledger.Key(ctx, n.device, n.kid)
		if _, _, ok := refusal(err); ok {
			refused = err
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	var bad []letter
	if refused != nil {
		bad = b.postpone(b.keys.refuse(n, refused, time.Now().Add(b.cfg.RetryMin)))
	} else {
		b.keys.found(n, key, func(items []*item) { bad = b.admit(items) })
	}
	b.bury(ctx, bad)
	return nil
}
