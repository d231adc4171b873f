package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtmledger/cmd/mtm/internal/replay"
	"mtmledger/cmd/mtm/internal/sensors"
	"mtmledger/cmd/mtm/internal/uplink"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/device"
	"mtmledger/testnet"
)

// contentRoom is how many bytes of readings a statement of a file holds, so
// that it stays below ledger.MaxStatement with what stands around them.
const contentRoom = ledger.MaxStatement - 8192

// rowOverhead is the most that the form adds to a reading: array, time, length.
const rowOverhead = 16

// streamName is the name of the stream that a file is replayed on.
func streamName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".gz")
	if ledger.CheckName(name) == nil {
		return name
	}
	if len(name) > ledger.MaxName {
		return strings.ToValidUTF8(name[len(name)-ledger.MaxName:], "")
	}
	return "replay"
}

// openLink opens a device of a manifest and links it to a broker.
func openLink(m *testnet.Manifest, d *testnet.Device, broker string, answered func(device.Answer), log *slog.Logger) (*uplink.Link, error) {
	key, err := m.DeviceKey(d)
	if err != nil {
		return nil, err
	}
	return uplink.Open(uplink.Config{
		Device: device.Config{
			Dir: m.Path(d.Home, "store"), Key: key, Chain: m.Chain, Device: d.ID, Bridges: []crypto.PublicKey{m.Bridge.Key},
		},
		Broker: broker, Answered: answered, Logger: log,
	})
}

// sendFile sends the lines of a file that the device has not sent yet, up to n
// in a statement, and returns how many.
func sendFile(ctx context.Context, link *uplink.Link, name, file string, n int, pause time.Duration) (sent uint64, err error) {
	r, err := replay.Open(file)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	media, err := ledger.ParseMedia(r.Media())
	if err != nil {
		return 0, err
	}
	stream, err := link.Stream(name, media)
	if err != nil {
		return 0, err
	}
	if err := r.Skip(stream.Next() - 1); errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%s is shorter than what was sent of it before", file)
	} else if err != nil {
		return 0, err
	}
	b := &batch{most: min(n, ledger.MaxReadings)}
	for {
		row, err := r.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return sent, err
		}
		end := err != nil
		if len(b.readings) > 0 && (end || !b.fits(row)) {
			if err := link.Send(ctx, stream, b.readings...); err != nil {
				return sent, err
			}
			sent += uint64(len(b.readings))
			b.clear()
			if err := sleep(ctx, pause); err != nil {
				return sent, err
			}
		}
		if end {
			return sent, nil
		}
		b.add(row)
	}
}

// batch gathers the readings of one statement.
type batch struct {
	most     int
	size     int
	readings []ledger.Reading
}

func (b *batch) fits(row replay.Row) bool {
	return len(b.readings) < b.most && b.size+len(row.Content)+rowOverhead <= contentRoom
}

func (b *batch) add(row replay.Row) {
	b.readings = append(b.readings, ledger.Reading{Time: row.Time, Content: row.Content})
	b.size += len(row.Content) + rowOverhead
}

func (b *batch) clear() { b.readings, b.size = nil, 0 }

// source is a sensor with the stream it reports on.
type source struct {
	sensors.Sensor
	stream *device.Stream
}

// sourcesOf finds the sensors of this machine that a device has streams for.
func sourcesOf(ctx context.Context, link *uplink.Link, d *testnet.Device) ([]source, error) {
	media, err := ledger.ParseMedia(sensors.Media)
	if err != nil {
		return nil, err
	}
	var list []source
	for _, s := range sensors.All(ctx) {
		if s.Device != d.Name || !hasStream(d, s.Stream) {
			continue
		}
		stream, err := link.Stream(s.Stream, media)
		if err != nil {
			return nil, err
		}
		list = append(list, source{s, stream})
	}
	return list, nil
}

func hasStream(d *testnet.Device, name string) bool {
	return slices.ContainsFunc(d.Streams, func(s testnet.Stream) bool { return s.Name == name })
}

// send sends one reading of the sensor.
func (s source) send(ctx context.Context, link *uplink.Link) error {
	content, err := s.Sample(ctx)
	if err != nil {
		return err
	}
	return link.Send(ctx, s.stream, ledger.Reading{Time: time.Now().UnixMicro(), Content: content})
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
