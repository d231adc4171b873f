package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

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

// TestHelp: every command that does something says what and has an example that calls
// it.
func TestHelp(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			check(sub)
		}
		if cmd.HasSubCommands() {
			return
		}
		if cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
	}
	check(newRoot())
}
