package tenon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	_ "github.com/tenon-go/tenon/backends/vulkan"
	"github.com/tenon-go/tenon/internal/testcard"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// TestVulkanCorpusLogits is TestCorpusLogits on a Vulkan device, where there is one. A plan that leaves nodes to the CPU fails: every
// op of these models has a kernel.
func TestVulkanCorpusLogits(t *testing.T) {
	testcard.Need(t, "Vulkan0")
	corpusLogitsOn(t, "Vulkan0", testcorpus.Glob(t, "models/*.gguf"))
}

// corpusLogitsOn compares the logits of models on a device that there is.
func corpusLogitsOn(t *testing.T, device string, paths []string) {
	t.Helper()
	done := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".gguf")
		dir := strings.TrimSuffix(path, ".gguf")
		if _, err := os.Stat(filepath.Join(dir, "logits_exact.f32")); err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := readCase(t, dir)
			m, err := tenon.Open(path, tenon.WithDevices(device), tenon.WithExact(), tenon.WithCacheTypes(tensor.F32, tensor.F32), tenon.WithContext(c.Context))
			if comesLater(err) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			done++
			plan, err := m.Engine().Plan(len(c.IDs))
			if err != nil {
				t.Fatal(err)
			}
			for _, split := range plan.Splits {
				if split.Device != device {
					t.Errorf("nodes %d to %d are placed on %s", split.From, split.To, split.Device)
				}
			}
			exact := c.compare(t, m, 0)
			m.Close()
			if m, err = tenon.Open(path, tenon.WithDevices(device), tenon.WithContext(c.Context)); err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			usual := c.compare(t, m, c.Prefill)
			t.Logf("NMSE %.2g exact (tolerance %.2g), %.2g as run by default (tolerance %.2g)", exact, c.ToleranceF32, usual, c.ToleranceAny)
			if !(exact <= c.ToleranceF32) {
				t.Errorf("exact: NMSE %.3g, tolerance %.3g", exact, c.ToleranceF32)
			}
			if !(usual <= c.ToleranceAny) {
				t.Errorf("default: NMSE %.3g, tolerance %.3g", usual, c.ToleranceAny)
			}
		})
	}
	if done == 0 {
		t.Error("no model was compared")
	}
}
