//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWaveOf(t *testing.T) {
	for arch, want := range map[string]int{
		"gfx900": 64, "gfx90a:sramecc+:xnack-": 64, "gfx942": 64, "gfx1030": 32, "gfx1100": 32, "gfx1201:x-": 32,
	} {
		if got := WaveOf(arch); got != want {
			t.Errorf("%s: %d, want %d", arch, got, want)
		}
	}
}

func TestArchPattern(t *testing.T) {
	for text, want := range map[string]string{
		"\x00gfx90a:sramecc+:xnack-\x00": "gfx90a:sramecc+:xnack-",
		"AMD Radeon\x00\x00gfx1100\x00":  "gfx1100",
		"gfx":                            "",
		"no name":                        "",
	} {
		if got := archPattern.FindString(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestError(t *testing.T) {
	for _, x := range []struct {
		err                              Error
		noMemory, noDevice, noCode, lost bool
	}{
		{Error{Call: "hipMalloc", Code: 2}, true, false, false, false},
		{Error{Call: "hiprtcCompileProgram", Code: 2}, false, false, false, false},
		{Error{Call: "hipInit", Code: 100}, false, true, false, false},
		{Error{Call: "hipModuleLoadData", Code: 209}, false, false, true, false},
		{Error{Call: "hipEventQuery", Code: 700}, false, false, false, true},
	} {
		if e := &x.err; e.NoMemory() != x.noMemory || e.NoDevice() != x.noDevice || e.NoBinary() != x.noCode || e.Lost() != x.lost {
			t.Errorf("%v: no memory %v, no device %v, no binary %v, lost %v", e, e.NoMemory(), e.NoDevice(), e.NoBinary(), e.Lost())
		}
	}
}

// build puts a library of a source where Open looks, and returns its path.
func build(t *testing.T, name, source string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skipf("no C compiler for a made-up library: %v", err)
	}
	root := t.TempDir()
	dir := filepath.Join(root, "lib")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := filepath.Join(root, "lib.c")
	if err := os.WriteFile(c, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, name)
	if said, err := exec.Command(gcc, "-shared", "-fPIC", "-o", out, c).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Setenv("ROCM_PATH", root)
	return out
}

// A runtime that lacks functions says which.
func TestTooOld(t *testing.T) {
	if _, path, err := open("libamdhip64.so.7"); err == nil {
		t.Skipf("there is a runtime: %s", path)
	}
	path := build(t, "libamdhip64.so.7", "int hipInit(unsigned f) { return f; }\n")
	_, err := Open()
	if !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "hipMalloc") ||
		strings.Contains(err.Error(), "hipInit") {
		t.Errorf("got %v", err)
	}
}

// A file that is no library is told as such, and not as one that is absent.
func TestDamaged(t *testing.T) {
	if _, path, err := open("libamdhip64.so.5"); err == nil {
		t.Skipf("there is a runtime: %s", path)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "lib", "libamdhip64.so.5"), []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROCM_PATH", root)
	if _, _, err := open("libamdhip64.so.5"); err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("got %v", err)
	}
}
