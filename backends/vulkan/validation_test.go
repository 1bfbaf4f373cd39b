//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// validate is the environment variable that switches the validation layer on; see package vk.
const validate = "TENON_VULKAN_VALIDATE"

// TestValidation runs other tests in a process with the Khronos validation layer, which prints what is used wrongly.
func TestValidation(t *testing.T) {
	if os.Getenv(validate) != "" {
		t.Skip("this is the process that is validated")
	}
	if raceEnabled {
		t.Skip("without the race detector it is the same")
	}
	t.Parallel()
	open(t, Options{}).Close()
	run := func(args ...string) string {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), validate+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil && !strings.Contains(string(out), "layer not present") {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("-test.run=^TestInfo$", "-test.v"); strings.Contains(out, "layer not present") {
		if os.Getenv(demand) != "" {
			t.Fatalf("%s is set, and the validation layer is not installed", demand)
		}
		t.Skip("the validation layer is not installed")
	}
	for _, tests := range []string{
		"^TestConformanceOps$/^(SetRows|MatMulID|GatedDeltaNet|TopK|RoPE)$",
		"^(TestStaging|TestSlices|TestLost|TestPipelineCache)$",
	} {
		out := run("-test.run="+tests, "-test.v")
		if !strings.Contains(out, "--- PASS") {
			t.Errorf("%s: no test ran\n%s", tests, out)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "VUID") || strings.Contains(line, "UNASSIGNED") || strings.Contains(line, "Validation") {
				t.Errorf("%s: %s", tests, line)
			}
		}
	}
}
