package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rogpeppe/go-internal/testscript"

	"mtmledger/crypto"
	"mtmledger/internal/port"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mtm": func() { os.Exit(mainCode()) }})
}

// TestScript runs the scripts of testdata/script: every command, refusals
// included. Commands of their own: exits CODE PROGRAM..., eventually PROGRAM...,
// address NAME (a free address on loopback), publish ADDRESS TOPIC TEXT,
// statement HOME STREAM NUMBER TEXT FILE (signed by the stream's device), derive
// ADDRESS HOME STREAM NUMBER INPUT FIRST LAST (a derived statement, published), devices
// HOME NUMBER KEYS PROOFS (files of public keys and proofs of possession, in two orders).
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TMPDIR", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "eventually": eventually, "address": address, "publish": publish, "statement": signStatement,
			"derive": derive, "devices": devicesElsewhere,
		},
	})
}

// devicesElsewhere makes keys and writes what their devices would send.
func devicesElsewhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: devices HOME NUMBER KEYS PROOFS")
	}
	m, err := testnet.Load(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var keys, proofs []string
	for range n {
		key, err := crypto.GenerateKey()
		ts.Check(err)
		p, err := ledger.SignPossession(key, m.Chain, m.Organisation.ID)
		ts.Check(err)
		keys = append(keys, key.Public().String())
		proofs = append(proofs, base64.StdEncoding.EncodeToString(p.Bytes()))
	}
	slices.Sort(proofs)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(keys, "\n")), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(strings.Join(proofs, "\n")), 0o600))
}

// exits runs a program that must end with the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// eventually runs a program until it ends with exit code 0.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: eventually PROGRAM [ARGUMENT...]")
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within 30 s: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// address sets a variable to a free address on loopback.
func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: address NAME")
	}
	free, err := port.Free("127.0.0.1", 1)
	ts.Check(err)
	ts.Setenv(args[0], free[0])
}

// publish publishes a text by MQTT with QoS 1 and waits for the PUBACK.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: publish ADDRESS TOPIC TEXT")
	}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + args[0]).SetProtocolVersion(4).SetClientID("script").
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	c := mqtt.NewClient(o)
	defer c.Disconnect(100)
	ts.Check(done(c.Connect(), "connect"))
	ts.Check(done(c.Publish(args[1], 1, false, args[2]), "publish"))
}

func done(t mqtt.Token, what string) error {
	if !t.WaitTimeout(20 * time.Second) {
		return fmt.Errorf("%s: no answer", what)
	}
	return t.Error()
}
