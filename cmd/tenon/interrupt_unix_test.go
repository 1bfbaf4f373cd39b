//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestInterrupt sends a signal to a run in the middle of its text.
func TestInterrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := tinymodel.WriteFile(path, tinymodel.Config{Context: 4096}); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sig  os.Signal
		code int
		line string
	}{{os.Interrupt, 130, "tenon: interrupted\n"}, {syscall.SIGTERM, 143, "tenon: terminated\n"}} {
		cmd := exec.Command(self, "run", "-m", path, "-p", "the", "--temp", "0", "--ignore-eos", "--logit-bias", "274+1000")
		cmd.Args[0] = "tenon" // what TestMain looks at
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(stdout)
		if _, err := out.Peek(20); err != nil { // the text has begun, long before its end
			t.Fatalf("no text: %v; stderr %q", err, stderr.String())
		}
		if err := cmd.Process.Signal(c.sig); err != nil {
			t.Fatal(err)
		}
		if _, err := out.WriteTo(discard{}); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the code is looked at below
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.sig, code, c.code)
		}
		if !strings.HasSuffix(stderr.String(), c.line) || !strings.Contains(stderr.String(), "generated ") {
			t.Errorf("%v: stderr %q, want timings and %q", c.sig, stderr.String(), c.line)
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
