//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"os"
	"regexp"
	"slices"
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

// TestConformance is the suite, but for single ops: where there is no card, most of its time is a driver's that compiles kernels, and so the tests of these
// run beside each other. One case runs again by its id, whichever test has it:
//
//	go test -run 'TestConformance/RMSNorm/x=F32,ne=1x1x1x1,eps=1e-06$'
func TestConformance(t *testing.T) {
	opt := conformance.Options{Chapters: slices.DeleteFunc(conformance.Chapters(), func(chapter string) bool {
		return chapter == conformance.ChapterOps || chapter == conformance.ChapterFusion || chapter == conformance.ChapterCorpus
	})}
	if testing.Short() {
		opt.Chapters = []string{conformance.ChapterBuffers, conformance.ChapterPrograms, conformance.ChapterConcurrency}
	}
	conform(t, open(t, Options{}), opt)
}

func TestConformanceAttention(t *testing.T) { // which takes longest, and begins first
	conformBeside(t, conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: regexp.MustCompile("^F")})
}

func TestConformanceOps(t *testing.T) {
	conformBeside(t, conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: regexp.MustCompile("^[^F]")})
}

func TestConformanceFusion(t *testing.T) {
	conformBeside(t, conformance.Options{Chapters: []string{conformance.ChapterFusion}})
}

func conform(t *testing.T, d *Device, opt conformance.Options) {
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, opt)
}

// conformBeside runs cases beside those of other tests, on a device of its own.
func conformBeside(t *testing.T, opt conformance.Options) {
	if testing.Short() {
		t.Skip("these cases take minutes where a driver compiles for a processor")
	}
	t.Parallel()
	conform(t, open(t, Options{}), opt)
}

// TestWideLoads multiplies as on a card of NVIDIA's, for which weights are loaded by sixteen bytes: rows of one block and of an odd number, whose
// places are anything.
func TestWideLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("it is the same with the race detector, and slow")
	}
	t.Parallel()
	d := open(t, Options{})
	phys := *d.phys
	phys.Vendor = vk.NVIDIA
	d.phys = &phys
	conform(t, d, conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: regexp.MustCompile(`^MatMul/a=[^F][^,]*,b=F32,m=16,n=1,k=\d+$`)})
}

// TestVulkanCorpusOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestVulkanCorpusOps(t *testing.T) {
	dir := testcorpus.Dir(t)
	d := open(t, Options{})
	conform(t, d, conformance.Options{Chapters: []string{conformance.ChapterCorpus}, Corpus: dir})
}
