package engine_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sched"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests find into testdata")

// machines are described in the text form of package sim; the last device is the fallback.
var machines = []struct{ name, text string }{
	{"card", "device Vulkan0; memory 16GiB\ndevice CPU; mapped"},
	{"two-apis", `
		device Vulkan0; memory 16GiB shared; card 0000:03:00.0; refuse RMSNorm "no kernel"
		device ROCm1;   memory 16GiB shared; card 0000:03:00.0; refuse FlashAttn "no kernel"
		device CPU; mapped`},
	{"integrated", "device Vulkan0; kind integrated; mapped; import; reads CPU; refuse TopK,MatMulID\ndevice CPU; mapped; reads Vulkan0"},
}

// TestModelPlans compares the plans of a step of whole models on simulated machines with testdata.
func TestModelPlans(t *testing.T) {
	shared := families[0]
	shared.name, shared.config = "gemma4", tinymodel.SharedTarget(tinymodel.Config{})
	for _, fam := range append(slices.Clone(families), shared) {
		for _, m := range machines {
			t.Run(fam.name+"/"+m.name, func(t *testing.T) {
				c := fam.config
				c.Layers = max(2, c.Layers)
				devices := simulated(t, m.text)
				last := len(devices) - 1
				opt := engine.Options{Devices: devices[:last], Fallback: devices[last], Batch: 8, Context: 64}
				if c.Experts > 0 {
					opt.Placement.HostExperts = 1
				}
				e, err := engine.NewEstimate(parse(t, c), opt, 1)
				must(t, err)
				var b strings.Builder
				for _, n := range e.Memory {
					fmt.Fprintf(&b, "%s: %d mapped, %d weights, %d cache, %d runs\n", n.Device, n.Mapped, n.Weights, n.Cache, n.Compute)
				}
				must(t, e.Plan.WriteText(&b))
				file := filepath.Join("testdata", "plans", fam.name+"-"+m.name+".txt")
				if *rewrite {
					must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(b.String()), 0o644)))
				}
				want, err := os.ReadFile(file)
				must(t, err)
				if got := b.String(); got != string(want) {
					t.Errorf("the plan differs from %s (-rewrite writes it):\n%s", file, firstDifference(got, string(want)))
				}
			})
		}
	}
}

// firstDifference returns the first line in which two texts differ.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d\n  got  %s\n  want %s", i+1, g[i], strings.Join(w[i:min(i+1, len(w))], ""))
		}
	}
	return "the end is missing"
}

// anyMachine returns devices with random memory, support, ways to reach each other's memory and modes
// of submitting. The last supports everything.
func anyMachine(t *testing.T, r *rand.Rand) (string, []backends.Device) {
	t.Helper()
	names := []string{"Vulkan0", "ROCm1", "Vulkan2", "CPU"}[3-r.IntN(4):]
	ops := []string{"MatMul", "MatMulID", "RMSNorm", "RoPE", "Add", "Mul", "GLU", "FlashAttn", "GetRows", "SoftMax", "TopK", "Copy", "Unary", "Scale"}
	var configs []sim.Config
	for i, name := range names {
		c := sim.Config{
			Name: name, Submit: []sim.SubmitMode{sim.Sync, sim.Async, sim.Deferred}[r.IntN(3)],
			Mapped: r.IntN(3) == 0, Import: r.IntN(4) == 0, Alignment: 32 << r.IntN(4), Heap: true,
		}
		for k, other := range names {
			if k != i && r.IntN(5) == 0 {
				c.Reads = append(c.Reads, other)
			}
		}
		if i < len(names)-1 {
			for _, op := range ops {
				if r.IntN(6) == 0 {
					c.Rules = append(c.Rules, sim.Rule{Ops: []string{op}, Reason: "no kernel"})
				}
			}
		}
		configs = append(configs, c)
	}
	m, err := sim.NewMachine(configs...)
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return sim.Format(configs), m.Backends()
}

// TestRandomMachines runs models on random simulated machines: the logits are those of one CPU, bit for
// bit, what is planned is what is allocated, and what an estimate says is what the engine then holds.
func TestRandomMachines(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	text := ids(5, 12)
	type sample struct{ first, second [][]float32 }
	session := func(r *rig) sample {
		return sample{r.decode(tokens(0, 0, text[:9])), r.decode(tokens(0, 9, text[9:10]))}
	}
	want := map[string]sample{}
	ran, copied, fallbacks, early := 0, int64(0), 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 3))
		fam := families[r.IntN(len(families))]
		c := fam.config
		c.Layers = 4
		f := parse(t, c)
		if want[fam.name].first == nil {
			opt := exact
			opt.Devices = []backends.Device{cpu.New(cpu.Options{Threads: 1})}
			want[fam.name] = session(open(t, f, opt))
		}
		machine, devices := anyMachine(t, r)
		opt := exact
		last := len(devices) - 1
		opt.Devices, opt.Fallback = devices[:max(1, last)], devices[last]
		opt.Batch = 4 + r.IntN(12)
		for range r.IntN(3) {
			from := r.IntN(4)
			opt.Placement.Ranges = append(opt.Placement.Ranges, engine.LayerRange{
				From: from, To: from + r.IntN(4-from), Device: devices[r.IntN(len(devices))].Info().Owner.Device,
			})
		}
		if n := r.IntN(6); n < 5 {
			opt.Placement.DeviceLayers = &n
		}
		estimate, err := engine.NewEstimate(f, opt, 1)
		if errors.Is(err, sched.ErrPlacement) { // a cache lies where SetRows or attention cannot run
			continue
		}
		must(t, err)
		for _, d := range devices {
			if live := d.(*sim.Device).Stats().Live; live != 0 {
				t.Fatalf("seed %d: the estimate keeps %d bytes of %s", seed, live, d.Info().Owner)
			}
		}
		e := open(t, f, opt)
		for i, n := range e.Memory() {
			live := devices[slices.IndexFunc(devices, func(d backends.Device) bool { return d.Info().Owner.Device == n.Device })].(*sim.Device).Stats().Live
			if n != estimate.Memory[i].DeviceMemory || n.Total() != live || estimate.Memory[i].Need != live {
				t.Errorf("seed %d: %s: estimated %+v, reported %+v, allocated %d", seed, n.Device, estimate.Memory[i], n, live)
			}
		}
		p, err := e.Plan(1)
		must(t, err)
		if !p.Equal(estimate.Plan) {
			t.Errorf("seed %d: the estimate plans otherwise", seed)
		}
		got := session(e)
		near(t, fmt.Sprintf("seed %d", seed), got.first, want[fam.name].first, 0)
		near(t, fmt.Sprintf("seed %d", seed), got.second, want[fam.name].second, 0)
		if t.Failed() {
			t.Fatalf("%s on\n%s%v", fam.name, machine, p)
		}
		ran++
		copied += p.Copied
		fallbacks += len(p.Fallbacks())
		for _, s := range p.Splits {
			for _, c := range s.Copies {
				if c.After < len(s.Waits) {
					early++
				}
			}
		}
	}
	t.Logf("%d of %d machines ran; %d bytes copied, %d kinds of fallback, %d copies made while others compute", ran, seeds, copied, fallbacks, early)
	if ran < int(seeds)/2 || copied == 0 || fallbacks < int(seeds) {
		t.Error("the machines do not reach what they should")
	}
}

