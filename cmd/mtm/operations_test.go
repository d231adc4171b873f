package main

import (
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"mtmledger/ledger"
	"mtmledger/testnet"
)

// signStatement writes a statement of one reading as the stream's device signs it.
func signStatement(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: statement HOME STREAM NUMBER TEXT FILE")
	}
	m, err := testnet.Load(ts.MkAbs(args[0]))
	ts.Check(err)
	d, s, err := m.Stream(args[1])
	ts.Check(err)
	key, err := m.DeviceKey(&d)
	ts.Check(err)
	first, err := strconv.ParseUint(args[2], 10, 63)
	ts.Check(err)
	signed, err := ledger.SignStatement(key, ledger.Statement{
		Device: d.ID, Stream: s.ID, First: first, Readings: []ledger.Reading{{Content: []byte(args[3])}},
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), signed.Bytes(), 0o600))
}
