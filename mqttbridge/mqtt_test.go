package mqttbridge

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"mtmledger/internal/port"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/broker"
)

// pahoDevice connects as a device with an ordinary client.
func pahoDevice(t testing.TB, addr, id string) mqtt.Client {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(id).SetProtocolVersion(4)
	o.SetAutoReconnect(false)
	c := mqtt.NewClient(o)
	finish(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func finish(t testing.TB, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer from the broker")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// listen collects what is published on a filter.
func listen(t testing.TB, c mqtt.Client, filter string) chan []byte {
	t.Helper()
	got := make(chan []byte, 10_000)
	finish(t, c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { got <- m.Payload() }))
	return got
}

func receive(t testing.TB, from chan []byte) []byte {
	t.Helper()
	select {
	case b := <-from:
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was published")
		return nil
	}
}

func withBroker(t testing.TB, cfg Config) (Config, *broker.Broker) {
	t.Helper()
	br, err := broker.New(broker.Config{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Broker = br
	return cfg, br
}

// exchange sends statements from a device and checks PUBACKs, acknowledgements and
// data.
func exchange(t *testing.T, r *running, addr string, d device, n int) {
	t.Helper()
	c := pahoDevice(t, addr, d.id.String())
	acks := listen(t, c, ledger.AckTopic(d.id))
	data := listen(t, c, ledger.DataTopic(d.stream))
	var tokens []mqtt.Token
	for i := range n {
		tokens = append(tokens, c.Publish(d.topic(), 1, false, d.statement(t, uint64(i+1), 1)))
	}
	for _, token := range tokens {
		finish(t, token)
	}
	index := map[uint64]uint64{} // by number
	for len(index) < n {
		a, err := ledger.ParseAcknowledgement(receive(t, acks))
		if err != nil || !a.Sign1.Verify(bridgeKey.Public()) {
			t.Fatalf("acknowledgement %+v, %v", a, err)
		}
		for _, o := range a.Outcomes {
			if _, again := index[o.First]; again || o.Code != 0 {
				t.Fatalf("outcome %+v, said before: %v", o, again)
			}
			index[o.First] = o.Index
		}
	}
	for range n {
		committed, err := ledger.ParseCommitted(receive(t, data))
		if err != nil {
			t.Fatal(err)
		}
		s, err := ledger.ParseStatement(committed.Statement)
		if err != nil || index[s.First] != committed.Index {
			t.Fatalf("data %+v, %v", committed, err)
		}
	}
	if len(index) != n {
		t.Fatalf("%d statements were acknowledged, want %d", len(index), n)
	}
	if c := r.settled(); c.Committed != uint64(n) || c.Received != uint64(n) {
		t.Fatalf("%+v", c)
	}
	if err := r.Ready(); err != nil {
		t.Fatal(err)
	}
}

func TestEmbedded(t *testing.T) {
	d := newDevice(1)
	cfg, br := withBroker(t, testConfig(t, newFake(bridgeKey.Public(), d)))
	r := start(t, cfg)
	eventually(t, "ready", func() bool { return r.Ready() == nil })
	exchange(t, r, br.Addr().String(), d, 200)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", br.Addr().String()); err == nil {
		t.Fatal("the broker still listens")
	}
}

// TestEmbeddedHuge: a publication that is far too large becomes a dead letter, and the
// statements behind it are committed.
func TestEmbeddedHuge(t *testing.T) {
	d := newDevice(1)
	cfg, br := withBroker(t, testConfig(t, newFake(bridgeKey.Public(), d)))
	r := start(t, cfg)
	eventually(t, "ready", func() bool { return r.Ready() == nil })
	c := pahoDevice(t, br.Addr().String(), d.id.String())
	huge(t, r, c, d)
}

// huge publishes what is far too large, then a statement, and expects a dead letter
// that says so and can't be replayed.
func huge(t *testing.T, r *running, c mqtt.Client, d device) {
	t.Helper()
	finish(t, c.Publish(d.topic(), 1, false, make([]byte, 5<<20)))
	finish(t, c.Publish(d.topic(), 1, false, d.statement(t, 1, 1)))
	eventually(t, "both", func() bool { return r.Counts().Received == 2 })
	if c := r.settled(); c != (Counts{Received: 2, Committed: 1, DeadLettered: 1}) {
		t.Fatalf("%+v", c)
	}
	list, err := r.DeadLetters(10)
	if err != nil || len(list) != 1 || list[0].Reason != ledger.CodeTooLarge || list[0].Topic != d.topic() || len(list[0].Payload) != maxLetterPayload {
		t.Fatalf("%d letters, %v", len(list), err)
	}
	if n, err := r.Replay(t.Context(), list[0].ID); n != 0 || err != nil {
		t.Fatalf("replayed a letter that was cut: %d, %v", n, err)
	}
}

// mosquitto starts the real broker, or skips the test.
func mosquitto(t *testing.T, port int) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("SKIPPED LOUDLY: no mosquitto here; apt-get install -y mosquitto")
	}
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 100000\n", port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	eventually(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd
}

func freePort(t *testing.T) int {
	t.Helper()
	free, err := port.Free("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := net.ResolveTCPAddr("tcp", free[0])
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func externalConfig(t *testing.T, f *fakeLedger, port int) Config {
	cfg := testConfig(t, f)
	cfg.External = &External{URL: fmt.Sprintf("tcp://127.0.0.1:%d", port), MaxReconnect: 100 * time.Millisecond}
	return cfg
}

func TestMosquitto(t *testing.T) {
	port := freePort(t)
	mosquitto(t, port)
	for _, share := range []string{"", "group"} {
		t.Run("share="+share, func(t *testing.T) {
			d := newDevice(1)
			cfg := externalConfig(t, newFake(bridgeKey.Public(), d), port)
			cfg.External.Share = share
			r := start(t, cfg)
			eventually(t, "ready", func() bool { return r.Ready() == nil })
			exchange(t, r, fmt.Sprintf("127.0.0.1:%d", port), d, 2000)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestMosquittoAway: messages that come while the bridge is away wait in the
// broker's session; a broker that is away is dialled again.
func TestMosquittoAway(t *testing.T) {
	port := freePort(t)
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	cfg := externalConfig(t, f, port)
	r := start(t, cfg) // before the broker
	eventually(t, "trouble", func() bool { return r.troubles.has("mqtt") })
	mosquitto(t, port)
	eventually(t, "ready", func() bool { return r.Ready() == nil })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	c := pahoDevice(t, fmt.Sprintf("127.0.0.1:%d", port), "d")
	for i := range 50 {
		finish(t, c.Publish(d.topic(), 1, false, d.statement(t, uint64(i+1), 1)))
	}
	r = start(t, cfg.restarted())
	eventually(t, "committed", func() bool { return f.accepted() == 50 })
	if c := r.settled(); c.Received != 50 {
		t.Fatalf("%+v", c)
	}
}

// TestMosquittoFull: when the spool is full the bridge leaves the messages with the
// broker and fetches them later.
func TestMosquittoFull(t *testing.T) {
	port := freePort(t)
	mosquitto(t, port)
	d := newDevice(1)
	f := newFake(bridgeKey.Public(), d)
	f.fail = func() error { return errUnreachable }
	cfg := externalConfig(t, f, port)
	cfg.SpoolBytes = 1 << 20
	r := start(t, cfg)
	eventually(t, "connected", func() bool { return !r.troubles.has("mqtt") && !r.troubles.has("start") })
	c := pahoDevice(t, fmt.Sprintf("127.0.0.1:%d", port), "d")
	const n = 60
	for i := range n { // 60 x 45 KB > 1 MiB
		finish(t, c.Publish(d.topic(), 1, false, d.statement(t, uint64(1000*i+1), 1000)))
	}
	eventually(t, "full", func() bool { return r.troubles.has("mqtt") })
	f.set(func(f *fakeLedger) { f.fail = nil })
	eventually(t, "committed", func() bool { return f.accepted() == n })
	if c := r.settled(); c.DeadLettered != 0 {
		t.Fatalf("%+v", c)
	}
}

// TestMosquittoHuge: a publication that is far too large becomes a dead letter
// instead of coming again and again.
func TestMosquittoHuge(t *testing.T) {
	port := freePort(t)
	mosquitto(t, port)
	d := newDevice(1)
	r := start(t, externalConfig(t, newFake(bridgeKey.Public(), d), port))
	eventually(t, "ready", func() bool { return r.Ready() == nil })
	c := pahoDevice(t, fmt.Sprintf("127.0.0.1:%d", port), "d")
	huge(t, r, c, d)
}
