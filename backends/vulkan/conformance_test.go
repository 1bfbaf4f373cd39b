//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"os"
	"regexp"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// demand is the environment variable by which CI says that there must be a device.
const demand = "TENON_DEMAND_VULKAN"

// open returns the first device, or skips: without a driver there is nothing to test.
func open(tb testing.TB, opt Options) *Device {
	tb.Helper()
	if opt.CacheDir == "" {
		opt.CacheDir = tb.TempDir()
	}
	devices, err := Devices(opt)
	if len(devices) == 0 {
		if os.Getenv(demand) != "" {
			tb.Fatalf("%s is set, and there is no device: %v", demand, err)
		}
		tb.Skipf("no device: %v", err)
	}
	return devices[0]
}

// TestConformance is the suite. One case runs again by its id:
//
//	go test -run 'TestConformance/RMSNorm/x=F32,ne=1x1x1x1,eps=1e-06$'
func TestConformance(t *testing.T) {
	d := open(t, Options{})
	opt := conformance.Options{}
	if testing.Short() {
		opt.Chapters = []string{conformance.ChapterBuffers, conformance.ChapterPrograms, conformance.ChapterConcurrency}
	}
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, opt)
}

// TestWideLoads multiplies as on a card of NVIDIA's, for which weights are loaded by sixteen bytes.
func TestWideLoads(t *testing.T) {
	d := open(t, Options{})
	phys := *d.phys
	phys.Vendor = vk.NVIDIA
	d.phys = &phys
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
		Chapters: []string{conformance.ChapterOps}, Filter: regexp.MustCompile(`^MatMul(ID)?/a=[^F]`),
	})
}

// TestVulkanCorpusOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestVulkanCorpusOps(t *testing.T) {
	dir := testcorpus.Dir(t)
	d := open(t, Options{})
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
		Chapters: []string{conformance.ChapterCorpus}, Corpus: dir,
	})
}
