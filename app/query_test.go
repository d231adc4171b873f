package app

import (
	"bytes"
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// ask queries the application as CometBFT does.
func (c *chain) ask(path string, request, reply query.Message) ledger.Code {
	c.t.Helper()
	return c.askAt(0, path, query.Encode(request), reply)
}

func (c *chain) askAt(height int64, path string, request []byte, reply query.Message) ledger.Code {
	c.t.Helper()
	res, err := c.app.Query(c.t.Context(), &abci.RequestQuery{Path: path, Data: request, Height: height})
	if err != nil {
		c.t.Fatal(err)
	}
	if res.Code != 0 {
		if res.Log == "" {
			c.t.Fatalf("%s: code %d without a text", path, res.Code)
		}
		return ledger.Code(res.Code)
	}
	if err := query.Decode(res.Value, reply); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	return ledger.CodeOK
}

func (c *chain) must(path string, request, reply query.Message) {
	c.t.Helper()
	if code := c.ask(path, request, reply); code != ledger.CodeOK {
		c.t.Fatalf("%s: %v", path, code)
	}
}

func TestQueries(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	tx := l.Batch(d.Statement(2), d.StatementAt(10, 3), d.StatementAt(20, 1))
	res := c.block(tx)[0]

	var s query.StreamInfo
	c.must(query.PathStream, &query.IDRequest{ID: d.Stream}, &s)
	if s.Device != d.ID || s.Name != "press" || s.Owner != l.Organisation || s.Mark != 20 || s.GapCount != 2 ||
		len(s.Gaps) != 2 || s.Gaps[0] != (query.Gap{First: 3, Last: 9}) || s.Gaps[1] != (query.Gap{First: 13, Last: 19}) {
		t.Errorf("stream %+v", s)
	}
	var k query.KeyInfo
	c.must(query.PathKey, &query.KeyRequest{Principal: d.ID, KeyID: d.Key.Public().KeyID()}, &k)
	if k.Key != d.Key.Public() || k.Opens != 2 || k.Closes != 0 {
		t.Errorf("key %+v", k)
	}
	for number, index := range map[uint64]int{1: 0, 2: 0, 3: -1, 9: -1, 10: 1, 12: 1, 13: -1, 20: 2, 21: -1} {
		var f query.Statement
		code := c.ask(query.PathFind, &query.FindRequest{Stream: d.Stream, Number: number}, &f)
		if index < 0 && code != ledger.CodeNotFound || index >= 0 && (code != ledger.CodeOK || f.Index != res.Indexes[index] || f.Height != 2) {
			t.Errorf("number %d: %v, %+v", number, code, f)
		}
	}
	for height, want := range map[uint64]ledger.Code{0: ledger.CodeOK, 2: ledger.CodeOK, 3: ledger.CodeFutureHeight} {
		var f query.Statement
		if code := c.ask(query.PathFind, &query.FindRequest{Stream: d.Stream, Number: 1, Height: height}, &f); code != want {
			t.Errorf("a node at height 2 asked as of %d: %v, want %v", height, code, want)
		}
	}
	var list query.Statements
	c.must(query.PathStatements, &query.StatementsRequest{Stream: d.Stream, From: 11, Count: 1}, &list)
	if len(list.List) != 1 || list.List[0].First != 10 || list.Next != 20 {
		t.Errorf("statements from 11: %+v", list)
	}
	c.testLog(res.Indexes, tx)
}

// TestReadsInForce: what a block records for the next one is not said under its own height.
func TestReadsInForce(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	buyer := ledgertest.Key("buyer")
	to := ledger.OrganisationID(buyer.Public())
	p, err := ledger.SignPossession(buyer, ledgertest.Chain, to)
	if err != nil {
		t.Fatal(err)
	}
	propose := func(body ledger.Body) []byte {
		return l.Operation(now, ledger.Propose{Expires: now + 3600, Body: body})
	}
	taken := func(tx []byte) {
		t.Helper()
		if code := c.block(tx)[0].Code; code != ledger.CodeOK {
			t.Fatal(code)
		}
	}
	taken(propose(ledger.Admit{Name: "Buyer", Keys: []crypto.PublicKey{buyer.Public()}, Threshold: 1, Possession: p}))
	c.block()
	sale := propose(ledger.TransferStream{Stream: d.Stream, To: to, FromNow: true})
	taken(sale)
	op, err := ledger.ParseOperation(sale)
	if err != nil {
		t.Fatal(err)
	}
	approve, err := ledger.SignOperation(buyer, ledger.Operation{
		Chain: ledgertest.Chain, Actor: to, NotAfter: now + 3600, Body: ledger.Approve{Proposal: ledger.MadeID(op.Digest())},
	})
	if err != nil {
		t.Fatal(err)
	}
	said := func() (s query.StreamInfo, device query.DeviceInfo, o query.OrganisationInfo) {
		t.Helper()
		c.must(query.PathStream, &query.IDRequest{ID: d.Stream}, &s)
		var devices query.DeviceList
		c.must(query.PathDevices, &query.ListRequest{Of: l.Organisation, Count: 10}, &devices)
		var organisations query.OrganisationList
		c.must(query.PathOrganisations, &query.ListRequest{Count: 10}, &organisations)
		if devices.Height != uint64(c.height) || organisations.Height != uint64(c.height) || len(devices.List) != 1 || len(organisations.List) != 2 {
			t.Fatalf("%+v, %+v at height %d", devices, organisations, c.height)
		}
		for _, x := range organisations.List {
			if x.Organisation == l.Organisation {
				o = x
			}
		}
		return s, devices.List[0], o
	}
	enrolled := uint64(1)
	for _, r := range c.block(approve.Bytes(), l.Operation(now, ledger.Suspend{Device: d.ID}),
		l.Operation(now, ledger.SetAdmins{Keys: []crypto.PublicKey{l.Admin.Public(), buyer.Public()}, Threshold: 2})) {
		if r.Code != ledger.CodeOK {
			t.Fatal(r.Code)
		}
	}
	if s, device, o := said(); s.Owner != l.Organisation || device.Status != 0 || device.Since != enrolled || o.Threshold != 1 {
		t.Errorf("under the height of the block itself: %+v, %+v, %+v", s, device, o)
	}
	c.block()
	if s, device, o := said(); s.Owner != to || device.Status == 0 || device.Since != uint64(c.height) || o.Threshold != 2 {
		t.Errorf("a block later: %+v, %+v, %+v", s, device, o)
	}
}

func (c *chain) testLog(indexes []uint64, tx []byte) {
	t := c.t
	var e query.Entries
	c.must(query.PathEntries, &query.EntriesRequest{From: 0, Count: 100}, &e)
	if len(e.List) != 6 || e.LogSize != 6 || e.List[0].Height != 0 || e.List[1].Height != 1 || e.List[5].Height != 2 {
		t.Errorf("entries %+v", e)
	}
	c.must(query.PathEntries, &query.EntriesRequest{From: 4, Count: 1}, &e)
	if code := c.ask(query.PathEntries, &query.EntriesRequest{From: 6, Count: 1}, &e); code != ledger.CodeNotFound {
		t.Errorf("entry beyond the log: %v", code)
	}
	var r query.Results
	c.must(query.PathResults, &query.ResultsRequest{Hashes: [][32]byte{{1}, ledger.TxHash(tx)}}, &r)
	if len(r.List) != 1 || r.List[0].Place != 1 || r.List[0].Height != 2 {
		t.Errorf("results %+v", r)
	}
	for h := uint64(0); h <= 2; h++ {
		var info query.HeightInfo
		c.must(query.PathAppHash, &query.HeightRequest{Height: h}, &info)
		want := c.hashes[h]
		if h == 0 { // 0 asks for the last
			want = c.hashes[2]
		}
		if !bytes.Equal(info.AppHash[:], want) {
			t.Errorf("app hash at %d: %x", h, info.AppHash)
		}
	}
	var info query.HeightInfo
	if code := c.ask(query.PathAppHash, &query.HeightRequest{Height: 3}, &info); code != ledger.CodeFutureHeight {
		t.Errorf("app hash at a future height: %v", code)
	}
	var status query.Status
	c.must(query.PathStatus, &query.Empty{}, &status)
	if status.Height != 2 || status.LogSize != 6 || status.SignedHeight != 1 {
		t.Errorf("status %+v", status)
	}
}

// TestListsPage: lists are complete and without repetition at any page size.
func TestListsPage(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	want := map[crypto.ID]bool{}
	streams := map[crypto.ID]bool{}
	for i := range 7 {
		d := c.device(fmt.Sprint("device ", i))
		want[d.ID], streams[d.Stream] = true, true
	}
	for _, of := range []crypto.ID{{}, l.Organisation} {
		for _, n := range []uint64{1, 3, 7, 8} {
			var after crypto.ID
			got := map[crypto.ID]bool{}
			for more := true; more; {
				var page query.DeviceList
				c.must(query.PathDevices, &query.ListRequest{Of: of, After: after, Count: n}, &page)
				for _, d := range page.List {
					if got[d.Device] || d.Organisation != l.Organisation {
						t.Fatalf("device %+v", d)
					}
					got[d.Device], after = true, d.Device
				}
				more = page.More
			}
			if len(got) != len(want) {
				t.Errorf("%d devices in pages of %d, want %d", len(got), n, len(want))
			}
		}
	}
	var page query.StreamList
	c.must(query.PathStreams, &query.ListRequest{Count: 100}, &page)
	if len(page.List) != len(streams) || page.More {
		t.Errorf("%d streams, want %d", len(page.List), len(streams))
	}
	d := l.Device("device 0")
	c.must(query.PathStreams, &query.ListRequest{Of: d.ID, Count: 100}, &page)
	var orgs query.OrganisationList
	c.must(query.PathOrganisations, &query.ListRequest{Count: 100}, &orgs)
	if len(orgs.List) != 1 || orgs.List[0].Name != "Test Works" || orgs.List[0].Organisation != l.Organisation {
		t.Errorf("organisations %+v", orgs)
	}
}

func TestBadQueries(t *testing.T) {
	l := ledgertest.New(t)
	c := newChain(t, l)
	d := c.device("press")
	c.block(l.Batch(d.Statement(2)))
	c.block()
	empty := query.Encode(&query.Empty{})
	certificate := func(first, last uint64) []byte {
		return query.Encode(&query.CertificateRequest{RangeRequest: query.RangeRequest{Stream: d.Stream, First: first, Last: last}})
	}
	tests := []struct {
		name    string
		height  int64
		path    string
		request []byte
		want    ledger.Code
	}{
		{"no path", 0, "", empty, ledger.CodeNotFound},
		{"unknown path", 0, "/nothing", empty, ledger.CodeNotFound},
		{"no request", 0, query.PathTip, nil, ledger.CodeMalformed},
		{"garbage", 0, query.PathStream, []byte("garbage"), ledger.CodeMalformed},
		{"trailing byte", 0, query.PathTip, append(empty, 0), ledger.CodeMalformed},
		{"largest request", 0, query.PathTip, make([]byte, query.MaxRequest), ledger.CodeMalformed},
		{"one larger", 0, query.PathTip, make([]byte, query.MaxRequest+1), ledger.CodeTooLarge},
		{"last height", 3, query.PathTip, empty, ledger.CodeOK},
		{"one before", 2, query.PathTip, empty, ledger.CodeOK},
		{"pruned height", 1, query.PathTip, empty, ledger.CodePruned},
		{"future height", 4, query.PathTip, empty, ledger.CodeFutureHeight},
		{"negative height", -1, query.PathTip, empty, ledger.CodeMalformed},
		{"unknown stream", 0, query.PathStream, query.Encode(&query.IDRequest{}), ledger.CodeUnknownStream},
		{"unknown key", 0, query.PathKey, query.Encode(&query.KeyRequest{}), ledger.CodeUnknownKey},
		{"too many hashes", 0, query.PathResults, query.Encode(&query.ResultsRequest{Hashes: make([][32]byte, query.MaxHashes+1)}), ledger.CodeMalformed},
		{"most hashes", 0, query.PathResults, query.Encode(&query.ResultsRequest{Hashes: make([][32]byte, query.MaxHashes)}), ledger.CodeOK},
		{"certificate without CometBFT", 0, query.PathCertificate, certificate(1, 1), ledger.CodeFutureHeight},
	}
	for _, tt := range tests {
		var reply query.Tip
		var results query.Results
		code := ledger.CodeOK
		if tt.path == query.PathResults {
			code = c.askAt(tt.height, tt.path, tt.request, &results)
		} else {
			code = c.askAt(tt.height, tt.path, tt.request, &reply)
		}
		if code != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, code, tt.want)
		}
	}
}
