//go:build linux && (amd64 || arm64) && (cgo || rocm)

package gopher_test

import (
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/internal/testcard"
)

// TestROCm runs gopher on an emulated card.
func TestROCm(t *testing.T) {
	if testing.Short() || !hipemu.Demanded() {
		t.Skip(hipemu.Demand + " is not set")
	}
	hipemu.Use(t, hipemu.Options{Devices: "gfx1030"})
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
	const tokens = 10
	if got, want := onBackend(t, tokens, tenon.WithDevices("ROCm0")), onBackend(t, tokens); got != want {
		t.Errorf("%q, on the CPU %q", got, want)
	}
}

// TestROCmCard runs gopher on this machine's card, where there is one.
func TestROCmCard(t *testing.T) {
	testcard.Need(t, "ROCm0")
	const tokens = 100
	if got, want := onBackend(t, tokens, tenon.WithDevices("ROCm0")), onBackend(t, tokens); got != want {
		t.Errorf("%q, on the CPU %q", got, want)
	}
}
