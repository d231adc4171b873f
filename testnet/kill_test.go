package testnet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"mtmledger/testnet"
)

// rounds is how often TestKill kills, unless MTM_SOAK says otherwise.
const rounds = 10

// TestKill kills device, bridge and validator with SIGKILL at random moments and
// starts them again. In the end the ledger must hold every line of the device's
// file once, in order, and the bridge's accounts must balance. MTM_SOAK sets the
// number of kills, MTM_SEED the seed.
func TestKill(t *testing.T) {
	kills, seed := number(t, "MTM_SOAK", rounds), number(t, "MTM_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("seed %d, %d kills (MTM_SEED=%d MTM_SOAK=%d repeats this)", seed, kills, seed, kills)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Duration(kills)*20*time.Second)
	defer cancel()
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	k := &killer{t: t, n: start(t, ctx, 1), file: lines(t, kills*1500), random: random}
	k.restart(ctx, "device-"+deviceName)
	for i := range kills {
		k.round(ctx, i)
	}
	k.finish(ctx)
}

func number(t *testing.T, name string, def int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		t.Fatalf("%s=%q: want a positive number", name, text)
	}
	return v
}

type killer struct {
	t      *testing.T
	n      *testnet.Net
	file   string
	random *rand.Rand
}

// round waits a random time, kills one process or two, starts them again after
// another random time, and waits until readings are committed again.
func (k *killer) round(ctx context.Context, i int) {
	names := []string{"device-" + deviceName, "bridge", "validator-0"}
	victims := []string{names[i%len(names)]} // each gets its turn, alone or with another
	if other := names[k.random.IntN(len(names))]; other != victims[0] && k.random.IntN(2) == 0 {
		victims = append(victims, other)
	}
	k.pause(ctx, 600*time.Millisecond)
	before := mark(ctx, k.n.Manifest)
	k.t.Logf("kill %d: %v at number %d", i+1, victims, before)
	for _, v := range victims {
		k.n.Process(v).Kill()
	}
	k.pause(ctx, 400*time.Millisecond)
	for _, v := range victims {
		k.restart(ctx, v)
	}
	until(k.t, ctx, "readings are committed after kill "+strconv.Itoa(i+1), func() bool {
		return mark(ctx, k.n.Manifest) > before || !k.n.Process("device-"+deviceName).Running()
	})
}

// pause lets a random time pass: the moment is what is being tried, nothing is
// waited for.
func (k *killer) pause(ctx context.Context, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(k.random.Int64N(int64(most)))):
	}
}

func (k *killer) restart(ctx context.Context, name string) {
	k.t.Helper()
	var err error
	switch name {
	case "bridge":
		_, err = k.n.StartBridge()
	case "validator-0":
		_, err = k.n.StartValidator(0)
	default:
		_, err = k.n.StartDevice(deviceName, "--replay", k.file, "--readings-per-statement", "3", "--every", "10ms")
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// finish lets the device send the rest, and compares.
func (k *killer) finish(ctx context.Context) {
	t, m := k.t, k.n.Manifest
	device := k.n.Process("device-" + deviceName)
	device.Kill() // the rest goes without pauses
	device, err := k.n.StartDevice(deviceName, "--replay", k.file, "--readings-per-statement", "500")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-device.Done():
	case <-ctx.Done():
		t.Fatal("the device did not finish")
	}
	if err := device.Err(); err != nil {
		t.Fatalf("the device failed: %v\n%s", err, device.LogTail())
	}
	want, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mtm(ctx, "export", "--home", m.Dir, "--stream", streamName)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the ledger holds %d bytes, the file %d: something was lost or came twice", len(got), len(want))
	}
	k.accounts(ctx)
}

// accounts checks the bridge's accounts once it has decided on everything.
func (k *killer) accounts(ctx context.Context) {
	var status struct {
		Agree      bool `json:"agree"`
		Validators []struct {
			LogSize uint64 `json:"log_size"`
		} `json:"validators"`
		Bridge struct {
			Counts struct {
				Received     uint64 `json:"received"`
				Committed    uint64 `json:"committed"`
				Duplicate    uint64 `json:"duplicate"`
				DeadLettered uint64 `json:"dead_lettered"`
				Spooled      uint64 `json:"spooled"`
			} `json:"accounting"`
		} `json:"bridge"`
	}
	c := &status.Bridge.Counts
	until(k.t, ctx, "the bridge has decided on everything", func() bool {
		out, err := mtm(ctx, "status", "--home", k.n.Manifest.Dir, "--json")
		if err != nil {
			return false
		}
		if err := json.Unmarshal(out, &status); err != nil {
			k.t.Fatal(err)
		}
		return c.Received > 0 && c.Spooled == 0
	})
	k.t.Logf("accounts: %+v", *c)
	if c.Received != c.Committed+c.Duplicate+c.DeadLettered+c.Spooled {
		k.t.Errorf("received %d != committed %d + duplicate %d + dead-lettered %d + spooled %d",
			c.Received, c.Committed, c.Duplicate, c.DeadLettered, c.Spooled)
	}
	// A crash, or a result that came too late, can make a committed statement count as
	// a duplicate of itself.
	statements := status.Validators[0].LogSize - 3 // genesis, enrolment, opening
	if statements < c.Committed || statements > c.Committed+c.Duplicate {
		k.t.Errorf("%d statements in the log, accounts %+v", statements, *c)
	}
	if c.DeadLettered != 0 || c.Committed == 0 || !status.Agree {
		k.t.Errorf("accounts %+v, agree %v", *c, status.Agree)
	}
}
