package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// device signs and sends for the streams of one device.
type device struct {
	key     crypto.PrivateKey
	id      crypto.ID
	streams []crypto.ID
	topics  []string
	next    int // place in streams
	numbers []uint64
	ready   []signed // signed before, in the order of sending
	conn    *conn
}

type signed struct {
	stream  int // place in streams
	first   uint64
	payload []byte
}

// connect makes all devices, presigns, and connects them.
func (g *generator) connect(ctx context.Context) ([]*device, error) {
	p := g.plan
	devices := make([]*device, p.Devices)
	for i := range devices {
		key := p.Key(i)
		devices[i] = &device{key: key, id: ledger.DeviceID(key.Public())}
	}
	for j := range p.Streams {
		d := devices[p.DeviceOf(j)]
		id := ledger.StreamID(p.Chain, d.id, StreamName(j))
		d.streams, d.numbers = append(d.streams, id), append(d.numbers, 1)
		d.topics = append(d.topics, ledger.UpTopic(d.id, id))
	}
	if err := g.presign(ctx, devices); err != nil {
		return nil, err
	}
	for _, d := range devices {
		c, err := dial(p.MQTT, d.id.String(), ledger.AckTopic(d.id))
		if err != nil {
			return nil, err
		}
		d.conn = c
	}
	return devices, nil
}

// presign signs the planned number of statements on all cores.
func (g *generator) presign(ctx context.Context, devices []*device) error {
	work := make(chan *device)
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	for range runtime.NumCPU() {
		group.Go(func() {
			for d := range work {
				if err := g.presignDevice(ctx, d, g.plan.Presign/len(devices)); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	for _, d := range devices {
		work <- d
	}
	close(work)
	group.Wait()
	return first
}

func (g *generator) presignDevice(ctx context.Context, d *device, n int) error {
	for range n {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s, err := d.sign(g.plan)
		if err != nil {
			return err
		}
		d.ready = append(d.ready, s)
	}
	return nil
}

// sign makes the next statement of the next stream.
func (d *device) sign(p Plan) (signed, error) {
	at := d.next
	d.next = (d.next + 1) % len(d.streams)
	first := d.numbers[at]
	d.numbers[at] += uint64(p.Count)
	now := time.Now().UnixMicro()
	readings := make([]ledger.Reading, p.Count)
	for i := range readings {
		content := make([]byte, p.Bytes)
		copy(content, fmt.Sprintf("%d %d", at, first+uint64(i)))
		readings[i] = ledger.Reading{Time: now + int64(i)*1000, Content: content}
	}
	s, err := ledger.SignStatement(d.key, ledger.Statement{
		Device: d.id, Stream: d.streams[at], First: first,
		Media: ledger.Media{Format: 42}, Readings: readings, // 42: application/octet-stream
	})
	if err != nil {
		return signed{}, fmt.Errorf("load: %w", err)
	}
	return signed{at, first, s.Bytes()}, nil
}

// send sends until ctx ends, at the planned rate and within the window.
func (g *generator) send(ctx context.Context, d *device) error {
	defer func() { _ = d.conn.flush() }() // receive sees a broken connection too
	perSecond := g.plan.Rate / float64(g.plan.Count) / float64(g.plan.Devices)
	start := time.Now()
	for n := 0; ; n++ {
		if g.plan.Rate > 0 {
			due := start.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
			if err := d.await(ctx, time.Until(due)); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
		if err := g.acquire(ctx, d); err != nil {
			return ignoreEnd(ctx, err)
		}
		if err := g.sendOne(d); err != nil {
			return err
		}
	}
}

// await flushes and waits until something is due.
func (d *device) await(ctx context.Context, pause time.Duration) error {
	if pause <= 0 {
		return ctx.Err()
	}
	if err := d.conn.flush(); err != nil {
		return err
	}
	return wait(ctx, pause, nil)
}

// acquire takes a place in the window; before it waits it flushes.
func (g *generator) acquire(ctx context.Context, d *device) error {
	select {
	case g.window <- struct{}{}:
		return nil
	default:
	}
	if err := d.conn.flush(); err != nil {
		return err
	}
	select {
	case g.window <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ignoreEnd makes nothing of an error that ctx's end explains.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (g *generator) sendOne(d *device) error {
	s, err := g.take(d)
	if err != nil {
		return err
	}
	now := time.Now()
	g.size.Store(int64(len(s.payload)))
	g.mu.Lock()
	g.pending[place{d.streams[s.stream], s.first}] = &pending{
		sent: now, again: now.Add(resendAfter), dev: d, topic: d.topics[s.stream], payload: s.payload,
	}
	g.mu.Unlock()
	g.total.Add(1)
	return d.conn.publish(d.topics[s.stream], s.payload)
}

// take returns the next statement: one signed before, or a new one.
func (g *generator) take(d *device) (signed, error) {
	if len(d.ready) > 0 {
		s := d.ready[0]
		d.ready[0] = signed{}
		d.ready = d.ready[1:]
		g.presigned.Add(1)
		return s, nil
	}
	g.fly.Add(1)
	return d.sign(g.plan)
}
