package crypto

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// vectorTests are what another architecture must pass: every vector by the single
// rule and in batches, the recorded fuzz corpus, and the formats.
const vectorTests = "^(TestRFC8032|TestVerify|TestBatchAgreesWithSingle|TestErrorsDoNotCancel|" +
	"TestCheckEnrolment|TestParseSign1Refuses|TestVectors|FuzzVerify)$"

// Verdicts are the same bit on machines with 32-bit words, and without assembly.
func TestOtherArchitectures(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("runs on linux/amd64 and takes a minute or two")
	}
	for _, arch := range []struct{ name, goarch, tags, emulator string }{
		{"purego", "amd64", "purego", ""},
		{"386", "386", "", "qemu-i386"},
		{"arm", "arm", "", "qemu-arm"},
	} {
		t.Run(arch.name, func(t *testing.T) {
			if _, err := exec.LookPath(arch.emulator); arch.emulator != "" && err != nil {
				t.Skipf("SKIPPED LOUDLY: no %s (Debian package qemu-user): signatures are not tested on %s", arch.emulator, arch.goarch)
			}
			for pkg, run := range map[string]string{".": vectorTests, "./internal/group": "."} {
				binary := filepath.Join(t.TempDir(), "test")
				build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", arch.tags, "-o", binary, pkg)
				build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch.goarch)
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				runEmulated(t, arch.emulator, binary, pkg, run)
			}
		})
	}
}

// runEmulated runs a test binary. qemu-user sometimes loses the thread pointer of
// a new thread of a 386 program, and the runtime aborts: this, and no failed
// test, is tried again. For the same reason there is no asynchronous preemption.
func runEmulated(t *testing.T, emulator, binary, dir, run string) {
	t.Helper()
	args := []string{binary, "-test.short", "-test.v", "-test.run", run}
	if emulator != "" {
		args = append([]string{emulator}, args...)
	}
	for try := 1; ; try++ {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
		out, err := cmd.CombinedOutput()
		passed := strings.Count(string(out), "--- PASS")
		if err == nil && passed > 0 {
			t.Logf("%s: %d tests passed", dir, passed)
			return
		}
		aborted := emulator != "" && !bytes.Contains(out, []byte("--- FAIL")) && bytes.Contains(out, []byte("fatal"))
		if !aborted || try == 5 {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}
