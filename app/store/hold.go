package store

import (
	"bytes"
	"sort"

	"mtmledger/crypto/merkle"
)

// Hold returns the view once more, for a second user, who releases it too. The
// caller must hold it.
func (v *View) Hold() *View {
	v.st.mu.Lock()
	defer v.st.mu.Unlock()
	return v.st.hold(v)
}

// merge adds the overlaid rows to a scan of the snapshot: next is called for the
// rows of both, ascending, until it returns false.
func (o *overlay) merge(lo, hi merkle.Key, each func(merkle.Key, []byte) bool) (stored func(merkle.Key, []byte) bool, rest func()) {
	at := sort.Search(len(o.keys), func(i int) bool { return bytes.Compare(o.keys[i][:], lo[:]) >= 0 })
	more := true
	before := func(limit *merkle.Key) {
		for ; more && at < len(o.keys) && bytes.Compare(o.keys[at][:], hi[:]) <= 0; at++ {
			k := o.keys[at]
			if limit != nil && bytes.Compare(k[:], limit[:]) >= 0 {
				return
			}
			if value := o.rows[k]; value != nil {
				more = each(k, value)
			}
		}
	}
	stored = func(k merkle.Key, value []byte) bool {
		before(&k)
		if more && !o.has(k) {
			more = each(k, value)
		}
		return more
	}
	return stored, func() { before(nil) }
}
