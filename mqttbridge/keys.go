package mqttbridge

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"mtmledger/crypto"
)

// keyName names a key of a device.
type keyName struct {
	device crypto.ID
	kid    crypto.KeyID
}

// keys remembers device keys: two generations of at most half the bound each, so
// that what is used stays. Keys are never taken back here: whether one is still
// valid is for the ledger to say.
type keys struct {
	mu         sync.Mutex
	half       int
	young, old map[keyName]crypto.PublicKey
}

func newKeys(max int) *keys {
	return &keys{half: max/2 + 1, young: make(map[keyName]crypto.PublicKey)}
}

func (k *keys) get(n keyName) (crypto.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.young[n]
	if !ok {
		if p, ok = k.old[n]; ok {
			k.put(n, p)
		}
	}
	return p, ok
}

func (k *keys) add(n keyName, p crypto.PublicKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(n, p)
}

func (k *keys) put(n keyName, p crypto.PublicKey) {
	if len(k.young) >= k.half {
		k.old, k.young = k.young, make(map[keyName]crypto.PublicKey)
	}
	k.young[n] = p
}

// maxLookups bounds the key lookups that are under way at once.
const maxLookups = 8

// lookUp asks the ledger for the keys that are not remembered. What it refuses is
// returned with the refusal; an error means that it was not reached.
func (k *keys) lookUp(ctx context.Context, l Ledger, names map[keyName]error) error {
	var mu sync.Mutex // guards names
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxLookups)
	list := make([]keyName, 0, len(names))
	for n := range names {
		list = append(list, n)
	}
	for _, n := range list {
		g.Go(func() error {
			p, err := l.Key(ctx, n.device, n.kid)
			if err == nil {
				k.add(n, p)
				return nil
			}
			if _, _, ok := refusal(err); !ok {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			names[n] = err
			return nil
		})
	}
	return g.Wait()
}
