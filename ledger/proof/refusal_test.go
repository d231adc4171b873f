package proof

import (
	"crypto/sha256"
	"slices"
	"testing"

	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// reseal makes the checksum of a changed file anew, so that the checks beneath
// it are reached.
func reseal(file []byte) []byte {
	if len(file) < sha256.Size {
		return file
	}
	body := slices.Clone(file[:len(file)-sha256.Size])
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

// variant is one way to make a certificate that differs from the sound one, and
// the check that must refuse it; "" if it is still sound. It is also written to
// the vectors, so the order stands.
type variant struct {
	name  string
	why   string
	check Check
	world func(f *fixture)                 // changes the ledger: the validators sign it
	cert  func(f *fixture, c *Certificate) // changes the certificate after the validators signed
	file  func(file []byte) []byte         // changes the file after it was sealed
	root  func(r *TrustRoot)               // changes the trust root
	claim [2]uint64                        // instead of 17..19
}

// build returns the certificate file of a variant, and the trust root.
func (v variant) build(t testing.TB) ([]byte, TrustRoot) {
	f := newFixture(t)
	if v.world != nil {
		v.world(f)
	}
	claim := v.claim
	if claim == [2]uint64{} {
		claim = [2]uint64{17, 19}
	}
	c := f.certificate(claim[0], claim[1])
	if v.cert != nil {
		v.cert(f, c)
	}
	file, root := c.Encode(), f.root()
	if v.file != nil {
		file = v.file(file)
	}
	if v.root != nil {
		v.root(&root)
	}
	return file, root
}

func deviceKeyRow(f *fixture) merkle.Key {
	return record.KeyRow(ledger.DeviceID(f.device.Public()), f.device.Public().KeyID())
}

func setKey(f *fixture, opens, closes uint64) {
	f.rows[deviceKeyRow(f)] = record.Key{Public: f.device.Public(), Opens: opens, Closes: closes}.Encode()
}

// doubtKey lets the device's key be declared compromised, in block 5, from a height on.
func doubtKey(f *fixture, from uint64) {
	f.rows[deviceKeyRow(f)] = record.Key{Public: f.device.Public(), Opens: 3, Closes: 6, Doubtful: from}.Encode()
}

var laterSet = []int64{7, 5, 3}

// allVariants are all certificates that tests and vectors make.
func allVariants() []variant {
	return slices.Concat(soundVariants(), fileVariants(), statementVariants(), rowVariants(), lightVariants(), pathVariants())
}

func soundVariants() []variant {
	return []variant{
		{name: "statement", why: "all readings of a statement"},
		{name: "reading", why: "one reading of a statement", claim: [2]uint64{18, 18}},
		{name: "all signatures", why: "signatures that are not needed are allowed if they are valid", world: func(f *fixture) {
			f.signers = newSigners("validator", 10, 10, 10, 10, 1, 1)
			f.pinned = f.signers
			f.header = f.headerAt(7)
		}, cert: func(f *fixture, c *Certificate) { signAll(f, c) }},
		{name: "one validator", why: "an even smaller network", world: func(f *fixture) {
			f.signers = newSigners("validator", 1)
			f.pinned = f.signers
			f.header = f.headerAt(7)
		}},
		{name: "later round", why: "a round above 0 is part of what is signed", world: func(f *fixture) { f.commit.Round = 3 }},
		{name: "next set differs", why: "the header announces another set for the next height", world: func(f *fixture) {
			f.header.NextValidatorsHash = ValidatorsHash(validators(newSigners("later", laterSet...)))
		}},
		{name: "key closed later", why: "the key closed at the height after", world: func(f *fixture) { setKey(f, 4, 5) }},
		{name: "doubtful", why: "the key is declared compromised from this height on: true, and in doubt", world: func(f *fixture) {
			doubtKey(f, 4)
		}},
		{name: "doubtful later", why: "the key is declared compromised from the next height on", world: func(f *fixture) { doubtKey(f, 5) }},
		{name: "owner changed later", why: "a later owner is not the owner then", world: func(f *fixture) {
			f.rows[record.OwnerRow(f.stream, 5)] = record.Owner{Organisation: ledger.OrganisationID(other().Public())}.Encode()
		}},
		{name: "owner changed at the height", why: "the row at the height itself counts", world: func(f *fixture) {
			f.rows[record.OwnerRow(f.stream, 4)] = record.Owner{Organisation: ledger.OrganisationID(other().Public())}.Encode()
		}},
		{name: "one entry", why: "a log of one entry has an empty path", world: func(f *fixture) {
			f.entries, f.index = f.entries[:1], 0
			f.addBlock(4, 0, 1)
		}},
		{name: "one step", why: "the validator set changed once", world: func(f *fixture) {
			f.changeSet(5, newSigners("later", laterSet...))
		}},
		{name: "two steps", why: "the validator set changed and changed back", world: func(f *fixture) {
			first := f.signers
			f.changeSet(2, newSigners("later", laterSet...))
			f.changeSet(5, first)
		}},
	}
}

// signAll replaces the votes by those of the whole set.
func signAll(f *fixture, c *Certificate) {
	h := c.Light.Header
	c.Light.Commit.Signatures = nil
	hash := h.Hash()
	for i, s := range f.signers {
		msg := c.Light.Commit.SignBytes(h.Chain, h.Height, hash, h.Time)
		c.Light.Commit.Signatures = append(c.Light.Commit.Signatures, CommitSig{uint32(i), h.Time, s.key.Sign(msg)})
	}
}

func fileVariants() []variant {
	return []variant{
		{name: "empty", why: "no byte", check: CheckShape, file: func([]byte) []byte { return nil }},
		{name: "not a certificate", why: "something else", check: CheckShape, file: func([]byte) []byte {
			return []byte("-----BEGIN CERTIFICATE-----\nThis is another kind of certificate.\n-----END CERTIFICATE-----\n")
		}},
		{name: "unknown form", why: "form 2", check: CheckShape, file: func(b []byte) []byte {
			b[len(magic)] = 2
			return reseal(b)
		}},
		{name: "truncated", why: "the last byte is missing", check: CheckChecksum, file: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "truncated and resealed", why: "cut inside the path", check: CheckShape, file: func(b []byte) []byte {
			return reseal(b[:len(b)-3])
		}},
		{name: "trailing byte", why: "a byte after the end", check: CheckChecksum, file: func(b []byte) []byte { return append(b, 0) }},
		{name: "trailing byte and resealed", why: "an element after the path", check: CheckShape, file: insertBeforeChecksum},
		{name: "longer checksum", why: "its element has two bytes more, which look like its head", check: CheckShape, file: longerChecksum},
		{name: "changed byte", why: "in the statement", check: CheckChecksum, file: func(b []byte) []byte {
			b[200] ^= 1
			return b
		}},
		{name: "changed checksum", why: "its last byte", check: CheckChecksum, file: func(b []byte) []byte {
			b[len(b)-1] ^= 1
			return b
		}},
		{name: "checksum of another type", why: "text in place of bytes", check: CheckShape, file: func(b []byte) []byte {
			b[len(b)-checksumSize] = 0x78
			return reseal(b)
		}},
		{name: "long integer", why: "first is not in its shortest form", check: CheckShape, file: func(b []byte) []byte {
			at := len(magic) + 1 + 1 + 17 // after form, array head and stream
			return reseal(slices.Insert(b, at, 0x18))
		}},
		{name: "indefinite array", why: "the outer array", check: CheckShape, file: func(b []byte) []byte {
			b[0] = 0x9f
			return reseal(b)
		}},
		{name: "header time out of range", why: "2^63 nanoseconds", check: CheckShape, cert: func(f *fixture, c *Certificate) {
			c.Light.Header.Time = -1 << 63
		}},
		{name: "header height zero", why: "heights begin at 1", check: CheckShape, cert: func(f *fixture, c *Certificate) {
			c.Light.Header.Height = 0
		}},
		{name: "no parts", why: "a block has at least one part", check: CheckShape, cert: func(f *fixture, c *Certificate) {
			c.Light.Commit.PartsTotal = 0
		}},
		{name: "no parts before", why: "so has the last block", check: CheckShape, cert: func(f *fixture, c *Certificate) {
			c.Light.Header.LastBlockID.PartsTotal = 0
		}},
		{name: "round out of range", why: "2^31", check: CheckShape, cert: func(f *fixture, c *Certificate) { c.Light.Commit.Round = 1 << 31 }},
	}
}

// insertBeforeChecksum puts a null between the path and the checksum.
func insertBeforeChecksum(b []byte) []byte {
	return reseal(slices.Insert(b, len(b)-checksumSize, 0xf6))
}

// longerChecksum makes the last element one of 34 bytes: 58 20, and the checksum.
func longerChecksum(b []byte) []byte {
	return reseal(slices.Concat(b[:len(b)-checksumSize], []byte{0x58, 0x22}, b[len(b)-checksumSize:]))
}

func statementVariants() []variant {
	return []variant{
		{name: "entry is no statement", why: "another kind of entry", check: CheckStatement, cert: func(f *fixture, c *Certificate) {
			c.Entry = dcbor.AppendText(nil, "entry")
		}},
		{name: "entry with a trailing byte", why: "not the signed bytes", check: CheckStatement, cert: func(f *fixture, c *Certificate) {
			c.Entry = append(slices.Clone(c.Entry), 0)
		}},
		{name: "claim about another stream", why: "", check: CheckClaim, cert: func(f *fixture, c *Certificate) { c.Claim.Stream[0] ^= 1 }},
		{name: "claim before the statement", why: "the statement begins at 17", check: CheckClaim, claim: [2]uint64{16, 17}},
		{name: "claim after the statement", why: "the statement ends at 19", check: CheckClaim, claim: [2]uint64{17, 20}},
		{name: "claim backwards", why: "first above last", check: CheckClaim, claim: [2]uint64{19, 18}},
		{name: "claim of nothing", why: "numbers begin at 1", check: CheckClaim, cert: func(f *fixture, c *Certificate) {
			c.Claim.First, c.Claim.Last = 0, 0
		}},
		{name: "claim beside the statement", why: "all of it", check: CheckClaim, claim: [2]uint64{20, 20}},
		{name: "content changed", why: "all the rest is sound and signed by the validators", check: CheckSignature,
			world: func(f *fixture) {
				b := slices.Clone(f.statement.Bytes())
				b[len(b)-67] ^= 1 // the last content
				f.statement = mustParse(f.t, b)
			}},
		{name: "signed by another key", why: "with the kid of the device's key", check: CheckSignature, world: func(f *fixture) {
			sign1 := *f.statement.Sign1
			sig := other().Sign(sign1.SigStructure())
			b := slices.Clone(f.statement.Bytes())
			copy(b[len(b)-len(sig):], sig[:])
			f.statement = mustParse(f.t, b)
		}},
		{name: "index moved", why: "the entry before it", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Index-- }},
		{name: "index beyond the log", why: "", check: CheckLog, cert: func(f *fixture, c *Certificate) { c.Index = c.Size }},
		{name: "log path too short", why: "", check: CheckLog, cert: func(f *fixture, c *Certificate) { c.LogPath = c.LogPath[1:] }},
		{name: "log path too long", why: "", check: CheckLog, cert: func(f *fixture, c *Certificate) {
			c.LogPath = append(slices.Clone(c.LogPath), testHash("more"))
		}},
		{name: "log path swapped", why: "the first two hashes", check: CheckCommit, cert: func(f *fixture, c *Certificate) {
			c.LogPath[0], c.LogPath[1] = c.LogPath[1], c.LogPath[0]
		}},
		{name: "log path changed", why: "one bit of a hash", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.LogPath[1][31] ^= 1 }},
		{name: "log size changed", why: "paths of sizes 7 and 8 have the same length here", check: CheckCommit,
			cert: func(f *fixture, c *Certificate) { c.Size++ }},
		{name: "log size zero", why: "", check: CheckLog, cert: func(f *fixture, c *Certificate) { c.Size = 0 }},
		{name: "entry not in the log", why: "a statement that the device signed and nobody committed", check: CheckCommit,
			cert: replaceEntry},
	}
}

