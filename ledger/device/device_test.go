package device

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

const testChain = "mtm-test"

func testKey(name string) crypto.PrivateKey { return crypto.KeyFromSeed(sha256.Sum256([]byte(name))) }

var (
	deviceKey = testKey("device")
	bridgeKey = testKey("bridge")
)

func config(fsys disk.FS) Config {
	return Config{Dir: "home/device", FS: fsys, Key: deviceKey, Chain: testChain,
		Bridges: []crypto.PublicKey{bridgeKey.Public()}, Limit: 64 << 10, Slack: 1 << 10}
}

func open(t testing.TB, fsys disk.FS) *Device {
	t.Helper()
	d, err := Open(config(fsys))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func stream(t testing.TB, d *Device, name string) *Stream {
	t.Helper()
	s, err := d.Stream(name, ledger.Media{Text: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendOne(t testing.TB, s *Stream, content string) *ledger.Statement {
	t.Helper()
	st, err := s.Append(ledger.Reading{Time: 1, Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func outcome(st *ledger.Statement, code ledger.Code) ledger.Outcome {
	o := ledger.Outcome{Stream: st.Stream, First: st.First, Count: uint64(len(st.Readings)), Digest: st.Digest(), Code: code}
	if code == ledger.CodeOK {
		o.Height, o.Index = 3, 4
	}
	return o
}

// answer makes a bridge's acknowledgement; change may spoil it before it is
// signed.
func answer(t testing.TB, st *ledger.Statement, code ledger.Code, change func(*ledger.Acknowledgement)) []byte {
	t.Helper()
	a := ledger.Acknowledgement{Chain: testChain, Bridge: ledger.BridgeID(bridgeKey.Public()), Outcomes: []ledger.Outcome{outcome(st, code)}}
	if change != nil {
		change(&a)
	}
	signed, err := ledger.SignAcknowledgement(bridgeKey, a)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bytes()
}

func contents(d *Device) (list []string) {
	for st := range d.Pending() {
		list = append(list, string(st.Readings[0].Content))
	}
	return list
}

func TestLifeOfAStatement(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	s := stream(t, d, "temperature")
	if s.Next() != 1 || s.Name() != "temperature" || s.ID() != ledger.StreamID(testChain, d.ID(), "temperature") ||
		s.Topic() != ledger.UpTopic(d.ID(), s.ID()) || d.Chain() != testChain {
		t.Error("a new stream")
	}
	one := appendOne(t, s, "one")
	two, err := s.Append(ledger.Reading{Time: 5, Content: []byte("two")}, ledger.Reading{Time: 4, Content: []byte("three")})
	if err != nil || one.First != 1 || two.First != 2 || two.Last() != 3 || s.Next() != 4 {
		t.Fatalf("numbers %d, %d, %v", one.First, two.First, err)
	}
	if !two.Sign1.Verify(deviceKey.Public()) {
		t.Error("signature")
	}
	three := appendOne(t, s, "four")
	if got := contents(d); !slices.Equal(got, []string{"one", "two", "four"}) {
		t.Errorf("pending %v", got)
	}

	a, err := d.Acknowledge(answer(t, two, ledger.CodeOK, nil))
	if want := []Answer{{two, ledger.CodeOK, 3, 4}}; err != nil || !slices.Equal(a, want) {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := d.Acknowledge(answer(t, two, ledger.CodeOK, nil)); !errors.Is(err, ErrNotPending) {
		t.Errorf("the same again: %v", err)
	}
	a, err = d.Acknowledge(answer(t, three, ledger.CodeUsed, nil))
	if want := []Answer{{three, ledger.CodeUsed, 0, 0}}; err != nil || !slices.Equal(a, want) {
		t.Errorf("%+v, %v", a, err)
	}
	checkRest(t, d, one, three)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, fsys)
	checkRest(t, d, one, three)
	if n := stream(t, d, "temperature").Next(); n != 5 {
		t.Errorf("next number %d", n)
	}
	if err := d.DropRefused(one.Stream, one.First); !errors.Is(err, ErrNotPending) {
		t.Errorf("dropping what is pending: %v", err)
	}
	if err := d.DropRefused(three.Stream, three.First); err != nil {
		t.Error(err)
	}
	if _, err := d.Acknowledge(answer(t, one, ledger.CodeOK, nil)); err != nil {
		t.Error(err)
	}
	if got := d.Stats(); got != (Stats{Limit: 64 << 10}) {
		t.Errorf("%+v", got)
	}
}

// checkRest: one is pending, three was refused.
func checkRest(t *testing.T, d *Device, one, three *ledger.Statement) {
	t.Helper()
	if got := contents(d); !slices.Equal(got, []string{"one"}) {
		t.Errorf("pending %v", got)
	}
	r := d.Refused()
	if len(r) != 1 || r[0].Code != ledger.CodeUsed || !bytes.Equal(r[0].Statement.Bytes(), three.Bytes()) {
		t.Errorf("refused %v", r)
	}
	want := Stats{Pending: 1, Refused: 1, Bytes: int64(len(one.Bytes()) + len(three.Bytes())), Limit: 64 << 10}
	if got := d.Stats(); got != want {
		t.Errorf("%+v", got)
	}
}

// TestSeveralOutcomes: one message answers several statements, of several streams; what
// answers nothing that is kept is passed over.
func TestSeveralOutcomes(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	s, u := stream(t, d, "s"), stream(t, d, "u")
	var sent []*ledger.Statement
	for i := range 4 {
		sent = append(sent, appendOne(t, s, fmt.Sprint("s", i)), appendOne(t, u, fmt.Sprint("u", i)))
	}
	gone := answer(t, sent[0], ledger.CodeOK, nil)
	if _, err := d.Acknowledge(gone); err != nil {
		t.Fatal(err)
	}
	a, err := d.Acknowledge(answer(t, sent[1], ledger.CodeOK, func(a *ledger.Acknowledgement) {
		stranger := outcome(sent[2], ledger.CodeOK)
		stranger.Digest[0]++
		a.Outcomes = append(a.Outcomes, outcome(sent[0], ledger.CodeOK), stranger, outcome(sent[3], ledger.CodeClockAhead),
			outcome(sent[1], ledger.CodeOK), outcome(sent[6], ledger.CodeOK))
	}))
	want := []Answer{{sent[1], ledger.CodeOK, 3, 4}, {sent[3], ledger.CodeClockAhead, 0, 0}, {sent[6], ledger.CodeOK, 3, 4}}
	if err != nil || !slices.Equal(a, want) {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := d.Acknowledge(gone); !errors.Is(err, ErrNotPending) {
		t.Errorf("nothing in it is kept: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, fsys)
	if got := d.Stats(); got.Pending != 4 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
}

// TestRefusedThenCommitted: another bridge, or a later try, may get it in.
func TestRefusedThenCommitted(t *testing.T) {
	d := open(t, disk.NewCrash())
	st := appendOne(t, stream(t, d, "s"), "x")
	for _, code := range []ledger.Code{ledger.CodeExpired, ledger.CodeUsed, ledger.CodeOK} {
		if a, err := d.Acknowledge(answer(t, st, code, nil)); err != nil || len(a) != 1 || a[0].Code != code {
			t.Errorf("%v: %v", code, err)
		}
	}
	if got := d.Stats(); got.Pending+got.Refused != 0 || got.Bytes != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAcknowledgementsRefused(t *testing.T) {
	d := open(t, disk.NewCrash())
	st := appendOne(t, stream(t, d, "s"), "x")
	good := answer(t, st, ledger.CodeOK, nil)
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	parsed, err := ledger.ParseAcknowledgement(good)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ledger.SignAcknowledgement(testKey("someone"), *parsed)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"garbage":       {[]byte("garbage"), &ledger.Error{Code: ledger.CodeMalformed}},
		"truncated":     {good[:len(good)-1], &ledger.Error{Code: ledger.CodeMalformed}},
		"forged":        {forged, ErrUntrusted},
		"other key":     {foreign.Bytes(), ErrUntrusted},
		"other chain":   {answer(t, st, 0, func(a *ledger.Acknowledgement) { a.Chain = "x" }), ErrMismatch},
		"other stream":  {answer(t, st, 0, func(a *ledger.Acknowledgement) { a.Outcomes[0].Stream[0]++ }), ErrNotPending},
		"other number":  {answer(t, st, 0, func(a *ledger.Acknowledgement) { a.Outcomes[0].First++ }), ErrNotPending},
		"other count":   {answer(t, st, 0, func(a *ledger.Acknowledgement) { a.Outcomes[0].Count++ }), ErrMismatch},
		"other content": {answer(t, st, 0, func(a *ledger.Acknowledgement) { a.Outcomes[0].Digest[0]++ }), ErrMismatch},
	}
	for name, tt := range tests {
		if _, err := d.Acknowledge(tt.in); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if d.Stats().Pending != 1 {
			t.Fatalf("%s makes the device forget", name)
		}
	}
	d.SetBridges(nil)
	if _, err := d.Acknowledge(good); !errors.Is(err, ErrUntrusted) {
		t.Errorf("no trusted bridge: %v", err)
	}
	d.SetBridges([]crypto.PublicKey{bridgeKey.Public()})
	if _, err := d.Acknowledge(good); err != nil {
		t.Error(err)
	}
}

func TestFull(t *testing.T) {
	c := config(disk.NewCrash())
	probe := open(t, disk.NewCrash())
	size := int64(len(appendOne(t, stream(t, probe, "s"), "x").Bytes()))
	c.Limit = 2 * size
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	s := stream(t, d, "s")
	first := appendOne(t, s, "1")
	appendOne(t, s, "2") // exactly at the limit
	if _, err := s.Append(ledger.Reading{Time: 1, Content: []byte("3")}); !errors.Is(err, ErrFull) {
		t.Fatalf("above the limit: %v", err)
	}
	if s.Next() != 3 || d.Stats().Pending != 2 {
		t.Error("a full store changed something")
	}
	if _, err := d.Acknowledge(answer(t, first, ledger.CodeOK, nil)); err != nil {
		t.Fatal(err)
	}
	if st := appendOne(t, s, "3"); st.First != 3 {
		t.Errorf("number %d", st.First)
	}
}

func TestBadReadings(t *testing.T) {
	d := open(t, disk.NewCrash())
	s := stream(t, d, "s")
	if _, err := s.Append(); ledger.CodeOf(err) != ledger.CodeMalformed {
		t.Errorf("no reading: %v", err)
	}
	if _, err := s.Append(ledger.Reading{Content: make([]byte, ledger.MaxContent+1)}); ledger.CodeOf(err) != ledger.CodeTooLarge {
		t.Errorf("long content: %v", err)
	}
	if _, err := d.Stream("", ledger.Media{}); err == nil {
		t.Error("a stream without a name")
	}
	if _, err := d.Stream("s", ledger.Media{Text: "x"}); err == nil {
		t.Error("a bad media type")
	}
	if st := appendOne(t, s, "x"); st.First != 1 {
		t.Errorf("refused readings used numbers up to %d", st.First)
	}
}

func TestSkipTo(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	s := stream(t, d, "s")
	for _, n := range []uint64{10, 5, 0} {
		if err := s.SkipTo(n); err != nil || s.Next() != 10 {
			t.Errorf("skip to %d: next %d, %v", n, s.Next(), err)
		}
	}
	d = open(t, fsys.Restart())
	s = stream(t, d, "s")
	if st := appendOne(t, s, "x"); st.First != 10 {
		t.Errorf("number %d", st.First)
	}
	if err := s.SkipTo(1 << 63); err == nil {
		t.Error("skip to 2^63")
	}
	if err := s.SkipTo(ledger.MaxNumber); err != nil {
		t.Error(err)
	}
	if st := appendOne(t, s, "last"); st.Last() != ledger.MaxNumber {
		t.Errorf("number %d", st.Last())
	}
	if _, err := s.Append(ledger.Reading{}); err == nil {
		t.Error("a number above the last")
	}
}

func TestOpenRefuses(t *testing.T) {
	fsys := disk.NewCrash()
	d := open(t, fsys)
	appendOne(t, stream(t, d, "s"), "x")
	if _, err := Open(config(fsys)); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := stream(t, d, "s").Append(ledger.Reading{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"other key":   {func(c *Config) { c.Key = testKey("other") }, ErrOtherDevice},
		"other chain": {func(c *Config) { c.Chain = "other" }, ErrOtherDevice},
		"no key":      {func(c *Config) { c.Key = crypto.PrivateKey{} }, nil},
		"no chain":    {func(c *Config) { c.Chain = "" }, nil},
		"no dir":      {func(c *Config) { c.Dir = "" }, nil},
		"bad limit":   {func(c *Config) { c.Limit = -1 }, nil},
	} {
		c := config(fsys)
		tt.change(&c)
		if _, err := Open(c); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := config(fsys) // a rotated key, the same device
	c.Key, c.Device = testKey("new"), ledger.DeviceID(deviceKey.Public())
	d, err := Open(c)
	if err != nil || d.Stats().Pending != 1 {
		t.Fatalf("rotated key: %v", err)
	}
	if st := appendOne(t, stream(t, d, "s"), "y"); st.First != 2 || st.KeyID() != testKey("new").Public().KeyID() {
		t.Error("statement by the rotated key")
	}
}

func TestVolatile(t *testing.T) {
	d, err := Open(Config{Volatile: true, Key: deviceKey, Chain: testChain})
	if err != nil {
		t.Fatal(err)
	}
	st := appendOne(t, stream(t, d, "s"), "x")
	ack, err := ledger.ParseAcknowledgement(answer(t, st, ledger.CodeOK, nil))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := d.Settle(ack); err != nil || len(a) != 1 || a[0].Statement != st || d.Stats().Pending != 0 {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestOS runs on the machine's own file system.
func TestOS(t *testing.T) {
	c := config(nil)
	c.Dir = t.TempDir() + "/a/b"
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	appendOne(t, stream(t, d, "s"), "x")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(c); err != nil || !slices.Equal(contents(d), []string{"x"}) {
		t.Errorf("%v", err)
	}
	d.Close()
}

func BenchmarkAppendVolatile(b *testing.B) {
	d, err := Open(Config{Volatile: true, Key: deviceKey, Chain: testChain, Limit: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	s := stream(b, d, "s")
	content := make([]byte, 40)
	for b.Loop() {
		if _, err := s.Append(ledger.Reading{Time: 1, Content: content}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestConcurrent appends, resends and acknowledges at the same time; for the race
// detector, and no number may be given twice.
func TestConcurrent(t *testing.T) {
	d, err := Open(Config{Dir: "d", FS: disk.NewCrash(), Key: deviceKey, Chain: testChain, Bridges: []crypto.PublicKey{bridgeKey.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	const each, writers = 20, 4
	made := make(chan *ledger.Statement, each*writers)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			s, err := d.Stream("s", ledger.Media{})
			for range each {
				var st *ledger.Statement
				if err == nil {
					st, err = s.Append(ledger.Reading{Time: 1})
				}
				if err != nil {
					t.Error(err)
					return
				}
				made <- st
			}
		})
	}
	go func() {
		writing.Wait()
		close(made)
	}()
	seen := map[uint64]bool{}
	for st := range made {
		if seen[st.First] {
			t.Errorf("number %d twice", st.First)
		}
		seen[st.First] = true
		if _, err := d.Acknowledge(answer(t, st, ledger.CodeOK, nil)); err != nil {
			t.Error(err)
		}
		for range d.Pending() {
			break
		}
	}
	if got := d.Stats(); len(seen) != each*writers || got.Pending != 0 {
		t.Errorf("%d statements, %+v", len(seen), got)
	}
}
