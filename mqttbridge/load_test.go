package mqttbridge

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"mtmledger/internal/disk"
	"mtmledger/mqttbridge/broker"
	"mtmledger/mqttbridge/internal/trim"
)

// rawClient is the cheapest MQTT client there can be, so that a benchmark measures
// the bridge and not the client.
type rawClient struct {
	net.Conn
	in *bufio.Reader
}

func dialRaw(addr, id string) (*rawClient, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	body := append([]byte("\x00\x04MQTT\x04\x02\x00\x3c"), 0, byte(len(id)))
	body = append(body, id...)
	if _, err := c.Write(append(trim.AppendLength([]byte{0x10}, len(body)), body...)); err != nil {
		return nil, err
	}
	r := &rawClient{c, bufio.NewReaderSize(c, 64<<10)}
	var ack [4]byte
	if _, err := io.ReadFull(r.in, ack[:]); err != nil || ack != [4]byte{0x20, 2, 0, 0} {
		return nil, fmt.Errorf("connack %x, %w", ack, err)
	}
	return r, nil
}

func appendPublish(b []byte, id uint16, topic string, payload []byte) []byte {
	b = trim.AppendLength(append(b, 0x32), 2+len(topic)+2+len(payload))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

// publish sends the messages with at most window of them unacknowledged, and checks
// that PUBACKs come in order.
func (c *rawClient) publish(topic string, messages [][]byte, window int) error {
	slots := make(chan struct{}, window)
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(c, 16<<10)
		var buf []byte
		for i, m := range messages {
			select {
			case slots <- struct{}{}:
			default:
				if err := w.Flush(); err != nil {
					sent <- err
					return
				}
				slots <- struct{}{}
			}
			buf = appendPublish(buf[:0], uint16(i%65535+1), topic, m)
			w.Write(buf)
		}
		sent <- w.Flush()
	}()
	for i := range messages {
		var ack [4]byte
		if _, err := io.ReadFull(c.in, ack[:]); err != nil {
			return err
		}
		if id := binary.BigEndian.Uint16(ack[2:]); ack[0] != 0x40 || id != uint16(i%65535+1) {
			return fmt.Errorf("got %x, want the PUBACK of message %d", ack, i)
		}
		<-slots
	}
	return <-sent
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEmbedded measures messages of one 40-byte reading each from MQTT clients
// through the embedded broker to a ledger that costs little more than parsing; with
// and without acknowledgements, which cost a signature each.
func BenchmarkEmbedded(b *testing.B) {
	for _, listen := range []bool{false, true} {
		b.Run(fmt.Sprintf("acks=%v", listen), func(b *testing.B) { benchmarkEmbedded(b, listen) })
	}
}

func benchmarkEmbedded(b *testing.B, listen bool) {
	const clients, window = 50, 100
	devices := make([]device, clients)
	messages := make([][][]byte, clients)
	for i := range devices {
		devices[i] = newDevice(byte(i))
		for n := range b.N/clients + 1 {
			messages[i] = append(messages[i], devices[i].statement(b, uint64(n+1), 1))
		}
	}
	f := newFake(bridgeKey.Public(), devices...)
	f.delay = 100 * time.Millisecond
	f.trust = true
	br, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	cfg := testConfig(b, f)
	cfg.ResubmitAfter, cfg.Broker, cfg.FS, cfg.Dir = time.Minute, br, disk.OS{}, b.TempDir()
	r := start(b, cfg)
	eventually(b, "ready", func() bool { return r.Ready() == nil })
	raw := make([]*rawClient, clients)
	for i := range raw {
		if raw[i], err = dialRaw(br.Addr().String(), fmt.Sprint("c", i)); err != nil {
			b.Fatal(err)
		}
	}
	if listen {
		listenAll(b, br.Addr().String())
	}
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	var wg sync.WaitGroup
	for i := range raw {
		wg.Go(func() {
			if err := raw[i].publish(devices[i].topic(), messages[i], window); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	puback := b.Elapsed()
	c := r.settled()
	b.StopTimer()
	n := float64(c.Received)
	b.ReportMetric(n/puback.Seconds(), "puback/s")
	b.ReportMetric(n/b.Elapsed().Seconds(), "committed/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/n, "cpu-us/msg")
	b.ReportMetric(n/float64(len(f.batches)), "statements/tx")
	b.ReportMetric(n/float64(r.spool.Stats().Syncs), "msg/sync")
	if c.Committed != c.Received {
		b.Fatalf("%+v", c)
	}
	if err := r.stop(); err != nil {
		b.Fatal(err)
	}
}

// listenAll subscribes one client to all acknowledgements.
func listenAll(b *testing.B, addr string) {
	c, err := dialRaw(addr, "listener")
	if err != nil {
		b.Fatal(err)
	}
	filter := "mtm/1/ack/+"
	body := append([]byte{0, 1, 0, byte(len(filter))}, filter...)
	body = append(body, 0)
	c.Write(append(trim.AppendLength([]byte{0x82}, len(body)), body...))
	go io.Copy(io.Discard, c.in)
	b.Cleanup(func() { c.Close() })
}
