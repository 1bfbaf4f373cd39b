//go:build linux && (amd64 || arm64) && (cgo || rocm)

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/internal/testcard"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestROCmPairs has a draft that reads the cache of a target elsewhere: Vulkan0 and ROCm0 are one card behind two APIs, and ROCm1 is
// another. Who would read what it cannot is refused before anything is loaded, by the names of both; mirrored, every pair says what the
// target says alone. ROCm's devices are emulated, and Vulkan's is simulated.
func TestROCmPairs(t *testing.T) {
	if testing.Short() || !hipemu.Demanded() {
		t.Skip(hipemu.Demand + " is not set")
	}
	const card = "0000:0a:00.0"
	hipemu.Use(t, hipemu.Options{Devices: "gfx1030@" + card + ",gfx90a@0000:0b:00.0"})
	undo := backends.Replace(backends.Backend{Name: "ROCm", Priority: 20, Probe: func() ([]backends.Device, error) {
		devices, err := rocm.Devices(rocm.Options{CacheDir: t.TempDir()})
		var all []backends.Device
		for _, d := range devices {
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			all = append(all, d)
		}
		return all, err
	}})
	t.Cleanup(undo)
	machine, err := sim.NewMachine(sim.Config{Name: "Vulkan0", Kind: backends.GPU, PhysicalID: card})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := machine.Register(); err != nil {
		t.Fatal(err)
	}
	testPairs(t, "Vulkan0", "ROCm0", "ROCm1")
}

// TestROCmCardPairs is that on a real card behind both APIs, where there is one.
func TestROCmCardPairs(t *testing.T) {
	testcard.Need(t, "ROCm0", "Vulkan0") // in this order: builds without cgo have no Vulkan to demand
	testPairs(t, "Vulkan0", "ROCm0")
}

// testPairs has each of the devices own a cache, and each of them and the CPU read it.
func testPairs(t *testing.T, cards ...string) {
	dir := t.TempDir()
	shared := tinymodel.SharedTarget(tinymodel.Config{})
	target, draft := filepath.Join(dir, "target.gguf"), filepath.Join(dir, "draft.gguf")
	for path, c := range map[string]tinymodel.Config{target: shared, draft: tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, shared)} {
		if err := tinymodel.WriteFile(path, c); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (int, string, string) {
		return call("", append([]string{"run", "-m", target, "-p", "Once upon a time", "-n", "16", "--temp", "0", "--ignore-eos", "--json"}, args...)...)
	}
	code, want, report := run("--device", "CPU")
	if code != 0 {
		t.Fatal(report)
	}
	for _, owner := range cards {
		for _, reader := range append(cards, "CPU") {
			t.Run(reader+" reads "+owner, func(t *testing.T) {
				pair := []string{"--device", owner, "--spec-draft-model", draft, "--spec-draft-device", reader}
				code, got, report := run(pair...)
				if owner != reader {
					text := fmt.Sprintf("which %s owns, but runs on %s: place the draft on %s (--spec-draft-device %s), or mirror it (--spec-kv mirror)",
						owner, reader, owner, owner)
					if code != 1 || !strings.Contains(report, text) {
						t.Errorf("shared: exit code %d, %s", code, report)
					}
					code, got, report = run(append(pair, "--spec-kv", "mirror")...)
				}
				var facts runFacts
				if err := json.Unmarshal([]byte(report), &facts); err != nil || code != 0 || got != want {
					t.Fatalf("exit code %d, %q, want %q: %s", code, got, want, report)
				}
				if s := facts.Speculation; s == nil || s.Drafted == 0 || (s.MirrorBytes > 0) != (owner != reader) {
					t.Errorf("speculation: %+v", s)
				}
			})
		}
	}
}
