package sim_test

import (
	"regexp"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/sim"
)

// TestConformance runs the suite on devices that differ in when their work is done and in what the host can
// address. Kernels are the CPU's, which has a run of its own, so of each op a few cases are enough; all of
// what concerns memory, programs and their order runs.
func TestConformance(t *testing.T) {
	few := regexp.MustCompile(`^(Add/a=F32,b=F32|MatMul/a=(F32|Q4_K),b=F32,m=16|GetRows/x=F32|SetRows/x=F16|RoPE/mode=Normal,x=F32,p=full|` +
		`buffers|programs|graphs/.*layers=1|fusion/.*(=(F32|F16|Q8_0|Q4_K),m=37|=F16,.*tok=5|ne=33x|read/|planned)|sched|kv|concurrency|cancel/before|faults)`)
	for name, c := range map[string]sim.Config{
		"sync":     {Kind: backends.GPU},
		"deferred": {Kind: backends.GPU, Submit: sim.Deferred, Rules: []sim.Rule{{Ops: []string{"RoPE"}, Reason: "no kernel for it"}}},
		"fusing": {Kind: backends.GPU, Submit: sim.Async, Rules: []sim.Rule{
			{Ops: []string{"RMSNorm+Mul"}, Reason: "no kernel for it"},
			{Ops: []string{"MatMul+Add", "MatMul+MatMul+GLU", "MatMulID+MatMulID+GLU", "Scale+Tanh+Scale"}, Allow: true},
		}},
		"mapped deferred": {Kind: backends.IntegratedGPU, Mapped: true, Import: true, Submit: sim.Deferred, Alignment: 256},
		"small async": {
			Submit: sim.Async, Memory: 64 << 20, MaxBuffer: 32 << 20, Heap: true,
			Types: []sim.MemoryType{{Name: "host", Mapped: true, Memory: 16 << 20}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !c.Heap {
				t.Skip("the race detector watches the Go heap alone, and is slow")
			}
			c.Name = "Vulkan0"
			conformance.Test(t, func() (backends.Device, error) { return sim.New(c) }, conformance.Options{Filter: few})
		})
	}
}

// TestConformanceFindsBugs shows that the suite sees what a simulated device is told to do wrong.
func TestConformanceFindsBugs(t *testing.T) {
	for _, text := range []string{
		"fault break-op Add wrong-scale", "fault break-op Add missed-tail", "fault break-op Add overrun", "fault break-op Add wrong-stride",
		"fault break-op Add dirty-source", "submit deferred; fault break-reads", "fault corrupt-copy 2", "fault fail-submit 3", "fault lose-at-submit 2",
		"fault fail-compile Add", "fault end-memory 1kB",
	} {
		t.Run(text, func(t *testing.T) {
			configs, err := sim.Parse("device Vulkan0; " + text)
			if err != nil {
				t.Fatal(err)
			}
			dev := open(t, configs[0])
			report, err := conformance.Run(t.Context(), dev, conformance.Options{Filter: regexp.MustCompile("^Add/a=F32,b=F32")})
			if err != nil {
				t.Fatal(err)
			}
			bad := report.Failures()
			if len(bad) == 0 {
				t.Fatalf("nothing is found: %s", report.Summary())
			}
			t.Logf("%d of %d cases fail, such as %s: %s", len(bad), len(report.Results), bad[0].ID, bad[0].Reason)
		})
	}
}
