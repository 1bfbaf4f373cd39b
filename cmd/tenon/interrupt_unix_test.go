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

	"github.com/tenon-go/tenon/bench"
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

// TestInterruptBench stops a benchmark between its tests: what was measured is printed, and the JSON is
// whole.
func TestInterruptBench(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := tinymodel.WriteFile(path, tinymodel.Config{Context: 4096}); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The second test would take minutes.
	cmd := exec.Command(self, "bench", "-m", path, "-p", "4", "-n", "3000", "-r", "100", "--no-roofline", "--progress", "-o", "json")
	cmd.Args[0] = "tenon" // what TestMain looks at
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	lines := bufio.NewScanner(stderr)
	for sent := false; lines.Scan(); {
		last = lines.Text()
		if !sent && strings.Contains(last, "tg3000: measuring, 2 of ") {
			sent = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != 130 || last != "tenon: interrupted" {
		t.Errorf("exit code %d, %q; want 130", code, last)
	}
	records, err := bench.ReadJSON(strings.NewReader(stdout.String()))
	if err != nil || len(records) != 2 || len(records[0].SamplesNS) != 100 || len(records[1].SamplesNS) == 0 || len(records[1].SamplesNS) == 100 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

// TestInterruptReport stops a report in the middle of a part: what was measured is in it.
func TestInterruptReport(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "B.md")
	cmd := exec.Command(self, "bench", "report", "--shape", "llama-tiny:layers=1", "--types", "Q8_0", "-p", "4", "-n", "2000", "-r", "100",
		"--no-roofline", "-o", out)
	cmd.Args[0] = "tenon" // what TestMain looks at
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	lines := bufio.NewScanner(stderr)
	for sent := false; lines.Scan(); {
		last = lines.Text()
		if !sent && strings.Contains(last, "tg2000: measuring, 2 of ") {
			sent = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != 130 || last != "tenon: interrupted" {
		t.Errorf("exit code %d, %q; want 130", code, last)
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "| Q8_0 | tg2000 |") {
		t.Errorf("%v, %s", err, text)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
