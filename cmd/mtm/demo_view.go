package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"mtmledger/cmd/mtm/internal/view"
)

// frame is what the live view shows now.
func (d *demo) frame(ctx context.Context) []string {
	elapsed := time.Since(d.begin).Round(time.Second).String()
	if d.o.period > 0 {
		elapsed += " of " + d.o.period.String()
	}
	lines := []string{view.Bold(fmt.Sprintf("MTM Ledger demo   %s   %s   (interrupt to stop)", d.m.Chain, elapsed)), ""}
	if s, err := d.client.Status(ctx); err == nil {
		lines = append(lines, fmt.Sprintf("validator     height %d   app hash %.16x   %d entries in the log", s.Height, s.AppHash, s.LogSize))
	}
	lines = append(lines, accountLine(d.service.Status()))
	p50, p99 := d.latency()
	lines = append(lines, fmt.Sprintf("latency       median %.0f ms, 99 %% below %.0f ms, from signing to the verified acknowledgement", p50, p99), "",
		view.Bold(fmt.Sprintf("%-12s %-28s %9s %8s  %s", "device", "stream", "number", "height", "last committed reading")))
	for _, w := range d.work {
		s := w.link.Stats()
		for _, stream := range w.device.Streams {
			last := s.LastContent[stream.ID]
			lines = append(lines, fmt.Sprintf("%-12s %-28s %9d %8d  %s", w.device.Name, stream.Name, last.Number, last.Height, oneLine(last.Content)))
		}
	}
	return lines
}

// oneLine makes a content fit to show on a terminal.
func oneLine(content []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return -1
		}
		return r
	}, string(content))
}

// demoLines is the result for people.
func demoLines(r demoResult) []string {
	n := r.Accounting
	lines := []string{
		fmt.Sprintf("%d readings committed on %d streams, %d gaps; height %d, app hash %s", r.Committed, len(r.Streams), r.Gaps, r.Height, r.AppHash),
		fmt.Sprintf("messages: received %d = committed %d + duplicate %d + dead-lettered %d + spooled %d",
			n.Received, n.Committed, n.Duplicate, n.DeadLettered, n.Spooled),
		fmt.Sprintf("latency: median %.0f ms, 99 %% below %.0f ms, from signing to the verified acknowledgement", r.LatencyP50, r.LatencyP99),
		"certificate: " + r.Certificate + " (checked: accepted)",
		"trust root:  " + r.Trust,
		"",
		"try next:",
		fmt.Sprintf("  %s verify %s --trust %s", program(), r.Certificate, r.Trust),
	}
	if r.Home == "" {
		return append(lines, "  "+program()+" demo --home H --for 20s      # keep the ledger, then prove and export from it")
	}
	stream := r.Streams[0].Name
	return append(lines,
		fmt.Sprintf("  %s prove --home %s --stream %s --number 1 --out reading.mtmcert", program(), r.Home, stream),
		fmt.Sprintf("  %s export --home %s --stream %s", program(), r.Home, stream),
		"  "+program()+" testnet up --validators 4 --home net")
}

// program is how this program was called.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/mtm"
	}
	return "mtm"
}
