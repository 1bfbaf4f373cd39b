package gopher_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	_ "github.com/tenon-go/tenon/backends/vulkan"
	"github.com/tenon-go/tenon/internal/testcard"
	"github.com/tenon-go/tenon/models/gopher"
)

// onBackend holds gopher on the devices of options to what it does anywhere: it speaks Go, the draft changes no token
// and is often right, and so it is with a text that goes through a file in the middle. It returns the text.
func onBackend(t *testing.T, tokens int, options ...tenon.Option) string {
	t.Helper()
	options = append(options, tenon.WithContext(256), tenon.WithBatch(32))
	plain := open(t, options...)
	fast := open(t, append(slices.Clone(options), tenon.WithDraftData("gopher-mtp", gopher.Draft), tenon.WithSpec(tenon.SpecOptions{Fixed: true}))...)
	want := complete(t, plain, prompts[0], tenon.GenerateOptions{MaxTokens: tokens})
	var stats tenon.Stats
	if got := complete(t, fast, prompts[0], tenon.GenerateOptions{MaxTokens: tokens, Stats: &stats}); got != want {
		t.Errorf("with the draft %q, without %q", got, want)
	}
	if s := stats.Spec; s.Accepted*3 < s.Drafted || s.Drafted == 0 || len(s.Failed) > 0 {
		t.Errorf("%d of %d guesses right (failed: %v), want a third", s.Accepted, s.Drafted, s.Failed)
	}
	var state bytes.Buffer
	got := complete(t, fast, prompts[0], tenon.GenerateOptions{MaxTokens: tokens / 2, Save: &state})
	got += complete(t, plain, "", tenon.GenerateOptions{MaxTokens: tokens - tokens/2, Restore: &state})
	if got != want {
		t.Errorf("through a file %q, without %q", got, want)
	}
	return want
}

// TestLevels runs gopher with the kernels of each instruction set that this processor has.
func TestLevels(t *testing.T) {
	texts := map[string][]string{}
	for _, level := range cpu.Levels() {
		t.Run(level.String(), func(t *testing.T) {
			d, err := cpu.NewAt(level, cpu.Options{})
			if err != nil {
				t.Fatal(err)
			}
			undo := backends.Replace(backends.Backend{Name: cpu.Backend, Probe: func() ([]backends.Device, error) { return []backends.Device{d}, nil }})
			t.Cleanup(func() {
				undo()
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			text := onBackend(t, 32)
			texts[text] = append(texts[text], level.String())
		})
	}
	if len(texts) > 1 { // sums in another order may turn a text, but not where it is sure of itself
		t.Errorf("texts by level: %q", texts)
	}
}

// TestSimulated runs gopher on one simulated card, and in two parts on two of them, each with its part of the cache.
func TestSimulated(t *testing.T) {
	machine, err := sim.NewMachine(sim.Config{Name: "Simg0"}, sim.Config{Name: "Simg1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	want := onBackend(t, 24)
	for _, devices := range [][]string{{"Simg0"}, {"Simg0", "Simg1"}} {
		if got := onBackend(t, 24, tenon.WithDevices(devices...)); got != want {
			t.Errorf("on %v %q, on the CPU %q", devices, got, want)
		}
	}
}

// TestVulkan runs gopher on a graphics card, where there is one.
func TestVulkan(t *testing.T) {
	testcard.Need(t, "Vulkan0")
	const tokens = 10 // a driver in software is slow
	if got, want := onBackend(t, tokens, tenon.WithDevices("Vulkan0")), onBackend(t, tokens); got != want {
		t.Errorf("%q, on the CPU %q", got, want)
	}
}
