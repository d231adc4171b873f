package mqttbridge

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mtmledger/mqttbridge/spool"
)

func readTrimmed(r io.Reader) ([]byte, error) {
	var tr trimmer
	return io.ReadAll(readerFunc(func(p []byte) (int, error) { return tr.read(r, p) }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTrim(t *testing.T) {
	packet := func(head byte, body string) []byte {
		return append(appendLength([]byte{head}, len(body)), body...)
	}
	atLimit := packet(0x32, strings.Repeat("x", maxIncoming))
	stream := bytes.Join([][]byte{
		{0x20, 2, 0, 0}, {0xd0, 0}, packet(0x32, "topic etc"), atLimit,
		packet(0x32, strings.Repeat("x", maxIncoming)+"y"), {0xd0, 0}, packet(0x32, strings.Repeat("x", maxIncoming*3)), {0xd0, 0},
	}, nil)
	want := bytes.Join([][]byte{
		{0x20, 2, 0, 0}, {0xd0, 0}, packet(0x32, "topic etc"), atLimit, atLimit, {0xd0, 0}, atLimit, {0xd0, 0},
	}, nil)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)), "halves": iotest.HalfReader(bytes.NewReader(stream)),
	} {
		got, err := readTrimmed(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	for name, bad := range map[string][]byte{
		"length of five bytes": {0x32, 0xff, 0xff, 0xff, 0xff, 1},
		"huge SUBACK":          packet(0x90, strings.Repeat("x", maxIncoming+1)),
	} {
		if _, err := readTrimmed(bytes.NewReader(bad)); !errors.Is(err, errPacket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCutMessage: what is far too large is kept in part, and refused as too large.
func TestCutMessage(t *testing.T) {
	r := start(t, testConfig(t, newFake(bridgeKey.Public())))
	r.ingest(strings.Repeat("t", spool.MaxTopic+1), make([]byte, spool.MaxPayload+1))
	if c := r.settled(); c.DeadLettered != 1 {
		t.Fatalf("%+v", c)
	}
	list, err := r.DeadLetters(1)
	if err != nil || list[0].Size != spool.MaxPayload || len(list[0].Payload) != maxLetterPayload {
		t.Fatal(err)
	}
	if n, err := r.Replay(t.Context(), list[0].ID); n != 0 || err != nil {
		t.Fatalf("replayed a letter that was cut: %d, %v", n, err)
	}
}