// replaceEntry puts another statement by the same device in place of the entry.
func replaceEntry(f *fixture, c *Certificate) {
	f.sign(17, "99.9", "21.25", "22")
	c.Entry = f.statement.Bytes()
}

func mustParse(t testing.TB, b []byte) *ledger.Statement {
	t.Helper()
	s, err := ledger.ParseStatement(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rowVariants() []variant {
	return slices.Concat(keyVariants(), []variant{
		{name: "records not a tree", why: "", check: CheckRecords, cert: func(f *fixture, c *Certificate) { c.Records = []byte{0xf6} }},
		{name: "records with a trailing byte", why: "", check: CheckRecords, cert: func(f *fixture, c *Certificate) {
			c.Records = append(slices.Clone(c.Records), 0)
		}},
		{name: "records of another state", why: "one more row", check: CheckCommit, cert: func(f *fixture, c *Certificate) {
			f.addBlock(9, 7, 1)
			c.Records, _ = proveRows(f.t, f.rows, f.queries)
		}},
		{name: "key row hidden", why: "the tree has a hash in its place", check: CheckRecords, world: func(f *fixture) {
			f.queries = f.queries[1:]
		}},
		{name: "owner row hidden", why: "", check: CheckRecords, world: func(f *fixture) {
			f.queries = []merkle.Query{f.queries[0], f.queries[2]}
		}},
		{name: "newer owner row hidden", why: "only the first owner is shown, the second has a hash in its place",
			check: CheckRecords, world: func(f *fixture) {
				f.rows[record.OwnerRow(f.stream, 4)] = record.Owner{Organisation: ledger.OrganisationID(other().Public())}.Encode()
				f.queries[1] = merkle.GetQuery(record.OwnerRow(f.stream, 3))
			}},
		{name: "block row hidden", why: "", check: CheckRecords, world: func(f *fixture) { f.queries = f.queries[:2] }},
		{name: "no owner", why: "the stream was opened by nobody", check: CheckOwner, world: func(f *fixture) {
			delete(f.rows, record.OwnerRow(f.stream, 3))
		}},
		{name: "owner only later", why: "", check: CheckOwner, world: func(f *fixture) {
			f.rows[record.OwnerRow(f.stream, 5)] = f.rows[record.OwnerRow(f.stream, 3)]
			delete(f.rows, record.OwnerRow(f.stream, 3))
		}},
		{name: "owner of another stream", why: "", check: CheckOwner, world: func(f *fixture) {
			another := f.stream
			another[15] ^= 1
			f.rows[record.OwnerRow(another, 3)] = f.rows[record.OwnerRow(f.stream, 3)]
			delete(f.rows, record.OwnerRow(f.stream, 3))
		}},
		{name: "owner row malformed", why: "version 2", check: CheckRecords, world: func(f *fixture) {
			f.rows[record.OwnerRow(f.stream, 3)] = []byte{0x82, 0x02, 0x40}
		}},
		{name: "index before the block row", why: "", check: CheckBlock, world: func(f *fixture) { f.addBlock(4, 6, 1) }},
		{name: "index after the block row", why: "", check: CheckBlock, world: func(f *fixture) { f.addBlock(4, 3, 2) }},
		{name: "committed height moved", why: "to a block that added other entries", check: CheckBlock, world: func(f *fixture) {
			f.queries[2] = merkle.GetQuery(record.BlockRow(6))
		}, cert: func(f *fixture, c *Certificate) { c.Height = 6 }},
		{name: "block added nothing", why: "no row at the height", check: CheckBlock, world: func(f *fixture) {
			f.queries[2] = merkle.GetQuery(record.BlockRow(5))
		}, cert: func(f *fixture, c *Certificate) { c.Height = 5 }},
		{name: "block row malformed", why: "no entries", check: CheckRecords, world: func(f *fixture) { f.addBlock(4, 5, 0) }},
	})
}

func keyVariants() []variant {
	return []variant{
		{name: "no key", why: "the device is not enrolled", check: CheckKey, world: func(f *fixture) { delete(f.rows, deviceKeyRow(f)) }},
		{name: "key of another device", why: "", check: CheckKey, world: func(f *fixture) {
			another := ledger.DeviceID(other().Public())
			f.rows[record.KeyRow(another, f.device.Public().KeyID())] = f.rows[deviceKeyRow(f)]
			delete(f.rows, deviceKeyRow(f))
		}},
		{name: "key opened later", why: "at the height after", check: CheckKey, world: func(f *fixture) { setKey(f, 5, 0) }},
		{name: "key closed before", why: "at the height itself", check: CheckKey, world: func(f *fixture) { setKey(f, 3, 4) }},
		{name: "key row of another key", why: "it does not hash to the kid", check: CheckKey, world: func(f *fixture) {
			f.rows[deviceKeyRow(f)] = record.Key{Public: other().Public(), Opens: 3}.Encode()
		}},
		{name: "key row malformed", why: "trailing byte", check: CheckRecords, world: func(f *fixture) {
			f.rows[deviceKeyRow(f)] = append(f.rows[deviceKeyRow(f)], 0)
		}},
	}
}

func TestVariants(t *testing.T) {
	names := make(map[string]bool)
	for _, v := range allVariants() {
		if names[v.name] {
			t.Errorf("%s: the name stands twice", v.name)
		}
		names[v.name] = true
		t.Run(v.name, func(t *testing.T) {
			file, root := v.build(t)
			_, err := Verify(file, root)
			if got := failing(t, file, root); got != v.check {
				t.Errorf("check %q, want %q: %v", got, v.check, err)
			}
		})
	}
}
