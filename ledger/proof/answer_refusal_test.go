package proof

import (
	"fmt"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// answerVariant is one way to make an answer that differs from the sound one, and
// the check that must refuse it. It is also written to the vectors.
type answerVariant struct {
	name, why string
	check     Check
	world     func(w *world)            // changes the ledger or the question: the validators sign it
	answer    func(w *world, a *Answer) // changes the answer after the validators signed
	file      func(file []byte) []byte  // changes the file after it was sealed
	root      func(r *TrustRoot)        // changes the trust root
}

func (v answerVariant) build(t testing.TB) ([]byte, TrustRoot) {
	w := newWorld(t)
	if v.world != nil {
		v.world(w)
	}
	a := w.answer()
	if v.answer != nil {
		v.answer(w, a)
	}
	file, root := a.Encode(), w.root()
	if v.file != nil {
		file = v.file(file)
	}
	if v.root != nil {
		v.root(&root)
	}
	return file, root
}

func answerVariants() []answerVariant {
	return slices.Concat(soundAnswers(), misshapenAnswers(), entryAnswers(), rowAnswers(), coverAnswers(), lightAnswers())
}

func soundAnswers() []answerVariant {
	return []answerVariant{
		{name: "rows and cover", why: "a list, an owner at a height, a stream, one that is not there; numbers 5 to 25"},
		{name: "nothing asked", why: "a proven state", world: func(w *world) { w.queries, w.cover, w.places = nil, nil, nil }},
		{name: "rows only", why: "the path of the log is its root", world: func(w *world) { w.cover, w.places = nil, nil }},
		{name: "entries only", why: "genesis, operation and statement", world: func(w *world) {
			w.queries, w.cover, w.places = nil, nil, []place{{0, 0}, {2, 3}, {5, 4}}
		}},
		{name: "whole log part", why: "one entry, whose log path is empty", world: func(w *world) {
			w.entries, w.queries, w.cover, w.places = w.entries[:1], nil, nil, []place{{0, 0}}
		}},
		{name: "page", why: "the devices from the second key on", world: func(w *world) {
			lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
			page := sortedKeys(w.rows, lo, hi)
			w.queries = []Query{ListQuery(page[1], page[2])}
		}},
		{name: "first page", why: "the first two devices", world: func(w *world) { w.page(0, 2) }},
		{name: "second page", why: "the next two", world: func(w *world) { w.page(2, 4) }},
		{name: "last page", why: "the last one", world: func(w *world) { w.page(4, 5) }},
		{name: "second page, later", why: "as of another height", world: func(w *world) {
			w.header = w.headerAt(9)
			w.page(2, 4)
		}},
		{name: "second page, forked", why: "another state at the same height", world: func(w *world) {
			w.rows[record.GapRow(w.stream, 3)] = record.Gap{Last: 3}.Encode()
			w.page(2, 4)
		}},
		{name: "first part of a cover", why: "5 to 12", world: func(w *world) { w.part(5, 12, place{3, 3}) }},
		{name: "second part of a cover", why: "13 to 16", world: func(w *world) { w.part(13, 16) }},
		{name: "last part of a cover", why: "17 to 25", world: func(w *world) { w.part(17, 25, place{5, 4}) }},
		{name: "cover of a statement", why: "within one", world: func(w *world) { w.cover, w.places = &Claim{w.stream, 18, 18}, []place{{5, 4}} }},
		{name: "cover of a gap", why: "nothing of it is there", world: func(w *world) { w.cover, w.places = &Claim{w.stream, 12, 14}, nil }},
		{name: "cover above the mark", why: "nothing of it is written", world: func(w *world) { w.cover, w.places = &Claim{w.stream, 20, 1 << 62}, nil }},
		{name: "doubtful", why: "the key is declared compromised from height 4 on", world: func(w *world) {
			w.rows[deviceKeyRow(w.fixture)] = record.Key{Public: w.device.Public(), Opens: 3, Closes: 6, Doubtful: 4}.Encode()
		}},
		{name: "one step", why: "the validator set changed once", world: func(w *world) { w.changeSet(5, newSigners("later", laterSet...)) }},
	}
}

// page asks for the devices from one up to another, as a page of the whole list.
func (w *world) page(from, to int) {
	lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
	keys := sortedKeys(w.rows, lo, hi)
	if from > 0 {
		lo, _ = record.Successor(keys[from-1])
	}
	if to < len(keys) {
		hi = keys[to-1]
	}
	w.queries, w.cover, w.places = []Query{ListQuery(lo, hi)}, nil, nil
}

// part asks for a cover only.
func (w *world) part(first, last uint64, statements ...place) {
	w.queries, w.cover, w.places = nil, &Claim{w.stream, first, last}, statements
}

func sortedKeys(rows map[merkle.Key][]byte, lo, hi merkle.Key) []merkle.Key {
	var keys []merkle.Key
	for k := range rows {
		if slices.Compare(lo[:], k[:]) <= 0 && slices.Compare(k[:], hi[:]) <= 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b merkle.Key) int { return slices.Compare(a[:], b[:]) })
	return keys
}

