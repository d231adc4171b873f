package query

import (
	"errors"

	"mtmledger/app/store"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

func (h *Handler) key(v *store.View, q *KeyRequest) (*KeyInfo, error) {
	value, err := v.Get(record.KeyRow(q.Principal, q.KeyID))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, ledger.Errorf(ledger.CodeUnknownKey, "%s has no key %s", q.Principal, q.KeyID)
	}
	k, err := record.ParseKey(value)
	if err != nil {
		return nil, err
	}
	return &KeyInfo{Height: v.Height, Key: k.Public, Opens: k.Opens, Closes: k.Closes}, nil
}

// statementAt reads the statement at a position.
func statementAt(v *store.View, p store.Position) (Statement, *ledger.Statement, error) {
	raw, err := v.Entry(p.Index)
	if err != nil {
		return Statement{}, nil, err
	}
	s, err := ledger.ParseStatement(raw)
	if err != nil {
		return Statement{}, nil, errors.Join(store.ErrCorrupt, err)
	}
	b, err := v.BlockOf(p.Index)
	if err != nil {
		return Statement{}, nil, err
	}
	return Statement{
		First: s.First, Last: s.Last(), Index: p.Index, Height: b.Height, Time: b.Time, Bytes: raw,
	}, s, nil
}

// holder returns the statement that holds a number of a stream; found is false
// when the number is not used.
func holder(v *store.View, stream crypto.ID, number uint64) (out Statement, s *ledger.Statement, found bool, err error) {
	p, found, err := v.StatementAt(stream, number)
	if err != nil || !found {
		return Statement{}, nil, false, err
	}
	out, s, err = statementAt(v, p)
	return out, s, err == nil && number <= out.Last, err
}

func (h *Handler) find(v *store.View, q *FindRequest) (*Statement, error) {
	if q.Height > v.Height {
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "height %d, the last is %d", q.Height, v.Height)
	}
	s, _, found, err := holder(v, q.Stream, q.Number)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ledger.Errorf(ledger.CodeNotFound, "stream %s has no number %d", q.Stream, q.Number)
	}
	return &s, nil
}

func (h *Handler) statements(v *store.View, q *StatementsRequest) (*Statements, error) {
	out := &Statements{Height: v.Height}
	from := q.From
	if s, _, found, err := holder(v, q.Stream, from); err != nil {
		return nil, err
	} else if found {
		from = s.First
	}
	limit := min(q.Count, MaxPage)
	size, failed := 0, error(nil)
	err := v.StatementsFrom(q.Stream, from, func(p store.Position) bool {
		if uint64(len(out.List)) >= limit || size >= MaxPageBytes {
			out.Next = p.First
			return false
		}
		s, _, err := statementAt(v, p)
		if err != nil {
			failed = err
			return false
		}
		size += len(s.Bytes)
		out.List = append(out.List, s)
		return true
	})
	return out, errors.Join(failed, err)
}

func (h *Handler) entries(v *store.View, q *EntriesRequest) (*Entries, error) {
	out := &Entries{Height: v.Height, LogSize: v.LogSize()}
	if q.From >= v.LogSize() {
		return nil, ledger.Errorf(ledger.CodeNotFound, "entry %d, the log has %d", q.From, v.LogSize())
	}
	var block store.BlockInfo
	size := 0
	for i := q.From; i < min(q.From+min(q.Count, MaxPage), v.LogSize()) && size < MaxPageBytes; i++ {
		raw, err := v.Entry(i)
		if err != nil {
			return nil, err
		}
		if i-block.First >= block.Count || i == q.From {
			if block, err = v.BlockOf(i); err != nil {
				return nil, err
			}
		}
		size += len(raw)
		out.List = append(out.List, Entry{Index: i, Height: block.Height, Time: block.Time, Bytes: raw})
	}
	return out, nil
}

func (h *Handler) stream(v *store.View, q *IDRequest) (*StreamInfo, error) {
	info, err := streamInfo(v, q.ID)
	if err != nil {
		return nil, err
	}
	lo, hi := record.Range(record.FamilyGap, q.ID)
	var failed error
	err = v.Scan(lo, hi, func(k merkle.Key, value []byte) bool {
		gap, err := record.ParseGap(value)
		if err != nil {
			failed = err
			return false
		}
		info.Gaps = append(info.Gaps, Gap{First: record.NumberOf(k), Last: gap.Last})
		return len(info.Gaps) < ledger.MaxOpenGaps
	})
	return info, errors.Join(failed, err)
}

