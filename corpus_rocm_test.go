//go:build linux && (amd64 || arm64) && (cgo || rocm)

package tenon_test

import (
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm"
	"github.com/tenon-go/tenon/internal/hipemu"
)

// TestROCmCorpusLogits is TestCorpusLogits on an emulated card of each kind: a plan that leaves nodes to the CPU fails.
func TestROCmCorpusLogits(t *testing.T) {
	if !hipemu.Demanded() {
		t.Skip(hipemu.Demand + " is not set")
	}
	for name, arch := range map[string]string{"wave 32": "gfx1030", "wave 64": "gfx90a"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "wave 32" {
				t.Skip("short")
			}
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
			corpusLogitsOn(t, "ROCm0")
		})
	}
}
