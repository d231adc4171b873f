package state_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// invariants are what must be true whatever the rules say in detail. They look at the
// records and the log alone, not at the naive ledger, which could err as the rules do.
type invariants struct {
	c       *simtest.Chain
	entries uint64 // looked at so far

	numbers    map[crypto.ID]map[uint64]uint64 // of streams: which entry has a number
	operations map[[32]byte]uint64             // entries, by digest

	signed  map[crypto.PublicKey]uint64 // validators, by the greatest power that they signed a block with
	excused bool                        // one with a third of the power has replaced its key
}

func newInvariants(c *simtest.Chain) *invariants {
	return &invariants{c: c, entries: 1, numbers: make(map[crypto.ID]map[uint64]uint64), operations: make(map[[32]byte]uint64), signed: make(map[crypto.PublicKey]uint64)}
}

// rows are the rows of the records, and the keys of each family in their order.
type rows struct {
	values map[merkle.Key][]byte
	keys   map[record.Family][]merkle.Key
}

// keyed is a parsed row.
type keyed[T any] struct {
	k   merkle.Key
	row T
}

// family are the rows of a family, in order of their keys.
func family[T any](t simtest.TB, all rows, f record.Family, parse func([]byte) (T, error)) (list []keyed[T]) {
	for _, k := range all.keys[f] {
		row, err := parse(all.values[k])
		if err != nil {
			t.Fatalf("row of %v: %v", f, err)
		}
		list = append(list, keyed[T]{k, row})
	}
	return list
}

// inForce is the row of a history that counts at a height.
func inForce[T any](list []keyed[T], id crypto.ID, height uint64) (row T, found bool) {
	for _, r := range list {
		if record.IDOf(r.k) == id && record.NumberOf(r.k) <= height {
			row, found = r.row, true
		}
	}
	return row, found
}

// check checks all of them after a block.
func (v *invariants) check(t simtest.TB, b *simtest.Block) {
	all := rows{make(map[merkle.Key][]byte), make(map[record.Family][]merkle.Key)}
	for _, k := range v.c.Store.Keys() {
		value, err := v.c.Store.Get(k)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all.values[k] = value
		all.keys[record.FamilyOf(k)] = append(all.keys[record.FamilyOf(k)], k)
	}
	v.oneOwner(t, all)
	v.entriesSigned(t, all)
	v.numbersOnce(t, all)
	v.quotasKept(t, all, b)
	v.operationsOnce(t, all)
	v.oneCurrentKey(t, all)
	v.consortiumActs(t, all)
	v.grantsOfOwners(t, all)
	v.accessComplete(t, all)
	v.listedOnce(t, all)
	v.runs(t, all, b)
}

// oneOwner: at every height a device, stream or bridge is in the list of one organisation,
// its owner, and of no other.
func (v *invariants) oneOwner(t simtest.TB, all rows) {
	streams := family(t, all, record.FamilyOwner, record.ParseOwner)
	devices := family(t, all, record.FamilyDevice, record.ParseDevice)
	bridges := family(t, all, record.FamilyBridge, record.ParseBridge)
	v.listed(t, all, record.FamilyOrganisationStream, func(id crypto.ID, height uint64) crypto.ID {
		owner, _ := inForce(streams, id, height)
		return owner.Organisation
	})
	v.listed(t, all, record.FamilyOrganisationDevice, func(id crypto.ID, height uint64) crypto.ID {
		device, _ := inForce(devices, id, height)
		return device.Organisation
	})
	v.listed(t, all, record.FamilyOrganisationBridge, func(id crypto.ID, height uint64) crypto.ID {
		bridge, _ := inForce(bridges, id, height)
		return activeOwner(bridge)
	})
}

// listed compares the lists of a family with who the owner is now and in the next block,
// which is when anything of this block shows.
func (v *invariants) listed(t simtest.TB, all rows, f record.Family, owner func(id crypto.ID, height uint64) crypto.ID) {
	lists := family(t, all, f, record.ParseSpans)
	for _, height := range []uint64{v.c.Height, v.c.Height + 1} {
		owners := make(map[crypto.ID][]crypto.ID)
		for _, list := range lists {
			id := record.ChildOf(list.k)
			if list.row.At(height) {
				owners[id] = append(owners[id], record.IDOf(list.k))
			} else if owners[id] == nil {
				owners[id] = []crypto.ID{}
			}
		}
		for id, list := range owners {
			want := owner(id, height)
			if len(list) > 1 || len(list) == 0 != want.IsZero() || len(list) == 1 && list[0] != want {
				t.Fatalf("one owner at a time: at height %d %v lists %v under %v, its owner is %v", height, f, id, list, want)
			}
		}
	}
}

