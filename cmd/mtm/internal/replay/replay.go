// Package replay reads a file of recorded measurements line by line, so that a
// device can sign and send it again. One line is one reading, and the bytes of
// a reading are the bytes of its line with its line end: joining the readings
// of a file in order gives back the file (decompressed, for .gz files).
//
// Nothing is skipped: a header line, an empty line, a repeated line and a last
// line without a newline are readings too.
package replay

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// MaxLine is the longest line, in bytes with its line end, that a reading can
// hold. It equals the ledger's limit for the content of one reading.
const MaxLine = 32768

// Errors that a caller may branch on.
var (
	ErrLineTooLong = errors.New("line too long for one reading")
	ErrFormat      = errors.New("unknown file format")
)

// Row is one line of the file.
type Row struct {
	Content []byte // the line with its line end, exactly as in the file
	Time    int64  // declared time in µs since the Unix epoch; 0 where none was recognised
}

// Reader reads the rows of one file in order.
type Reader struct {
	name   string
	media  string
	lines  *bufio.Reader
	closer []io.Closer
	clock  clock
	line   int
}

// Open opens a .csv, .tsv, .ndjson, .jsonl or .json file, plain or with .gz.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	r, err := newReader(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer = append(r.closer, f)
	return r, nil
}

func newReader(path string, in io.Reader) (*Reader, error) {
	base := filepath.Base(path)
	r := &Reader{name: strings.TrimSuffix(base, ".gz")}
	if strings.HasSuffix(base, ".gz") {
		gz, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("replay %s: %w", base, err)
		}
		r.closer = append(r.closer, gz)
		in = gz
	}
	switch ext := strings.ToLower(filepath.Ext(r.name)); ext {
	case ".csv":
		r.media, r.clock = "text/csv", &csvClock{comma: ','}
	case ".tsv":
		r.media, r.clock = "text/tab-separated-values", &csvClock{comma: '\t'}
	case ".ndjson", ".jsonl", ".json":
		r.media, r.clock = "application/json", jsonClock{}
	default:
		return nil, fmt.Errorf("replay %s: %w: want .csv, .tsv, .ndjson, .jsonl or .json, plain or .gz", base, ErrFormat)
	}
	r.lines = bufio.NewReaderSize(in, MaxLine+1)
	return r, nil
}

// Name is the file's name without its folder and without .gz.
func (r *Reader) Name() string { return r.name }

// Media is the media type of every row: text/csv, application/json, ...
func (r *Reader) Media() string { return r.media }

// Next returns the next row, or io.EOF after the last one. The row's content is
// a copy.
func (r *Reader) Next() (Row, error) {
	raw, err := r.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(raw) > MaxLine {
		return Row{}, fmt.Errorf("replay %s line %d: %w: at most %d bytes", r.name, r.line+1, ErrLineTooLong, MaxLine)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return Row{}, fmt.Errorf("replay %s line %d: %w", r.name, r.line+1, err)
	}
	if len(raw) == 0 {
		return Row{}, io.EOF
	}
	r.line++
	row := Row{Content: append([]byte(nil), raw...)}
	row.Time = r.clock.time(r.line, strings.TrimRight(string(raw), "\r\n"))
	return row, nil
}

// Skip reads n rows and drops them, so that a replay resumes where it stopped.
// It returns io.EOF when the file has fewer rows.
func (r *Reader) Skip(n uint64) error {
	for ; n > 0; n-- {
		if _, err := r.Next(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error {
	var first error
	for _, c := range r.closer {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