// TestFit asks what would fit on machines with less and less memory: each proposal fits and opens, and one
// layer or 256 tokens more would not.
func TestFit(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 6, Context: 2048})
	whole := sim.Config{Name: "Vulkan0", Kind: backends.GPU}
	base := engine.Options{Context: 2048, Batch: 64}
	machine := func(memory int64) engine.Options {
		whole.Memory = memory
		m, err := sim.NewMachine(whole, sim.Config{Name: "CPU"})
		must(t, err)
		t.Cleanup(func() { must(t, m.Close()) })
		opt := base
		opt.Devices, opt.Fallback = m.Backends()[:1], m.Backends()[1]
		return opt
	}
	all, err := engine.NewEstimate(f, machine(0), 1)
	must(t, err)
	need := all.Memory[0].Need
	if p, err := engine.Fit(f, machine(need)); p != nil || err != nil {
		t.Errorf("what fits gives %v, %v", p, err)
	}
	fits := func(opt engine.Options) bool {
		e, err := engine.New(f, opt)
		if err != nil {
			if !errors.Is(err, buffer.ErrNoMemory) {
				t.Fatal(err)
			}
			return false
		}
		must(t, e.Close())
		return true
	}
	kinds := map[string]int{}
	for _, part := range []int64{99, 90, 75, 50, 25, 10} {
		memory := need * part / 100
		opt := machine(memory)
		var lack *engine.FitError
		switch _, err := engine.New(f, opt); {
		case errors.As(err, &lack):
			if lack.Lacking[0].Missing() != need-memory {
				t.Errorf("%d%%: %v", part, err)
			}
		case !errors.Is(err, buffer.ErrNoMemory) || part > 10: // there one tensor is too large already
			t.Errorf("%d%%: %v", part, err)
		}
		proposals, err := engine.Fit(f, opt)
		must(t, err)
		if len(proposals) == 0 {
			t.Errorf("%d%%: nothing fits", part)
		}
		for _, p := range proposals {
			with, more := opt, opt
			if p.DeviceLayers != nil {
				kinds["layers"]++
				n := *p.DeviceLayers + 1
				with.Placement.DeviceLayers, more.Placement.DeviceLayers = p.DeviceLayers, &n
			}
			if p.Context > 0 {
				kinds["context"]++
				with.Context, more.Context = p.Context, p.Context+256
			}
			if p.Batch > 0 {
				kinds["batch"]++
				with.Batch, more.Batch = p.Batch, p.Batch+16
			}
			if !fits(with) || fits(more) {
				t.Errorf("%d%%: %s: fits: %v; more fits: %v", part, p.Flags(), fits(with), fits(more))
			}
			t.Logf("%d%% of %d bytes: %s", part, need, p.Flags())
		}
	}
	if kinds["layers"] == 0 || kinds["context"] == 0 || kinds["batch"] == 0 {
		t.Errorf("proposals of only some kinds: %v", kinds)
	}
	tiny := machine(4096)
	tiny.Fallback = nil
	if p, err := engine.Fit(f, tiny); len(p) > 0 || !errors.Is(err, buffer.ErrNoMemory) {
		t.Errorf("a machine too small for anything gives %v, %v", p, err)
	}
}

// TestFitOnTwoDevices spreads layers by the memory that is free.
func TestFitOnTwoDevices(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 8, Embd: 256, FeedForward: 512})
	devices := simulated(t, "device Vulkan0; memory 20MiB\ndevice Vulkan1; memory 6MiB\ndevice CPU; kind cpu")
	opt := engine.Options{Devices: devices[:2], Fallback: devices[2], Batch: 32}
	proposals, err := engine.Fit(f, opt)
	must(t, err)
	if len(proposals) == 0 || !slices.Equal(proposals[0].Split, []float64{20, 6}) || *proposals[0].DeviceLayers < 6 {
		t.Fatalf("%+v", proposals)
	}
	if got := proposals[0].Flags(); !strings.HasSuffix(got, " --tensor-split 20,6") {
		t.Error(got)
	}
}