// entriesSigned: no reading, and no operation, without a key of its device or actor that
// was valid in that block, and both active with their organisation.
func (v *invariants) entriesSigned(t simtest.TB, all rows) {
	devices := family(t, all, record.FamilyDevice, record.ParseDevice)
	organisations := family(t, all, record.FamilyOrganisation, record.ParseOrganisation)
	for index := v.entries; index < v.c.Store.LogSize(); index++ {
		raw, err := v.c.Store.Entry(index)
		if err != nil {
			t.Fatalf("%v", err)
		}
		var signer crypto.ID
		var message *crypto.Sign1
		if s, err := ledger.ParseStatement(raw); err == nil {
			signer, message = s.Device, s.Sign1
			v.numberEntry(t, index, s)
		} else if o, err := ledger.ParseOperation(raw); err == nil {
			signer, message = o.Actor, o.Sign1
			v.operationEntry(t, index, o)
		} else {
			t.Fatalf("entry %d is neither statement nor operation: %v", index, err)
		}
		key, err := record.ParseKey(all.values[record.KeyRow(signer, message.Header.KeyID)])
		switch {
		case err != nil:
			t.Fatalf("no entry without an enrolled key: entry %d at height %d by %v: %v", index, v.c.Height, signer, err)
		case v.c.Height < key.Opens || key.Closes != 0 && v.c.Height >= key.Closes:
			t.Fatalf("no entry without a key valid at its height: entry %d at height %d by %v, whose key is valid from %d to %d", index, v.c.Height, signer, key.Opens, key.Closes)
		case !ed25519.Verify(key.Public[:], message.SigStructure(), message.Signature[:]):
			t.Fatalf("no entry without a valid signature: entry %d at height %d by %v", index, v.c.Height, signer)
		}
		if device, found := inForce(devices, signer, v.c.Height); found {
			signer = device.Organisation
			if device.Status != record.StatusActive {
				t.Fatalf("no entry of a device that is not active: entry %d at height %d", index, v.c.Height)
			}
		}
		if organisation, found := inForce(organisations, signer, v.c.Height); !found || organisation.Status != record.StatusActive {
			t.Fatalf("no entry for an organisation that is not active: entry %d at height %d, %v", index, v.c.Height, signer)
		}
	}
	v.entries = v.c.Store.LogSize()
}

func (v *invariants) numberEntry(t simtest.TB, index uint64, s *ledger.Statement) {
	if v.numbers[s.Stream] == nil {
		v.numbers[s.Stream] = make(map[uint64]uint64)
	}
	for i := range s.Readings {
		number := s.First + uint64(i)
		if other, used := v.numbers[s.Stream][number]; used {
			t.Fatalf("each number is admitted once: number %d of stream %v stands in entries %d and %d", number, s.Stream, other, index)
		}
		v.numbers[s.Stream][number] = index
	}
}

// numbersOnce: the mark is the greatest number admitted, and what was not admitted up to
// it is exactly what the gap rows say. (That none was admitted twice: numberEntry.)
func (v *invariants) numbersOnce(t simtest.TB, all rows) {
	missing := make(map[crypto.ID]uint64)
	count := make(map[crypto.ID]uint64)
	for _, gap := range family(t, all, record.FamilyGap, record.ParseGap) {
		id, first := record.IDOf(gap.k), record.NumberOf(gap.k)
		for number := range v.numbers[id] {
			if first <= number && number <= gap.row.Last {
				t.Fatalf("gaps are what is missing: number %d of stream %v is admitted and in the gap %d-%d", number, id, first, gap.row.Last)
			}
		}
		missing[id] += gap.row.Last - first + 1
		count[id]++
	}
	for _, head := range family(t, all, record.FamilyStream, record.ParseStreamHead) {
		id := record.IDOf(head.k)
		mark := uint64(0)
		for number := range v.numbers[id] {
			mark = max(mark, number)
		}
		if head.row.Mark != mark || head.row.Gaps != count[id] || uint64(len(v.numbers[id]))+missing[id] != mark {
			t.Fatalf("gaps are what is missing: stream %v has %d numbers up to %d; its head says mark %d and %d gaps, there are %d gaps of %d numbers",
				id, len(v.numbers[id]), mark, head.row.Mark, head.row.Gaps, count[id], missing[id])
		}
	}
}

// used is what a bridge or an organisation used of a block.
type used struct{ statements, bytes uint64 }

