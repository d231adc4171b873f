package proof

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// ledgerSize is a simulated ledger: every device with one stream, blocks of
// perBlock entries, an operation row for each enrolment and opening.
type ledgerSize struct {
	devices           int
	entries, perBlock uint64
}

func (l ledgerSize) String() string {
	return fmt.Sprintf("entries=%d/devices=%d/per-block=%d", l.entries, l.devices, l.perBlock)
}

// simulate returns a certificate for one 40-byte reading in the middle of such a
// ledger under four validators, and the trust root. All that would not show in
// the certificate is left out: of the log, all but the number of hashes; of the
// block rows, all but one in each subtree beside the path to the row in question
// (heights that differ from it in one bit), which is a hash however large it is.
func simulate(t testing.TB, l ledgerSize) ([]byte, TrustRoot) {
	f := newFixture(t)
	random := rand.New(rand.NewPCG(1, uint64(l.devices)))
	for i := range l.devices {
		addDevice(f.rows, f.org, f.chain, uint64(i), random)
	}
	f.sign(1_000_000, strings.Repeat("x", 40))
	f.index = l.entries / 2
	f.height = 10 + f.index/l.perBlock
	f.addBlock(f.height, f.index, l.perBlock)
	for bit := uint64(1); bit <= 10+l.entries/l.perBlock; bit <<= 1 {
		if h := f.height ^ bit; h <= 10+l.entries/l.perBlock {
			f.addBlock(h, l.entries, l.perBlock)
		}
	}
	f.queries = RecordQueries(ledger.DeviceID(f.device.Public()), f.device.Public().KeyID(), f.stream, f.height)
	f.header = f.headerAt(10 + l.entries)
	c := &Certificate{
		Claim: Claim{f.stream, 1_000_000, 1_000_000}, Entry: f.statement.Bytes(), Height: f.height, Index: f.index, Size: l.entries,
	}
	leaf := merkle.LeafHash(c.Entry)
	logRoot, err := merkle.VerifyInclusion(leaf, c.Index, c.Size, nil)
	for ; err != nil; logRoot, err = merkle.VerifyInclusion(leaf, c.Index, c.Size, c.LogPath) {
		c.LogPath = append(c.LogPath, testHash(fmt.Sprint("path ", len(c.LogPath))))
	}
	var recordsRoot merkle.Hash
	c.Records, recordsRoot = proveRows(t, f.rows, f.queries)
	f.header.AppHash = merkle.AppHash(c.Size, logRoot, recordsRoot)
	c.Light = signLight(f.header, f.commit, f.signers)
	return c.Encode(), f.root()
}

// addDevice adds the rows that enrolling a device and opening a stream leave.
func addDevice(rows map[merkle.Key][]byte, org crypto.ID, chain string, n uint64, random *rand.Rand) {
	var key crypto.PublicKey
	for i := 0; i < len(key); i += 8 {
		binary.BigEndian.PutUint64(key[i:], random.Uint64())
	}
	height := 3 + n/10
	device := ledger.DeviceID(key)
	stream := ledger.StreamID(chain, device, "temperature")
	since := record.Spans{{From: height}}.Encode()
	rows[record.DeviceRow(device, height)] = record.Device{Organisation: org}.Encode()
	rows[record.KeyRow(device, key.KeyID())] = record.Key{Public: key, Opens: height + 1}.Encode()
	rows[record.OrganisationDeviceRow(org, device)] = since
	rows[record.StreamRow(stream)] = record.StreamHead{Device: device, Mark: n}.Encode()
	rows[record.OwnerRow(stream, height)] = record.Owner{Organisation: org}.Encode()
	rows[record.OrganisationStreamRow(org, stream)] = since
	rows[record.DeviceStreamRow(device, stream)] = record.DeviceStream{Name: "temperature"}.Encode()
	for _, what := range []string{"enrol", "open"} {
		rows[record.OperationRow(crypto.Sum(what, device[:]))] = record.Operation{Height: height, Index: n}.Encode()
	}
}

// TestSize keeps the certificate of one reading under 4 KB for a million
// entries, 10,000 devices and four validators, with blocks of one entry, which
// is the worst.
func TestSize(t *testing.T) {
	const most = 4000
	file, root := simulate(t, ledgerSize{devices: 10_000, entries: 1_000_000, perBlock: 1})
	f, err := Verify(file, root)
	if err != nil {
		t.Fatal(err)
	}
	if len(file) >= most || f.LogSize != 1_000_000 {
		t.Errorf("%d bytes, want under %d", len(file), most)
	}
}

// BenchmarkVerify verifies certificates one after the other: once with a
// Verifier that remembers the light block (many reads at one height), once
// afresh each time. Bytes are those of the certificate file.
func BenchmarkVerify(b *testing.B) {
	for _, l := range []ledgerSize{
		{100, 1_000, 10}, {10_000, 1_000_000, 100}, {10_000, 1_000_000, 1}, {10_000, 1_000_000_000, 1},
	} {
		file, root := simulate(b, l)
		b.Run(l.String()+"/one-height", func(b *testing.B) {
			v, err := NewVerifier(root)
			if err != nil {
				b.Fatal(err)
			}
			run(b, file, v.Verify)
		})
		b.Run(l.String()+"/alone", func(b *testing.B) {
			run(b, file, func(file []byte) (*Finding, error) { return Verify(file, root) })
		})
	}
}

func run(b *testing.B, file []byte, verify func([]byte) (*Finding, error)) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify(file); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(file)), "bytes/certificate")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
}