// inForce returns the row of a history that counts at the view's height. What takes
// effect in the next block has a row already, which does not count yet.
func inForce(v *store.View, f record.Family, id crypto.ID) (merkle.Key, []byte, error) {
	lo, _ := record.Range(f, id)
	return v.Predecessor(lo, record.HistoryRow(f, id, v.Height))
}

// streamInfo reads a stream without its gaps.
func streamInfo(v *store.View, id crypto.ID) (*StreamInfo, error) {
	value, err := v.Get(record.StreamRow(id))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, ledger.Errorf(ledger.CodeUnknownStream, "no stream %s", id)
	}
	head, err := record.ParseStreamHead(value)
	if err != nil {
		return nil, err
	}
	info := &StreamInfo{Height: v.Height, Stream: id, Device: head.Device, Mark: head.Mark, GapCount: head.Gaps}
	name, err := v.Value(record.DeviceStreamRow(head.Device, id))
	if err != nil {
		return nil, err
	}
	n, err := record.ParseDeviceStream(name)
	if err != nil {
		return nil, err
	}
	info.Name = n.Name
	_, row, err := inForce(v, record.FamilyOwner, id)
	if err != nil {
		return nil, err
	}
	owner, err := record.ParseOwner(row)
	info.Owner = owner.Organisation
	return info, err
}

// idsAfter returns up to n+1 ids above after that rows name: the children of a
// principal, or with of zero, the ids of a family, whose every id has several
// rows.
func idsAfter(v *store.View, of crypto.ID, children, all record.Family, after crypto.ID, n int) ([]crypto.ID, error) {
	var ids []crypto.ID
	if !of.IsZero() {
		lo, hi := record.Range(children, of)
		copy(lo[17:], after[:])
		err := v.Scan(lo, hi, func(k merkle.Key, _ []byte) bool {
			if id := record.ChildOf(k); id != after || after.IsZero() {
				ids = append(ids, id)
			}
			return len(ids) <= n
		})
		return ids, err
	}
	_, hi := record.FamilyRange(all)
	for len(ids) <= n {
		_, lo := record.Range(all, after)
		if after.IsZero() {
			lo, _ = record.FamilyRange(all)
		}
		found := false
		err := v.Scan(lo, hi, func(k merkle.Key, _ []byte) bool {
			after = record.IDOf(k)
			found = true
			return false
		})
		if err != nil || !found {
			return ids, err
		}
		ids = append(ids, after)
	}
	return ids, nil
}

// page cuts a list of up to n+1 to n and tells whether there are more.
func page(ids []crypto.ID, n int) ([]crypto.ID, bool) {
	if len(ids) > n {
		return ids[:n], true
	}
	return ids, false
}

func (h *Handler) streams(v *store.View, q *ListRequest) (*StreamList, error) {
	n := int(min(q.Count, MaxPage))
	ids, err := idsAfter(v, q.Of, record.FamilyDeviceStream, record.FamilyStream, q.After, n)
	if err != nil {
		return nil, err
	}
	out := &StreamList{Height: v.Height}
	ids, out.More = page(ids, n)
	for _, id := range ids {
		info, err := streamInfo(v, id)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, *info)
	}
	return out, nil
}

func (h *Handler) devices(v *store.View, q *ListRequest) (*DeviceList, error) {
	n := int(min(q.Count, MaxPage))
	ids, err := idsAfter(v, q.Of, record.FamilyOrganisationDevice, record.FamilyDevice, q.After, n)
	if err != nil {
		return nil, err
	}
	out := &DeviceList{Height: v.Height}
	ids, out.More = page(ids, n)
	for _, id := range ids {
		k, value, err := inForce(v, record.FamilyDevice, id)
		if err != nil {
			return nil, err
		}
		d, err := record.ParseDevice(value)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, DeviceInfo{
			Device: id, Organisation: d.Organisation, Status: uint64(d.Status), Since: record.NumberOf(k),
		})
	}
	return out, nil
}

func (h *Handler) organisations(v *store.View, q *ListRequest) (*OrganisationList, error) {
	n := int(min(q.Count, MaxPage))
	ids, err := idsAfter(v, crypto.ID{}, 0, record.FamilyOrganisation, q.After, n)
	if err != nil {
		return nil, err
	}
	out := &OrganisationList{Height: v.Height}
	ids, out.More = page(ids, n)
	for _, id := range ids {
		_, value, err := inForce(v, record.FamilyOrganisation, id)
		if err != nil {
			return nil, err
		}
		o, err := record.ParseOrganisation(value)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, OrganisationInfo{
			Organisation: id, Name: o.Name, Threshold: o.Threshold, Status: uint64(o.Status),
		})
	}
	return out, nil
}