// quotasKept: in no block more statements and operations, or bytes of them, of one bridge
// or organisation were looked at than the parameters in force allow.
func (v *invariants) quotasKept(t simtest.TB, all rows, b *simtest.Block) {
	limits, _ := inForce(family(t, all, record.FamilyParameters, record.ParseParameters), crypto.ID{}, b.Height)
	bridges, organisations := v.useOf(t, all, b)
	for id, u := range bridges {
		if u.statements > limits.StatementsPerBridge || u.bytes > limits.BytesPerBridge {
			t.Fatalf("quotas: bridge %v used %+v of height %d, of %+v", id, u, b.Height, limits)
		}
	}
	for id, u := range organisations {
		if u.statements > limits.StatementsPerOrganisation || u.bytes > limits.BytesPerOrganisation {
			t.Fatalf("quotas: organisation %v used %+v of height %d, of %+v", id, u, b.Height, limits)
		}
	}
}

// useOf adds up what the bridges and organisations used of a block for certain: each
// statement without the code quota, each operation that was applied.
func (v *invariants) useOf(t simtest.TB, all rows, b *simtest.Block) (bridges, organisations map[crypto.ID]used) {
	bridges, organisations = make(map[crypto.ID]used), make(map[crypto.ID]used)
	add := func(m map[crypto.ID]used, id crypto.ID, bytes int) {
		m[id] = used{m[id].statements + 1, m[id].bytes + uint64(bytes)}
	}
	bridgeRows, deviceRows := family(t, all, record.FamilyBridge, record.ParseBridge), family(t, all, record.FamilyDevice, record.ParseDevice)
	for i, res := range b.Results {
		tx, err := ledger.ParseTransaction(b.Txs[i])
		switch {
		case err != nil || res.Code != ledger.CodeOK:
		case tx.Operation != nil:
			payer := tx.Operation.Actor
			if device, found := inForce(deviceRows, payer, b.Height); found {
				payer = device.Organisation
			}
			add(organisations, payer, min(len(tx.Operation.Bytes()), ledger.MaxOperation))
		default:
			row, _ := inForce(bridgeRows, tx.Batch.Bridge, b.Height)
			for k, code := range res.Codes {
				if code != ledger.CodeQuota {
					add(bridges, tx.Batch.Bridge, len(tx.Batch.Raw[k]))
					add(organisations, row.Organisation, len(tx.Batch.Raw[k]))
				}
			}
		}
	}
	return bridges, organisations
}

func (v *invariants) operationEntry(t simtest.TB, index uint64, o *ledger.Operation) {
	if other, twice := v.operations[o.Digest()]; twice {
		t.Fatalf("no operation applied twice: %v stands in entries %d and %d", o.Body.Kind(), other, index)
	}
	v.operations[o.Digest()] = index
}

// operationsOnce: the operation rows are those of the operations in the log, and the
// block rows hold all entries, each once.
func (v *invariants) operationsOnce(t simtest.TB, all rows) {
	blocks := family(t, all, record.FamilyBlock, record.ParseBlock)
	next := uint64(0)
	for _, b := range blocks {
		if b.row.First != next || b.row.Count == 0 {
			t.Fatalf("each entry belongs to one block: the row of height %d begins with entry %d of %d, want %d", record.NumberOf(b.k), b.row.First, b.row.Count, next)
		}
		next += b.row.Count
	}
	if next != v.c.Store.LogSize() {
		t.Fatalf("each entry belongs to one block: the rows hold %d entries, the log %d", next, v.c.Store.LogSize())
	}
	operations := family(t, all, record.FamilyOperation, record.ParseOperation)
	if len(operations) != len(v.operations) {
		t.Fatalf("no operation applied twice: %d operation rows, %d operations in the log", len(operations), len(v.operations))
	}
	for digest, index := range v.operations {
		if row, err := record.ParseOperation(all.values[record.OperationRow(digest)]); err != nil || row.Index != index {
			t.Fatalf("no operation applied twice: the operation at entry %d has the row %+v (%v)", index, row, err)
		}
	}
}

// oneCurrentKey: a device has one key that is neither closed nor closing, or a keyless
// row and none.
func (v *invariants) oneCurrentKey(t simtest.TB, all rows) {
	current := make(map[crypto.ID]int)
	for _, key := range family(t, all, record.FamilyKey, record.ParseKey) {
		if key.row.Closes == 0 {
			current[record.IDOf(key.k)]++
		}
	}
	for _, device := range family(t, all, record.FamilyDevice, record.ParseDevice) {
		id := record.IDOf(device.k)
		keyless := all.values[record.KeylessRow(id)] != nil
		if keyless && current[id] != 0 || !keyless && current[id] != 1 {
			t.Fatalf("one current key: device %v has %d, keyless %v", id, current[id], keyless)
		}
	}
}