func misshapenAnswers() []answerVariant {
	lo, hi := record.FamilyRange(record.FamilyGap)
	asked := func(q Query) func(*world, *Answer) {
		return func(_ *world, a *Answer) { a.Queries = []Query{q} }
	}
	return []answerVariant{
		{name: "empty", why: "no byte", check: CheckShape, file: func([]byte) []byte { return nil }},
		{name: "a certificate", why: "another kind of file", check: CheckShape, file: func([]byte) []byte { return (&Certificate{Light: parseable()}).Encode() }},
		{name: "unknown form", why: "form 2", check: CheckShape, file: func(b []byte) []byte {
			b[len(answerFrame.magic)] = 2
			return reseal(b)
		}},
		{name: "truncated", why: "the last byte is missing", check: CheckChecksum, file: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "trailing byte", why: "after the end", check: CheckChecksum, file: func(b []byte) []byte { return append(b, 0) }},
		{name: "trailing element", why: "before the checksum", check: CheckShape, file: insertBeforeChecksum},
		{name: "longer checksum", why: "its element has two bytes more, which look like its head", check: CheckShape, file: longerChecksum},
		{name: "changed byte", why: "in the middle", check: CheckChecksum, file: func(b []byte) []byte {
			b[len(b)/2] ^= 1
			return b
		}},
		{name: "unknown kind of query", why: "kind 4", check: CheckShape, answer: asked(Query{4, lo, hi})},
		{name: "list backwards", why: "ends before it begins", check: CheckShape, answer: asked(Query{QueryList, hi, lo})},
		{name: "predecessor backwards", why: "ends before it begins", check: CheckShape, answer: asked(Query{QueryPredecessor, hi, lo})},
	}
}

