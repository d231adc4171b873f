package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Debian's Python sees Debian's packages; another one on the PATH may not.
const debianPython = "/usr/bin/python3"

func needPython(t *testing.T) {
	t.Helper()
	out, err := exec.Command(debianPython, "-c", "import cbor2, cryptography, paho.mqtt.client").CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: the device and verifier in Python are not tested; "+
			"apt-get install -y python3-cbor2 python3-cryptography python3-paho-mqtt (%s)", lastLine(out))
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// python makes the command of a script of this folder; -B: it leaves no compiled files behind.
func python(ctx context.Context, script string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, debianPython, append([]string{"-B", script}, args...)...)
}

func TestVectors(t *testing.T) {
	needPython(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := python(ctx, "check_vectors.py").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var passed, failed int
	if _, err := fmt.Sscanf(lastLine(out), "%d passed, %d failed", &passed, &failed); err != nil || failed != 0 {
		t.Fatalf("%v in %q", err, lastLine(out))
	}
	if passed < 1100 {
		t.Errorf("only %d vectors: where are the others?", passed)
	}
	t.Log(strings.TrimSpace(string(out)))
}

// running is a ledger's folder with a validator and a bridge running.
type running struct {
	t    *testing.T
	mtm  string // the binary
	home string
	init struct {
		Chain        string
		Organisation struct{ ID string }
		Bridge       struct{ Key, MQTT string }
		Trust        string
	}
}

func startLedger(t *testing.T) *running {
	dir := t.TempDir()
	l := &running{t: t, mtm: filepath.Join(dir, "mtm"), home: filepath.Join(dir, "home")}
	if out, err := exec.Command("go", "build", "-o", l.mtm, "mtmledger/cmd/mtm").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l.json(&l.init, "init", "--chain", "interop-1", "--organisation", "Works")

	l.start("validator", "run")
	l.until("the validator runs", func(s status) bool { return len(s.Validators) == 1 && s.Validators[0].Height >= 1 })
	l.start("bridge", "run")
	l.until("the bridge is ready", func(s status) bool { return s.Bridge.Ready })
	return l
}

type status struct {
	Validators []struct{ Height int64 }
	Bridge     struct {
		Ready      bool
		Accounting struct {
			Received, Committed, Duplicate, Spooled int64
			DeadLettered                            int64 `json:"dead_lettered"`
		}
	}
}

// start runs a command of mtm in the background until the test ends.
func (l *running) start(args ...string) {
	cmd := exec.Command(l.mtm, append(args, "--home", l.home)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				l.t.Errorf("mtm %s: %v\n%s", strings.Join(args, " "), err, log.String())
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			l.t.Errorf("mtm %s did not end when interrupted\n%s", strings.Join(args, " "), log.String())
		}
	})
}

// until polls the ledger's status until it is as wanted.
func (l *running) until(what string, ok func(status) bool) {
	l.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var s status
		out, err := exec.Command(l.mtm, "status", "--json", "--home", l.home).Output()
		if err == nil && json.Unmarshal(out, &s) == nil && ok(s) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			l.t.Fatalf("%s: not within a minute (%v)\n%s", what, err, out)
		}
	}
}

