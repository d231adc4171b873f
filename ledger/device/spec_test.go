package device

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestSpecPython runs the Python of docs/spec/device.md on the vectors.
func TestSpecPython(t *testing.T) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import cbor2, cryptography").Run() != nil {
			continue
		}
		out, err := exec.Command(python, "testdata/spec.py", "../../docs/spec/device.md", "../../testdata/vectors").CombinedOutput()
		if n, _ := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || n < 50 {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Skip("SKIPPED LOUDLY: no python3 with cbor2 and cryptography (Debian: python3-cbor2 python3-cryptography)")
}
