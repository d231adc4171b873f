package replay

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clock finds the declared time of a line: µs since the Unix epoch, 0 where
// none is recognised. Times without a zone are taken as UTC.
type clock interface {
	time(line int, text string) int64
}

// timeNames are the column and field names taken for a time, best first.
var timeNames = []string{
	"timestamp", "time", "datetime", "date_time", "ts", "reported_at", "received_at",
	"_timestamp", "created_at", "date", "_date",
}

// layouts are the written forms of a time that are recognised.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
	"2006/01/02 15:04:05", "2006/01/02 15:04", "2006/01/02",
}

// csvClock learns from the header which column holds the time, or which four
// hold year, month, day and hour. Without a known header the first column of
// each line that reads as a written time is taken.
type csvClock struct {
	comma  rune
	column int   // 1-based; 0 = unknown
	parts  []int // 0-based columns of year, month, day, hour, or nil
}

func (c *csvClock) time(line int, text string) int64 {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = c.comma, true, -1
	cells, err := r.Read()
	if err != nil {
		return 0
	}
	if line == 1 {
		c.learn(cells)
	}
	switch {
	case c.parts != nil:
		return timeOfParts(cells, c.parts)
	case c.column > 0:
		if c.column > len(cells) {
			return 0
		}
		return parseTime(cells[c.column-1])
	}
	for _, cell := range cells {
		if t := parseText(cell); t != 0 {
			return t
		}
	}
	return 0
}

func (c *csvClock) learn(header []string) {
	lower := make([]string, len(header))
	for i, h := range header {
		lower[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
	}
	for _, name := range timeNames {
		if i := slices.Index(lower, name); i >= 0 {
			c.column = i + 1
			return
		}
	}
	var parts []int
	for _, name := range []string{"year", "month", "day", "hour"} {
		i := slices.Index(lower, name)
		if i < 0 {
			return
		}
		parts = append(parts, i)
	}
	c.parts = parts
}

func timeOfParts(cells []string, parts []int) int64 {
	var n [4]int
	for i, p := range parts {
		if p >= len(cells) {
			return 0
		}
		v, err := strconv.Atoi(strings.TrimSpace(cells[p]))
		if err != nil {
			return 0
		}
		n[i] = v
	}
	if n[0] < 1 || n[0] > 9999 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] < 0 || n[3] > 23 {
		return 0
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], 0, 0, 0, time.UTC).UnixMicro()
}

// jsonClock takes the first known time field at the top level of each object.
type jsonClock struct{}

func (jsonClock) time(_ int, text string) int64 {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return 0
	}
	for _, name := range timeNames {
		raw, ok := fields[name]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		if t := parseTime(s); t != 0 {
			return t
		}
	}
	return 0
}

// parseTime reads a written time or a Unix time in s, ms, µs or ns.
func parseTime(s string) int64 {
	if t := parseText(s); t != 0 {
		return t
	}
	return parseUnix(strings.TrimSpace(s))
}

func parseText(s string) int64 {
	s = strings.TrimSpace(s)
	if len(s) < len("2006-01-02") || s[4] != '-' && s[4] != '/' {
		return 0
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1 {
			return t.UnixMicro()
		}
	}
	return 0
}

// parseUnix tells the unit by magnitude: below 1e11 seconds (the year 5138),
// then ms, µs, ns.
func parseUnix(s string) int64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v < 1e8 || v >= 1e20 {
		return 0
	}
	for _, scale := range []struct{ below, toMicro float64 }{{1e11, 1e6}, {1e14, 1e3}, {1e17, 1}, {1e20, 1e-3}} {
		if v < scale.below {
			return int64(math.Round(v * scale.toMicro))
		}
	}
	return 0
}
