package node

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/ledger"
)

// BenchmarkNode feeds one validator with batches that were signed before, with
// a bounded window in flight, and reports statements/s and latencies.
func BenchmarkNode(b *testing.B) {
	for _, c := range []struct{ readings, batch, streams, window int }{
		{1, 50, 10, 64}, {1, 50, 1000, 64}, {1, 200, 1000, 32}, {100, 10, 1000, 64},
	} {
		name := fmt.Sprintf("readings=%d/batch=%d/streams=%d", c.readings, c.batch, c.streams)
		b.Run(name, func(b *testing.B) { benchNode(b, c.readings, c.batch, c.streams, c.window) })
	}
}

func benchNode(b *testing.B, readings, batch, streams, window int) {
	l := ledgertest.New(b)
	n := startNode(b, newHome(b, l), nil)
	txs := batches(l, fleet(b, l, n, streams), b.N, batch, readings)
	if f := os.Getenv("NODE_PROFILE"); f != "" {
		w, err := os.Create(f)
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		if err := pprof.StartCPUProfile(w); err != nil {
			b.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	b.ResetTimer()
	start := time.Now()
	lat := feed(b, n, txs, window)
	took := time.Since(start)
	b.ReportMetric(float64(len(txs)*batch)/took.Seconds(), "statements/s")
	slices.Sort(lat)
	b.ReportMetric(float64(lat[len(lat)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lat[len(lat)*99/100].Microseconds())/1000, "p99-ms")
	s, err := n.Client().Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(s.DiskBytes)/float64(len(txs)*batch*readings), "disk-B/reading")
	b.ReportMetric(float64(s.Height), "blocks")
}

// fleet enrols devices and opens a stream for each.
func fleet(b *testing.B, l *ledgertest.Ledger, n *Node, streams int) []*ledgertest.Device {
	devices := make([]*ledgertest.Device, streams)
	now := time.Now().Unix()
	var wg sync.WaitGroup
	for i := range devices {
		devices[i] = l.Device(fmt.Sprint("device ", i))
		enrol := devices[i].Enrol(now)
		wg.Go(func() { commit(b, n.Client(), enrol) })
	}
	wg.Wait()
	for _, d := range devices {
		open := d.Open(now)
		wg.Go(func() { commit(b, n.Client(), open) })
	}
	wg.Wait()
	return devices
}

// batches makes transactions of the devices' next statements, in turn.
func batches(l *ledgertest.Ledger, devices []*ledgertest.Device, n, batch, readings int) [][]byte {
	txs := make([][]byte, n)
	next := 0
	for i := range txs {
		var raws [][]byte
		for range batch {
			raws = append(raws, devices[next%len(devices)].Statement(readings))
			next++
		}
		txs[i] = l.Batch(raws...)
	}
	return txs
}

// BenchmarkCertificate asks one validator with 1,000 devices and 50,000 entries
// for certificates, and reports their size.
func BenchmarkCertificate(b *testing.B) {
	l := ledgertest.New(b)
	n := startNode(b, newHome(b, l), nil)
	devices := fleet(b, l, n, 1000)
	feed(b, n, batches(l, devices, 250, 200, 1), 32)
	certificate(b, n.Client(), devices[0].Stream, 50, 50)
	size := 0
	b.ResetTimer()
	for i := range b.N {
		file, err := n.Client().Certificate(b.Context(), devices[i%1000].Stream, uint64(1+i%50), uint64(1+i%50))
		if err != nil {
			b.Fatal(err)
		}
		size += len(file)
	}
	b.ReportMetric(float64(size)/float64(b.N), "bytes")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
}

// feed submits all transactions, window at a time, and returns the time each
// took to be committed.
func feed(b *testing.B, n *Node, txs [][]byte, window int) []time.Duration {
	slots := make(chan struct{}, window)
	lat := make([]time.Duration, len(txs))
	var wg sync.WaitGroup
	for i, tx := range txs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			start := time.Now()
			if err := n.Client().Submit(context.Background(), tx); err != nil {
				b.Error(err)
				return
			}
			res, err := n.Client().Wait(context.Background(), ledger.TxHash(tx))
			if err != nil || res.Code != ledger.CodeOK {
				b.Errorf("%v %v", res, err)
			}
			for _, c := range res.Codes {
				if c != ledger.CodeOK {
					b.Errorf("statement refused: %v", c)
					break
				}
			}
			lat[i] = time.Since(start)
		})
	}
	wg.Wait()
	return lat
}