// json runs a command of mtm to its end and decodes what it prints.
func (l *running) json(into any, args ...string) {
	l.t.Helper()
	out, err := exec.Command(l.mtm, append(args, "--home", l.home, "--json")...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		l.t.Fatalf("mtm %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	} else if err != nil {
		l.t.Fatal(err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		l.t.Fatalf("mtm %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// device makes the command of the device in Python, with its key where mtm looks for it.
func (l *running) device(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(l.t.Context(), 3*time.Minute)
	l.t.Cleanup(cancel)
	return python(ctx, "device.py", append([]string{
		"--key", filepath.Join(l.home, "devices", "press", "key.pem"), "--chain", l.init.Chain, "--stream", "force",
		"--store", filepath.Join(l.home, "python"), "--broker", l.init.Bridge.MQTT}, args...)...)
}

// line is one of the device's lines: an acknowledged statement, or the last one.
type line struct {
	First, Last, Height, Index int64
	Code                       string
	Next, Pending, Refused     int64
}

// run runs the device to its end and returns what was acknowledged and how it ended.
func (l *running) run(wantExit int, args ...string) ([]line, line) {
	l.t.Helper()
	cmd := l.device(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != wantExit {
		l.t.Fatalf("device.py %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, wantExit, out, stderr.Bytes())
	}
	var lines []line
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var next line
		err := d.Decode(&next)
		if err == io.EOF {
			break
		} else if err != nil {
			l.t.Fatalf("%v in %s", err, out)
		}
		lines = append(lines, next)
	}
	if len(lines) == 0 || lines[len(lines)-1].Next == 0 {
		l.t.Fatalf("the device does not say how it ended: %s", out)
	}
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// verify runs a verifier in Python on a file and returns its exit code and what it printed.
func (l *running) verify(certificate string, args ...string) (int, string) {
	l.t.Helper()
	cmd := python(l.t.Context(), "verify.py", append([]string{certificate, "--trust", l.init.Trust}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		l.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestDeviceAndVerifier brings a device in Python from its key to a certificate that the verifier in Python accepts.
func TestDeviceAndVerifier(t *testing.T) {
	needPython(t)
	l := startLedger(t)

	// The device makes its key and computes its ids; the ledger computes the same.
	var ids struct{ Device, Stream string }
	shown, err := l.device("--show", "--organisation", l.init.Organisation.ID).Output()
	if err == nil {
		err = json.Unmarshal(shown, &ids)
	}
	if err != nil {
		t.Fatalf("%v in %s", err, shown)
	}
	var made struct{ ID string }
	l.json(&made, "enrol", "--device", "press")
	if made.ID != ids.Device {
		t.Errorf("device id %s, by the device itself %s", made.ID, ids.Device)
	}
	l.json(&made, "stream", "open", "--device", "press", "--name", "force")
	if made.ID != ids.Stream {
		t.Errorf("stream id %s, by the device itself %s", made.ID, ids.Stream)
	}

	trusted := []string{"--bridge", l.init.Bridge.Key}
	acknowledged, end := l.run(0, append(trusted, "--count", "20")...)
	if len(acknowledged) != 20 || end.Next != 61 || end.Pending != 0 || end.Refused != 0 {
		t.Fatalf("%d acknowledged, then %+v", len(acknowledged), end)
	}
	for _, a := range acknowledged {
		if a.Code != "ok" || a.Height < 1 || a.Index < 1 {
			t.Errorf("acknowledged: %+v", a)
		}
	}

	// Acknowledgements by a key that the device does not trust change nothing.
	stranger := "GCemMf6v9jPO/gwpef1AKg9gwn4XmbxI2wmZ+KDYMaA="
	if acknowledged, end = l.run(1, "--bridge", stranger, "--count", "1", "--timeout", "3"); len(acknowledged) != 0 || end.Pending != 1 {
		t.Fatalf("by a stranger: %d acknowledged, then %+v", len(acknowledged), end)
	}
	if acknowledged, end = l.run(0, trusted...); len(acknowledged) != 1 || end.Pending != 0 {
		t.Fatalf("by the bridge: %d acknowledged, then %+v", len(acknowledged), end)
	}

	killMidway(t, l.device(append(trusted, "--count", "100000", "--every", "0.01")...))
	_, end = l.run(0, append(trusted, "--count", "2")...)
	if end.Pending != 0 || end.Refused != 0 || end.Next <= 64+6 {
		t.Fatalf("after the kill: %+v", end)
	}

	// Every number from the first to the last is there once, with the content that the device gave it.
	exported, err := exec.Command(l.mtm, "export", "--home", l.home, "--stream", "force").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for n := range end.Next - 1 {
		fmt.Fprintf(&want, "reading %d", n+1)
	}
	if !bytes.Equal(exported, want.Bytes()) {
		t.Errorf("exported:\n%.300s\nwant:\n%.300s", exported, want.Bytes())
	}
	l.until("nothing is lost", func(s status) bool {
		// On a slow machine a statement may count as a duplicate of itself.
		a, statements := s.Bridge.Accounting, (end.Next-1)/3
		return a.Committed <= statements && a.Committed+a.Duplicate >= statements && a.DeadLettered == 0 && a.Received == a.Committed+a.Duplicate+a.Spooled
	})

	checkCertificate(t, l, end.Next-1)
	checkAnswer(t, l, end.Next-1)
}

// killMidway kills the device without warning while it is sending, after its third acknowledgement.
func killMidway(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < 3; n++ {
		if !lines.Scan() {
			t.Fatalf("the device ended by itself: %v, %v", lines.Err(), cmd.Wait())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the device ended by itself: %v", err)
	}
}

// checkCertificate proves a reading and verifies the certificate with both verifiers, whole and damaged.
func checkCertificate(t *testing.T, l *running, number int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reading.mtmcert")
	var proven struct{ Certificate string }
	l.json(&proven, "prove", "--stream", "force", "--number", fmt.Sprint(number), "--out", file)

	here, there := l.both(file)
	if a, b := fmt.Sprint(here), fmt.Sprint(there); a != b {
		t.Errorf("verify.py finds\n%s\nmtm verify finds\n%s", a, b)
	}
	refuseDamaged(t, l, file)
}

// checkAnswer asks for a cover and a list, and verifies the files with both verifiers, whole and damaged.
func checkAnswer(t *testing.T, l *running, last int64) {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"query", "cover", "--stream", "force", "--first", "1", "--last", fmt.Sprint(last + 5)},
		{"query", "owner", "--stream", "force"},
	} {
		file := filepath.Join(dir, args[1]+".mtmanswer")
		var ignored any
		l.json(&ignored, append(args, "--out", file)...)
		here, there := l.both(file)
		for _, member := range []string{"chain", "as_of_height", "header_time", "app_hash", "cover", "entries", "power", "validators_signed"} {
			if a, b := fmt.Sprint(here[member]), fmt.Sprint(there[member]); a != b {
				t.Errorf("%s: verify.py finds\n%s\nmtm verify finds\n%s", member, a, b)
			}
		}
		if cover, _ := here["cover"].(map[string]any); args[1] == "cover" && fmt.Sprint(cover["committed"]) != fmt.Sprint(last) {
			t.Errorf("%v of %d readings are committed", cover["committed"], last)
		}
		refuseDamaged(t, l, file)
	}
}

// both returns what the verifier in Python and mtm verify find in a file.
func (l *running) both(file string) (here, there map[string]any) {
	l.t.Helper()
	code, out := l.verify(file, "--json")
	if code != 0 {
		l.t.Fatalf("verify.py: exit code %d\n%s", code, out)
	}
	if err := json.Unmarshal([]byte(out), &here); err != nil {
		l.t.Fatal(err)
	}
	reference, err := exec.Command(l.mtm, "verify", file, "--trust", l.init.Trust, "--json").Output()
	if err == nil {
		err = json.Unmarshal(reference, &there)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	delete(there, "accepted")
	return here, there
}

// refuseDamaged changes a file in some places; both verifiers refuse it.
func refuseDamaged(t *testing.T, l *running, file string) {
	t.Helper()
	sound, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	refuse := func(what string, data []byte) {
		if err := os.WriteFile(damaged, data, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := l.verify(damaged)
		if code != 1 || !strings.HasPrefix(out, "refused: ") {
			t.Errorf("%s: verify.py: exit code %d, %s", what, code, out)
		}
		both, err := exec.Command(l.mtm, "verify", damaged, "--trust", l.init.Trust).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: mtm verify: %v, %s", what, err, both)
		}
	}
	for i := 0; i < len(sound); i += len(sound)/8 + 1 {
		data := bytes.Clone(sound)
		data[i] ^= 1
		refuse(fmt.Sprintf("byte %d flipped", i), data)
		sum := sha256.Sum256(data[:len(data)-32]) // sealed again, so that the checksum is not the reason
		copy(data[len(data)-32:], sum[:])
		refuse(fmt.Sprintf("byte %d flipped, sealed again", i), data)
	}
	refuse("cut", sound[:len(sound)-1])
}