func entryAnswers() []answerVariant {
	noCover := func(w *world) { w.cover, w.places = nil, []place{{2, 3}, {5, 4}} }
	return []answerVariant{
		{name: "entry is neither", why: "text", check: CheckEntry, world: func(w *world) { w.cover, w.places = nil, []place{{4, 4}} }},
		{name: "no genesis entry", why: "entry 0 is a statement", check: CheckEntry, world: func(w *world) {
			w.entries[0], w.cover, w.places = w.entries[5], nil, []place{{0, 0}}
		}},
		{name: "genesis of another ledger", why: "another chain id", check: CheckEntry, world: func(w *world) {
			w.entries[0], w.cover, w.places = genesisEntry("another"), nil, []place{{0, 0}}
		}},
		{name: "operation on another ledger", why: "another chain id", check: CheckEntry, world: func(w *world) {
			noCover(w)
			chain := w.chain
			w.chain = "another"
			w.entries[2] = w.operation().Bytes()
			w.chain = chain
		}},
		{name: "entry with a trailing byte", why: "not the signed bytes", check: CheckEntry, answer: func(w *world, a *Answer) {
			a.Entries[0].Bytes = append(slices.Clone(a.Entries[0].Bytes), 0)
		}},
		{name: "index beyond the log", why: "the size is 7", check: CheckLog, answer: func(w *world, a *Answer) { a.Entries[1].Index = 7 }},
		{name: "entries backwards", why: "5 before 3", check: CheckLog, answer: func(w *world, a *Answer) { slices.Reverse(a.Entries) }},
		{name: "entry twice", why: "the same index", check: CheckLog, answer: func(w *world, a *Answer) { a.Entries[1] = a.Entries[0] }},
		{name: "log path too short", why: "the last hash is missing", check: CheckLog, answer: func(w *world, a *Answer) { a.LogPath = a.LogPath[:len(a.LogPath)-1] }},
		{name: "log path too long", why: "one hash more", check: CheckLog, answer: func(w *world, a *Answer) { a.LogPath = append(a.LogPath, merkle.Hash{}) }},
		{name: "no log root", why: "without entries, the path is the root", check: CheckLog, world: func(w *world) { w.cover, w.places = nil, nil }, answer: func(w *world, a *Answer) { a.LogPath = nil }},
		{name: "empty log", why: "no log is empty", check: CheckLog, world: func(w *world) { w.cover, w.places = nil, nil }, answer: func(w *world, a *Answer) { a.Size = 0 }},
		{name: "another height", why: "block 3 does not hold entry 5", check: CheckBlock, world: func(w *world) { w.places[1].height = 3 }},
		{name: "empty block", why: "block 2 has no row", check: CheckBlock, world: func(w *world) { w.places[1].height = 2 }},
		{name: "unknown key", why: "the device has no key", check: CheckKey, world: func(w *world) { delete(w.rows, deviceKeyRow(w.fixture)) }},
		{name: "key closed", why: "at height 4", check: CheckKey, world: func(w *world) { setKey(w.fixture, 3, 4) }},
		{name: "key not open yet", why: "at height 4", check: CheckKey, world: func(w *world) { setKey(w.fixture, 4, 0) }},
		{name: "actor's key closed", why: "of the operation", check: CheckKey, world: func(w *world) {
			noCover(w)
			admin := testKey("admin").Public()
			w.rows[record.KeyRow(w.org, admin.KeyID())] = record.Key{Public: admin, Opens: 1, Closes: 3}.Encode()
		}},
		{name: "another signature", why: "the first byte is changed", check: CheckSignature, world: func(w *world) {
			w.entries[5] = slices.Clone(w.entries[5])
			w.entries[5][len(w.entries[5])-64] ^= 1
		}},
		{name: "another signature of the actor", why: "the first byte is changed", check: CheckSignature, world: func(w *world) {
			noCover(w)
			w.entries[2] = slices.Clone(w.entries[2])
			w.entries[2][len(w.entries[2])-64] ^= 1
		}},
		{name: "another entry", why: "the statement of another ledger at the same place", check: CheckCommit, answer: func(w *world, a *Answer) {
			w.sign(17, "0", "0", "0")
			a.Entries[1].Bytes = w.statement.Bytes()
		}},
	}
}

