package mqttbridge

import (
	"fmt"
	"runtime"
	"testing"

	"mtmledger/mqttbridge/broker"
)

// BenchmarkIdleConnections measures the memory of connections that wait, client
// side included.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 2000
	for b.Loop() {
		br, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
		if err != nil {
			b.Fatal(err)
		}
		cfg := testConfig(b, newFake(bridgeKey.Public()))
		cfg.Broker = br
		r := start(b, cfg)
		eventually(b, "ready", func() bool { return r.Ready() == nil })
		before := memory()
		clients := make([]*rawClient, n)
		for i := range clients {
			if clients[i], err = dialRaw(br.Addr().String(), fmt.Sprint("c", i)); err != nil {
				b.Fatal(err)
			}
			clients[i].in = nil
		}
		b.ReportMetric(float64(memory()-before)/n, "B/connection")
		for _, c := range clients {
			c.Close()
		}
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
	}
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
