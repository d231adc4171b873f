package crypto

import "sync"

// recent is a bounded map that forgets what was not used lately: entries live in
// two generations of half the size each; when the young one is full it becomes
// the old one, and the old one is forgotten. Use moves an entry to the young.
// It holds at most size entries, none if size < 2.
type recent[K comparable, V any] struct {
	mu         sync.Mutex
	half       int
	young, old map[K]V
}

func newRecent[K comparable, V any](size int) *recent[K, V] {
	return &recent[K, V]{half: size / 2, young: map[K]V{}, old: map[K]V{}}
}

// with calls f under the lock; f uses get and put.
func (r *recent[K, V]) with(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *recent[K, V]) get(k K) (V, bool) {
	if v, ok := r.young[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	if ok {
		r.put(k, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.half == 0 {
		return
	}
	if len(r.young) >= r.half {
		r.young, r.old = r.old, r.young
		clear(r.young)
	}
	r.young[k] = v
}

func (r *recent[K, V]) forget() {
	r.with(func() { r.young, r.old = map[K]V{}, map[K]V{} })
}
