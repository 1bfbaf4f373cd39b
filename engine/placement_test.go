package engine_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sched"
)

func TestLayerDevices(t *testing.T) {
	n := func(n int) *int { return &n }
	for _, c := range []struct {
		p        engine.Placement
		names    string
		fallback string
		layers   int
		want     string // one letter a layer, or the start of an error
	}{
		{engine.Placement{}, "a b", "c", 5, "aaabb"},
		{engine.Placement{}, "a b d", "c", 2, "ab"},
		{engine.Placement{DeviceLayers: n(3)}, "a b", "c", 5, "ccaab"},
		{engine.Placement{DeviceLayers: n(0)}, "a", "c", 3, "ccc"},
		{engine.Placement{DeviceLayers: n(99)}, "a", "", 3, "aaa"},
		{engine.Placement{DeviceLayers: n(2)}, "a", "", 3, "engine: DeviceLayers is 2, want all 3 layers"},
		{engine.Placement{DeviceLayers: n(-1)}, "a", "c", 3, "engine: DeviceLayers is -1, want 0 or more"},
		{engine.Placement{Split: []float64{3, 1}}, "a b", "c", 8, "aaaaaabb"},
		{engine.Placement{Split: []float64{0.1, 0.2, 0.7}}, "a b d", "c", 10, "abbddddddd"},
		{engine.Placement{Split: []float64{0, 1}}, "a b", "c", 3, "bbb"},
		{engine.Placement{Split: []float64{1, 0}}, "a b", "c", 3, "aaa"},
		{engine.Placement{Split: []float64{1, 1}, DeviceLayers: n(4)}, "a b", "c", 6, "ccaabb"},
		{engine.Placement{Split: []float64{1}}, "a b", "c", 3, "engine: Split is 1 shares, want one for each of 2"},
		{engine.Placement{Split: []float64{1, -1}}, "a b", "c", 3, "engine: Split is -1, want 0 or more"},
		{engine.Placement{Split: []float64{0, 0}}, "a b", "c", 3, "engine: Split is [0 0], want shares"},
		{engine.Placement{Ranges: []engine.LayerRange{{1, 2, "C"}, {2, 3, "B"}}}, "a b", "c", 5, "acbbb"},
		{engine.Placement{Ranges: []engine.LayerRange{{1, 5, "c"}}}, "a", "c", 5, "engine: Ranges is 1 to 5, want layers of 0 to 4"},
		{engine.Placement{Ranges: []engine.LayerRange{{1, 2, "x"}}}, "a", "c", 5, `engine: Ranges is "x", want the name of a device in use: a, c`},
	} {
		got, err := c.p.LayerDevices(strings.Fields(c.names), c.fallback, c.layers)
		text := strings.Join(got, "")
		if err != nil {
			text = err.Error()
		}
		if !strings.HasPrefix(text, c.want) || err == nil && text != c.want || err != nil && !errors.Is(err, engine.ErrOption) {
			t.Errorf("%+v of %s over %d: %q, want %q", c.p, c.names, c.layers, text, c.want)
		}
	}
}

// TestEvenSplit compares an even split with whole numbers, for all small cases.
func TestEvenSplit(t *testing.T) {
	names := strings.Fields("a b c d e f g h")
	for devices := 1; devices <= len(names); devices++ {
		for layers := 1; layers < 200; layers++ {
			got, err := new(engine.Placement).LayerDevices(names[:devices], "", layers)
			must(t, err)
			for i, name := range got {
				if want := names[i*devices/layers]; name != want {
					t.Fatalf("layer %d of %d on %d devices: %s, want %s", i, layers, devices, name, want)
				}
			}
		}
	}
}

