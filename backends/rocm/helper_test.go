//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"os"
	"testing"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/internal/hipemu"
)

// serving is the environment variable that makes a process of this test compile for another.
const serving = "TENON_TEST_SERVE_COMPILER"

// TestServing is what such a process runs.
func TestServing(t *testing.T) {
	if os.Getenv(serving) == "" {
		t.Skip("this is no process that compiles")
	}
	if err := ServeCompiler(os.Stdin, os.Stdout); err != nil {
		t.Fatal(err)
	}
}

// useCompilers has kernels compiled by processes of a command until the test ends.
func useCompilers(t *testing.T, command ...string) {
	t.Helper()
	t.Setenv(serving, "1")
	UseCompilers(command...)
	t.Cleanup(func() { UseCompilers() })
}

var fourKernels = []kernelKey{{name: "norm", local: 64}, {name: "softmax", local: 64}, {name: "argmax", local: 64}, {name: "sort", local: 64}}

// Processes of this program compile, not this one; one that ends without a word is replaced by this one.
func TestEmulatedHelpers(t *testing.T) {
	h, err := headers()
	if err != nil {
		t.Fatal(err)
	}
	d, e := emulated(t, hipemu.Options{})
	useCompilers(t, os.Args[0], "-test.run=^TestServing$")
	if _, processes := compilers(7, len(fourKernels)); !processes {
		t.Skip("one processor")
	}
	e.Fail("hiprtcCompileProgram", 6, 0, -1) // in this process
	failed := map[kernelKey]error{}
	for i, u := range d.codes(fourKernels, h, failed) {
		if len(u.code) == 0 {
			t.Errorf("%s: %v", fourKernels[i].name, failed[fourKernels[i]])
		}
	}
	e.Fail("", 0, 0, 0)

	d, _ = emulated(t, hipemu.Options{}) // with an empty cache
	useCompilers(t, "false")
	failed = map[kernelKey]error{}
	for i, u := range d.codes(fourKernels, h, failed) {
		if len(u.code) == 0 {
			t.Errorf("%s: %v", fourKernels[i].name, failed[fourKernels[i]])
		}
	}
}

// What the compiler says comes through, and the process serves on.
func TestHelperErrors(t *testing.T) {
	rt := compiler(t)
	useCompilers(t, os.Args[0], "-test.run=^TestServing$")
	h := startHelper()
	if h == nil {
		t.Fatal("no process")
	}
	defer h.stop()
	j := job{Major: rt.Major, Name: "bad.hip", Source: "this is no kernel", Arch: "gfx1030", Options: compileOptions}
	_, err, ok := h.compile(j)
	var e *hip.CompileError
	if !ok || !errors.As(err, &e) || e.Log == "" || e.Name != "bad.hip" {
		t.Errorf("got %v, %v", err, ok)
	}
	j.Source = `extern "C" __global__ void good(int* x) { *x = 1; }`
	if code, err, ok := h.compile(j); !ok || err != nil || len(code) == 0 {
		t.Errorf("got %d bytes, %v, %v", len(code), err, ok)
	}
	j.Major = 99
	if _, err, ok := h.compile(j); ok {
		t.Errorf("a runtime that is not there: %v", err)
	}
}
