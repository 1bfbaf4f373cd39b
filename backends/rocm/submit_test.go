//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"testing"

	"github.com/tenon-go/tenon/internal/hipemu"
)

// A run costs one graph and one event, however many launches it has and however many small inputs are written before, and a graph is not
// made again when these change.
func TestEmulatedSubmitCost(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	d.opt.Slice = 60_000 // a slow machine would have it cut into pieces
	r := newRig(t, d, 40)
	r.run(t)
	graphs := e.Count("graphs")
	if graphs == 0 {
		t.Fatal("launches are not captured")
	}
	const often = 5
	for call, times := range map[string]int{
		"hipModuleLaunchKernel": 0, "hipStreamBeginCapture": 0, "hipGraphLaunch": often, "hipEventRecord": often, "hipMemcpyAsync": 3 * often,
	} {
		e.Fail(call, 1, times, -1) // once more is an error
		for range often {
			for i := range 3 {
				if _, err := r.mem.WriteAt([]byte{0, 0, 0x80, 0x3f}, int64(4*i)); err != nil {
					t.Fatalf("%s more than %d times: %v", call, times, err)
				}
			}
			if err := r.again(); err != nil {
				t.Fatalf("%s more than %d times: %v", call, times, err)
			}
		}
		e.Fail("", 0, 0, 0)
	}
	r.run(t)
	if got := e.Count("graphs"); got != graphs {
		t.Errorf("%d graphs, and %d after runs", graphs, got)
	}
	r.close(t)
}
