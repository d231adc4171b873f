// Package sensors samples the machine it runs on: CPU and temperatures, memory
// and load, network and disk. Each sample is one small JSON object.
package sensors

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/sensors"
)

// Media is the media type of every sample.
const Media = "application/json"

// Sensor is one thing of this machine that can be sampled.
type Sensor struct {
	Device string // the device that reports it: "processor", "memory" or "traffic"
	Stream string // the stream it reports on
	read   func(context.Context) (any, error)
}

// Sample measures now and returns one JSON object without a newline.
func (s Sensor) Sample(ctx context.Context) ([]byte, error) {
	v, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("sensor %s: %w", s.Stream, err)
	}
	return json.Marshal(v)
}

// Devices are the names of the devices that All's sensors belong to, in order.
func Devices() []string { return []string{"processor", "memory", "traffic"} }

// All returns the sensors that this machine has: those that fail a first sample
// (temperatures on most virtual machines) are left out.
func All(ctx context.Context) []Sensor {
	var have []Sensor
	for _, s := range []Sensor{
		{"processor", "cpu", readCPU},
		{"processor", "temperature", readTemperature},
		{"memory", "memory", readMemory},
		{"memory", "load", readLoad},
		{"traffic", "network", readNetwork},
		{"traffic", "disk", readDisk},
	} {
		if _, err := s.Sample(ctx); err == nil {
			have = append(have, s)
		}
	}
	return have
}

func readCPU(ctx context.Context) (any, error) {
	busy, err := cpu.PercentWithContext(ctx, 0, true)
	if err != nil {
		return nil, err
	}
	total := 0.0
	for i, b := range busy {
		busy[i] = round(b)
		total += b
	}
	if len(busy) > 0 {
		total /= float64(len(busy))
	}
	return struct {
		Busy  float64   `json:"busy_percent"`
		Cores []float64 `json:"cores"`
	}{round(total), busy}, nil
}

func readTemperature(ctx context.Context) (any, error) {
	list, err := sensors.TemperaturesWithContext(ctx)
	if len(list) == 0 {
		return nil, fmt.Errorf("no temperature sensor: %w", orNone(err))
	}
	out := make(map[string]float64, len(list))
	for _, t := range list {
		out[t.SensorKey] = round(t.Temperature)
	}
	return out, nil
}

func readMemory(ctx context.Context) (any, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return struct {
		Used      uint64 `json:"used_bytes"`
		Available uint64 `json:"available_bytes"`
	}{m.Used, m.Available}, nil
}

func readLoad(ctx context.Context) (any, error) {
	l, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return struct {
		One     float64 `json:"load1"`
		Five    float64 `json:"load5"`
		Fifteen float64 `json:"load15"`
	}{round(l.Load1), round(l.Load5), round(l.Load15)}, nil
}

func readNetwork(ctx context.Context) (any, error) {
	all, err := net.IOCountersWithContext(ctx, false)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errNone
	}
	return struct {
		Sent     uint64 `json:"sent_bytes"`
		Received uint64 `json:"received_bytes"`
	}{all[0].BytesSent, all[0].BytesRecv}, nil
}

func readDisk(ctx context.Context) (any, error) {
	u, err := disk.UsageWithContext(ctx, "/")
	if err != nil {
		return nil, err
	}
	var read, written uint64
	if all, err := disk.IOCountersWithContext(ctx); err == nil {
		for _, c := range all {
			read, written = read+c.ReadBytes, written+c.WriteBytes
		}
	}
	return struct {
		Used    uint64 `json:"used_bytes"`
		Read    uint64 `json:"read_bytes"`
		Written uint64 `json:"written_bytes"`
	}{u.Used, read, written}, nil
}