func rowAnswers() []answerVariant {
	more := func(q Query) func(*world, *Answer) {
		return func(_ *world, a *Answer) { a.Queries = append(a.Queries, q) }
	}
	lo, hi := record.FamilyRange(record.FamilyOrganisation)
	return []answerVariant{
		{name: "no partial tree", why: "text", check: CheckRecords, answer: func(w *world, a *Answer) { a.Records = []byte("tree") }},
		{name: "list not proven", why: "it was not asked for", check: CheckRecords, answer: more(ListQuery(lo, hi))},
		{name: "row not proven", why: "it was not asked for", check: CheckRecords, answer: more(RowQuery(record.BlockRow(1)))},
		{name: "predecessor not proven", why: "the last owner", check: CheckRecords, answer: func(w *world, a *Answer) {
			a.Queries = append(a.Queries, AtQuery(record.FamilyOwner, w.stream, 0))
		}},
		{name: "wider page", why: "the range ends one key later than the proof", check: CheckRecords, world: func(w *world) {
			lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
			page := sortedKeys(w.rows, lo, hi)
			w.queries = []Query{ListQuery(lo, page[2])}
		}, answer: func(w *world, a *Answer) {
			lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
			a.Queries = []Query{ListQuery(lo, sortedKeys(w.rows, lo, hi)[3])}
		}},
		{name: "malformed key row", why: "no array", check: CheckRecords, world: func(w *world) { w.rows[deviceKeyRow(w.fixture)] = []byte{0} }},
		{name: "malformed block row", why: "no array", check: CheckRecords, world: func(w *world) { w.rows[record.BlockRow(4)] = []byte{0} }},
		{name: "other records", why: "a device was left out", check: CheckCommit, answer: func(w *world, a *Answer) {
			lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
			delete(w.rows, sortedKeys(w.rows, lo, hi)[2])
			a.Records = w.answer().Records
		}},
		{name: "list too long", why: "1,001 rows", check: CheckRecords, world: func(w *world) { w.addDevices(1001) }},
	}
}

func (w *world) addDevices(n int) {
	lo, hi := record.Range(record.FamilyOrganisationDevice, w.org)
	for _, k := range sortedKeys(w.rows, lo, hi) {
		delete(w.rows, k)
	}
	for i := range n {
		id := crypto.DeriveID("test", fmt.Append(nil, i))
		w.rows[record.OrganisationDeviceRow(w.org, id)] = record.Spans{{From: uint64(i + 1)}}.Encode()
	}
}

func coverAnswers() []answerVariant {
	return []answerVariant{
		{name: "cover of nothing", why: "numbers begin at 1", check: CheckClaim, answer: func(w *world, a *Answer) { a.Cover = &Claim{w.stream, 0, 0} }},
		{name: "cover backwards", why: "ends before it begins", check: CheckClaim, answer: func(w *world, a *Answer) { a.Cover = &Claim{w.stream, 6, 5} }},
		{name: "statement left out", why: "17 to 19", check: CheckCover, world: func(w *world) { w.places = w.places[:1] }},
		{name: "statement beside the range", why: "17 to 19 are not asked for", check: CheckCover, world: func(w *world) { w.cover.Last = 12 }},
		{name: "statement of another stream", why: "it is proven, but not of this stream", check: CheckCover, world: func(w *world) {
			other := *w.fixture
			other.stream[0] ^= 1
			other.sign(6, "x")
			w.entries[6] = other.statement.Bytes()
			w.places = append(w.places, place{6, 6})
		}},
		{name: "operation in a cover", why: "only statements count", check: CheckCover, world: func(w *world) { w.places = slices.Insert(w.places, 0, place{2, 3}) }},
		{name: "number twice", why: "two statements with 17 to 19", check: CheckCover, world: func(w *world) {
			w.entries[6] = w.entries[5]
			w.places = append(w.places, place{6, 6})
		}},
		{name: "number in a statement and in a gap", why: "the gap ends with 17", check: CheckCover, world: func(w *world) {
			w.rows[record.GapRow(w.stream, 11)] = record.Gap{Last: 17}.Encode()
		}},
		{name: "number in neither", why: "the gap ends with 15", check: CheckCover, world: func(w *world) {
			w.rows[record.GapRow(w.stream, 11)] = record.Gap{Last: 15}.Encode()
		}},
		{name: "mark too high", why: "20 is used, but nobody has it", check: CheckCover, world: func(w *world) {
			device := ledger.DeviceID(w.device.Public())
			w.rows[record.StreamRow(w.stream)] = record.StreamHead{Device: device, Mark: 20, Gaps: 1}.Encode()
		}},
		{name: "stream of another device", why: "the statements are not by the stream's device", check: CheckCover, world: func(w *world) {
			w.rows[record.StreamRow(w.stream)] = record.StreamHead{Device: crypto.ID{7}, Mark: 19, Gaps: 1}.Encode()
		}},
		{name: "no such stream", why: "it has no head", check: CheckCover, world: func(w *world) { delete(w.rows, record.StreamRow(w.stream)) }},
		{name: "malformed stream row", why: "no array", check: CheckRecords, world: func(w *world) { w.rows[record.StreamRow(w.stream)] = []byte{0} }},
		{name: "malformed gap row", why: "no array", check: CheckRecords, world: func(w *world) { w.rows[record.GapRow(w.stream, 11)] = []byte{0} }},
		{name: "gap backwards", why: "it ends with 10, before it begins", check: CheckRecords, world: func(w *world) {
			w.rows[record.GapRow(w.stream, 11)] = record.Gap{Last: 10}.Encode()
		}},
		{name: "gap hidden", why: "the wider range needs a gap that is not revealed", check: CheckRecords, world: func(w *world) {
			w.cover, w.places = &Claim{w.stream, 17, 25}, w.places[1:]
			w.rows[record.GapRow(w.stream, 22)] = record.Gap{Last: 23}.Encode()
			w.rows[record.GapRow(w.stream, 40)] = record.Gap{Last: 41}.Encode()
		}, answer: func(w *world, a *Answer) { a.Cover.Last = 45 }},
	}
}