// consortiumActs: there are members, each with enough keys to act, and where there were
// validators there still are, of members.
func (v *invariants) consortiumActs(t simtest.TB, all rows) {
	organisations := family(t, all, record.FamilyOrganisation, record.ParseOrganisation)
	sets := family(t, all, record.FamilyValidatorSet, record.ParseValidatorSet)
	members, _ := inForce(family(t, all, record.FamilyMembers, record.ParseMembers), crypto.ID{}, v.c.Height+1)
	keys := family(t, all, record.FamilyKey, record.ParseKey)
	if len(members.Organisations) == 0 {
		t.Fatalf("the consortium acts: there are no members left")
	}
	for _, id := range members.Organisations {
		o, found := inForce(organisations, id, v.c.Height+1)
		open := uint64(0)
		for _, key := range keys {
			if record.IDOf(key.k) == id && key.row.Closes == 0 {
				open++
			}
		}
		if !found || o.Status != record.StatusActive || open < o.Threshold {
			t.Fatalf("the consortium acts: member %v is %+v with %d open keys", id, o, open)
		}
	}
	set, _ := inForce(sets, crypto.ID{}, v.c.Height+2)
	if len(set.Validators) == 0 != (len(sets[0].row.Validators) == 0) {
		t.Fatalf("the consortium acts: %d validators, %d in the genesis", len(set.Validators), len(sets[0].row.Validators))
	}
	for _, validator := range set.Validators {
		if !slices.Contains(members.Organisations, validator.Organisation) {
			t.Fatalf("the consortium acts: validator %v belongs to no member", validator.Key)
		}
	}
}

// runs: whatever was voted, more than two thirds of the power are with validators that have
// signed blocks with it, but where one with a third of it replaced its own key.
func (v *invariants) runs(t simtest.TB, all rows, b *simtest.Block) {
	sets := family(t, all, record.FamilyValidatorSet, record.ParseValidatorSet)
	if b.Height == 1 {
		for _, validator := range sets[0].row.Validators {
			v.signed[validator.Key] = validator.Power
		}
	}
	last, _ := inForce(sets, crypto.ID{}, b.Height-1)
	for _, validator := range last.Validators {
		sum := sha256.Sum256(validator.Key[:])
		if slices.Contains(b.Signers, state.Address(sum[:20])) {
			v.signed[validator.Key] = max(v.signed[validator.Key], validator.Power)
		}
	}
	before, _ := inForce(sets, crypto.ID{}, b.Height+1)
	after, _ := inForce(sets, crypto.ID{}, b.Height+2)
	for _, validator := range before.Validators {
		if after.Find(validator.Key).Power == 0 {
			v.excused = v.excused || 3*validator.Power >= before.Total()
			delete(v.signed, validator.Key)
		}
	}
	known := uint64(0)
	for _, validator := range after.Validators {
		known += min(validator.Power, v.signed[validator.Key])
	}
	if !v.excused && len(after.Validators) > 0 && 3*known <= 2*after.Total() {
		t.Fatalf("the set runs: at height %d %d of %d have signed, %v", b.Height+2, known, after.Total(), after)
	}
}

// grantsOfOwners: who gave a grant owned all its readings in that block.
func (v *invariants) grantsOfOwners(t simtest.TB, all rows) {
	owners := family(t, all, record.FamilyOwner, record.ParseOwner)
	divided := family(t, all, record.FamilyParts, record.ParseParts)
	for _, g := range family(t, all, record.FamilyGrant, record.ParseGrant) {
		owner, _ := inForce(owners, g.row.Stream, g.row.Granted)
		parts, found := inForce(divided, g.row.Stream, g.row.Granted)
		if !found {
			parts = record.Parts{{First: 1, Organisation: owner.Organisation}}
		}
		for i, part := range parts {
			above := g.row.Last != 0 && part.First > g.row.Last
			below := i+1 < len(parts) && parts[i+1].First <= g.row.First
			if !above && !below && part.Organisation != g.row.Grantor {
				t.Fatalf("grants are given by owners: %v gave %v at height %d, of which a part belonged to %v", g.row.Grantor, record.IDOf(g.k), g.row.Granted, part.Organisation)
			}
		}
	}
}

// accessComplete: derivations are checked against all grants that count in this block or
// may come to.
func (v *invariants) accessComplete(t simtest.TB, all rows) {
	for _, g := range family(t, all, record.FamilyGrant, record.ParseGrant) {
		if g.row.Revoked != 0 && g.row.Revoked <= v.c.Height || g.row.Until != 0 && g.row.Until <= v.c.Time {
			continue
		}
		access, err := record.ParseAccess(all.values[record.AccessRow(g.row.Grantee, g.row.Stream)])
		if err != nil || !slices.Contains(access.Grants, record.IDOf(g.k)) {
			t.Fatalf("access names what counts: at height %d the grant %v of %v on %v is not among %v (%v)", v.c.Height, record.IDOf(g.k), g.row.Grantee, g.row.Stream, access.Grants, err)
		}
	}
}
