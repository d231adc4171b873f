package replay

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	data := []byte(text)
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(data)
		w.Close()
		data = b.Bytes()
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, path string) []Row {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rows []Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

func TestBytesKept(t *testing.T) {
	long := strings.Repeat("x", MaxLine-1) + "\n"
	for name, text := range map[string]string{
		"empty.csv": "", "one.csv": "a", "newline.csv": "\n", "crlf.csv": "a,b\r\n1,2\r\n",
		"noend.ndjson": "{\"a\":1}\n{\"a\":2}", "blank.csv": "a\n\n\r\nb\n", "zip.csv.gz": "h\n1\n2",
		"binary.csv": "\xff\xfe\x00\n\"open quote\n", "long.csv": long,
	} {
		rows := readAll(t, write(t, name, text))
		var got bytes.Buffer
		for _, row := range rows {
			if i := bytes.IndexByte(row.Content, '\n'); i >= 0 && i != len(row.Content)-1 {
				t.Errorf("%s: a row of two lines: %q", name, row.Content)
			}
			got.Write(row.Content)
		}
		if got.String() != text {
			t.Errorf("%s: joined rows differ from the file", name)
		}
		want := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			want++
		}
		if len(rows) != want {
			t.Errorf("%s: %d rows, want %d", name, len(rows), want)
		}
	}
}

func TestRefused(t *testing.T) {
	if _, err := Open(write(t, "a.xlsx", "x")); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown format: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "bad.csv.gz")
	os.WriteFile(path, []byte("not gzip at all"), 0o600)
	if _, err := Open(path); !errors.Is(err, gzip.ErrHeader) {
		t.Errorf("not gzip: %v", err)
	}
	r, err := Open(write(t, "long.csv", "ok\n"+strings.Repeat("x", MaxLine)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrLineTooLong) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("long line: %v", err)
	}
}

func TestSkip(t *testing.T) {
	r, err := Open(write(t, "a.csv", "h\n1\n2\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Skip(2); err != nil {
		t.Fatal(err)
	}
	if row, err := r.Next(); err != nil || string(row.Content) != "2\n" {
		t.Errorf("after Skip(2): %q, %v", row.Content, err)
	}
	if err := r.Skip(1); !errors.Is(err, io.EOF) {
		t.Errorf("Skip past the end: %v", err)
	}
}

func TestTimes(t *testing.T) {
	at := func(s string) int64 {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMicro()
	}
	for _, c := range []struct {
		name, text string
		want       []int64
	}{
		{"nab.csv", "timestamp,value\n2013-12-02 21:15:00,73.9\nx,1\n", []int64{0, at("2013-12-02T21:15:00Z"), 0}},
		{"air.csv", "\"No\",\"year\",\"month\",\"day\",\"hour\",\"T\"\r\n1,2013,3,1,23,NA\r\n2,2013,13,1,0,1\r\n", []int64{0, at("2013-03-01T23:00:00Z"), 0}},
		{"bare.csv", "7,2020-01-02T03:04:05Z\n8,9\n", []int64{at("2020-01-02T03:04:05Z"), 0}},
		{"unix.csv", "ts,v\n1630589706,1\n1630589706.5,1\n1630589706147,1\n12,1\nNaN,1\n", []int64{0, 1630589706e6, 1630589706500000, 1630589706147000, 0, 0}},
		{"f.ndjson", `{"reported_at":1630589706147,"type":null}` + "\n" + `{"time":"2021-09-02T13:35:06.724Z"}` + "\n[1]\n{\n", []int64{1630589706147000, at("2021-09-02T13:35:06.724Z"), 0, 0}},
		{"tab.tsv", "a\tdate\n1\t2020-01-02\n", []int64{0, at("2020-01-02T00:00:00Z")}},
	} {
		rows := readAll(t, write(t, c.name, c.text))
		if len(rows) != len(c.want) {
			t.Fatalf("%s: %d rows", c.name, len(rows))
		}
		for i, row := range rows {
			if row.Time != c.want[i] {
				t.Errorf("%s row %d: time %d, want %d", c.name, i+1, row.Time, c.want[i])
			}
		}
	}
}

// FuzzRows checks that whatever the bytes, the rows join to them.
func FuzzRows(f *testing.F) {
	f.Add("a,b\r\n1,2\n")
	f.Add("{\"time\":1e300}\n\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"f.csv", "f.ndjson"} {
			r, err := newReader(name, strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for {
				row, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if errors.Is(err, ErrLineTooLong) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got.Write(row.Content)
			}
			if got.String() != text {
				t.Fatalf("%s: joined rows differ", name)
			}
		}
	})
}
