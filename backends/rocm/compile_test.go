//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// demand is the environment variable by which CI says that there must be a runtime with its compiler, though no card.
const demand = "TENON_DEMAND_HIPRTC"

// compiler returns the runtime: without a card it opens all the same, and compiles.
func compiler(t *testing.T) *hip.Runtime {
	t.Helper()
	rt, err := hip.Open()
	var e *hip.Error
	if rt == nil || err != nil && !errors.As(err, &e) {
		if os.Getenv(demand) != "" {
			t.Fatalf("%s is set, and there is no runtime: %v", demand, err)
		}
		t.Skipf("no runtime: %v", err)
	}
	return rt
}

// architectures are what runtimes know, by the version from which on they do: waves of 64 and of 32, with and without matrix and dot
// instructions. A compiler that is asked for one that it does not know may crash (5.2 does), so that none is only tried.
var architectures = []struct {
	version int
	names   []string
}{
	{50200000, []string{"gfx900", "gfx906", "gfx908", "gfx90a", "gfx1030"}},
	{60000000, []string{"gfx942", "gfx1100", "gfx1101", "gfx1102"}},
	{60400000, []string{"gfx950", "gfx1200", "gfx1201"}},
}

// brief are the architectures for which CI compiles: with waves of 64 and of 32, and with each kind of matrix instructions.
var brief = []string{"gfx90a", "gfx1030", "gfx942", "gfx1100", "gfx1201"}

// TestKernelsCompile compiles every kernel where CI demands it, for a few architectures that this compiler knows and with a few of the types that
// each is compiled for: all of them compile in the emulator. TENON_DEMAND_HIPRTC=all leaves out nothing, which takes minutes. Without it are four
// kernels for one architecture.
func TestKernelsCompile(t *testing.T) {
	rt := compiler(t)
	h, err := headers()
	if err != nil {
		t.Fatal(err)
	}
	all := os.Getenv(demand) == "all"
	var left []string
	for _, known := range architectures {
		for _, arch := range known.names {
			if known.version > rt.Version || !all && !slices.Contains(brief, arch) || os.Getenv(demand) == "" && arch != "gfx1030" {
				left = append(left, arch)
				continue
			}
			t.Run(arch, func(t *testing.T) {
				keys := everyKernel(!all, arch)
				if os.Getenv(demand) == "" {
					keys = keys[:4]
				}
				for _, key := range keys {
					source, options, err := key.unit()
					if err != nil {
						t.Fatal(err)
					}
					code, err := compile(rt, key.name, source, h, arch, options)
					if err != nil {
						t.Errorf("%v: %v", key, err)
					} else if len(code) == 0 {
						t.Errorf("%v: no code", key)
					}
				}
			})
		}
	}
	t.Logf("HIP %s; left out: %v", versionText(rt.Version), left)
}

// everyKernel returns each kernel once for each of its constants' values that matter: few of them if it should be short.
func everyKernel(short bool, arch string) []kernelKey {
	var keys []kernelKey
	for _, name := range slices.Sorted(maps.Keys(kernelFiles())) {
		variants := compiledKernels(short, arch)[name]
		if variants == nil {
			variants = []spec{nil}
		}
		for _, sp := range variants {
			key := kernelKey{name: name, local: compiledLocal(name, sp, arch), n: len(sp)}
			copy(key.consts[:], sp)
			keys = append(keys, key)
		}
	}
	return keys
}

func kernelFiles() map[string]bool {
	names := map[string]bool{}
	files, _ := fs.Glob(sources, "kernels/*.hip") // the pattern is good
	for _, f := range files {
		names[strings.TrimSuffix(strings.TrimPrefix(f, "kernels/"), ".hip")] = true
	}
	return names
}

// A source that is none is an error with the compiler's words.
func TestCompileError(t *testing.T) {
	rt := compiler(t)
	_, err := compile(rt, "bad", "this is no kernel", nil, "gfx1030", compileOptions)
	var e *hip.CompileError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "bad.hip") || e.Log == "" {
		t.Errorf("got %v", err)
	}
}
