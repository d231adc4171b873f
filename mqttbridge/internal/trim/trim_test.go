package trim

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const limit = 20_000

func TestTrim(t *testing.T) {
	packet := func(head byte, body string) []byte {
		return append(AppendLength([]byte{head}, len(body)), body...)
	}
	atLimit := packet(0x32, strings.Repeat("x", limit))
	stream := bytes.Join([][]byte{
		{0x20, 2, 0, 0}, {0xd0, 0}, packet(0x32, "topic etc"), atLimit,
		packet(0x32, strings.Repeat("x", limit)+"y"), {0xd0, 0}, packet(0x32, strings.Repeat("x", limit*3)), {0xd0, 0},
	}, nil)
	want := bytes.Join([][]byte{
		{0x20, 2, 0, 0}, {0xd0, 0}, packet(0x32, "topic etc"), atLimit, atLimit, {0xd0, 0}, atLimit, {0xd0, 0},
	}, nil)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)), "halves": iotest.HalfReader(bytes.NewReader(stream)),
	} {
		got, err := io.ReadAll(NewReader(r, limit, 4096))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	for name, bad := range map[string][]byte{
		"length of five bytes": {0x32, 0xff, 0xff, 0xff, 0xff, 1},
		"huge SUBACK":          packet(0x90, strings.Repeat("x", limit+1)),
	} {
		if _, err := io.ReadAll(NewReader(bytes.NewReader(bad), limit, 4096)); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
