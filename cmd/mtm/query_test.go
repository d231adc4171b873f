package main

import (
	"strconv"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rogpeppe/go-internal/testscript"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// TestAnswersTo: a sound answer to another question is refused.
func TestAnswersTo(t *testing.T) {
	org, device := crypto.ID{1}, crypto.ID{2}
	lo, hi := record.Range(record.FamilyOrganisationDevice, org)
	list, child := proof.ListQuery(lo, hi), record.OrganisationDeviceRow(org, device)
	ask := client.AnswerRequest{Questions: []client.Question{{Query: list, Follow: record.FamilyDevice, History: true}}}
	rows := []proof.Row{{Key: child}}
	about := func(id crypto.ID) proof.Result {
		return proof.Result{Query: proof.AtQuery(record.FamilyDevice, id, 0)}
	}
	page := func(q proof.Query, rows []proof.Row, about ...proof.Result) *proof.Answered {
		return &proof.Answered{Results: append([]proof.Result{{Query: q, Rows: rows}}, about...)}
	}
	asked := func(q proof.Query) proof.Result { return proof.Result{Query: q} }
	deviceLo, deviceHi := record.Range(record.FamilyDevice, device)
	then := client.AnswerRequest{Questions: []client.Question{{Query: list, Follow: record.FamilyDevice, History: true, At: 7}}}
	grant := record.GrantRow(device)
	one := client.AnswerRequest{Questions: []client.Question{{Query: list, Follow: record.FamilyGrant}}}
	last := client.AnswerRequest{Questions: []client.Question{{Query: proof.AtQuery(record.FamilyDevice, device, 7)}}}
	two := client.AnswerRequest{Questions: []client.Question{ask.Questions[0], last.Questions[0]}}
	cover := client.AnswerRequest{Cover: &client.RangeRequest{Stream: crypto.ID{3}, First: 1, Last: 9}}
	covered := func(stream crypto.ID, first, last uint64) *proof.Answered {
		return &proof.Answered{Cover: &proof.Cover{Claim: proof.Claim{Stream: stream, First: first, Last: last}}}
	}
	entries := client.AnswerRequest{Entries: []uint64{4}}
	tests := []struct {
		name string
		q    client.AnswerRequest
		page *proof.Answered
		want bool
	}{
		{"the list", ask, page(list, rows, about(device)), true},
		{"an empty list", ask, page(list, nil), true},
		{"a page of it", ask, page(proof.ListQuery(lo, child), rows, about(device)), true},
		{"an empty page of it", ask, page(proof.ListQuery(lo, child), nil), false},
		{"a page from elsewhere", ask, page(proof.ListQuery(child, hi), rows, about(device)), false},
		{"another list", ask, page(proof.ListQuery(record.Range(record.FamilyOrganisationDevice, device)), nil), false},
		{"its last row only", ask, page(proof.Query{Kind: proof.QueryPredecessor, Lo: lo, Hi: hi}, rows, about(device)), false},
		{"nothing", ask, &proof.Answered{}, false},
		{"nothing about the rows", ask, page(list, rows), false},
		{"about another row", ask, page(list, rows, about(org)), false},
		{"about the row and another", ask, page(list, rows, about(device), about(org)), false},
		{"about the row, as it was", ask, page(list, rows, asked(proof.AtQuery(record.FamilyDevice, device, 3))), false},
		{"about the row, its history", ask, page(list, rows, asked(proof.ListQuery(deviceLo, deviceHi))), false},
		{"about the row, without its beginning", ask, page(list, rows, asked(proof.Query{Kind: proof.QueryPredecessor, Lo: record.DeviceRow(device, 4), Hi: deviceHi})), false},
		{"about the row, another family", ask, page(list, rows, asked(proof.AtQuery(record.FamilyOwner, device, 0))), false},
		{"about the row then", then, page(list, rows, asked(proof.AtQuery(record.FamilyDevice, device, 7))), true},
		{"about the row earlier", then, page(list, rows, asked(proof.AtQuery(record.FamilyDevice, device, 6))), false},
		{"about the row later", then, page(list, rows, about(device)), false},
		{"the row of a child", one, page(list, rows, asked(proof.RowQuery(grant))), true},
		{"another row of a child", one, page(list, rows, asked(proof.RowQuery(record.HistoryRow(record.FamilyGrant, device, 1)))), false},
		{"the row in force", last, page(proof.AtQuery(record.FamilyDevice, device, 7), nil), true},
		{"the row in force earlier", last, page(proof.AtQuery(record.FamilyDevice, device, 3), nil), false},
		{"both", two, page(list, rows, about(device), asked(proof.AtQuery(record.FamilyDevice, device, 7))), true},
		{"the first of both", two, page(list, rows, about(device)), false},
		{"what was not asked", last, page(proof.AtQuery(record.FamilyDevice, device, 7), nil, about(device)), false},
		{"a cover that was not asked for", last, &proof.Answered{Results: []proof.Result{asked(last.Questions[0].Query)}, Cover: &proof.Cover{}}, false},
		{"an entry that was not asked for", last, &proof.Answered{Results: []proof.Result{asked(last.Questions[0].Query)}, Entries: []proof.Entry{{}}}, false},
		{"the cover", cover, covered(crypto.ID{3}, 1, 9), true},
		{"the begin of the cover", cover, covered(crypto.ID{3}, 1, 5), true},
		{"a later part", cover, covered(crypto.ID{3}, 2, 9), false},
		{"a cover of another stream", cover, covered(crypto.ID{4}, 1, 9), false},
		{"no cover", cover, &proof.Answered{}, false},
		{"the entry", entries, &proof.Answered{Entries: []proof.Entry{{Index: 4}}}, true},
		{"another entry", entries, &proof.Answered{Entries: []proof.Entry{{Index: 5}}}, false},
		{"no entry", entries, &proof.Answered{}, false},
	}
	for _, tt := range tests {
		if err := answersTo(tt.q, tt.page); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// derive publishes a statement of one reading that was computed from readings of
// another stream, signed by the stream's device.
func derive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 7 {
		ts.Fatalf("usage: derive ADDRESS HOME STREAM NUMBER INPUT FIRST LAST")
	}
	m, err := testnet.Load(ts.MkAbs(args[1]))
	ts.Check(err)
	d, s, err := m.Stream(args[2])
	ts.Check(err)
	_, from, err := m.Stream(args[4])
	ts.Check(err)
	key, err := m.DeviceKey(&d)
	ts.Check(err)
	var n [3]uint64
	for i, text := range []string{args[3], args[5], args[6]} {
		n[i], err = strconv.ParseUint(text, 10, 63)
		ts.Check(err)
	}
	signed, err := ledger.SignStatement(key, ledger.Statement{
		Device: d.ID, Stream: s.ID, First: n[0], Readings: []ledger.Reading{{Content: []byte("mean")}},
		Inputs: []ledger.Input{{Stream: from.ID, First: n[1], Last: n[2]}},
	})
	ts.Check(err)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + args[0]).SetProtocolVersion(4).SetClientID("derive").
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	c := mqtt.NewClient(o)
	defer c.Disconnect(100)
	ts.Check(done(c.Connect(), "connect"))
	ts.Check(done(c.Publish(ledger.UpTopic(d.ID, s.ID), 1, false, signed.Bytes()), "publish"))
}

// TestTimeRange: statements are chosen by committed, readings by declared time.
func TestTimeRange(t *testing.T) {
	entry := func(first uint64, committed proof.Micros, declared ...int64) proof.CoverPart {
		s := &ledger.Statement{First: first}
		for _, d := range declared {
			s.Readings = append(s.Readings, ledger.Reading{Time: d})
		}
		return proof.CoverPart{Kind: proof.CoverStatement, First: first, Last: s.Last(), Entry: &proof.Entry{Time: committed, Statement: s}}
	}
	c := &proof.Cover{Parts: []proof.CoverPart{
		entry(1, 99e6, 90e6), entry(2, 100e6, 90e6, 95e6), entry(4, 150e6, 0),
		{Kind: proof.CoverMissing, First: 5, Last: 6}, entry(7, 200e6, 180e6, 190e6, 300e6), entry(10, 200e6+1, 190e6),
	}}
	const from, to = "1970-01-01T00:01:40Z", "1970-01-01T00:03:20Z"
	for _, tt := range []struct {
		texts                [4]string
		statements, readings int
	}{
		{[4]string{from, to}, 3, 6},
		{[4]string{from, from}, 1, 2},
		{[4]string{to, to}, 1, 3},
		{[4]string{from, to, "1970-01-01T00:01:35Z"}, 2, 4},
		{[4]string{from, to, "", "1970-01-01T00:01:35Z"}, 1, 2},
		{[4]string{from, to, "1970-01-01T00:01:35Z", "1970-01-01T00:03:00Z"}, 2, 2},
	} {
		r, out := timeRange{texts: tt.texts}, timed{}
		if err := r.parse(); err != nil {
			t.Fatal(err)
		}
		r.choose(&out, c)
		readings := 0
		for _, s := range out.Statements {
			readings += len(s.Readings)
		}
		if len(out.Statements) != tt.statements || readings != tt.readings || out.Verified != 5 || out.Missing != 2 {
			t.Errorf("%v: %d statements, %d readings, %d verified, %d missing", tt.texts, len(out.Statements), readings, out.Verified, out.Missing)
		}
	}
	for _, texts := range [][4]string{{from}, {"", to}, {to, from}, {from, to, to, from}, {"", "", from}, {"yesterday", to}} {
		if err := (&timeRange{texts: texts}).parse(); err == nil {
			t.Errorf("%v: taken", texts)
		}
	}
}
