package merkle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
)

// Files that implementations in other languages read, too.
const (
	logVectorsFile     = "../../testdata/vectors/merkle-log.json"
	recordsVectorsFile = "../../testdata/vectors/merkle-records.json"
)

var update = flag.Bool("update", false, "write "+logVectorsFile+" and "+recordsVectorsFile)

// hexBytes are bytes that stand in hexadecimal in a vector.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.AppendDecode(nil, text)
	return err
}

// hexKey is a key that stands in hexadecimal in a vector.
type hexKey Key

func (k hexKey) MarshalText() ([]byte, error) { return []byte(Key(k).String()), nil }

func (k *hexKey) UnmarshalText(text []byte) error {
	if len(text) != 2*KeySize {
		return fmt.Errorf("key of %d digits", len(text))
	}
	_, err := hex.Decode(k[:], text)
	return err
}

// checkVectorsFile compares a file with what the code makes and reads it into
// got. With -update it writes the file first.
func checkVectorsFile(t *testing.T, file string, want, got any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, b.Bytes()) {
		t.Errorf("%s is not what the code makes; if that is meant, run go test ./crypto/merkle -run Vectors -update", file)
	}
	if err := json.Unmarshal(stored, got); err != nil {
		t.Fatal(err)
	}
}