func TestParsePins(t *testing.T) {
	v, err := engine.ParseOverride(`blk\.[0-9]+\.a=b=Vulkan0.host`)
	if err != nil || v.Pattern.String() != `blk\.[0-9]+\.a=b` || v.Memory != "Vulkan0.host" {
		t.Errorf("%v, %v", v, err)
	}
	for _, s := range []string{"", "a", "=b", "a=", "(=b"} {
		if _, err := engine.ParseOverride(s); !errors.Is(err, engine.ErrOption) {
			t.Errorf("override %q: %v", s, err)
		}
	}
	for s, want := range map[string]engine.LayerRange{
		"3=CPU": {3, 3, "CPU"}, "0-11=CPU": {0, 11, "CPU"}, "12-=Vulkan0": {12, 1<<31 - 1, "Vulkan0"},
	} {
		if got, err := engine.ParseLayerRange(s); err != nil || got != want {
			t.Errorf("%q is %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "3", "3=", "=CPU", "x=CPU", "-3=CPU", "5-3=CPU", "3-x=CPU", "99999999999=CPU"} {
		if r, err := engine.ParseLayerRange(s); !errors.Is(err, engine.ErrOption) {
			t.Errorf("range %q is %+v, %v", s, r, err)
		}
	}
}

// simulated returns the devices that text describes, until the test ends.
func simulated(t testing.TB, text string) []backends.Device {
	t.Helper()
	configs, err := sim.Parse(text)
	must(t, err)
	m, err := sim.NewMachine(configs...)
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return m.Backends()
}

// TestOverridesMoveWeightsAndOps pins weights in every way: they lie where they are put, the ops that read
// them run there, and the logits are those of one device.
func TestOverridesMoveWeightsAndOps(t *testing.T) {
	f := parse(t, tinymodel.Config{Arch: "qwen3moe", Layers: 4, Experts: 4})
	text := ids(3, 9)
	devices := simulated(t, "device Vulkan0; type host mapped; submit deferred\ndevice CPU; kind cpu; mapped")
	base := exact
	base.Devices, base.Fallback = devices[:1], devices[1]
	want := open(t, f, base).decode(tokens(0, 0, text))
	for name, c := range map[string]struct {
		p      engine.Placement
		layers string // in which MatMulID runs on the CPU
		host   bool   // weights lie in Vulkan0.host
	}{
		"all experts":    {engine.Placement{HostExperts: -1}, "0123", false},
		"some experts":   {engine.Placement{HostExperts: 2}, "01", false},
		"regexp":         {engine.Placement{Overrides: []engine.Override{{regexp.MustCompile(`blk\.(1|3)\.ffn_.*_exps`), "cpu"}}}, "13", false},
		"first counts":   {engine.Placement{Overrides: []engine.Override{{regexp.MustCompile(`blk\.1\.`), "Vulkan0"}}, HostExperts: -1}, "023", false},
		"kind of memory": {engine.Placement{Overrides: []engine.Override{{regexp.MustCompile(`exps`), "vulkan0.HOST"}}}, "", true},
		"layer":          {engine.Placement{Ranges: []engine.LayerRange{{2, 2, "CPU"}}}, "2", false},
	} {
		t.Run(name, func(t *testing.T) {
			opt := base
			opt.Placement = c.p
			r := open(t, f, opt)
			near(t, "pinned", r.decode(tokens(0, 0, text)), want, 0)
			p, err := r.Plan(1)
			must(t, err)
			layers := []string{}
			g := p.Graph()
			for i, n := range p.Nodes {
				if n.Op != "MatMulID" {
					continue
				}
				if layer := string(rune('0' + g.Nodes[i].Layer)); n.Device == "CPU" && !slices.Contains(layers, layer) {
					layers = append(layers, layer)
				}
				if typ := g.Nodes[i].Src[0].Storage.Buffer.Type(); typ.Owner().Device != n.Device || (typ.Name() == "Vulkan0.host") != c.host {
					t.Errorf("%s runs on %s, its weight lies in %s", n.Node, n.Device, typ.Name())
				}
			}
			if got := strings.Join(layers, ""); got != c.layers {
				t.Errorf("experts run on the CPU in layers %q, want %q\n%v", got, c.layers, p)
			}
		})
	}
}

// TestPinsThatCannotBe asks for what cannot be had.
func TestPinsThatCannotBe(t *testing.T) {
	devices := simulated(t, `device Vulkan0; refuse GetRows "no kernel"`+"\ndevice CPU; kind cpu")
	over := func(pattern, memory string) engine.Placement {
		return engine.Placement{Overrides: []engine.Override{{regexp.MustCompile(pattern), memory}}}
	}
	for name, c := range map[string]struct {
		p      engine.Placement
		layers []string
		is     error
	}{
		"a device that refuses the op": {over("token_embd", "Vulkan0"), nil, sched.ErrPlacement},
		"a pattern without a weight":   {over("no such weight", "CPU"), nil, engine.ErrOption},
		"an unknown device":            {over("attn", "ROCm0"), nil, engine.ErrOption},
		"no pattern":                   {engine.Placement{Overrides: make([]engine.Override, 1)}, nil, engine.ErrOption},
		"experts of a dense model":     {engine.Placement{HostExperts: -1}, nil, engine.ErrOption},
		"a split too many":             {engine.Placement{Split: []float64{1, 2, 3}}, nil, engine.ErrOption},
		"layers said twice":            {engine.Placement{Split: []float64{1}}, []string{"CPU", "CPU"}, engine.ErrOption},
	} {
		opt := exact
		opt.Devices, opt.Fallback, opt.Placement, opt.LayerDevices = devices[:1], devices[1], c.p, c.layers
		e, err := engine.New(parse(t, tinymodel.Config{}), opt)
		if e != nil || !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
		t.Log(err)
	}
}
