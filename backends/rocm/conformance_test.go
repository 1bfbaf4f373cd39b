//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"os"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// demandCard is the environment variable that says that there must be a card: without it tests of one skip where there is none, as in CI.
const demandCard = "TENON_DEMAND_ROCM"

// open returns the first device, or skips. See testdata/shim.
func open(tb testing.TB, opt Options) *Device {
	tb.Helper()
	if opt.CacheDir == "" {
		opt.CacheDir = tb.TempDir()
	}
	devices, err := Devices(opt)
	if len(devices) == 0 {
		if os.Getenv(demandCard) != "" {
			tb.Fatal(err)
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

// TestROCmOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestROCmOps(t *testing.T) {
	dir := testcorpus.Dir(t)
	d := open(t, Options{})
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
		Chapters: []string{conformance.ChapterCorpus}, Corpus: dir,
	})
}
