package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Result is what the generator measured.
type Result struct {
	Seconds        float64           `json:"seconds"`
	Statements     uint64            `json:"statements"` // acknowledged as committed while measuring
	Readings       uint64            `json:"readings"`
	ReadingsPerSec float64           `json:"readings_per_s"`
	LatencyP50     float64           `json:"latency_p50_ms"` // from publishing to the acknowledgement
	LatencyP99     float64           `json:"latency_p99_ms"`
	Presigned      uint64            `json:"presigned"`         // statements sent that were signed before
	SignedOnTheFly uint64            `json:"signed_on_the_fly"` // and while sending
	StatementBytes int               `json:"statement_bytes"`
	Refused        map[string]uint64 `json:"refused,omitempty"` // by code
	Resent         uint64            `json:"resent"`
	Unanswered     int               `json:"unanswered"` // at the end, after waiting
	Total          uint64            `json:"total_statements"`
}

// Limits of waiting for acknowledgements.
const (
	resendAfter = 15 * time.Second
	drainTime   = 60 * time.Second
)

type pending struct {
	sent    time.Time // of the first sending
	again   time.Time // when to send again
	dev     *device
	topic   string
	payload []byte
}

type place struct {
	stream crypto.ID
	first  uint64
}

// generator is a running load.
type generator struct {
	plan   Plan
	window chan struct{}

	mu       sync.Mutex
	pending  map[place]*pending
	refused  map[string]uint64
	latency  []time.Duration
	measured bool

	acked, presigned, fly, resent, total atomic.Uint64
	size                                 atomic.Int64
}

// Run sends the load. It says "begin" and "end", a line each, on events when it
// begins and ends to measure.
func Run(ctx context.Context, p Plan, events io.Writer) (Result, error) {
	if err := p.Check(); err != nil {
		return Result{}, err
	}
	g := &generator{
		plan: p, window: make(chan struct{}, p.Window),
		pending: map[place]*pending{}, refused: map[string]uint64{},
	}
	devices, err := g.connect(ctx)
	if err != nil {
		return Result{}, err
	}
	failed := make(chan error, 3*len(devices)+1)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var senders sync.WaitGroup
	for _, d := range devices {
		defer d.conn.c.Close()
		go func() { failed <- g.receive(d) }()
		senders.Go(func() {
			if err := g.send(sending, d); err != nil {
				failed <- err
			}
		})
	}
	go g.resend(sending)
	result, err := g.measure(ctx, events, failed)
	stop()
	senders.Wait()
	if err != nil {
		return result, err
	}
	g.drain(ctx)
	g.finish(&result)
	return result, nil
}

// measure waits through warming up and measuring.
func (g *generator) measure(ctx context.Context, events io.Writer, failed <-chan error) (r Result, err error) {
	if err := wait(ctx, g.plan.Warm, failed); err != nil {
		return r, err
	}
	g.setMeasured(true)
	begin, before := time.Now(), g.acked.Load()
	if _, err := fmt.Fprintln(events, "begin"); err != nil {
		return r, err
	}
	if err := wait(ctx, g.plan.For, failed); err != nil {
		return r, err
	}
	r.Statements = g.acked.Load() - before
	r.Seconds = time.Since(begin).Seconds()
	g.setMeasured(false)
	_, err = fmt.Fprintln(events, "end")
	return r, err
}

func wait(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

func (g *generator) setMeasured(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.measured = on
}

// drain waits until everything sent is answered, but not for ever.
func (g *generator) drain(ctx context.Context) {
	resending, stop := context.WithCancel(ctx)
	defer stop()
	go g.resend(resending)
	deadline := time.Now().Add(drainTime)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for g.unanswered() > 0 && time.Now().Before(deadline) && ctx.Err() == nil {
		<-tick.C
	}
}

func (g *generator) unanswered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.pending)
}

func (g *generator) finish(r *Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.latency)
	at := func(q float64) float64 {
		if len(g.latency) == 0 {
			return 0
		}
		return g.latency[int(q*float64(len(g.latency)-1))].Seconds() * 1000
	}
	r.Readings = r.Statements * uint64(g.plan.Count)
	r.ReadingsPerSec = float64(r.Readings) / r.Seconds
	r.LatencyP50, r.LatencyP99 = at(0.5), at(0.99)
	r.Presigned, r.SignedOnTheFly, r.Resent = g.presigned.Load(), g.fly.Load(), g.resent.Load()
	r.StatementBytes, r.Refused, r.Unanswered, r.Total = int(g.size.Load()), g.refused, len(g.pending), g.total.Load()
}

// receive handles what comes for one device until its connection ends.
func (g *generator) receive(d *device) error {
	for {
		kind, body, err := d.conn.read()
		if err != nil {
			return err
		}
		if kind&0xf0 != packetPublish {
			continue // a PUBACK: durable at the bridge, but not yet committed
		}
		payload, err := message(body)
		if err != nil {
			return err
		}
		ack, err := ledger.ParseAcknowledgement(payload)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		now := time.Now()
		for i := range ack.Outcomes {
			o := &ack.Outcomes[i]
			g.answered(place{o.Stream, o.First}, o.Code, now)
		}
	}
}

func (g *generator) answered(at place, code ledger.Code, now time.Time) {
	g.mu.Lock()
	p, ok := g.pending[at]
	delete(g.pending, at)
	if ok && code != ledger.CodeOK {
		g.refused[code.String()]++
	}
	if ok && code == ledger.CodeOK && g.measured {
		g.latency = append(g.latency, now.Sub(p.sent))
	}
	g.mu.Unlock()
	if !ok {
		return // answered before
	}
	if code == ledger.CodeOK {
		g.acked.Add(1)
	}
	<-g.window
}

// resend sends again what has waited too long: acknowledgements may be lost.
func (g *generator) resend(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, p := range g.overdue(now) {
				g.resent.Add(1)
				if errors.Join(p.dev.conn.publish(p.topic, p.payload), p.dev.conn.flush()) != nil {
					return // receive sees the broken connection too and reports it
				}
			}
		}
	}
}

func (g *generator) overdue(now time.Time) []*pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []*pending
	for _, p := range g.pending {
		if now.After(p.again) {
			p.again = now.Add(resendAfter)
			list = append(list, p)
		}
	}
	return list
}
