//go:build linux && (amd64 || arm64) && (cgo || rocm)

package tenon_test

import (
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/internal/testcard"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// TestROCmCorpusLogits is TestCorpusLogits on emulated cards: a plan that leaves nodes to the CPU fails. A quarter of the models run on one with
// waves of 32 threads and another quarter on one with waves of 64, and where TENON_DEMAND_HIPEMU is "all" all on both.
func TestROCmCorpusLogits(t *testing.T) {
	if !hipemu.Demanded() {
		t.Skip(hipemu.Demand + " is not set")
	}
	paths := testcorpus.Glob(t, "models/*.gguf")
	for i, arch := range []string{"gfx1030", "gfx90a"} {
		own := paths
		if !hipemu.All() {
			own = nil
			for k := 2 * i; k < len(paths); k += 4 {
				own = append(own, paths[k])
			}
			t.Logf("on %s %d of %d files: %s=all runs all", arch, len(own), len(paths), hipemu.Demand)
		}
		t.Run(arch, func(t *testing.T) {
			hipemu.Use(t, hipemu.Options{Devices: arch})
			devices, err := rocm.Devices(rocm.Options{CacheDir: t.TempDir()})
			if len(devices) == 0 {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := devices[0].Close(); err != nil {
					t.Error(err)
				}
			})
			t.Cleanup(backends.Replace(backends.Backend{Name: "ROCm", Priority: 20, Probe: func() ([]backends.Device, error) {
				return []backends.Device{devices[0]}, nil
			}}))
			corpusLogitsOn(t, "ROCm0", own)
		})
	}
}

// TestROCmCardCorpusLogits is that on this machine's card, where there is one.
func TestROCmCardCorpusLogits(t *testing.T) {
	testcard.Need(t, "ROCm0")
	corpusLogitsOn(t, "ROCm0", testcorpus.Glob(t, "models/*.gguf"))
}
