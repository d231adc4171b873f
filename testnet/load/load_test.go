package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/broker"
)

func plan() Plan {
	return Plan{
		Chain: "load-test", Seed: [32]byte{1}, Devices: 2, Streams: 5, Count: 2, Bytes: 40, Rate: 0,
		Window: 20, Presign: 10, Warm: 50 * time.Millisecond, For: 300 * time.Millisecond,
	}
}

func TestPlanCheck(t *testing.T) {
	if err := plan().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Plan){
		"no devices":          func(p *Plan) { p.Devices = 0 },
		"fewer streams":       func(p *Plan) { p.Streams = 1 },
		"no readings":         func(p *Plan) { p.Count = 0 },
		"too many readings":   func(p *Plan) { p.Count = ledger.MaxReadings + 1 },
		"too large":           func(p *Plan) { p.Count, p.Bytes = 1000, 60 },
		"negative rate":       func(p *Plan) { p.Rate = -1 },
		"no window":           func(p *Plan) { p.Window = 0 },
		"no time":             func(p *Plan) { p.For = 0 },
		"negative warming up": func(p *Plan) { p.Warm = -1 },
	} {
		p := plan()
		change(&p)
		if err := p.Check(); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Run(context.Background(), p, io.Discard); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: Run: %v", name, err)
		}
	}
}

// acknowledger answers every statement at once, every tenth with a refusal.
type acknowledger struct {
	t    *testing.T
	b    *broker.Broker
	key  crypto.PrivateKey
	mu   sync.Mutex
	seen map[place]bool
	last map[crypto.ID]uint64
}

func (a *acknowledger) Receive(_ string, payload []byte, receipt broker.Receipt, id uint32) error {
	s, err := ledger.ParseStatement(payload)
	if err != nil {
		a.t.Errorf("garbage: %v", err)
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.First != a.last[s.Stream]+1 {
		a.t.Errorf("stream %s: number %d after %d", s.Stream, s.First, a.last[s.Stream])
	}
	a.last[s.Stream] = s.Last()
	a.seen[place{s.Stream, s.First}] = true
	receipt.Stored(id, nil)
	o := ledger.Outcome{
		Stream: s.Stream, First: s.First, Count: uint64(len(s.Readings)), Digest: s.Digest(), Height: 1, Index: 1,
	}
	if len(a.seen)%10 == 0 {
		o.Code, o.Height, o.Index = ledger.CodeClockAhead, 0, 0
	}
	signed, err := ledger.SignAcknowledgement(a.key, ledger.Acknowledgement{
		Chain: "load-test", Bridge: crypto.ID{1}, Outcomes: []ledger.Outcome{o},
	})
	if err != nil {
		a.t.Error(err)
		return nil
	}
	go func() { _ = a.b.Publish(ledger.AckTopic(s.Device), signed.Bytes()) }()
	return nil
}

func TestRun(t *testing.T) {
	b, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &acknowledger{t: t, b: b, key: crypto.KeyFromSeed([32]byte{7}), seen: map[place]bool{}, last: map[crypto.ID]uint64{}}
	if err := b.Start(a); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := plan()
	p.MQTT = b.Addr().String()
	var events bytes.Buffer
	r, err := Run(ctx, p, &events)
	if err != nil {
		t.Fatal(err)
	}
	if events.String() != "begin\nend\n" {
		t.Errorf("events %q", events.String())
	}
	refused := r.Refused[ledger.CodeClockAhead.String()]
	if r.Readings == 0 || r.Readings != 2*r.Statements || r.Unanswered != 0 || refused == 0 || r.LatencyP50 <= 0 {
		t.Errorf("result %+v", r)
	}
	if r.Total != uint64(len(a.seen)) || r.Presigned != 10 || r.Presigned+r.SignedOnTheFly != r.Total {
		t.Errorf("%d statements seen, result %+v", len(a.seen), r)
	}
}

func TestRate(t *testing.T) {
	b, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &acknowledger{t: t, b: b, key: crypto.KeyFromSeed([32]byte{7}), seen: map[place]bool{}, last: map[crypto.ID]uint64{}}
	if err := b.Start(a); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := plan()
	p.MQTT, p.Rate, p.Warm, p.For = b.Addr().String(), 100, 0, 500*time.Millisecond
	r, err := Run(ctx, p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Total == 0 || r.Total > 40 { // 25 statements by the plan; a slow machine may send fewer
		t.Errorf("sent %d statements at 50 a second in half a second", r.Total)
	}
}

// TestRead checks that packets from a broken broker are errors, not trouble.
func TestRead(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "no length": "\x30", "cut": "\x30\x05ab", "too large": "\x30\xff\xff\xff\x7f",
		"endless length": "\x30" + strings.Repeat("\x80", 11),
	} {
		m := &conn{r: bufio.NewReader(strings.NewReader(in))}
		if _, _, err := m.read(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, body := range []string{"", "\x00", "\x00\x05ab"} {
		if _, err := message([]byte(body)); err == nil {
			t.Errorf("message %q: no error", body)
		}
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte{packetConnack, 2, 0, 5}) // not authorised
		_, _ = io.Copy(io.Discard, c)
	}()
	if _, err := dial(l.Addr().String(), "x", "y"); !errors.Is(err, errMQTT) {
		t.Errorf("a refused connection: %v", err)
	}
}
