package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/device"
	"mtmledger/mqttbridge/broker"
)

const chain = "uplink-test"

// bridge is a broker that stores nothing and answers when told to.
type bridge struct {
	t   *testing.T
	key crypto.PrivateKey
	b   *broker.Broker

	mu       sync.Mutex
	silent   bool
	code     ledger.Code
	received []uint64 // first numbers, as often as they came
}

func newBridge(t *testing.T) *bridge {
	t.Helper()
	b, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	f := &bridge{t: t, key: crypto.KeyFromSeed([32]byte{9}), b: b}
	if err := b.Start(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return f
}

func (f *bridge) Receive(_ string, payload []byte, receipt broker.Receipt, id uint32) error {
	s, err := ledger.ParseStatement(payload)
	if err != nil {
		f.t.Errorf("the device sent garbage: %v", err)
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received = append(f.received, s.First)
	receipt.Stored(id, nil)
	if f.silent {
		return nil
	}
	o := ledger.Outcome{
		Stream: s.Stream, First: s.First, Count: uint64(len(s.Readings)), Digest: s.Digest(), Code: f.code,
	}
	if f.code == ledger.CodeOK {
		o.Height, o.Index = 5, 7
	}
	signed, err := ledger.SignAcknowledgement(f.key, ledger.Acknowledgement{
		Chain: chain, Bridge: ledger.BridgeID(f.key.Public()), Outcomes: []ledger.Outcome{o},
	})
	if err != nil {
		f.t.Errorf("acknowledgement: %v", err)
		return nil
	}
	go func() { _ = f.b.Publish(ledger.AckTopic(s.Device), signed.Bytes()) }()
	return nil
}

func (f *bridge) set(silent bool, code ledger.Code) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent, f.code = silent, code
}

func (f *bridge) got() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.received)
}

func open(t *testing.T, dir string, f *bridge) *Link {
	t.Helper()
	return openAt(t, dir, f, f.b.Addr().String())
}

func openAt(t *testing.T, dir string, f *bridge, addr string) *Link {
	t.Helper()
	l, err := Open(Config{
		Device: device.Config{Dir: dir, Key: crypto.KeyFromSeed([32]byte{1}), Chain: chain, Bridges: []crypto.PublicKey{f.key.Public()}},
		Broker: "tcp://" + addr,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t *testing.T, ctx context.Context, l *Link, n int) {
	t.Helper()
	s, err := l.Stream("s", ledger.Media{Format: 42})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := l.Send(ctx, s, ledger.Reading{Content: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f := newBridge(t)
	l := open(t, t.TempDir(), f)
	defer l.Close()
	send(t, ctx, l, window+100) // more than the window: Send waits
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	s := l.Stats()
	if s.Sent != window+100 || s.Acknowledged != s.Sent || s.Pending != 0 || s.LastHeight != 5 || len(s.Latency) != window+100 {
		t.Errorf("stats %+v", s)
	}
	if got := f.got(); len(got) != window+100 {
		t.Errorf("%d messages for %d statements: some went twice", len(got), window+100)
	}
}

// TestKept checks that what is not acknowledged is sent again in the next run.
func TestKept(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f, dir := newBridge(t), t.TempDir()
	f.set(true, ledger.CodeOK)
	l := open(t, dir, f)
	send(t, ctx, l, 3)
	if err := l.until(ctx, func() bool { return len(f.got()) == 3 }); err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if err := l.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain without acknowledgements: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f.set(false, ledger.CodeOK)
	l = open(t, dir, f)
	defer l.Close()
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Acknowledged != 3 || s.Sent != 0 {
		t.Errorf("stats of the second run %+v", s)
	}
	if got := f.got(); !slices.Equal(got, []uint64{1, 2, 3, 1, 2, 3}) {
		t.Errorf("the bridge received %v", got)
	}
}

func TestRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f := newBridge(t)
	f.set(false, ledger.CodeUsed)
	l := open(t, t.TempDir(), f)
	defer l.Close()
	send(t, ctx, l, 2)
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Refused != 2 || s.Acknowledged != 0 || s.LastRefusal == "" || len(l.Refused()) != 2 {
		t.Errorf("stats %+v", s)
	}
}

// TestForged checks that only a trusted bridge's acknowledgement counts.
func TestForged(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f := newBridge(t)
	trusted := f.key
	l := open(t, t.TempDir(), f)
	defer l.Close()
	f.mu.Lock()
	f.key = crypto.KeyFromSeed([32]byte{66})
	f.mu.Unlock()
	send(t, ctx, l, 1)
	// Whoever is not the bridge publishes too; the device must still wait.
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if err := l.Drain(short); err == nil {
		t.Error("a forged acknowledgement counted")
	}
	if trusted.Public() == f.key.Public() {
		t.Fatal("the test forged nothing")
	}
}

// refusing stands before a broker and makes its SUBACK a refusal, times times: then
// nothing more comes from the broker on that connection.
func refusing(t *testing.T, f *bridge, times int) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			device, err := l.Accept()
			if err != nil {
				return
			}
			go forward(device, f.b.Addr().String(), n < times)
		}
	}()
	return l.Addr().String()
}

func forward(device net.Conn, addr string, refuse bool) {
	defer device.Close()
	b, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer b.Close()
	go func() {
		defer b.Close()
		io.Copy(b, device)
	}()
	if refuse {
		var suback [5]byte
		io.CopyN(device, b, 4) // CONNACK
		if _, err := io.ReadFull(b, suback[:]); err != nil {
			return
		}
		suback[4] = 0x80
		device.Write(suback[:])
		io.Copy(io.Discard, b)
	}
	io.Copy(device, b)
}

// TestSubscriptionRefused: without a subscription nothing is sent, because no
// acknowledgement could come; the refusal is told, and the device tries again.
func TestSubscriptionRefused(t *testing.T) {
	if refused(&mqtt.PublishToken{}, "x") {
		t.Error("a token of another kind is no refusal")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f := newBridge(t)
	l := openAt(t, t.TempDir(), f, refusing(t, f, 2))
	defer l.Close()
	send(t, ctx, l, 1)
	if err := l.until(ctx, func() bool { return l.Stats().Trouble != "" }); err != nil {
		t.Fatal(err)
	}
	over, end := context.WithCancel(ctx)
	end()
	if err := l.Drain(over); !errors.Is(err, ErrDenied) || !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	if got := f.got(); len(got) != 0 {
		t.Errorf("sent %v without a subscription", got)
	}
	if err := l.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Acknowledged != 1 || s.Trouble != "" {
		t.Errorf("stats %+v", s)
	}
	if got := f.got(); len(got) != 1 {
		t.Errorf("sent %v", got)
	}
}

// TestCloseRefused: a link that waits to connect again can be closed.
func TestCloseRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f := newBridge(t)
	l := openAt(t, t.TempDir(), f, refusing(t, f, 1000))
	if err := l.until(ctx, func() bool { return l.Stats().Trouble != "" }); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l.client.IsConnected() {
		t.Error("still connected, or connecting")
	}
}
