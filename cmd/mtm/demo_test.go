package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtmledger/ledger/proof"
)

// demoOnce runs a demo in this process and returns its result.
func demoOnce(t *testing.T, args ...string) demoResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, append([]string{"demo", "--json"}, args...), nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	var r demoResult
	d := json.NewDecoder(&stdout)
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Errorf("more than one object on standard output")
	}
	return r
}

// TestDemoCertificate takes the certificate of a demo: the stand-alone verifier
// accepts it, and refuses it with any byte changed, with one more, one less, and
// with another trust root.
func TestDemoCertificate(t *testing.T) {
	home := t.TempDir()
	r := demoOnce(t, "--for", "1s", "--home", filepath.Join(home, "H"))
	if !r.Verified || r.Committed == 0 || r.Gaps != 0 || r.DeadLetters != 0 || !r.Balanced || r.LatencyP50 <= 0 {
		t.Errorf("demo: %+v", r)
	}
	tool := filepath.Join(home, "mtm-verify")
	if out, err := exec.Command("go", "build", "-o", tool, "mtmledger/cmd/mtm-verify").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if out, err := exec.Command(tool, r.Certificate, "--trust", r.Trust).CombinedOutput(); err != nil {
		t.Errorf("mtm-verify: %v\n%s", err, out)
	}
	file, root := loadProof(t, r)
	verifier, err := proof.NewVerifier(root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			changed := bytes.Clone(file)
			changed[i] ^= flip
			if _, err := verifier.Verify(changed); err == nil || err.Error() == "" {
				t.Errorf("byte %d changed by %#x: accepted", i, flip)
			}
		}
	}
	for name, changed := range map[string][]byte{"one more": append(bytes.Clone(file), 0), "one less": file[:len(file)-1], "empty": nil} {
		if _, err := verifier.Verify(changed); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	root.Chain += "x"
	if _, err := proof.Verify(file, root); err == nil {
		t.Error("another trust root: accepted")
	}
	if len(file) > 4096 {
		t.Errorf("the certificate has %d bytes", len(file))
	}
	t.Logf("certificate: %d bytes", len(file))
}

func loadProof(t *testing.T, r demoResult) ([]byte, proof.TrustRoot) {
	t.Helper()
	file, err := os.ReadFile(r.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := os.ReadFile(r.Trust)
	if err != nil {
		t.Fatal(err)
	}
	root, err := proof.ParseTrustRoot(pinned)
	if err != nil {
		t.Fatal(err)
	}
	return file, root
}

// TestReplayData replays real data and gets every byte back.
func TestReplayData(t *testing.T) {
	data := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(data); err != nil {
		t.Skipf("SKIPPED LOUDLY: no data in %s", data)
	}
	for _, pattern := range []string{
		"nab-machine-temperature/machine_temperature_system_failure.csv",
		"lorawan-field-trackers/*.ndjson.gz", "beijing-air-quality/*.csv.gz",
	} {
		t.Run(filepath.Dir(pattern), func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(data, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("no file %s: %v", pattern, err)
			}
			replayFiles(t, files)
		})
	}
}

func replayFiles(t *testing.T, files []string) {
	home := filepath.Join(t.TempDir(), "H")
	args := []string{"--home", home}
	for _, f := range files {
		args = append(args, "--replay", f)
	}
	r := demoOnce(t, args...)
	if r.Gaps != 0 || r.DeadLetters != 0 || !r.Balanced || !r.Verified {
		t.Errorf("demo: %+v", r)
	}
	rows := uint64(0)
	for _, f := range files {
		want, err := exec.Command("sh", "-c", `case "$0" in *.gz) gzip -dc "$0";; *) cat "$0";; esac`, f).Output()
		if err != nil {
			t.Fatal(err)
		}
		rows += uint64(bytes.Count(want, []byte("\n")))
		if len(want) > 0 && want[len(want)-1] != '\n' {
			rows++
		}
		var got, stderr bytes.Buffer
		code := run(context.Background(), []string{"export", "--home", home, "--stream", streamName(f)}, nil, &got, &stderr)
		if code != exitOK || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: exit code %d, %d bytes of %d\n%s", f, code, got.Len(), len(want), stderr.String())
		}
	}
	if r.Committed != rows {
		t.Errorf("committed %d of %d rows", r.Committed, rows)
	}
}

func TestStreamName(t *testing.T) {
	for file, want := range map[string]string{
		"/a/b/machine.csv": "machine.csv", "frames.ndjson.gz": "frames.ndjson",
		"bad\x01name.csv": "replay", strings.Repeat("x", 70) + ".csv": strings.Repeat("x", 60) + ".csv",
	} {
		if got := streamName(file); got != want {
			t.Errorf("%q: stream %q, want %q", file, got, want)
		}
	}
}

// TestEndedEarly: a part that ended without an error is named like any other.
func TestEndedEarly(t *testing.T) {
	if got := endedEarly("validator", nil).Error(); got != "the validator ended: "+errEnded.Error() {
		t.Errorf("without a reason: %s", got)
	}
	if err := endedEarly("bridge", os.ErrClosed); !errors.Is(err, os.ErrClosed) {
		t.Errorf("with a reason: %v", err)
	}
}