func lightAnswers() []answerVariant {
	return []answerVariant{
		{name: "header too early", why: "not above the height of an entry", check: CheckHeader, world: func(w *world) { w.header = w.headerAt(4) }},
		{name: "block protocol", why: "12", check: CheckHeader, world: func(w *world) { w.header.BlockVersion = 12 }},
		{name: "two of four", why: "half of the power", check: CheckPower, answer: func(w *world, a *Answer) {
			a.Light.Commit.Signatures = a.Light.Commit.Signatures[:2]
		}},
		{name: "another header", why: "its time is changed", check: CheckCommit, answer: func(w *world, a *Answer) { a.Light.Header.Time++ }},
		{name: "another log size", why: "8", check: CheckCommit, world: func(w *world) { w.cover, w.places = nil, nil }, answer: func(w *world, a *Answer) { a.Size++ }},
		{name: "another log root", why: "a changed bit", check: CheckCommit, world: func(w *world) { w.cover, w.places = nil, nil }, answer: func(w *world, a *Answer) { a.LogPath[0][0] ^= 1 }},
		{name: "step that changes nothing", why: "the same set", check: CheckPath, answer: func(w *world, a *Answer) {
			a.Path = []PathStep{w.step(3, w.signers, w.signers)}
		}},
		{name: "step missing", why: "the set of the trust root did not propose", check: CheckTrust, world: func(w *world) {
			w.changeSet(5, newSigners("later", laterSet...))
			w.path = nil
		}},
		{name: "another ledger's validators", why: "a trust root with other keys", check: CheckTrust, root: func(r *TrustRoot) {
			r.Validators = validators(newSigners("another", 10, 10, 10, 10))
		}},
		{name: "another chain", why: "a trust root with another chain id", check: CheckCommit, root: func(r *TrustRoot) { r.Chain = "mtm-test-2" }},
		{name: "unusable trust root", why: "no validators", check: CheckTrust, root: func(r *TrustRoot) { r.Validators = nil }},
	}
}

func TestAnswerRefusals(t *testing.T) {
	seen := make(map[Check]bool)
	for _, v := range answerVariants() {
		file, root := v.build(t)
		if got := answerFails(t, file, root); got != v.check {
			_, err := VerifyAnswer(file, root)
			t.Errorf("%s: check %q, want %q: %v", v.name, got, v.check, err)
		}
		seen[v.check] = true
	}
	for _, c := range []Check{
		"", CheckTrust, CheckShape, CheckChecksum, CheckEntry, CheckLog, CheckRecords, CheckBlock, CheckKey,
		CheckSignature, CheckClaim, CheckCover, CheckHeader, CheckPath, CheckCommit, CheckPower,
	} {
		if !seen[c] {
			t.Errorf("nothing fails check %q", c)
		}
	}
}
